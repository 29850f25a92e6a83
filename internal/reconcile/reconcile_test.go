package reconcile_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"reeve/internal/linkpb"
	"reeve/internal/ops"
	"reeve/internal/reconcile"
	"reeve/internal/store"
	"reeve/internal/workload"
	"reeve/test/storetest"
)

// A host answers lists; its clock is its own.
type host struct {
	at       time.Time
	sequence int64
	things   map[string]string // name to the driver's word
	partial  bool
	err      error
	// meanwhile is done after the rows were read and before the list comes.
	meanwhile func()
	frozen    bool // the number of the list does not rise
	without   bool // the engine is not there
}

func (h *host) Workloads(context.Context, *linkpb.WorkloadsRequest) (*linkpb.WorkloadsResponse, error) {
	if h.err != nil {
		return nil, h.err
	}
	if h.meanwhile != nil {
		h.meanwhile()
	}
	if !h.frozen {
		h.sequence++
		h.at = h.at.Add(reconcile.Every)
	}
	if h.without {
		return &linkpb.WorkloadsResponse{Sequence: h.sequence, AtMs: h.at.UnixMilli()}, nil
	}
	l := &linkpb.DriverList{Driver: "docker", Complete: !h.partial}
	for name, label := range h.things {
		l.Workloads = append(l.Workloads, &linkpb.Workload{Key: name, Name: name, Label: label, Generation: "1"})
	}
	return &linkpb.WorkloadsResponse{Sequence: h.sequence, AtMs: h.at.UnixMilli(), Drivers: []*linkpb.DriverList{l, {Driver: "zones", Complete: true}}}, nil
}

type bench struct {
	t     *testing.T
	store *store.Store
	r     *reconcile.Reconcile
	hosts map[string]*host
}

func means(label string) (workload.State, bool) {
	switch label {
	case "restarting":
		return "", true
	case "running", "paused":
		return workload.State(label), false
	case "exited":
		return workload.Stopped, false
	}
	return "", false
}

func each(t *testing.T, f func(b *bench)) {
	storetest.Each(t, func(t *testing.T, st *store.Store) { f(newBench(t, st)) })
}

func newBench(t *testing.T, st *store.Store) *bench {
	b := &bench{t: t, store: st, hosts: map[string]*host{}}
	b.r = reconcile.New(reconcile.Options{Log: slog.New(slog.DiscardHandler), Store: st, Agents: func() map[string]reconcile.Agent {
		agents := map[string]reconcile.Agent{}
		for name, h := range b.hosts {
			agents["host_"+name] = h
		}
		return agents
	}, Drivers: map[string]reconcile.Driver{"docker": {State: means, Strangers: true}}, Changed: func() {}})
	b.join("web1")
	return b
}

// join adds a host with its resource.
func (b *bench) join(name string) *host { return b.joinSlow(name, 0) }

