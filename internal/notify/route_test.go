package notify

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reeve/internal/ops"
)

func member(severity ops.Severity, state ops.FindingState) Member {
	return Member{
		Finding:  ops.Finding{ID: "fnd_1", ResourceID: "res_1", Condition: "fs_full", State: state, Severity: severity, Summary: "/ is 96 % full", FirstSeen: t0, OpenedAt: t0},
		Resource: ops.Resource{ID: "res_1", Kind: ops.KindFilesystem, Name: "/", HostName: "web1", Labels: map[string]string{"team": "shop"}},
	}
}

func caseOf(state ops.IncidentState, members ...Member) Case {
	return Case{Incident: ops.Incident{ID: "inc_1", Title: "File system / of web1 is almost full", State: state, OpenedAt: t0}, Members: members}
}

func past(event ops.MessageEvent, severity ops.Severity, state ops.DeliveryState, at time.Time) ops.Delivery {
	return ops.Delivery{Channel: "a", State: state, CreatedAt: at, NextAt: at, Message: ops.Message{Event: event, Severity: severity}}
}

func TestTell(t *testing.T) {
	warning, critical := member(ops.Warning, ops.FindingOpen), member(ops.Critical, ops.FindingOpen)
	resolved := member(ops.Critical, ops.FindingResolved)
	suppressed := member(ops.Warning, ops.FindingOpen)
	suppressed.Finding.Suppression = &ops.Suppression{Kind: ops.SuppressSnooze, Severity: ops.Warning}
	risen := member(ops.Critical, ops.FindingOpen)
	risen.Finding.Suppression = suppressed.Finding.Suppression
	flaps := member(ops.Warning, ops.FindingOpen)
	flaps.Finding.Flapping = true
	opened := past(ops.MessageOpened, ops.Warning, ops.DeliveryDelivered, t0)
	itself := member(ops.Critical, ops.FindingOpen)
	itself.Resource = ops.Resource{Kind: ops.KindComponent, Key: ops.ResourceKey{Host: "h", Source: "reeve", Key: "channel:a"}}
	itselfByServer := itself
	itselfByServer.Resource.Key.Source = "self"
	namesake := itself
	namesake.Resource.Kind = ops.KindService
	merged := caseOf(ops.IncidentClosed, resolved)
	merged.Incident.MergedInto = "inc_0"
	cases := []struct {
		name  string
		c     Case
		past  []ops.Delivery
		after time.Duration
		want  ops.MessageEvent
		why   Reason
	}{
		{"new", caseOf(ops.IncidentOpen, warning), nil, 0, ops.MessageOpened, BecauseNew},
		{"told", caseOf(ops.IncidentOpen, warning), []ops.Delivery{opened}, 0, "", NotAgain},
		{"in the outbox", caseOf(ops.IncidentOpen, warning), []ops.Delivery{past(ops.MessageOpened, ops.Warning, ops.DeliveryQueued, t0)}, 0, "", NotAgain},
		{"rose", caseOf(ops.IncidentOpen, critical), []ops.Delivery{opened}, 0, ops.MessageRose, BecauseRose},
		{"acknowledged at once", caseOf(ops.IncidentAcknowledged, warning), nil, 0, "", NotAcknowledged},
		{"suppressed", caseOf(ops.IncidentOpen, suppressed), nil, 0, "", NotSuppressed},
		{"risen above its suppression", caseOf(ops.IncidentOpen, risen), nil, 0, ops.MessageOpened, BecauseNew},
		{"a member is suppressed, another is not", caseOf(ops.IncidentOpen, suppressed, critical), nil, 0, ops.MessageOpened, BecauseNew},
		{"resolved before anybody was told", caseOf(ops.IncidentMitigated, resolved), nil, 0, "", NotToldOfOpening},
		{"resolved", caseOf(ops.IncidentMitigated, resolved), []ops.Delivery{opened}, 0, ops.MessageResolved, BecauseResolved},
		{"resolved twice", caseOf(ops.IncidentClosed, resolved), []ops.Delivery{opened, past(ops.MessageResolved, ops.Warning, ops.DeliveryDelivered, t0)}, 0, "", NotToldOfOpening},
		{"open again", caseOf(ops.IncidentOpen, warning), []ops.Delivery{opened, past(ops.MessageResolved, ops.Warning, ops.DeliveryDelivered, t0)}, 0, ops.MessageOpened, BecauseNew},
		{"opening is dead", caseOf(ops.IncidentMitigated, resolved), []ops.Delivery{past(ops.MessageOpened, ops.Warning, ops.DeliveryDead, t0)}, 0, "", NotToldOfOpening},
		{"told again after a dead one", caseOf(ops.IncidentOpen, warning), []ops.Delivery{past(ops.MessageOpened, ops.Warning, ops.DeliveryDead, t0)}, 5 * time.Hour, ops.MessageOpened, BecauseNew},
		{"not at once after a dead one", caseOf(ops.IncidentOpen, warning), []ops.Delivery{past(ops.MessageOpened, ops.Warning, ops.DeliveryDead, t0)}, time.Hour, "", NotWhileDead},
		{"worse after a dead one", caseOf(ops.IncidentOpen, critical), []ops.Delivery{past(ops.MessageOpened, ops.Warning, ops.DeliveryDead, t0)}, 0, ops.MessageOpened, BecauseNew},
		{"reminder", caseOf(ops.IncidentOpen, critical), []ops.Delivery{past(ops.MessageOpened, ops.Critical, ops.DeliveryDelivered, t0)}, 4 * time.Hour, ops.MessageReminder, BecauseReminder},
		{"no reminder yet", caseOf(ops.IncidentOpen, critical), []ops.Delivery{past(ops.MessageOpened, ops.Critical, ops.DeliveryDelivered, t0)}, 4*time.Hour - time.Second, "", NotAgain},
		{"no reminder of a warning", caseOf(ops.IncidentOpen, warning), []ops.Delivery{opened}, 40 * time.Hour, "", NotAgain},
		{"no reminder once acknowledged", caseOf(ops.IncidentAcknowledged, critical), []ops.Delivery{past(ops.MessageOpened, ops.Critical, ops.DeliveryDelivered, t0)}, 40 * time.Hour, "", NotAgain},
		{"flapping", caseOf(ops.IncidentOpen, flaps), nil, 0, ops.MessageFlapping, BecauseFlapping},
		{"one notice of flapping", caseOf(ops.IncidentOpen, flaps), []ops.Delivery{past(ops.MessageFlapping, ops.Warning, ops.DeliveryDelivered, t0)}, 0, "", NotAgain},
		{"flapping and quiet for a moment", caseOf(ops.IncidentMitigated, resolved), []ops.Delivery{past(ops.MessageFlapping, ops.Warning, ops.DeliveryDelivered, t0)}, 0, "", NotWhileFlapping},
		{"flapping is over", caseOf(ops.IncidentClosed, resolved), []ops.Delivery{past(ops.MessageFlapping, ops.Warning, ops.DeliveryDelivered, t0)}, 0, ops.MessageResolved, BecauseResolved},
		{"flapped, open without a break since", caseOf(ops.IncidentOpen, flaps), nil, 2 * time.Hour, ops.MessageOpened, BecauseNew},
		{"overtaken before it was sent", caseOf(ops.IncidentOpen, warning), []ops.Delivery{past(ops.MessageOpened, ops.Warning, ops.DeliveryDropped, t0)}, 0, ops.MessageOpened, BecauseNew},
		{"about the channel itself", caseOf(ops.IncidentOpen, itself), nil, 0, "", NotAboutItself},
		{"about the channel itself, as the server reports it", caseOf(ops.IncidentOpen, itselfByServer), nil, 0, "", NotAboutItself},
		{"about a service that is called so", caseOf(ops.IncidentOpen, namesake), nil, 0, ops.MessageOpened, BecauseNew},
		{"merged", merged, []ops.Delivery{opened}, 0, ops.MessageResolved, BecauseResolved},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			x.c.Past = x.past
			got := policy(t, nil, "a").Tell(t0.Add(x.after), x.c)
			if len(got) != 1 || got[0].Event != x.want || got[0].Reason != x.why {
				t.Errorf("%+v, want %q because %q", got, x.want, x.why)
			}
		})
	}
	digested := past(ops.MessageOpened, ops.Warning, ops.DeliveryDropped, t0)
	digested.Err = inDigest + "dlv_1"
	if !toldOf([]ops.Delivery{digested}, "a").open {
		t.Error("what a digest said was told")
	}
}

