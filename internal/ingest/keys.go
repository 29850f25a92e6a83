package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"reeve/internal/ops"
	"reeve/internal/redact"
)

// maxKey is how many bytes a text may have by which a database finds things:
// an index of PostgreSQL takes 2,704 for all columns together, and a report
// with more would be refused for ever.
const maxKey = 500

// bound answers a report whose keys every database takes.
func bound(r ops.Report) ops.Report {
	if !slices.ContainsFunc(r.Observations, unbound) {
		return r
	}
	r.Observations = slices.Clone(r.Observations)
	for i := range r.Observations {
		o := &r.Observations[i]
		o.Collector = short(o.Collector)
		o.Sightings, o.Samples, o.Events = slices.Clone(o.Sightings), slices.Clone(o.Samples), slices.Clone(o.Events)
		for j := range o.Sightings {
			s := &o.Sightings[j]
			s.Key, s.Parent = shortKey(s.Key), shortKey(s.Parent)
		}
		for j := range o.Samples {
			o.Samples[j].Resource = shortKey(o.Samples[j].Resource)
		}
		for j := range o.Events {
			e := &o.Events[j]
			e.Resource, e.SourceID, e.Type = shortKey(e.Resource), short(e.SourceID), ops.EventType(short(string(e.Type)))
		}
	}
	return r
}

func unbound(o ops.Observation) bool {
	return len(o.Collector) > maxKey ||
		slices.ContainsFunc(o.Sightings, func(s ops.Sighting) bool { return long(s.Key) || long(s.Parent) }) ||
		slices.ContainsFunc(o.Samples, func(s ops.Sample) bool { return long(s.Resource) }) ||
		slices.ContainsFunc(o.Events, func(e ops.Event) bool {
			return long(e.Resource) || len(e.SourceID) > maxKey || len(e.Type) > maxKey
		})
}

func long(k ops.ResourceKey) bool { return len(k.Key) > maxKey || len(k.Source) > maxKey }

func shortKey(k ops.ResourceKey) ops.ResourceKey {
	k.Source, k.Key = short(k.Source), short(k.Key)
	return k
}

// short answers a text of at most maxKey bytes: of a longer one the beginning
// and a hash of all, the same each time and another for each text.
func short(s string) string {
	if len(s) <= maxKey {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	end := hex.EncodeToString(sum[:16])
	return redact.Cut(s, maxKey-len(end)) + end
}
