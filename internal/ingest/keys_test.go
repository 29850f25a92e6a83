package ingest_test

import (
	"crypto/rand"
	"encoding/hex"
	"testing"

	"reeve/internal/ops"
	"reeve/internal/store"
)

// noise is a text that an index cannot make smaller.
func noise(bytes int) string {
	b := make([]byte, bytes/2)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// TestKeysThatNoIndexTakesAreShortened: a path may have 4,095 bytes, and the
// report that names it must not hold up all that follow.
func TestKeysThatNoIndexTakesAreShortened(t *testing.T) {
	each(t, func(b *bench) {
		mount, event := "/mnt/"+noise(3800), noise(3800)
		key := func(path string) ops.ResourceKey { return ops.ResourceKey{Host: host.Key, Source: "linux", Key: path} }
		see := func() {
			o := ops.Observation{Collector: "filesystem", Complete: []ops.Kind{ops.KindFilesystem, ops.KindService, ops.KindContainer}}
			for _, path := range []string{mount + "/a", mount + "/b"} {
				o.Sightings = append(o.Sightings, ops.Sighting{Key: key(path), Kind: ops.KindFilesystem, Name: path})
				o.Samples = append(o.Samples, ops.Sample{Resource: key(path), Metric: "filesystem_used_ratio", Value: 0.5})
				o.Events = append(o.Events, ops.Event{Resource: key(path), Type: ops.EventLogError, SourceID: event, Text: "x", Count: 1})
			}
			o.Sightings = append(o.Sightings, ops.Sighting{Key: key(mount), Kind: ops.KindService, Name: "s"},
				ops.Sighting{Key: key("c"), Parent: key(mount), Kind: ops.KindContainer, Name: "c"})
			b.accept(o)
		}
		see()
		b.restart()
		see()
		all, _, err := b.store.Resources(t.Context(), store.ResourceFilter{Kinds: []string{string(ops.KindFilesystem)}, All: true})
		if err != nil || len(all) != 2 {
			t.Fatalf("%d file systems, %v", len(all), err)
		}
		for _, r := range all {
			events, err := b.store.ResourceEvents(t.Context(), r.ID, 5)
			if err != nil || len(events) != 1 || r.Presence != ops.Present || len(r.Key.Key) > 500 {
				t.Errorf("%+v: %d events, %v", r, len(events), err)
			}
		}
		if c := b.only(ops.KindContainer); c.ParentID != b.only(ops.KindService).ID {
			t.Errorf("%+v", c)
		}
		if s := b.in.Stats(); s.Dropped != 0 || s.Samples != 2 {
			t.Errorf("%+v", s)
		}
	})
}
