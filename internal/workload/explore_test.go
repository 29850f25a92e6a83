package workload_test

import (
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"reeve/internal/workload"
)

// A found is what an exploration found out.
type found struct {
	states int
	steps  int
	rests  int
	why    string   // the rule that can be broken; "" for none
	trace  []string // the shortest way there
}

// explore visits every world that can be reached within the bounds, nearest
// first, until a rule is broken or limit worlds were seen.
func explore(r rules, b bounds, start world, limit int) found {
	type node struct {
		w      *world // nil once it is behind us
		parent int
		name   string
	}
	nodes := []node{{w: &start, parent: -1}}
	seen := map[string]struct{}{start.key(r): {}}
	rested := map[string]bool{}
	f := found{}
	trace := func(i int, last string) []string {
		names := []string{last}
		for ; nodes[i].parent >= 0; i = nodes[i].parent {
			names = append(names, nodes[i].name)
		}
		slices.Reverse(names)
		return names
	}
	for i := 0; i < len(nodes) && len(nodes) < limit; i++ {
		w := *nodes[i].w
		nodes[i].w = nil
		for _, s := range r.steps(w, b) {
			f.steps++
			if s.to.ghost.broken != "" {
				f.why, f.trace, f.states = s.to.ghost.broken, trace(i, s.name), len(nodes)
				return f
			}
			k := s.to.key(r)
			if _, ok := seen[k]; ok {
				continue
			}
			seen[k] = struct{}{}
			if why := r.checkRest(s.to, rested); why != "" {
				f.why, f.trace, f.states = why, trace(i, s.name), len(nodes)
				return f
			}
			nodes = append(nodes, node{&s.to, i, s.name})
		}
	}
	f.states, f.rests = len(nodes), len(rested)
	return f
}

// most is more worlds than any exploration here has: to reach it is a mistake
// in the bounds, for then not all were seen.
const most = 400_000

var (
	people  = []workload.Operation{workload.Start, workload.Stop, workload.Pause, workload.Resume, workload.Remove}
	few     = []workload.Operation{workload.Pause, workload.Resume, workload.Remove}
	fewer   = []workload.Operation{workload.Pause, workload.Remove}
	removal = []workload.Operation{workload.Remove}
)

// running is a world in which a declared workload runs and was seen.
func running() world {
	r, w := realRules(), newWorld()
	w.gens, w.real = 1, thing{state: workload.Running, gen: 1}
	r.declares(&w, workload.Running)
	row := w.row
	w.reading = &row
	r.lists(&w, true)
	r.judges(&w, 0)
	return w
}

// TestEveryReachableWorldKeepsTheRules drives the real functions through
// every order of events within the bounds. What is checked on the way, and in
// every way to come to rest, is in check_test.go and where things happen in
// steps_test.go.
func TestEveryReachableWorldKeepsTheRules(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // worlds are many and small
	lazy := func(r *rules) { r.lazy = true }
	late := func(r *rules) { r.readLate = true }
	plain := func(r *rules) { r.forgetsSequence = true }
	for _, c := range []struct {
		name  string
		start world
		vary  func(*rules)
		b     bounds
	}{
		{"operations and crashes", running(), nil, bounds{ops: people, commands: 2, faults: 1, flights: 1, crashes: true}},
		{"late lists", running(), plain, bounds{ops: few, commands: 2, flights: 2}},
		{"late lists, routine not written", running(), lazy, bounds{ops: fewer, commands: 2, flights: 2}},
		{"late lists, rows read late", running(), late, bounds{ops: removal, commands: 2, flights: 2}},
		{"changes by hand", running(), nil, bounds{ops: fewer, commands: 1, faults: 2, flights: 1, hands: true}},
		{"removal and changes by hand", running(), nil, bounds{ops: removal, commands: 2, faults: 2, flights: 1, hands: true}},
		{"from nothing, by hand", newWorld(), nil, bounds{ops: removal, commands: 2, faults: 2, flights: 1, hands: true}},
		{"hosts and labels", running(), nil, bounds{ops: fewer, commands: 1, faults: 2, flights: 1, hosts: true, labels: true, incomplete: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := realRules()
			if c.vary != nil {
				c.vary(&r)
			}
			limit := most
			if os.Getenv("REEVE_EXPLORE") == "deep" {
				c.b.commands++ // some minutes and gigabytes
				limit *= 10
			}
			f := explore(r, c.b, c.start, limit)
			t.Logf("%d worlds, %d steps, %d ways to rest", f.states, f.steps, f.rests)
			if f.why != "" {
				t.Errorf("%s, after: %s", f.why, strings.Join(f.trace, " > "))
			}
			if f.states >= limit {
				t.Errorf("more than %d worlds: tighten the bounds", limit)
			}
		})
	}
}
