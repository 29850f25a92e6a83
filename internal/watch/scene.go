package watch

import (
	"context"

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
}

// manyChanges is how many changed resources are cheaper read as a whole.
const manyChanges = 200

func (s *scene) refresh(ctx context.Context, st *store.Store) error {
	if s.byID == nil {
		return s.readAll(ctx, st)
	}
	versions, err := st.ResourceVersions(ctx)
	if err != nil {
		return err
	}
	var changed []string
	for id, version := range versions {
		if s.byID[id].Version != version {
			changed = append(changed, id)
		}
	}
	before := len(s.byID)
	for id := range s.byID {
		if _, ok := versions[id]; !ok {
			delete(s.byID, id)
		}
	}
	gone := len(s.byID) != before
	if len(changed) > manyChanges {
		return s.readAll(ctx, st)
	}
	before = len(s.byID)
	if err := s.readSome(ctx, st, changed); err != nil {
		return err
	}
	if gone || len(changed) > 0 || len(s.byID) != before {
		s.index()
	}
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

// readSome reads what changed, and every component: detectors of silence look
// at when those were seen, which changes no version.
func (s *scene) readSome(ctx context.Context, st *store.Store, changed []string) error {
	components, _, err := st.Resources(ctx, store.ResourceFilter{All: true, Kinds: []string{string(ops.KindComponent)}})
	if err != nil {
		return err
	}
	for _, r := range components {
		s.put(r)
	}
	for _, id := range changed {
		if s.byID[id].Kind == ops.KindComponent {
			continue
		}
		r, err := st.Resource(ctx, id)
		if err != nil {
			return err
		}
		s.put(r)
	}
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
		all = append(all, s.byID[c])
	}
	return all
}