func TestRoutesChooseChannels(t *testing.T) {
	p := policy(t, map[string]any{"routes": []any{
		map[string]any{"severities": "critical", "channels": "pager", "continue": true},
		map[string]any{"labels": map[string]any{"team": "sh*"}, "hosts": "web?", "channels": "shop"},
		map[string]any{"kinds": "disk", "channels": ""},
		map[string]any{"conditions": "log_*", "names": "*/x/*", "channels": "logs"},
	}}, "pager", "shop", "logs")
	cases := []struct {
		finding  ops.Finding
		resource ops.Resource
		want     string
	}{
		{ops.Finding{Severity: ops.Critical}, ops.Resource{HostName: "web1", Labels: map[string]string{"team": "shop"}}, "pager shop"},
		{ops.Finding{Severity: ops.Warning}, ops.Resource{HostName: "web1", Labels: map[string]string{"team": "shop"}}, "shop"},
		{ops.Finding{Severity: ops.Warning}, ops.Resource{HostName: "web12", Labels: map[string]string{"team": "shop"}}, "logs pager shop"},
		{ops.Finding{Severity: ops.Warning}, ops.Resource{Kind: ops.KindDisk}, ""},
		{ops.Finding{Severity: ops.Critical}, ops.Resource{Kind: ops.KindDisk}, "pager"},
		{ops.Finding{Severity: ops.Warning, Condition: "log_errors_surging"}, ops.Resource{Name: "/var/x/y"}, "logs"},
		{ops.Finding{Severity: ops.Critical}, ops.Resource{}, "pager"},
	}
	for i, x := range cases {
		if got := strings.Join(p.Channels(x.finding, x.resource), " "); got != x.want {
			t.Errorf("%d: %q, want %q", i, got, x.want)
		}
	}
	quiet := Case{Incident: ops.Incident{State: ops.IncidentOpen}, Members: []Member{{Finding: ops.Finding{State: ops.FindingOpen, Severity: ops.Warning}, Resource: ops.Resource{Kind: ops.KindDisk}}}}
	for _, v := range p.Tell(t0, quiet) {
		if v.Event != "" || v.Reason != NotRouted {
			t.Errorf("%+v", v)
		}
	}
}

