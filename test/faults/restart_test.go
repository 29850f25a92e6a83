package faults

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/test/program"
)

// TestFindingsOutliveTheProgram: the program is killed while a condition holds
// and again while its finding is open. One finding goes on, and it is told
// once.
func TestFindingsOutliveTheProgram(t *testing.T) {
	t.Parallel()
	const condition, resource = "memory_pressure", "trainer"
	hook, m, dir := newHook(t), calm(t), t.TempDir()
	s := quick(m, nil)
	s["channels"] = []map[string]any{{"name": "hook", "type": "webhook", "url": hook.URL, "secret": "s"}}
	s["detectors"].(map[string]any)[condition].(map[string]any)["hold"] = "8s"
	p := program.StartIn(t, dir, s.text(t))
	p.Until(30*time.Second, "the host is judged to be well", func() bool { return judgedWell(p, resource, condition) })
	m.spoil(pressure)
	p.Until(20*time.Second, "the condition holds", func() bool {
		why, _ := step(p, resource, condition, "lasted long enough")
		return strings.Contains(why, "it is true for")
	})
	holding := time.Now()
	p.Kill()
	p = program.StartIn(t, dir, s.text(t))
	f := await(p, 40*time.Second, "active", condition, resource)
	if f.FirstSeen.After(holding) {
		t.Errorf("it was first seen at %v, though it held before %v", f.FirstSeen, holding)
	}
	p.Until(20*time.Second, "it is told", func() bool { return told(hook, condition, ops.MessageOpened) == 1 })
	for range 2 {
		p.Kill()
		p = program.StartIn(t, dir, s.text(t))
		started := time.Now()
		// Three passes that judge it are enough to tell it again, if it were.
		for n, last := 0, ""; n < 3; {
			p.Until(30*time.Second, "the condition is judged again", func() bool {
				why, yes := step(p, resource, condition, "true now")
				fresh := why != last
				last = why
				return yes && fresh && time.Since(started) > time.Second
			})
			n++
		}
		if again := await(p, 20*time.Second, "active", condition, resource); again.ID != f.ID || !again.OpenedAt.Equal(f.OpenedAt) {
			t.Errorf("finding %s of %v became %s of %v", f.ID, f.OpenedAt, again.ID, again.OpenedAt)
		}
	}
	m.mend(pressure)
	if done := await(p, 40*time.Second, "resolved", condition, resource); done.ID != f.ID {
		t.Errorf("finding %s was resolved instead of %s", done.ID, f.ID)
	}
	p.Until(20*time.Second, "the end is told", func() bool { return told(hook, condition, ops.MessageResolved) == 1 })
	if n := told(hook, condition, ops.MessageOpened); n != 1 {
		t.Errorf("it was told %d times", n)
	}
}

// step answers what explain says of one question about a condition.
func step(p *program.Program, resource, condition, question string) (why string, yes bool) {
	var list struct{ Items []ops.Resource }
	if p.Get("/api/v1/resources?limit=500&q="+url.QueryEscape(resource), &list) != nil {
		return "", false
	}
	for _, r := range list.Items {
		var x struct {
			Steps []struct{ Step, Answer, Why string }
		}
		if r.Name != resource || p.Get("/api/v1/explain?resource="+r.ID+"&condition="+condition, &x) != nil {
			continue
		}
		for _, s := range x.Steps {
			if s.Step == question {
				return s.Why, s.Answer == "yes"
			}
		}
	}
	return "", false
}
