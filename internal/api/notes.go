package api

import (
	"context"
	"strconv"

	"reeve/internal/knowledge"
	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/store"
)

type notesInput struct {
	Resource  string   `query:"resource" doc:"ID of a resource, or estate for notes about the whole."`
	Condition string   `query:"condition"`
	Kind      []string `query:"kind" doc:"note, solution, dismissal; several with commas."`
	State     []string `query:"state" doc:"suggested, active, declined, removed; several with commas. Default suggested and active."`
	Limit     int      `query:"limit" doc:"Of a page, at most 1000; default 50."`
	Cursor    string   `query:"cursor"`
}

// estateWide chooses, in filters, notes about no resource.
const estateWide = "estate"

func (s *Server) notes(ctx context.Context, q notesInput) (rest.List[ops.Note], error) {
	f := store.NoteFilter{Kinds: q.Kind, States: q.State, Limit: q.Limit}
	var err error
	if f.After, err = parseCursor("", q.Cursor); err != nil {
		return rest.List[ops.Note]{}, err
	}
	if err := amongAll("kind", "kind of notes", q.Kind, knowledge.Kinds); err != nil {
		return rest.List[ops.Note]{}, err
	}
	if err := amongAll("state", "state of notes", q.State, ops.NoteFlow.States()); err != nil {
		return rest.List[ops.Note]{}, err
	}
	if len(f.States) == 0 {
		f.States = []string{string(ops.NoteSuggested), string(ops.NoteActive)}
	}
	switch q.Resource {
	case "":
	case estateWide:
		f.Resources = []string{""}
	default:
		f.Resources = []string{q.Resource}
	}
	if q.Condition != "" {
		if err := s.checkCondition(ctx, q.Condition); err != nil {
			return rest.List[ops.Note]{}, err
		}
		f.Conditions = []string{q.Condition}
	}
	items, next, err := s.store.Notes(ctx, f)
	return rest.ListOf(items, cursorOf("", next)), err
}

func (s *Server) note(ctx context.Context, q rest.ByID) (ops.Note, error) {
	return s.store.Note(ctx, q.ID)
}

type noteInput struct {
	Body struct {
		ResourceID string `json:"resource_id,omitempty" doc:"Empty: about the whole estate."`
		FindingID  string `json:"finding_id,omitempty" doc:"Instead of resource and condition: the finding whose they are."`
		Kind       string `json:"kind,omitempty" enum:"note,solution,dismissal" doc:"note: a fact (default); solution: what solved a problem; dismissal: why a problem is none."`
		Text       string `json:"text" doc:"At most 2048 bytes."`
		Condition  string `json:"condition,omitempty" doc:"Of a solution or a dismissal: which problem."`
	} `body:""`
}

func (s *Server) addNote(ctx context.Context, q noteInput) (ops.Note, error) {
	b := q.Body
	if b.Kind == "" {
		b.Kind = knowledge.Fact
	}
	return s.deps.Knowledge.Write(ctx, ops.Note{ResourceID: b.ResourceID, FindingID: b.FindingID, Kind: b.Kind, Text: b.Text, Condition: b.Condition},
		rest.CallerOf(ctx).Actor())
}

func (s *Server) acceptNote(ctx context.Context, q reasonInput) (ops.Note, error) {
	return s.moveNote(ctx, q, s.deps.Knowledge.Accept)
}

func (s *Server) declineNote(ctx context.Context, q reasonInput) (ops.Note, error) {
	return s.moveNote(ctx, q, s.deps.Knowledge.Decline)
}

func (s *Server) removeNote(ctx context.Context, q reasonInput) (ops.Note, error) {
	return s.moveNote(ctx, q, s.deps.Knowledge.Remove)
}

func (s *Server) moveNote(ctx context.Context, q reasonInput, do func(ctx context.Context, id, actor, reason string) (ops.Note, error)) (ops.Note, error) {
	if err := checkReason(q.Body.Reason); err != nil {
		return ops.Note{}, err
	}
	n, err := s.store.Note(ctx, q.ID)
	if err != nil {
		return n, err
	}
	if err := rest.CheckMatch(q.IfMatch, "the note", n.Version); err != nil {
		return n, err
	}
	return do(ctx, q.ID, rest.CallerOf(ctx).Actor(), q.Body.Reason)
}

type dismissalsInput struct {
	Resource  string `query:"resource" doc:"ID of a resource."`
	Condition string `query:"condition"`
	Limit     int    `query:"limit" doc:"Of a page, at most 1000; default 50."`
	Cursor    string `query:"cursor"`
}

func (s *Server) dismissals(ctx context.Context, q dismissalsInput) (rest.List[ops.Note], error) {
	after, err := parseCursor("dismissals", q.Cursor)
	if err != nil {
		return rest.List[ops.Note]{}, err
	}
	if q.Condition != "" {
		if err := s.checkCondition(ctx, q.Condition); err != nil {
			return rest.List[ops.Note]{}, err
		}
	}
	f := knowledge.DismissalFilter{Resource: q.Resource, Condition: q.Condition, Before: after.Num, Limit: min(q.Limit, 1000)}
	items, next, err := s.deps.Knowledge.Dismissals(ctx, f)
	if next == 0 {
		return rest.ListOf(items, ""), err
	}
	return rest.ListOf(items, cursorOf("dismissals", &store.Key{Num: next, ID: strconv.FormatInt(next, 10)})), err
}