// joinSlow is join of a host with a period of heartbeats of its own.
func (b *bench) joinSlow(name string, beat time.Duration) *host {
	b.t.Helper()
	h := &host{at: time.Now(), things: map[string]string{}}
	id := "host_" + name
	b.hosts[name] = h
	err := b.store.Tx(b.t.Context(), time.Now(), func(tx *store.Tx) error {
		if err := tx.AddHost(b.t.Context(), ops.Host{ID: id, Name: name, State: ops.HostOnline, HeartbeatMS: beat.Milliseconds()}, store.Why{Actor: "test"}); err != nil {
			return err
		}
		resource, err := tx.PutResource(b.t.Context(), ops.Resource{ID: ops.NewID(ops.ResourceID), Kind: ops.KindHost, Name: name, Key: ops.HostKey(id), Presence: ops.Present})
		if err != nil {
			return err
		}
		known, err := tx.Host(b.t.Context(), id)
		if err != nil {
			return err
		}
		_, err = tx.NoteHost(b.t.Context(), known, "", store.Why{}, func(x *ops.Host) { x.ResourceID = resource })
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return h
}

func (b *bench) declare(place, name string, desired workload.State) {
	b.t.Helper()
	if _, err := b.r.Declare(b.t.Context(), reconcile.Declaration{Host: place, Driver: "docker", Name: name, Desired: desired, Source: "person"}, store.Why{Actor: "user:anna"}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) pass(place string) {
	b.t.Helper()
	if err := b.r.Host(b.t.Context(), "host_"+place, b.hosts[place]); err != nil {
		b.t.Fatal(err)
	}
}

// see answers a workload; problems are its conditions.
func (b *bench) see(what string) ops.Workload {
	b.t.Helper()
	w, err := b.store.Workload(b.t.Context(), what)
	if err != nil {
		b.t.Fatal(err)
	}
	return w
}

func (b *bench) problems(what string, want ...string) {
	b.t.Helper()
	w := b.see(what)
	if len(w.Problems) != len(want) {
		b.t.Fatalf("%s has the problems %v, want %v", what, w.Problems, want)
	}
	for _, c := range want {
		if w.Problems[c] == "" {
			b.t.Fatalf("%s has the problems %v, want %v", what, w.Problems, want)
		}
	}
}

func TestWhatShouldRunAndDoesNotIsAProblemAndNothingIsDone(t *testing.T) {
	each(t, func(b *bench) {
		h := b.hosts["web1"]
		h.things["nginx"] = "running"
		b.declare("web1", "nginx", workload.Running)
		b.pass("web1")
		b.problems("web1/nginx")
		h.things["nginx"] = "exited"
		b.pass("web1")
		b.problems("web1/nginx", "stopped_unexpectedly")
		if w := b.see("nginx"); w.Desired != "running" || w.Observed != "stopped" || w.ResourceID == "" {
			t.Errorf("%+v", w)
		}
		h.things["nginx"] = "running"
		b.pass("web1")
		b.problems("web1/nginx")
	})
}

func TestWhatCannotBeListedSaysSoUntilItIs(t *testing.T) {
	each(t, func(b *bench) {
		b.declare("web1", "shop", workload.Running)
		h := b.hosts["web1"]
		h.without = true
		b.pass("web1")
		first := b.see("web1/shop")
		if !strings.Contains(first.Reason, "does not find docker on web1") || first.Observed != string(workload.Unknown) || len(first.Problems) > 0 {
			t.Fatalf("%+v", first)
		}
		b.pass("web1")
		if again := b.see("web1/shop"); again.Version != first.Version {
			t.Fatal("the same news were written twice")
		}
		h.without, h.things["shop"] = false, "running"
		b.pass("web1")
		if r := b.see("web1/shop"); strings.Contains(r.Reason, "does not find") || r.Observed != string(workload.Running) {
			t.Fatalf("%+v", r)
		}
	})
}

func TestWhatNobodyDeclaresAndNobodyListsIsDropped(t *testing.T) {
	each(t, func(b *bench) {
		b.declare("web1", "shop", workload.Running)
		b.hosts["web1"].without = true
		b.pass("web1")
		b.declare("web1", "shop", workload.Undeclared)
		b.pass("web1")
		if w, err := b.store.Workload(b.t.Context(), "web1/shop"); ops.KindOf(err) != ops.NotFound {
			t.Fatalf("%+v, %v", w, err)
		}
	})
}

func TestAbsenceNeedsTwoCompleteLists(t *testing.T) {
	each(t, func(b *bench) {
		h := b.hosts["web1"]
		h.things["nginx"] = "running"
		b.declare("web1", "nginx", workload.Running)
		b.pass("web1")
		delete(h.things, "nginx")
		h.partial = true
		b.pass("web1")
		b.pass("web1")
		if w := b.see("nginx"); w.Observed != "running" {
			t.Errorf("lists that are not whole made it %s", w.Observed)
		}
		h.partial = false
		b.pass("web1")
		if w := b.see("nginx"); w.Observed != "unknown" || len(w.Problems) > 0 {
			t.Errorf("after one list: %+v", w)
		}
		b.pass("web1")
		b.problems("nginx", "lost")
		h.things["nginx"] = "running"
		b.pass("web1")
		b.problems("nginx")
	})
}

func TestAHostThatBeatsRarelyIsAskedRarely(t *testing.T) {
	each(t, func(b *bench) {
		b.joinSlow("boat", time.Minute)
		b.hosts["boat"].things["shop"] = "running"
		b.declare("boat", "shop", workload.Running)
		b.pass("boat")
		delete(b.hosts["boat"].things, "shop")
		for range 4 { // 30 s apart: less than the two minutes that it is asked at
			b.pass("boat")
			b.problems("boat/shop")
		}
		b.pass("boat")
		b.problems("boat/shop", "lost")
	})
}

// TestEachHostIsAskedAtItsOwnPace runs the loop's own passes for ten minutes.
func TestEachHostIsAskedAtItsOwnPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, storetest.SQLite(t))
		b.joinSlow("boat", time.Minute)
		l := b.r.Loops()[0]
		pass := func() {
			if err := l.Pass(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); time.Sleep(l.Every) {
			pass()
		}
		for name, every := range map[string]time.Duration{"web1": reconcile.Every, "boat": 2 * time.Minute} {
			n, want := b.hosts[name].sequence, int64(10*time.Minute/every)
			// A pass takes a moment, so that a turn may come at the next look.
			if n > want+1 || n < want*3/4 {
				t.Errorf("%s was asked %d times in ten minutes, want about %d", name, n, want)
			}
		}
		n := b.hosts["boat"].sequence
		if b.r.Soon("host_boat"); b.hosts["boat"].sequence != n {
			t.Error("it is asked before its pass")
		}
		if pass(); b.hosts["boat"].sequence != n+1 {
			t.Error("after an operation it is not asked at once")
		}
	})
}

