package detectors

import (
	"strings"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "model_failing",
	Title: "Language models of a provider do not answer",
	Doc: "A provider of language models refuses the key, wants credit or does not know the model; or it does not answer for a quarter of an hour. " +
		"Patrols and investigations go on without models meanwhile. It clears when a model of the provider answers again.",
	Kinds: []ops.Kind{ops.KindComponent},
	Role:  detect.Workload,
	Thresholds: []detect.Threshold{
		{Name: "minutes", Default: 15, Unit: "minutes", Doc: "For which a provider may be down, overloaded or limit us."},
	},
	Eval: modelFailing,
	Causes: []string{
		"The key is wrong, was withdrawn, or belongs to an account without credit.",
		"The name of the model is wrong, or the provider withdrew it.",
		"The provider is down or overloaded, or this host cannot reach it.",
	},
	Checks: []string{
		"Do what the remedy below says.",
		"Try it: `reeve models test`; `reeve models` lists every model with its last error.",
		"Name a second model of another provider to fall back to: `models.patrol: [FIRST, SECOND]`.",
	},
})

func modelFailing(s detect.Subject) detect.Verdict {
	if !strings.HasPrefix(s.Resource.Key.Key, "model:") {
		return fine("%s is no provider of models", s.Resource.Name)
	}
	attrs, name := s.Resource.Observed, s.Resource.Name
	state, ok := attrs.Text("state")
	if !ok {
		return detect.NoData()
	}
	if state == "ok" || state == "unknown" {
		return fine("%s is %s", name, state)
	}
	reason, ok := attrs.Text("error")
	if !ok || reason == "" {
		reason = "no reason given"
	}
	if minutes, ok := attrs.Number("failing_minutes"); ok && state != "failing" && minutes < s.Limit("minutes") {
		return say(detect.Between, "", "%s does not answer: %s", name, reason)
	}
	v := detect.Badf(ops.Warning, "%s is of no use: %s", name, reason).Fact("state", "%s", state).Fact("error", "%s", reason)
	for _, fact := range []string{"class", "remedy", "model"} {
		if text, ok := attrs.Text(fact); ok && text != "" {
			v = v.Fact(fact, "%s", text)
		}
	}
	if text, ok := attrs.Text("remedy"); ok && text != "" {
		v.Summary += ". Remedy: " + text
	}
	return v
}
