package api_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"reeve/internal/ops"
)

// TestOfManyWhoSawOneVersionOneDecides: the version is compared where the
// change happens, so that two people who looked at the same moment do not
// overwrite each other.
func TestOfManyWhoSawOneVersionOneDecides(t *testing.T) {
	w := newWorld(t)
	f := w.openFinding("fs_full")
	c := w.admin()
	for round := range 5 {
		tag := `"` + strconv.FormatInt(f.Version, 10) + `"`
		var won, late atomic.Int32
		var all sync.WaitGroup
		for n := range 8 {
			all.Go(func() {
				body := map[string]any{"kind": "snooze", "reason": strconv.Itoa(n), "until": time.Now().Add(time.Hour)}
				switch status, _, text := c.do("POST", "/api/v1/findings/"+f.ID+"/suppress", body, "If-Match", tag); status {
				case 200:
					won.Add(1)
				case 412:
					late.Add(1)
				default:
					t.Errorf("status %d: %s", status, text)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 || late.Load() != 7 {
			t.Fatalf("round %d: %d decided, %d were late", round, won.Load(), late.Load())
		}
		c.want(200, "GET", "/api/v1/findings/"+f.ID, nil, &f)
	}
}

func TestEveryDecisionIsAboutTheVersionThatWasSeen(t *testing.T) {
	w := newWorld(t)
	f := w.openFinding("fs_full")
	c := w.admin()
	snooze := map[string]any{"kind": "snooze", "reason": "later", "until": time.Now().Add(time.Hour)}
	now := func() string {
		c.want(200, "GET", "/api/v1/findings/"+f.ID, nil, &f)
		return `"` + strconv.FormatInt(f.Version, 10) + `"`
	}
	for _, verb := range []string{"ack", "suppress", "unsuppress", "resolve"} {
		var body any
		if verb == "suppress" {
			body = snooze
		}
		path := "/api/v1/findings/" + f.ID + "/" + verb
		for _, tag := range []string{`"99"`, `99`, `W/"1"`, `"x", "98"`} {
			c.want(412, "POST", path, body, nil, "If-Match", tag)
		}
		c.want(200, "POST", path, body, nil, "If-Match", `"99", `+now())
	}
	g := w.openFinding("other")
	incident := "/api/v1/incidents/" + g.IncidentID
	var i ops.Incident
	c.want(200, "GET", incident, nil, &i)
	c.want(412, "POST", incident+"/ack", nil, nil, "If-Match", `"99"`)
	c.want(200, "POST", incident+"/ack", nil, nil, "If-Match", `"`+strconv.FormatInt(i.Version, 10)+`"`)
}
