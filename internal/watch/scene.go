package watch

import (
	"context"

	"reeve/internal/ops"
	"reeve/internal/store"
)

// A scene is the resources as the passes see them. It follows the store by
// the transitions of resources, so that a quiet estate costs nothing to read.
type scene struct {
	byID     map[string]ops.Resource
	children map[string][]string
	byKind   map[ops.Kind][]string
	seq      int64
	removed  []string // since the last pass
}

// manyChanges is how many changed resources are cheaper read as a whole.
const manyChanges = 200

func (s *scene) refresh(ctx context.Context, st *store.Store) error {
	head, _, err := st.Head(ctx)
	if err != nil {
		return err
	}
	if s.byID == nil {
		return s.readAll(ctx, st, head)
	}
	changed := map[string]bool{}
	for seq := s.seq; seq < head; {
		page, err := st.Transitions(ctx, store.TransitionFilter{After: seq, Limit: 1000})
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, t := range page {
			if t.Object == "resource" {
				changed[t.ObjectID] = true
			}
			seq = t.Seq
		}
		if len(changed) > manyChanges {
			return s.readAll(ctx, st, head)
		}
	}
	if err := s.readSome(ctx, st, changed); err != nil {
		return err
	}
	s.seq = head
	s.index()
	return nil
}

func (s *scene) readAll(ctx context.Context, st *store.Store, head int64) error {
	all, _, err := st.Resources(ctx, store.ResourceFilter{All: true})
	if err != nil {
		return err
	}
	s.byID = make(map[string]ops.Resource, len(all))
	s.removed = nil
	for _, r := range all {
		s.put(r)
	}
	s.seq = head
	s.index()
	return nil
}

// readSome reads what changed, and every component: detectors of silence look
// at when those were seen, which makes no transition.
func (s *scene) readSome(ctx context.Context, st *store.Store, changed map[string]bool) error {
	s.removed = nil
	components, _, err := st.Resources(ctx, store.ResourceFilter{All: true, Kinds: []string{string(ops.KindComponent)}})
	if err != nil {
		return err
	}
	for _, r := range components {
		s.put(r)
		delete(changed, r.ID)
	}
	for id := range changed {
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
		s.removed = append(s.removed, r.ID)
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
