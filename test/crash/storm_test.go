package crash

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"reeve/internal/detectors"
	"reeve/internal/llm"
	"reeve/internal/loop"
	"reeve/internal/ops"
	"reeve/internal/patrol"
	"reeve/internal/store"
	"reeve/internal/tsdb"
	"reeve/test/invariants"
)

const (
	stormEnv       = "REEVE_STORM_CHILD"
	stormResources = 500
	stormSetting   = "storm" // how many events were made so far
)

// number answers a count of the environment; make soak sets the large ones.
func number(t testing.TB, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func stormResource(i int) string { return fmt.Sprintf("res_%05d", i) }

// A patrolling is one life of what looks the estate over.
type patrolling struct {
	store   *store.Store
	metrics *tsdb.DB
	patrol  *patrol.Patrol
}

// openPatrol starts the process over a folder. A look at everything takes as
// long as it is told to, as one with a model does.
func openPatrol(ctx context.Context, dir string, o store.Options, full time.Duration) (*patrolling, error) {
	st, err := store.Open(ctx, quiet, o)
	if err != nil {
		return nil, err
	}
	p := &patrolling{store: st}
	if p.metrics, err = tsdb.Open(ctx, quiet, tsdb.Options{Dir: dir + "/metrics", BallastSize: 1 << 20}); err != nil {
		return p, err
	}
	slow := func(ctx context.Context, ids []string) ([]ops.Note, error) {
		if len(ids) < stormResources {
			return nil, nil
		}
		select {
		case <-time.After(full):
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	p.patrol, err = patrol.New(patrol.Options{Log: quiet, Store: st, Metrics: p.metrics, Router: llm.New(quiet, llm.Options{}), Definitions: detectors.All(), Node: "storm",
		Knowledge: patrol.Knowledge{Notes: slow, Before: func(context.Context, string, string) (string, error) { return "", nil }},
		Settings: patrol.Settings{Every: 10 * time.Minute, Events: patrol.Events, MinSeverity: ops.Warning, Timeout: time.Minute, Keep: 24 * time.Hour, Spacing: 50 * time.Millisecond,
			Pacing: 5 * time.Millisecond}})
	return p, err
}

func (p *patrolling) close() {
	if p != nil && p.store != nil {
		p.store.Close()
	}
	if p != nil && p.metrics != nil {
		p.metrics.Close()
	}
}

// events makes n transitions that ask for looks at some of the resources, ten
// at a time, and counts them in the same transactions.
func (p *patrolling) events(ctx context.Context, n, over int) error {
	for {
		made := 0
		err := p.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
			text, version, err := tx.Setting(ctx, stormSetting)
			if err != nil {
				return err
			}
			made, _ = strconv.Atoi(text) // none so far
			for i := made; i < min(made+10, n); i++ {
				verb := []string{"open", "rise", "recover"}[i%3]
				tx.Record(ops.Transition{Actor: "watch", Verb: verb, Object: "storm", ObjectID: fmt.Sprint("fnd_", i)})
				tx.Record(ops.Transition{Actor: "watch", Verb: verb, Object: "finding", ObjectID: fmt.Sprint("fnd_", i), Facts: map[string]string{
					"resource": stormResource(rand.IntN(over)), "condition": "fs_full", "severity": "critical"}})
			}
			made = min(made+10, n)
			return tx.SetSetting(ctx, stormSetting, strconv.Itoa(made), version)
		})
		if err != nil && ops.KindOf(err) != ops.Conflict {
			return err
		}
		if made >= n {
			return nil
		}
	}
}

// populateStorm stores the estate once.
func populateStorm(ctx context.Context, st *store.Store, n int) error {
	return st.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		for i := range n {
			r := ops.Resource{ID: stormResource(i), Kind: ops.KindContainer, Name: fmt.Sprint("c", i), HostID: stormResource(0), HostName: "h", Presence: ops.Present, Reachable: "online",
				Key: ops.ResourceKey{Host: "h", Source: "docker", Key: fmt.Sprint("c", i)}, FirstSeen: tx.Now(), ObservedAt: tx.Now()}
			if i == 0 {
				r.Kind = ops.KindHost
			}
			if err := tx.SaveResource(ctx, r, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

// finish does what is left: reads all events, does all runs.
func (p *patrolling) finish(ctx context.Context) error {
	for {
		if err := p.patrol.Follow(ctx); err != nil {
			return err
		}
		if err := p.patrol.Pass(ctx); err != nil {
			return err
		}
		head, _, err := p.store.Head(ctx)
		if err != nil {
			return err
		}
		at, err := p.store.Cursor(ctx, "patrol")
		if err != nil {
			return err
		}
		counts, err := p.store.CountRuns(ctx)
		if err != nil {
			return err
		}
		if head-at == 0 && counts[ops.RunQueued]+counts[ops.RunRunning] == 0 {
			return nil
		}
	}
}

// stormOutcomes checks that every event is a trigger, and every trigger ended
// in an outcome.
func stormOutcomes(ctx context.Context, p *patrolling, wanted int64) error {
	all, _, err := p.store.CountTriggers(ctx)
	if err != nil {
		return err
	}
	var wrong []error
	if all != wanted {
		wrong = append(wrong, fmt.Errorf("%d triggers of %d were accepted", all, wanted))
	}
	counts, err := p.store.CountRuns(ctx)
	for state, n := range counts {
		if !ops.RunFlow.Final(state) {
			wrong = append(wrong, fmt.Errorf("%d runs are %s for ever", n, state))
		}
	}
	return errors.Join(append(wrong, err, invariants.Check(ctx, p.store, false))...)
}

// stormChild is a process in the storm until it is killed: it makes events,
// does runs, and is asked for looks by a person, whom it tells the run.
func stormChild(dir string) error {
	ctx := context.Background()
	n, err := strconv.Atoi(os.Getenv("REEVE_STORM_TRIGGERS"))
	if err != nil {
		return err
	}
	p, err := openPatrol(ctx, dir, sqlite(dir, ""), 3*time.Second)
	if err != nil {
		return err
	}
	g := loop.NewGroup(quiet)
	for _, l := range p.patrol.Loops() {
		g.Add(l)
	}
	g.Start(ctx)
	fmt.Println("ready")
	var making sync.WaitGroup
	failed := make(chan error, 1)
	making.Go(func() { failed <- p.events(ctx, n, stormResources) })
	ask := time.NewTicker(20 * time.Millisecond)
	for {
		select {
		case err := <-failed:
			if err != nil {
				return err
			}
		case <-ask.C:
		}
		scope := ops.RunScope{Resources: []string{stormResource(rand.IntN(stormResources))}}
		if rand.IntN(10) == 0 {
			scope = ops.RunScope{}
		}
		r, err := p.patrol.Ask(ctx, patrol.Request{Scope: scope, Why: store.Why{Actor: "user:ann"}})
		if err != nil {
			return err
		}
		fmt.Println(r.ID)
		p.patrol.Wake()
	}
}

// killInStorm starts a process and kills it a moment after it is ready. It
// answers the runs that a person was told of.
func killInStorm(t *testing.T, self, dir string, events, life int) (told []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), stormEnv+"="+dir, fmt.Sprintf("REEVE_STORM_TRIGGERS=%d", events))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	killed := make(chan struct{})
	for lines := bufio.NewScanner(out); lines.Scan(); {
		switch id := strings.TrimSpace(lines.Text()); {
		case id == "ready":
			time.AfterFunc(time.Duration(20+rand.IntN(400))*time.Millisecond, func() {
				close(killed)
				cmd.Process.Kill()
			})
		case ops.IDKind(id) == ops.RunID:
			told = append(told, id)
		}
	}
	err = cmd.Wait()
	select {
	case <-killed:
	default:
		t.Fatalf("life %d ended by itself: %v\n%s", life, err, errs.String())
	}
	return told
}

// TestStormOfTriggersLosesNone: thousands of events over 500 resources while a
// long run goes on, the process killed again and again; every event ends as a
// trigger with an outcome, and every run that a person was told of exists.
func TestStormOfTriggersLosesNone(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	events, kills := number(t, "REEVE_STORM_TRIGGERS", 1000), number(t, "REEVE_STORM_KILLS", 20)
	p, err := openPatrol(ctx, dir, sqlite(dir, ""), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := populateStorm(ctx, p.store, stormResources); err != nil {
		t.Fatal(err)
	}
	p.close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for i := range kills {
		for _, id := range killInStorm(t, self, dir, events, i) {
			told[id] = true
		}
	}
	if p, err = openPatrol(ctx, dir, sqlite(dir, ""), 0); err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if err := p.events(ctx, events, stormResources); err != nil {
		t.Fatal(err)
	}
	asked, _, err := p.store.CountTriggers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.finish(ctx); err != nil {
		t.Fatal(err)
	}
	for id := range told {
		if _, err := p.store.Run(ctx, id); err != nil {
			t.Errorf("a person was told of %s: %v", id, err)
		}
	}
	manual, err := p.store.CountTriggersOf(ctx, ops.TriggerManual)
	if err != nil {
		t.Fatal(err)
	}
	if err := stormOutcomes(ctx, p, int64(events)+manual); err != nil {
		t.Fatal(err)
	}
	if manual < int64(len(told)/2) || asked == 0 {
		t.Errorf("%d asked by hand, %d runs named: the storm was none", manual, len(told))
	}
	counts, _ := p.store.CountRuns(ctx)
	t.Logf("%d kills, %d events, %d asked by hand: %v", kills, events, manual, counts)
}

// TestPatrolDiesAtEveryStatement lets the process die at its first, second,
// third ... statement between an event and the end of the runs that it asks
// for, and starts it again.
func TestPatrolDiesAtEveryStatement(t *testing.T) {
	const few = 8 // resources
	ctx := t.Context()
	points := 0
	for die := int64(0); ; die++ {
		dir := t.TempDir()
		left.Store(1 << 40)
		p, err := openPatrol(ctx, dir, sqlite(dir, faultyName), 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := populateStorm(ctx, p.store, few); err != nil {
			t.Fatal(err)
		}
		if err := p.events(ctx, 5, few); err != nil {
			t.Fatal(err)
		}
		asked := int64(0)
		life := func() error {
			if _, err := p.patrol.Ask(ctx, patrol.Request{Scope: ops.RunScope{Resources: []string{stormResource(7)}}, Why: store.Why{Actor: "user:ann"}}); err != nil {
				return err
			}
			asked++
			return p.finish(ctx)
		}
		left.Store(die)
		err = life()
		done := left.Load() >= 0 // A run whose outcome could not be stored is no error of the pass.
		left.Store(1 << 40)
		p.close()
		if err == nil && done {
			break
		}
		points++
		if p, err = openPatrol(ctx, dir, sqlite(dir, faultyName), 0); err != nil {
			t.Fatalf("died at statement %d and does not start again: %v", die, err)
		}
		if err := life(); err != nil {
			t.Fatalf("died at statement %d and does not go on: %v", die, err)
		}
		manual, err := p.store.CountTriggersOf(ctx, ops.TriggerManual)
		if err != nil || manual < asked {
			t.Fatalf("died at statement %d: %d asked, %d accepted, %v", die, asked, manual, err)
		}
		if err := stormOutcomes(ctx, p, 5+manual); err != nil {
			t.Fatalf("died at statement %d: %v", die, err)
		}
		p.close()
	}
	if points < 40 {
		t.Fatalf("only %d crash points: the life under test is too short", points)
	}
	t.Logf("%d crash points", points)
}
