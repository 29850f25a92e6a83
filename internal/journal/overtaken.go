package journal

import (
	"errors"
	"slices"

	"reeve/internal/ops"
)

// A claim is what one collector tells of: the state of a resource, or the
// whole list of a kind.
type claim struct {
	collector string
	resource  ops.ResourceKey // or
	list      ops.Kind
}

// listed answers the kinds of which an observation is the whole list. A pass
// that failed has none, whatever it says; the server thinks so too.
func listed(o ops.Observation) []ops.Kind {
	if o.Err != "" {
		return nil
	}
	return o.Complete
}

func claims(o ops.Observation) (all []claim) {
	for _, s := range o.Sightings {
		all = append(all, claim{collector: o.Collector, resource: s.Key})
	}
	for _, k := range listed(o) {
		all = append(all, claim{collector: o.Collector, list: k})
	}
	return all
}

// newest holds the place of the record that makes a claim last. It is nil
// until a spool is so full that it needs it: all reports are read for it.
type newest map[claim]uint64

// overtakes reports whether later records tell anew all the state that an
// observation tells in the record at a place. A later list that leaves a
// resource out tells of it too.
func (n newest) overtakes(o ops.Observation, place uint64) bool {
	for _, k := range listed(o) {
		if n[claim{collector: o.Collector, list: k}] <= place {
			return false
		}
	}
	for _, s := range o.Sightings {
		if n[claim{collector: o.Collector, resource: s.Key}] <= place && n[claim{collector: o.Collector, list: s.Kind}] <= place {
			return false
		}
	}
	return len(o.Sightings)+len(listed(o)) > 0
}

// without answers the observations of the record at a place that still tell
// something. Of one with events the events stay, and what they happened to:
// the server may not know it otherwise.
func (n newest) without(observations []ops.Observation, place uint64) (kept []ops.Observation) {
	for _, o := range observations {
		overtaken := n.overtakes(o, place)
		if overtaken && len(o.Events) == 0 {
			continue
		}
		if overtaken {
			o.Complete = nil
			o.Sightings = slices.DeleteFunc(slices.Clone(o.Sightings), func(s ops.Sighting) bool {
				return !slices.ContainsFunc(o.Events, func(e ops.Event) bool { return e.Resource == s.Key })
			})
		}
		kept = append(kept, o)
	}
	return kept
}

// learn notes what the record at a place tells. The segment of the one that
// told it before may have less to keep now.
func (s *Spool) learn(r ops.Report, place uint64) {
	if s.newest == nil {
		return
	}
	for _, o := range r.Observations {
		for _, c := range claims(o) {
			if before := s.newest[c]; before != 0 && before < place {
				s.unsettle(before)
			}
			s.newest[c] = place
		}
	}
}

func (s *Spool) unsettle(place uint64) {
	for _, seg := range slices.Backward(s.segments) {
		if len(seg.records) > 0 && seg.records[0].place <= place {
			seg.settled = false
			return
		}
	}
}

// survey reads all that waits for what is newest in it.
func (s *Spool) survey() error {
	if s.newest != nil {
		return nil
	}
	s.newest = newest{}
	for _, seg := range s.segments {
		if err := s.surveySegment(seg); err != nil {
			s.newest = nil
			return err
		}
	}
	return nil
}

func (s *Spool) surveySegment(seg *segment) error {
	for _, rec := range seg.records {
		if rec.done {
			continue
		}
		r, err := s.read(seg, rec)
		if err != nil && !errors.Is(err, errDamaged) {
			return err
		}
		if err == nil {
			s.learn(r, rec.place)
		}
	}
	return nil
}

// spoilt counts reports that are lost to damage. One of them may have been
// the last to tell something, which an older one must tell then.
func (s *Spool) spoilt(n int) {
	s.damaged += int64(n)
	if n > 0 {
		s.newest = nil
	}
}