// Looking once gives the same as looking often: telling what a verdict says
// leaves nothing more to tell, whatever was told before.
func TestTellingTwiceTellsNothingNew(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		states := []ops.IncidentState{ops.IncidentOpen, ops.IncidentAcknowledged, ops.IncidentMitigated, ops.IncidentClosed}
		events := []ops.MessageEvent{ops.MessageOpened, ops.MessageRose, ops.MessageReminder, ops.MessageFlapping, ops.MessageResolved}
		severities := []ops.Severity{ops.Warning, ops.Critical}
		m := member(rapid.SampledFrom(severities).Draw(r, "severity"), rapid.SampledFrom(ops.FindingFlow.States()).Draw(r, "finding"))
		m.Finding.Flapping = rapid.Bool().Draw(r, "flapping")
		other := member(rapid.SampledFrom(severities).Draw(r, "other severity"), rapid.SampledFrom(ops.FindingFlow.States()).Draw(r, "other finding"))
		other.Finding.Flapping = rapid.Bool().Draw(r, "other flapping")
		c := caseOf(rapid.SampledFrom(states).Draw(r, "incident"), m, other)
		now := t0
		for range rapid.IntRange(0, 6).Draw(r, "past") {
			now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(r, "minutes")) * time.Minute)
			c.Past = append(c.Past, past(rapid.SampledFrom(events).Draw(r, "event"), rapid.SampledFrom(severities).Draw(r, "told severity"),
				rapid.SampledFrom(ops.DeliveryFlow.States()).Draw(r, "state"), now))
		}
		if rapid.Bool().Draw(r, "reopened") {
			c.Reopened = now.Add(-time.Duration(rapid.IntRange(0, 300).Draw(r, "minutes since")) * time.Minute)
		}
		p := policy(t, nil, "a")
		v := p.Tell(now, c)[0]
		if v.Event == "" {
			return
		}
		c.Past = append(c.Past, past(v.Event, v.Severity, ops.DeliveryQueued, now))
		if again := p.Tell(now, c)[0]; again.Event != "" {
			r.Fatalf("told %+v, then %+v", v, again)
		}
	})
}

