package reconcile_test

import (
	"context"
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

// A made host lists things with a generation of their own, of any driver.
type made struct {
	at       time.Time
	sequence int64
	driver   string
	things   map[string]*linkpb.Workload
}

func newMade(driver string) *made {
	return &made{at: time.Now(), driver: driver, things: map[string]*linkpb.Workload{}}
}

func (h *made) set(name, label string, generation int64) {
	h.things[name] = &linkpb.Workload{Key: name, Name: name, Label: label, Generation: strconv.FormatInt(generation, 10)}
}

func (h *made) Workloads(context.Context, *linkpb.WorkloadsRequest) (*linkpb.WorkloadsResponse, error) {
	h.sequence++
	h.at = h.at.Add(reconcile.Every)
	l := &linkpb.DriverList{Driver: h.driver, Complete: true}
	for _, w := range h.things {
		l.Workloads = append(l.Workloads, w)
	}
	return &linkpb.WorkloadsResponse{Sequence: h.sequence, AtMs: h.at.UnixMilli(), Drivers: []*linkpb.DriverList{l}}, nil
}

func (b *bench) list(h *made, times int) {
	b.t.Helper()
	for range times {
		if err := b.r.Host(b.t.Context(), "host_web1", h); err != nil {
			b.t.Fatal(err)
		}
	}
}

// TestANameMayPassBackToAnOlderThing: a rollback by renaming.
func TestANameMayPassBackToAnOlderThing(t *testing.T) {
	each(t, func(b *bench) {
		h := newMade("docker")
		h.set("web-old", "exited", 100)
		h.set("web", "running", 200)
		b.declare("web1", "web", workload.Running)
		b.list(h, 1)
		delete(h.things, "web-old")
		h.set("web-bad", "exited", 200)
		h.set("web", "exited", 100)
		b.list(h, 1)
		if w := b.see("web1/web"); w.Generation != 200 || w.Observed != "running" {
			b.t.Errorf("one list is believed: %+v", w)
		}
		b.list(h, 2)
		if w := b.see("web1/web"); w.Generation != 100 || w.Observed != "stopped" {
			b.t.Errorf("the older thing has the name: %+v", w)
		}
		b.problems("web1/web", "stopped_unexpectedly")
		delete(h.things, "web")
		b.list(h, 3)
		h.set("web", "running", 50)
		b.list(h, 3)
		b.problems("web1/web")
	})
}

// TestAUnitThatIsNotDeclaredAnyMoreIsNobodysConcern: of systemd nothing is a
// stranger.
func TestAUnitThatIsNotDeclaredAnyMoreIsNobodysConcern(t *testing.T) {
	each(t, func(b *bench) {
		b.r = reconcile.New(reconcile.Options{Log: slog.New(slog.DiscardHandler), Store: b.store, Drivers: map[string]reconcile.Driver{"systemd": {State: means}}, Changed: func() {}})
		h := newMade("systemd")
		declare := func(name string, desired workload.State) {
			if _, err := b.r.Declare(b.t.Context(), reconcile.Declaration{Host: "web1", Driver: "systemd", Name: name, Desired: desired, Source: store.FromPerson}, store.Why{Actor: "user:anna"}); err != nil {
				b.t.Fatal(err)
			}
		}
		for _, name := range []string{"ssh.service", "cron.service"} {
			h.set(name, "running", 1)
			declare(name, workload.Running)
		}
		b.list(h, 1)
		declare("cron.service", workload.Undeclared)
		b.list(h, 2)
		if w, err := b.store.Workload(b.t.Context(), "web1/cron.service"); ops.KindOf(err) != ops.NotFound {
			b.t.Errorf("it is still listed: %+v, %v", w, err)
		}
		b.problems("web1/ssh.service")
	})
}

// TestAnOrderMakesNobodyAStranger: to restart one of many things that nobody
// declared says nothing of the others.
func TestAnOrderMakesNobodyAStranger(t *testing.T) {
	each(t, func(b *bench) {
		h := newMade("docker")
		for i := range 3 {
			h.set("c"+strconv.Itoa(i), "running", 1)
		}
		b.list(h, 1)
		before, err := b.store.WorkloadRow(b.t.Context(), b.see("web1/c0").ID)
		if err != nil {
			b.t.Fatal(err)
		}
		after := before
		after.Desired, after.Source = workload.Running, store.FromOrder
		b.save(&after, before)
		b.list(h, 2)
		b.problems("web1/c1")
	})
}

func (b *bench) save(after *store.WorkloadRow, before store.WorkloadRow) {
	b.t.Helper()
	err := b.store.Tx(b.t.Context(), time.Now(), func(tx *store.Tx) error {
		_, err := tx.SaveWorkload(b.t.Context(), after, "", before, store.Why{})
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// TestWhatIsTakenBackAndNotThereIsForgotten, and the time-line says so.
func TestWhatIsTakenBackAndNotThereIsForgotten(t *testing.T) {
	each(t, func(b *bench) {
		h := newMade("docker")
		h.set("other", "running", 1)
		b.declare("web1", "other", workload.Running)
		h.set("nginx", "running", 1)
		b.list(h, 1) // a stranger
		w := b.see("web1/nginx")
		b.problems("web1/nginx", "unowned")
		b.declare("web1", "nginx", workload.Running)
		delete(h.things, "nginx")
		b.list(h, 3)
		b.problems("web1/nginx", "lost")
		b.declare("web1", "nginx", workload.Undeclared)
		b.list(h, 3)
		if w, err := b.store.Workload(b.t.Context(), "web1/nginx"); ops.KindOf(err) != ops.NotFound {
			b.t.Errorf("it is still listed: %+v, %v", w, err)
		}
		all, err := b.store.Transitions(b.t.Context(), store.TransitionFilter{Object: "workload", ObjectID: w.ID, Limit: 100})
		if err != nil {
			b.t.Fatal(err)
		}
		verbs := map[string]bool{}
		for _, x := range all {
			verbs[x.Verb+" "+x.Facts["problems"]] = true
		}
		if !verbs["observe  -> unowned"] || !verbs["forget "] {
			b.t.Errorf("the time-line: %v", verbs)
		}
	})
}

// TestAStateEndsWhatWasOverdue, whether it is the right one or not, and a
// known word what nobody understood.
func TestAStateEndsWhatWasOverdue(t *testing.T) {
	b := newBench(t, storetest.SQLite(t))
	h := newMade("docker")
	h.set("nginx", "restarting", 1)
	b.declare("web1", "nginx", workload.Running)
	b.list(h, 1)
	row, err := b.store.WorkloadRow(t.Context(), b.see("nginx").ID)
	if err != nil {
		t.Fatal(err)
	}
	older := row
	older.TransitSince = time.Now().Add(-time.Hour)
	b.save(&older, row)
	b.list(h, 1)
	b.problems("nginx", "operation_overdue")
	h.set("nginx", "exited", 1)
	b.list(h, 1)
	b.problems("nginx", "stopped_unexpectedly")
	h.set("nginx", "odd", 1)
	b.list(h, 1)
	b.problems("nginx", "stopped_unexpectedly", "protocol")
	h.set("nginx", "restarting", 1)
	b.list(h, 1)
	b.problems("nginx", "stopped_unexpectedly")
}

// TestWhatSettlesIsNoProblemYet: after an edge of its window a thing has the
// time to start or to stop by itself, and no longer.
func TestWhatSettlesIsNoProblemYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, storetest.SQLite(t))
		h := newMade("docker")
		h.set("batch", "exited", 1)
		d := reconcile.Declaration{Host: "web1", Driver: "docker", Name: "batch", Desired: workload.Running, Source: store.FromConfig, Settle: 2 * time.Minute}
		if _, err := b.r.Declare(t.Context(), d, store.Why{Actor: "config"}); err != nil {
			t.Fatal(err)
		}
		b.list(h, 3)
		b.problems("batch")
		time.Sleep(2 * time.Minute)
		b.list(h, 1)
		b.problems("batch", "stopped_unexpectedly")
	})
}

// TestALeaseEndsAlsoWhereItsDriverIsGone, and it is told that it is overdue.
func TestALeaseEndsAlsoWhereItsDriverIsGone(t *testing.T) {
	b := newBench(t, storetest.SQLite(t))
	h := newMade("docker")
	h.set("nginx", "running", 1)
	b.declare("web1", "nginx", workload.Running)
	b.list(h, 1)
	before, err := b.store.WorkloadRow(t.Context(), b.see("nginx").ID)
	if err != nil {
		t.Fatal(err)
	}
	after := before
	after.Lease = &workload.Lease{Op: workload.Restart, ActionID: "act_1", Deadline: time.Now().Add(-time.Second), Fence: 1}
	b.save(&after, before)
	gone := newMade("zones")
	gone.sequence = h.sequence
	b.list(gone, 2)
	b.problems("nginx", "operation_overdue")
	if w := b.see("nginx"); w.Operation != "" || !strings.HasPrefix(w.Reason, workload.NoDriver) {
		t.Errorf("%+v", w)
	}
}
