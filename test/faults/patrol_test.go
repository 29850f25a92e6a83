package faults

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/test/program"
)

// patrolled does a patrol with the program's own verb and answers its record.
func patrolled(t *testing.T, p *program.Program, args ...string) ops.Run {
	t.Helper()
	out, code := reeve(t, p, append([]string{"patrol", "run", "--watch", "-o", "json"}, args...)...)
	var r ops.Run
	if err := json.Unmarshal([]byte(out), &r); code != 0 || err != nil || r.State != ops.RunDone {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	return r
}

func activeIDs(p *program.Program) []string {
	var ids []string
	for _, f := range p.Findings("active") {
		ids = append(ids, f.ID)
	}
	slices.Sort(ids)
	return ids
}

func foundBy(r ops.Run) []string {
	ids := slices.Concat(r.Detail.New, r.Detail.Known)
	slices.Sort(ids)
	return ids
}

// TestPatrolReportsEveryFaultAndNothingElse: beside what is wrong with this
// machine anyway a real file system is filled; a patrol without a model tells
// of exactly what is open, explains it, and tells when it is over.
func TestPatrolReportsEveryFaultAndNothingElse(t *testing.T) {
	t.Parallel()
	at := mount(t, 64<<20)
	p := program.Start(t, "patrol: {startup: false, events: [none]}\ndetectors:\n  fs_full: {hold: 0s, clear: 1s}\n")
	p.Until(30*time.Second, "the mount is a resource", func() bool { return hasResource(p, at) })
	filler := fill(t, at, 0.97)
	f := p.Await(80*time.Second, "active", "fs_full", at)
	var r ops.Run
	p.Until(30*time.Second, "nothing else opened or ended while it looked", func() bool {
		before := activeIDs(p)
		r = patrolled(t, p)
		return slices.Equal(before, activeIDs(p)) && slices.Equal(before, foundBy(r))
	})
	if r.Health != ops.RunCritical || r.Tokens.Total() != 0 || r.Model != "" {
		t.Errorf("%+v", r)
	}
	i := slices.IndexFunc(r.Detail.Items, func(i ops.RunItem) bool { return i.FindingID == f.ID })
	if i < 0 {
		t.Fatalf("the full file system is not told of: %+v", r.Detail.Items)
	}
	item := r.Detail.Items[i]
	if !strings.Contains(item.What, at) || len(item.Evidence) == 0 || len(item.Causes) == 0 || !strings.Contains(strings.Join(item.Checks, "\n"), at) {
		t.Errorf("it is not explained: %+v", item)
	}
	out, code := reeve(t, p, "patrol", "show", r.ID)
	if code != 0 || !strings.Contains(out, at) || !strings.Contains(out, "Likely causes") {
		t.Errorf("exit %d: %s", code, out)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	p.Await(60*time.Second, "resolved", "fs_full", at)
	if r = patrolled(t, p); !slices.Contains(r.Detail.Cleared, f.ID) || slices.Contains(foundBy(r), f.ID) {
		t.Errorf("it is not told that it is over: %+v", r.Detail)
	}
}

// TestSecondPatrolOfWhatIsWellIsQuiet: nothing changed and nothing is open.
func TestSecondPatrolOfWhatIsWellIsQuiet(t *testing.T) {
	t.Parallel()
	at := mount(t, 32<<20)
	p := program.Start(t, "patrol: {startup: false, events: [none], quiet_runs: 1}\n")
	p.Until(30*time.Second, "the mount is a resource", func() bool { return hasResource(p, at) })
	var quiet []bool
	for range 3 {
		r := patrolled(t, p, "--scope", at)
		if r.Health != ops.RunHealthy || !r.Detail.Complete || len(r.Detail.Items) != 0 {
			t.Fatalf("%+v", r)
		}
		quiet = append(quiet, r.Quiet)
	}
	if quiet[0] || !quiet[1] || quiet[2] {
		t.Errorf("quiet %v; want the second alone, and then a look anyway", quiet)
	}
}

// TestOpenedFindingAsksForAPatrol: nobody asks by hand; the program is killed
// while it works and goes on.
func TestOpenedFindingAsksForAPatrol(t *testing.T) {
	t.Parallel()
	at := mount(t, 64<<20)
	p := program.Start(t, "patrol: {startup: false, pacing: 1s, spacing: 1s}\ndetectors:\n  fs_full: {hold: 0s, clear: 1s}\n")
	p.Until(30*time.Second, "the mount is a resource", func() bool { return hasResource(p, at) })
	fill(t, at, 0.97)
	f := p.Await(80*time.Second, "active", "fs_full", at)
	p.Kill()
	p.Again()
	p.Until(60*time.Second, "a patrol told of it", func() bool {
		var runs struct{ Items []ops.Run }
		if err := p.Get("/api/v1/runs?state=done&trigger=finding_opened", &runs); err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(runs.Items, func(r ops.Run) bool {
			var whole ops.Run
			if err := p.Get("/api/v1/runs/"+r.ID, &whole); err != nil {
				t.Fatal(err)
			}
			return slices.Contains(foundBy(whole), f.ID)
		})
	})
}
