package workload_test

import (
	"strings"
	"testing"

	"reeve/internal/workload"
)

// everything is bounds within which every event is possible.
var everything = bounds{
	ops: people, commands: 99, faults: 99, flights: 2,
	crashes: true, hosts: true, hands: true, labels: true, incomplete: true,
}

// play takes the steps of a list, one per ">", and answers the world after
// them. A step that is not possible fails the test, but one that starts with
// "refused:", which must not be.
func play(t *testing.T, r rules, w world, script string) world {
	t.Helper()
	for name := range strings.SplitSeq(script, ">") {
		name = strings.TrimSpace(name)
		want, refused := strings.CutPrefix(name, "refused: ")
		next, ok := w, false
		for _, s := range r.steps(w, everything) {
			if s.name == want {
				next, ok = s.to, true
			}
		}
		if ok == refused {
			t.Fatalf("%q: possible is %v", name, ok)
		}
		w = next
		if w.ghost.broken != "" {
			t.Fatalf("%s: %s", name, w.ghost.broken)
		}
	}
	return w
}

// An incident is a way in which a reconciler went wrong, as steps, and what
// must come of it.
type incident struct {
	name   string
	from   string // steps before it
	script string
	open   workload.Condition // said once everything rests and nothing was done about it; "" for nothing
	real   workload.State     // what is there once what the verdicts want was done
}

const (
	paused = "pause > send > claim 1 > done > receipt"
)

// incidents: the first ones are those that a search found in the rules of a
// reconciler without leases, versions and a desired state of its own.
var incidents = []incident{
	{
		name:   "a removal that failed is not taken for done",
		script: "declare absent > remove > send > claim 1 > operation fails > receipt",
		open:   workload.Drift, real: workload.Absent,
	}, {
		name:   "what appears late was lost and is found again",
		from:   "by hand running absent",
		script: "a minute > read row > list > judge 1 > a minute > read row > list > by hand absent running > judge 1",
		real:   workload.Running,
	}, {
		name:   "what appears late and is paused by hand is told",
		from:   "by hand running absent",
		script: "a minute > read row > list > judge 1 > a minute > read row > list > by hand absent running > judge 1 > by hand running paused",
		open:   workload.StoppedUnexpectedly, real: workload.Running,
	}, {
		name:   "an old list does not undo a resume",
		from:   paused,
		script: "read row > list > resume > send > claim 1 > done > receipt > judge 1",
		real:   workload.Running,
	}, {
		name:   "a stop that was never sent is told",
		script: "stop > server crash > a minute > a minute",
		open:   workload.Drift, real: workload.Stopped,
	}, {
		name:   "a pause that was never sent is told",
		script: "pause > server crash > a minute > a minute",
		open:   workload.Drift, real: workload.Paused,
	}, {
		name:   "a pause whose receipt was lost is seen",
		script: "pause > send > read row > claim 1 > done > lose receipt > server crash > a minute > a minute",
		real:   workload.Paused,
	}, {
		name:   "a stop of what is paused that was never sent is told",
		from:   paused,
		script: "stop > server crash > a minute > a minute",
		open:   workload.Drift, real: workload.Stopped,
	}, {
		name:   "an old list does not bring back what was removed",
		from:   paused,
		script: "read row > list > declare absent > remove > send > claim 1 > done > receipt > judge 1",
		real:   workload.Absent,
	}, {
		name:   "what was paused and is gone is lost, not done",
		from:   paused,
		script: "host down > by hand paused absent > host up",
		open:   workload.Lost, real: workload.Absent,
	}, {
		name:   "a pause of what is gone is no success",
		script: "pause > send > claim 1 > by hand running absent > done > receipt",
		open:   workload.Lost, real: workload.Absent,
	}, {
		name:   "an old list without it does not destroy what was paused since",
		from:   "by hand running absent > read row > list",
		script: "by hand absent running > read row > list > judge 2 > " + paused + " > judge 1 > refused: remove",
		real:   workload.Paused,
	}, {
		name:   "a wish to destroy survives the loss of its host",
		script: "declare absent > host down > host up > read row > list > judge 1 > refused: declare running",
		open:   workload.Drift, real: workload.Absent,
	}, {
		name:   "what took the name of the removed is not removed",
		script: "declare absent > remove > send > by hand running absent > by hand absent running > refused: claim 1",
		open:   workload.Unowned, real: workload.Running,
	}, {
		name:   "what takes the name during the removal is not removed",
		script: "declare absent > remove > send > claim 1 > by hand running absent > by hand absent running > done > receipt",
		open:   workload.Unowned, real: workload.Running,
	}, {
		name:   "an order that comes late is refused",
		script: "pause > send > a minute > a minute > refused: claim 1",
		open:   workload.Drift, real: workload.Paused,
	}, {
		name:   "an order that comes twice runs once",
		script: paused + " > by hand paused running > refused: claim 1",
		open:   workload.Drift, real: workload.Paused,
	},
}

func TestWhatWentWrongElsewhereGoesRightHere(t *testing.T) {
	for _, i := range incidents {
		t.Run(i.name, func(t *testing.T) {
			r := realRules()
			w := running()
			if i.from != "" {
				w = play(t, r, w, i.from)
			}
			w = play(t, r, w, i.script)
			if why := r.checkRest(w, map[string]bool{}); why != "" {
				t.Error(why)
			}
			at := r.rest(r.calm(w, ending{deliver: true}), false)
			for k, c := range workload.Conditions {
				if at.open[k] != (c == i.open) && c != workload.OperationOverdue {
					t.Errorf("%s is said: %v", c, at.open[k])
				}
			}
			at = r.rest(r.calm(w, ending{deliver: true}), true)
			if at.real.state != i.real {
				t.Errorf("in the end it is %s, want %s", at.real.state, i.real)
			}
		})
	}
}
