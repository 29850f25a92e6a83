package patrol

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/test/storetest"
)

// read answers all events of a run after a sequence, to its end.
func read(t testing.TB, p *Patrol, id string, after int64) (all []store.RunEvent) {
	t.Helper()
	l, err := p.Listen(t.Context(), id, after)
	if err != nil {
		t.Fatal(err)
	}
	for {
		events, over, err := l.Next(t.Context(), 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if over {
			return all
		}
		if len(events) == 0 {
			t.Fatal("the stream does not end")
		}
		all = append(all, events...)
	}
}

// The stream tells every stage in order, ends with done, and resumes without a
// gap or a repeat.
func TestStreamTellsTheWholeRunAndResumes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		p := newPatrol(t, st, nil)
		populate(t, st, estateOfTwo())
		openFinding(t, st, "res_web1_/srv", "fs_full", ops.Critical)
		r := ask(t, p)
		pass(t, p)
		all := read(t, p, r.ID, 0)
		var stages []string
		findings := 0
		for i, e := range all {
			if e.Seq != int64(i+1) {
				t.Fatalf("event %d has sequence %d", i, e.Seq)
			}
			var phase Phase
			switch e.Type {
			case EventPhase:
				if err := json.Unmarshal(e.Data, &phase); err != nil {
					t.Fatal(err)
				}
				if phase.Done {
					stages = append(stages, phase.Name)
				}
			case EventFinding:
				findings++
			}
		}
		if got := strings.Join(stages, " "); got != "budget digest triage findings summary" || findings != 1 || all[len(all)-1].Type != EventDone {
			t.Fatal(got, findings, all[len(all)-1].Type)
		}
		rest := read(t, p, r.ID, 4)
		if len(rest) != len(all)-4 || rest[0].Seq != 5 {
			t.Fatalf("%d events after 4 of %d", len(rest), len(all))
		}
		if late := read(t, p, r.ID, int64(len(all))+7); len(late) != 1 || late[0].Type != EventDone {
			t.Fatalf("who has everything is told of the end: %+v", late)
		}
	})
}

// Pieces of text are put together, the number of events is bounded and the
// last says so, and the end comes all the same.
func TestEventsAreBoundedAndTheEndComes(t *testing.T) {
	st := storetest.SQLite(t)
	p := newPatrol(t, st, nil)
	populate(t, st, estateOfTwo())
	r := ask(t, p)
	b, err := p.open(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		b.see(EventText, Text{"word "})
	}
	b.see(EventNote, Phase{Name: "x", Note: strings.Repeat("y", 2*maxData)})
	for range 3 * maxEvents {
		b.see(EventNote, Phase{Name: "many"})
	}
	if err := p.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Cancel(t.Context(), r.ID, store.Why{Actor: "user:ann"}); err != nil {
		t.Fatal(err)
	}
	if err := p.write(t.Context(), &look{run: r}, b, outcome{}); err != nil {
		t.Fatal(err)
	}
	all := read(t, p, r.ID, 0)
	if len(all) != maxEvents+1 || all[0].Type != EventText || len(all[0].Data) < 5000 || len(all[1].Data) > 1000 || all[maxEvents].Type != EventDone ||
		!strings.Contains(string(all[maxEvents-1].Data), "more than") {
		t.Fatalf("%d events, the first of %d bytes, the last %s", len(all), len(all[0].Data), all[maxEvents-1].Data)
	}
}

// Whoever follows while the run goes on sees what is stored, without the run
// waiting, and a run that goes on after a crash continues its numbers.
func TestFollowersSeeARunWhileItGoesOn(t *testing.T) {
	st := storetest.SQLite(t)
	p := newPatrol(t, st, nil)
	populate(t, st, estateOfTwo())
	r := ask(t, p)
	b, err := p.open(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	l, err := p.Listen(t.Context(), r.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	b.see(EventNote, Phase{Name: "one"})
	if events, _, err := l.Next(t.Context(), 0); len(events) != 0 || err != nil {
		t.Fatal("shown before it is stored", events, err)
	}
	if err := p.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if events, _, err := l.Next(t.Context(), time.Second); len(events) != 1 || err != nil {
		t.Fatal(events, err)
	}
	p.closeBroadcast(b)
	p = newPatrol(t, st, nil)
	if b, err = p.open(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	b.see(EventNote, Phase{Name: "two"})
	if err := p.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, err = p.Listen(t.Context(), r.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	var seen []int64
	for range 2 {
		events, _, err := l.Next(t.Context(), 2*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			seen = append(seen, e.Seq)
		}
	}
	if len(seen) != 2 || seen[0] != 1 || seen[1] != 2 {
		t.Fatal(seen)
	}
}
