package ingest_test

import (
	"context"
	"log/slog"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reeve/internal/ingest"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tsdb"
	"reeve/test/storetest"
)

var (
	quiet = slog.New(slog.DiscardHandler)
	host  = ops.HostIdentity{Key: "host_1", Name: "web1", BootID: "b", Labels: map[string]string{"site": "attic"}}
)

type bench struct {
	t       *testing.T
	store   *store.Store
	metrics *tsdb.DB
	in      *ingest.Ingest
	at      time.Time
	changes int
}

func each(t *testing.T, f func(b *bench)) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		metrics, err := tsdb.Open(t.Context(), quiet, tsdb.Options{Dir: filepath.Join(t.TempDir(), "m"), BallastSize: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { metrics.Close() })
		b := &bench{t: t, store: s, metrics: metrics, at: time.Now().Add(-time.Minute)}
		b.restart()
		f(b)
	})
}

func (b *bench) restart() {
	b.t.Helper()
	in, err := ingest.New(b.t.Context(), quiet, b.store, b.metrics, func() { b.changes++ })
	if err != nil {
		b.t.Fatal(err)
	}
	b.in = in
}

func (b *bench) accept(obs ...ops.Observation) {
	b.t.Helper()
	b.at = b.at.Add(time.Second)
	for i := range obs {
		for j := range obs[i].Samples {
			obs[i].Samples[j].At = b.at
		}
	}
	if err := b.in.Accept(b.t.Context(), ops.Report{Host: host, At: b.at, Observations: obs}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) only(kind ops.Kind) ops.Resource {
	b.t.Helper()
	all, _, err := b.store.Resources(b.t.Context(), store.ResourceFilter{Kinds: []string{string(kind)}, All: true})
	if err != nil || len(all) != 1 {
		b.t.Fatalf("%d resources of kind %s, %v", len(all), kind, err)
	}
	return all[0]
}

func container(name, id string, attrs ops.Attrs) ops.Sighting {
	return ops.Sighting{Key: ops.ResourceKey{Source: "docker", Key: name}, Kind: ops.KindContainer, Name: name, Observed: attrs, Generation: id}
}

func docker(seen ...ops.Sighting) ops.Observation {
	return ops.Observation{Collector: "docker", Sightings: seen, Complete: []ops.Kind{ops.KindContainer, ops.KindService}}
}

// ending is a context that ends after it was first asked.
type ending struct {
	context.Context
	asked bool
}

func (e *ending) Err() error {
	if !e.asked {
		e.asked = true
		return nil
	}
	return context.Canceled
}

func (e *ending) Done() <-chan struct{} {
	over := make(chan struct{})
	close(over)
	return over
}

func TestWhatWasNotCommittedIsNotKnown(t *testing.T) {
	each(t, func(b *bench) {
		b.accept(docker(container("web", "1", ops.Attrs{"state": "running"})))
		exited := docker(container("web", "1", ops.Attrs{"state": "exited"}))
		report := ops.Report{Host: host, At: b.at.Add(time.Second), Observations: []ops.Observation{exited}}
		if err := b.in.Accept(&ending{Context: b.t.Context()}, report); err == nil {
			b.t.Fatal("the report was accepted")
		}
		b.accept(docker(container("web", "1", ops.Attrs{"state": "exited"})))
		moves, err := b.store.Transitions(b.t.Context(), store.TransitionFilter{Object: "resource", ObjectID: b.only(ops.KindContainer).ID})
		if err != nil || len(moves) != 2 || moves[1].Verb != "change" || moves[1].Facts["state"] != "running -> exited" {
			b.t.Fatalf("%+v %v", moves, err)
		}
	})
}

func TestAResourceAppearsChangesVanishesAndReturns(t *testing.T) {
	each(t, func(b *bench) {
		b.accept(docker(container("web", "1", ops.Attrs{"state": "running"})))
		first := b.only(ops.KindContainer)
		if first.HostName != "web1" || first.ParentID != b.only(ops.KindHost).ID || first.Presence != ops.Present {
			t.Fatalf("%+v", first)
		}
		b.accept(docker(container("web", "1", ops.Attrs{"state": "exited", "exit_code": "1"})))
		b.accept(docker())
		if r := b.only(ops.KindContainer); r.Presence != ops.Absent {
			t.Fatalf("%+v", r)
		}
		b.accept(docker())
		if r := b.only(ops.KindContainer); r.Presence != ops.Removed {
			t.Fatalf("%+v", r)
		}
		b.accept(docker(container("web", "2", ops.Attrs{"state": "running"})))
		r := b.only(ops.KindContainer)
		if r.ID != first.ID || r.Presence != ops.Present || r.Generation != 2 || r.Observed["exit_code"] != "" {
			t.Fatalf("%+v", r)
		}
		var verbs []string
		moves, err := b.store.Transitions(context.Background(), store.TransitionFilter{Object: "resource", ObjectID: r.ID})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range moves {
			verbs = append(verbs, m.Verb)
		}
		if got := strings.Join(verbs, " "); got != "appear change vanish remove change" {
			t.Error(got)
		}
	})
}

func TestSeveralCollectorsSeeOneThing(t *testing.T) {
	each(t, func(b *bench) {
		disk := ops.Sighting{Key: ops.ResourceKey{Source: "linux", Key: "disk:sda"}, Kind: ops.KindDisk, Name: "sda", Observed: ops.Attrs{"model": "X"}}
		smart := disk
		smart.Observed = ops.Attrs{"smart_passed": "true"}
		b.accept(ops.Observation{Collector: "disk", Sightings: []ops.Sighting{disk}, Complete: []ops.Kind{ops.KindDisk}})
		b.accept(ops.Observation{Collector: "smart", Sightings: []ops.Sighting{smart}})
		b.accept(ops.Observation{Collector: "disk", Sightings: []ops.Sighting{disk}, Complete: []ops.Kind{ops.KindDisk}})
		if r := b.only(ops.KindDisk); r.Observed["model"] != "X" || r.Observed["smart_passed"] != "true" {
			t.Fatalf("%+v", r)
		}
		b.restart() // and what one of them saw outlives a restart
		b.accept(ops.Observation{Collector: "disk", Sightings: []ops.Sighting{disk}, Complete: []ops.Kind{ops.KindDisk}})
		if r := b.only(ops.KindDisk); r.Observed["smart_passed"] != "true" {
			t.Fatalf("%+v", r)
		}
	})
}

func TestAnotherEnginesListRemovesNothing(t *testing.T) {
	each(t, func(b *bench) {
		b.accept(docker(container("web", "1", ops.Attrs{"state": "running"})))
		podman := ops.Observation{Collector: "podman", Complete: []ops.Kind{ops.KindContainer}}
		failed := docker()
		failed.Err = "the daemon went away"
		b.accept(podman, failed)
		b.accept(podman, failed)
		if r := b.only(ops.KindContainer); r.Presence != ops.Present {
			t.Fatalf("%+v", r)
		}
	})
}

func TestAnUnchangedEstateIsNotWritten(t *testing.T) {
	each(t, func(b *bench) {
		see := func() { b.accept(docker(container("web", "1", ops.Attrs{"state": "running"}))) }
		see()
		before, _, _ := b.store.Head(t.Context())
		version, changes := b.only(ops.KindContainer).Version, b.changes
		for range 20 {
			see()
		}
		after, _, _ := b.store.Head(t.Context())
		if r := b.only(ops.KindContainer); after != before || r.Version != version || b.changes != changes {
			t.Errorf("transitions %d to %d, version %d to %d", before, after, version, r.Version)
		}
		b.at = b.at.Add(time.Minute)
		see()
		if r := b.only(ops.KindContainer); r.ObservedAt.Before(b.at.Truncate(time.Millisecond)) {
			t.Errorf("last seen %v instead of %v", r.ObservedAt, b.at)
		}
	})
}

func TestHostileTextIsBoundedAndCleaned(t *testing.T) {
	each(t, func(b *bench) {
		bad := container("x", "1", ops.Attrs{"image": "a\x1b[31m\u202eb", "note": strings.Repeat("y", 5000)})
		bad.Name = "a\nb" + strings.Repeat("z", 5000)
		bad.Labels = map[string]string{"k\xff": "v\x00" + strings.Repeat("q", 5000)}
		bad.Key.Host = "host_other" // an agent speaks of its own host
		o := docker(bad)
		o.Events = []ops.Event{{Resource: bad.Key, Type: ops.EventContainerExit, Text: "bye password=hunter2", SourceID: "1", Count: 1, At: b.at.Add(time.Hour)}}
		o.Samples = []ops.Sample{{Resource: bad.Key, Metric: "m", Value: math.NaN()}, {Resource: ops.ResourceKey{Source: "no", Key: "one"}, Metric: "m", Value: 1}}
		b.accept(o)
		r := b.only(ops.KindContainer)
		if r.Key.Host != host.Key || strings.ContainsAny(r.Name+r.Observed["image"], "\n\x1b\u202e") || len(r.Name) > 200 || len(r.Observed["note"]) > 500 {
			t.Errorf("%+v", r)
		}
		events, err := b.store.ResourceEvents(t.Context(), r.ID, 5)
		if err != nil || len(events) != 1 || strings.Contains(events[0].Text, "hunter2") || events[0].At.After(b.at.Add(time.Minute)) {
			t.Errorf("%+v %v", events, err)
		}
		if s := b.in.Stats(); s.Dropped == 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestABadReportIsRefusedWhole(t *testing.T) {
	each(t, func(b *bench) {
		for _, o := range []ops.Observation{
			{Collector: "x", Sightings: []ops.Sighting{{Key: ops.ResourceKey{Source: "s", Key: "k"}, Kind: "dragon", Name: "d"}}},
			{Collector: "x", Sightings: []ops.Sighting{{Kind: ops.KindDisk, Name: "d"}}},
		} {
			err := b.in.Accept(t.Context(), ops.Report{Host: host, At: b.at, Observations: []ops.Observation{o}})
			if ops.KindOf(err) != ops.Invalid {
				t.Errorf("%+v: %v", o, err)
			}
		}
		if err := b.in.Accept(t.Context(), ops.Report{At: b.at}); ops.KindOf(err) != ops.Invalid {
			t.Error(err)
		}
		if head, _, _ := b.store.Head(t.Context()); head != 0 {
			t.Errorf("%d transitions", head)
		}
	})
}