func TestAListThatIsOldOrFailsConcludesNothing(t *testing.T) {
	each(t, func(b *bench) {
		h := b.hosts["web1"]
		h.things["nginx"] = "running"
		b.declare("web1", "nginx", workload.Running)
		b.pass("web1")
		h.things["nginx"] = "exited"
		h.frozen = true
		b.pass("web1")
		b.problems("nginx")
		h.frozen, h.err = false, errors.New("the wire is cut")
		b.pass("web1")
		b.problems("nginx")
	})
}

func TestAListDoesNotOverwriteWhatWasWrittenAfterItsRowsWereRead(t *testing.T) {
	each(t, func(b *bench) {
		h := b.hosts["web1"]
		h.things["nginx"] = "exited"
		b.declare("web1", "nginx", workload.Running)
		h.meanwhile = func() { b.declare("web1", "nginx", workload.Stopped) }
		b.pass("web1")
		h.meanwhile = nil
		if w := b.see("nginx"); w.Desired != "stopped" || len(w.Problems) > 0 {
			t.Fatalf("the list wrote over a person's word: %+v", w)
		}
		b.pass("web1")
		if w := b.see("nginx"); w.Observed != "stopped" || len(w.Problems) > 0 {
			t.Errorf("%+v", w)
		}
	})
}

func TestStrangersCountOnlyWhereSomethingIsDeclared(t *testing.T) {
	each(t, func(b *bench) {
		h := b.hosts["web1"]
		h.things["nginx"], h.things["guest"] = "running", "running"
		b.pass("web1")
		b.problems("guest")
		b.declare("web1", "nginx", workload.Running)
		b.pass("web1")
		b.problems("guest", "unowned")
		b.declare("web1", "nginx", workload.Undeclared)
		b.pass("web1")
		b.problems("guest")
		delete(h.things, "guest")
		b.pass("web1")
		b.pass("web1")
		b.pass("web1")
		if _, err := b.store.Workload(t.Context(), "guest"); ops.KindOf(err) != ops.NotFound {
			t.Errorf("a stranger that is gone is still listed: %v", err)
		}
	})
}

func TestUnknownWordsAreKeptAndChangeNothing(t *testing.T) {
	each(t, func(b *bench) {
		h := b.hosts["web1"]
		h.things["nginx"] = "running"
		b.declare("web1", "nginx", workload.Running)
		b.pass("web1")
		h.things["nginx"] = "hibernating\x1b[2J"
		b.pass("web1")
		b.problems("nginx", "protocol")
		if w := b.see("nginx"); w.Observed != "running" || w.Label == "" {
			t.Errorf("%+v", w)
		}
	})
}

func TestOneNameOnTwoHostsIsTwoWorkloads(t *testing.T) {
	each(t, func(b *bench) {
		b.join("web2")
		b.hosts["web1"].things["nginx"], b.hosts["web2"].things["nginx"] = "running", "exited"
		for _, place := range []string{"web1", "web2"} {
			b.declare(place, "nginx", workload.Running)
			b.pass(place)
		}
		b.problems("web1/nginx")
		b.problems("web2/nginx", "stopped_unexpectedly")
		if _, err := b.store.Workload(t.Context(), "nginx"); ops.KindOf(err) != ops.Conflict {
			t.Errorf("the name alone: %v", err)
		}
	})
}

func TestASecondPassWithTheSameNewsWritesNothing(t *testing.T) {
	each(t, func(b *bench) {
		h := b.hosts["web1"]
		for i := range 20 {
			h.things["c"+strconv.Itoa(i)] = "running"
			b.declare("web1", "c"+strconv.Itoa(i), workload.Running)
		}
		b.pass("web1")
		before, _, err := b.store.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		version := b.see("c7").Version
		b.pass("web1")
		b.pass("web1")
		after, _, err := b.store.Head(t.Context())
		if err != nil || after != before || b.see("c7").Version != version {
			t.Errorf("audit from %d to %d, version from %d to %d, %v", before, after, version, b.see("c7").Version, err)
		}
	})
}
