package watch

import (
	"context"
	"maps"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
)

// A scene is the resources as the passes see them. It follows the store by
// the versions of rows, so that an estate that does not change costs little
// to read.
type scene struct {
	byID     map[string]ops.Resource
	children map[string][]string
	byKind   map[ops.Kind][]string
	heard    map[string]store.Heard // by the resource of the host
}

// manyChanges is how many changed resources are cheaper read as a whole.
const manyChanges = 200

func (s *scene) refresh(ctx context.Context, st *store.Store) error {
	if err := s.follow(ctx, st); err != nil {
		return err
	}
	heard, err := st.HostsHeard(ctx)
	s.heard = heard
	return err
}

// of answers a resource with what its host's state means for it. While its
// host is not heard of nothing is known of it, whatever was seen last.
func (s *scene) of(id string) ops.Resource {
	r := s.byID[id]
	h, ok := s.heard[r.HostID]
	switch {
	case !ok:
	case r.Kind == ops.KindHost:
		r.Reachable, r.ReachWhy = string(h.State), h.Reason
		if h.Quiet && (h.State == ops.HostOnline || h.State == ops.HostMaintenance) {
			r.Reachable = ops.Unheard // not heard of just now: no proof of health
		}
		if time.Since(h.ConflictAt) < ops.ConflictKept {
			r.Conflict = h.Conflict
		}
	case h.Quiet || !h.State.Heard():
		r.Reachable = ops.Unheard
	default:
		r.Reachable = string(ops.HostOnline)
	}
	return r
}

// current reports whether what was last seen of a resource is so now.
func (s *scene) current(r ops.Resource) bool {
	h, ok := s.heard[r.HostID]
	return !ok || h.State.Heard() && !h.Quiet
}

// follow brings the resources up to the store.
func (s *scene) follow(ctx context.Context, st *store.Store) error {
	if s.byID == nil {
		return s.readAll(ctx, st)
	}
	var changed []string
	before, met := len(s.byID), 0
	err := st.EachVersion(ctx, func(id string, version int64, observed time.Time) {
		r, known := s.byID[id]
		if known {
			met++
		}
		switch {
		case !known || r.Version != version:
			changed = append(changed, id)
		case !r.ObservedAt.Equal(observed):
			r.ObservedAt = observed
			s.byID[r.ID] = r
		}
	})
	if err != nil {
		return err
	}
	if len(changed) > manyChanges {
		return s.readAll(ctx, st)
	}
	if met < before {
		if err := s.drop(ctx, st); err != nil {
			return err
		}
	}
	for _, id := range changed {
		r, err := st.Resource(ctx, id)
		if err != nil {
			return err
		}
		s.put(r)
	}
	if met < before || len(changed) > 0 {
		s.index()
	}
	return nil
}

// drop forgets what is removed.
func (s *scene) drop(ctx context.Context, st *store.Store) error {
	here := make(map[string]bool, len(s.byID))
	err := st.EachVersion(ctx, func(id string, _ int64, _ time.Time) { here[id] = true })
	if err != nil {
		return err
	}
	maps.DeleteFunc(s.byID, func(id string, _ ops.Resource) bool { return !here[id] })
	return nil
}

func (s *scene) readAll(ctx context.Context, st *store.Store) error {
	all, _, err := st.Resources(ctx, store.ResourceFilter{All: true})
	if err != nil {
		return err
	}
	s.byID = make(map[string]ops.Resource, len(all))
	for _, r := range all {
		s.put(r)
	}
	s.index()
	return nil
}

func (s *scene) put(r ops.Resource) {
	if r.Presence == ops.Removed {
		delete(s.byID, r.ID)
		return
	}
	s.byID[r.ID] = r
}

func (s *scene) index() {
	s.children = map[string][]string{}
	s.byKind = map[ops.Kind][]string{}
	for id, r := range s.byID {
		s.children[r.ParentID] = append(s.children[r.ParentID], id)
		s.byKind[r.Kind] = append(s.byKind[r.Kind], id)
	}
}

func (s *scene) childrenOf(id string) []ops.Resource {
	var all []ops.Resource
	for _, c := range s.children[id] {
		all = append(all, s.of(c))
	}
	return all
}
