package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/test/storetest"
)

func newNote(resource string, state ops.NoteState, at time.Time) ops.Note {
	return ops.Note{ID: ops.NewID(ops.NoteID), ResourceID: resource, Kind: "note", Text: "backups run at 02:00", Author: "user:ann",
		State: state, At: at, Version: 1}
}

// A suggested note counts only once a person accepts it, and what was decided
// stays decided.
func TestNoteGoesThroughItsLife(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		n := newNote("res_1", ops.NoteSuggested, t0)
		do(t, s, func(tx *store.Tx) error { return tx.AddNote(t.Context(), n, store.Why{Actor: "model:x"}) })
		got, err := s.Note(t.Context(), n.ID)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(n, got); d != "" {
			t.Fatal(d)
		}
		var next ops.Note
		do(t, s, func(tx *store.Tx) error { next, err = tx.MoveNote(t.Context(), got, ops.NoteAccept, why); return err })
		if next.State != ops.NoteActive || next.DecidedBy != "user:ann" || next.Version != 2 {
			t.Fatalf("%+v", next)
		}
		for what, move := range map[string]func(*store.Tx) error{
			"stale":   func(tx *store.Tx) error { _, err := tx.MoveNote(t.Context(), got, ops.NoteDecline, why); return err },
			"illegal": func(tx *store.Tx) error { _, err := tx.MoveNote(t.Context(), next, ops.NoteDecline, why); return err },
		} {
			if err := s.Tx(t.Context(), t0, move); ops.KindOf(err) != ops.Conflict {
				t.Errorf("%s: %v", what, err)
			}
		}
		do(t, s, func(tx *store.Tx) error { next, err = tx.MoveNote(t.Context(), next, ops.NoteRemove, why); return err })
		moves, err := s.Transitions(t.Context(), store.TransitionFilter{Object: "note", ObjectID: n.ID})
		if err != nil || len(moves) != 3 || moves[0].Verb != "suggest" || moves[1].To != "active" || moves[2].To != "removed" || moves[0].After == "" {
			t.Fatalf("%+v %v", moves, err)
		}
		if _, err := s.Note(t.Context(), "nte_none"); ops.KindOf(err) != ops.NotFound {
			t.Fatal(err)
		}
	})
}

// Filters answer what they say, and pages leave nothing out.
func TestNotesAreFilteredAndPaged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		do(t, s, func(tx *store.Tx) error {
			for i := range 24 {
				n := newNote([]string{"", "res_1", "res_2"}[i%3], []ops.NoteState{ops.NoteActive, ops.NoteSuggested}[i/3%2], t0.Add(time.Duration(i/2)*time.Second))
				n.Kind = []string{"note", "solution"}[i/6%2]
				n.Condition = []string{"", "fs_full"}[i/12%2]
				if err := tx.AddNote(t.Context(), n, why); err != nil {
					return err
				}
			}
			return nil
		})
		for what, c := range map[string]struct {
			filter store.NoteFilter
			want   int
		}{
			"all":       {store.NoteFilter{}, 24},
			"resource":  {store.NoteFilter{Resources: []string{"res_1"}}, 8},
			"estate":    {store.NoteFilter{Resources: []string{""}}, 8},
			"scope":     {store.NoteFilter{Resources: []string{"", "res_2"}, States: []string{"active"}}, 8},
			"condition": {store.NoteFilter{Conditions: []string{"fs_full"}}, 12},
			"all of it": {store.NoteFilter{Resources: []string{"res_1"}, Conditions: []string{"fs_full"}, Kinds: []string{"solution"}, States: []string{"suggested"}}, 1},
			"none":      {store.NoteFilter{Resources: []string{}}, 0},
		} {
			c.filter.Limit = 5
			seen := map[string]bool{}
			for next := &c.filter.After; next != nil; {
				c.filter.After = *next
				var page []ops.Note
				var err error
				if page, next, err = s.Notes(t.Context(), c.filter); err != nil {
					t.Fatal(err)
				}
				for _, n := range page {
					seen[n.ID] = true
				}
			}
			if len(seen) != c.want {
				t.Error(fmt.Sprintf("%s: %d of %d", what, len(seen), c.want))
			}
		}
	})
}