func TestGlob(t *testing.T) {
	for _, x := range []struct {
		form, text string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"a*c", "abbc", true}, {"a*c", "abb", false}, {"?", "é", true}, {"?", "", false},
		{"*a*b*", "xxaxxbxx", true}, {"web?", "web12", false}, {"[a]", "a", false}, {"[a]", "[a]", true},
	} {
		if got := glob(x.form, x.text); got != x.want {
			t.Errorf("glob(%q, %q) = %v", x.form, x.text, got)
		}
	}
	if glob(strings.Repeat("*a", 2000)+"b", strings.Repeat("a", 4000)) {
		t.Error("matched")
	}
}

func TestComposedTextSaysWhatAPersonNeeds(t *testing.T) {
	m := member(ops.Critical, ops.FindingOpen)
	m.Finding.Facts = map[string]string{"used_ratio": "0.96"}
	other := member(ops.Warning, ops.FindingOpen)
	other.Finding.Summary = "container shop\nrestarts password=hunter2hunter2"
	many := []Member{m, other}
	for range 40 {
		many = append(many, other)
	}
	c := Composer{PublicURL: "https://r.example/", Advice: func(condition string) Advice {
		return Advice{Causes: []string{"logs of " + condition}, Checks: []string{"du -x /"}}
	}}
	got := c.Compose(t0.Add(90*time.Minute), caseOf(ops.IncidentOpen, many...), Verdict{Channel: "a", Event: ops.MessageOpened, Severity: ops.Critical})
	for _, part := range []string{"/ is 96 % full", "On filesystem / of host web1.", "Since 2026-03-04 12:00 UTC (1 h 30 min ago).", "used ratio: 0.96",
		"- container shop restarts", "Likely causes:\n- logs of fs_full", "What to check:\n- du -x /", "and 31 more"} {
		if !strings.Contains(got.Text, part) {
			t.Errorf("no %q in\n%s", part, got.Text)
		}
	}
	if strings.Contains(got.Text, "hunter2") {
		t.Error("a secret is told")
	}
	if len(got.Findings) != 20 || got.More != 22 || got.URL != "https://r.example/incidents/inc_1" || got.Findings[0].Labels["team"] != "shop" {
		t.Errorf("%d findings, %d more, %s", len(got.Findings), got.More, got.URL)
	}
	end := caseOf(ops.IncidentMitigated, member(ops.Critical, ops.FindingResolved))
	end.Incident.MitigatedAt = t0.Add(time.Hour)
	got = c.Compose(t0.Add(time.Hour), end, Verdict{Event: ops.MessageResolved, Severity: ops.Critical})
	if !strings.HasPrefix(got.Title, "Resolved: ") || !strings.Contains(got.Text, "Open for 1 h 0 min") {
		t.Errorf("%+v", got)
	}
}

func TestDigestNamesEveryIncidentOnce(t *testing.T) {
	var of []ops.Delivery
	for i := range 50 {
		d := past(ops.MessageOpened, ops.Warning, ops.DeliveryQueued, t0.Add(time.Duration(i)*time.Second))
		d.ID, d.IncidentID, d.Message.Title = fmt.Sprint("dlv_", i), fmt.Sprint("inc_", i%40), fmt.Sprint("problem ", i%40)
		of = append(of, d)
	}
	of[45].Message.Event, of[45].Message.Title = ops.MessageResolved, "Resolved: problem 5"
	got := Composer{}.Digest(t0.Add(time.Hour), of, ChannelCeiling)
	if got.Title != "50 messages about 40 incidents held back" || !strings.Contains(got.Text, "and 10 more incidents") || !strings.Contains(got.Text, "[resolved] Resolved: problem 5") {
		t.Errorf("%s\n%s", got.Title, got.Text)
	}
	if lines := strings.Split(got.Text, "\n"); slices.ContainsFunc(lines, func(l string) bool { return strings.Count(got.Text, l) > 1 }) {
		t.Errorf("a line is there twice:\n%s", got.Text)
	}
}
