package detectors

import (
	"strings"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "store_degraded",
	Title: "Reeve cannot store all that it should",
	Doc: "A store of Reeve (its database or its metrics) says for ten seconds that it does not work as it should. " +
		"Findings go on as long as the database takes writes. It clears when the store was well for thirty seconds.",
	Kinds: []ops.Kind{ops.KindComponent},
	Role:  detect.Workload,
	Hold:  10 * time.Second,
	Clear: 30 * time.Second,
	Eval:  storeDegraded,
	Causes: []string{
		"The file system with Reeve's data is full.",
		"The disk below is slow or has errors.",
		"An external database or metrics store cannot be reached.",
	},
	Checks: []string{
		"Read the error below; `reeve status` shows every store.",
		"See the space: `df -h`, and what Reeve uses: `du -sh DATA_DIR/*`.",
		"Make room, or lower `max_size` and the retention of metrics in reeve.yaml.",
		"With an external store: see whether it runs and answers from this host.",
	},
})

func storeDegraded(s detect.Subject) detect.Verdict {
	if !strings.HasPrefix(s.Resource.Key.Key, "store:") {
		return fine("%s is not a store", s.Resource.Name)
	}
	attrs, name := s.Resource.Observed, s.Resource.Name
	state, ok := attrs.Text("state")
	if !ok {
		return detect.NoData()
	}
	if state == "ok" {
		return fine("%s is ok", name)
	}
	v := detect.Badf(ops.Critical, "%s is %s", name, state).Fact("state", "%s", state)
	if reason, ok := attrs.Text("error"); ok && reason != "" {
		v.Summary += ": " + reason
		v = v.Fact("error", "%s", reason)
	}
	return v
}
