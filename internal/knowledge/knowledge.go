// Package knowledge keeps what people know of the estate and tells it to
// whoever looks: notes on resources and on the whole, why a problem was
// dismissed, and what solved it the last time.
//
// What the store can tell by itself is not copied: dismissals are read from
// the decisions that people took on findings, and what solved a problem from
// the changes and words between its beginning and its end. Only notes are
// written. A model may suggest one; it counts, and is shown to models, once a
// person accepted it.
package knowledge

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/store"
)

const (
	// MaxText is how many bytes a note may have.
	MaxText = 2 << 10
	// maxSuggested is how many suggestions may wait for a person: a model that
	// suggests without end fills no table.
	maxSuggested = 200
)

// The kinds of notes.
const (
	Fact      = "note"
	Solution  = "solution"
	Dismissal = "dismissal"
)

// Kinds lists them.
var Kinds = []string{Fact, Solution, Dismissal}

// A Knowledge reads and writes notes.
type Knowledge struct {
	store *store.Store
	known func(condition string) bool
}

// New makes a Knowledge; known says which conditions there are.
func New(st *store.Store, known func(condition string) bool) *Knowledge {
	return &Knowledge{store: st, known: known}
}

// Write stores a note of a person; it counts at once.
func (k *Knowledge) Write(ctx context.Context, n ops.Note, actor string) (ops.Note, error) {
	n.State, n.Author, n.DecidedBy = ops.NoteActive, actor, actor
	return k.add(ctx, n, store.Why{Actor: actor}, func(*store.Tx) error { return nil })
}

// Suggest stores a note of a model: it waits for a person. The same text for
// the same resource is suggested once.
func (k *Knowledge) Suggest(ctx context.Context, n ops.Note, model string) (ops.Note, error) {
	n.State, n.Author, n.DecidedBy = ops.NoteSuggested, "model:"+redact.Line(model, 100), ""
	return k.add(ctx, n, store.Why{Actor: n.Author}, func(tx *store.Tx) error {
		waiting, more, err := tx.Notes(ctx, store.NoteFilter{States: []string{string(ops.NoteSuggested)}, Limit: maxSuggested})
		if err != nil {
			return err
		}
		if more != nil || len(waiting) >= maxSuggested {
			return ops.Errorf(ops.TooMany, "%d suggested notes wait for a person; no more are taken", maxSuggested)
		}
		same, _, err := tx.Notes(ctx, store.NoteFilter{Resources: []string{n.ResourceID}, Limit: 1000})
		for _, other := range same {
			if other.Text == bounded(n.Text) && other.Kind == n.Kind && other.State != ops.NoteRemoved {
				return ops.Errorf(ops.Conflict, "the same note is there already: %s is %s", other.ID, other.State)
			}
		}
		return err
	})
}

func (k *Knowledge) add(ctx context.Context, n ops.Note, why store.Why, allowed func(*store.Tx) error) (ops.Note, error) {
	if err := k.sound(&n); err != nil {
		return n, err
	}
	err := k.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		n.ID, n.At, n.Version = ops.NewID(ops.NoteID), tx.Now(), 1
		if n.FindingID != "" {
			f, err := tx.Finding(ctx, n.FindingID)
			if err != nil {
				return err
			}
			n.ResourceID, n.Condition = f.ResourceID, f.Condition
		}
		if n.ResourceID != "" {
			if _, err := tx.Resource(ctx, n.ResourceID); err != nil {
				return err
			}
		}
		if err := allowed(tx); err != nil {
			return err
		}
		return tx.AddNote(ctx, n, why)
	})
	return n, err
}

// sound checks a note and makes its text fit to store.
func (k *Knowledge) sound(n *ops.Note) error {
	wrong := map[string]string{}
	if strings.TrimSpace(n.Text) == "" {
		wrong["text"] = "say what there is to know"
	}
	if len(n.Text) > MaxText {
		wrong["text"] = "at most 2048 bytes"
	}
	if !slices.Contains(Kinds, n.Kind) {
		wrong["kind"] = "is note, solution or dismissal"
	}
	if n.Condition != "" && !k.known(n.Condition) {
		wrong["condition"] = "is not known; `reeve detectors` lists them"
	}
	if n.Kind == Solution && n.Condition == "" && n.FindingID == "" {
		wrong["condition"] = "say which problem it solved"
	}
	if len(wrong) > 0 {
		e := ops.Errorf(ops.Invalid, "the note cannot be kept: %s", firstOf(wrong))
		e.Fields = wrong
		return e
	}
	n.Text = bounded(n.Text)
	return nil
}

func firstOf(wrong map[string]string) string {
	for _, name := range []string{"text", "kind", "condition"} {
		if what, ok := wrong[name]; ok {
			return name + ": " + what
		}
	}
	return ""
}

// bounded keeps the lines of a text and takes out what must not be stored.
func bounded(text string) string {
	var lines []string
	for line := range strings.SplitSeq(strings.ToValidUTF8(text, "\uFFFD"), "\n") {
		lines = append(lines, redact.Line(line, MaxText))
	}
	text = redact.Cut(redact.Text(strings.TrimSpace(strings.Join(lines, "\n"))), MaxText)
	if !utf8.ValidString(text) {
		return strings.ToValidUTF8(text, "")
	}
	return text
}

// Accept lets a suggested note count.
func (k *Knowledge) Accept(ctx context.Context, id, actor, reason string) (ops.Note, error) {
	return k.move(ctx, id, ops.NoteAccept, actor, reason)
}

// Decline ends a suggested note.
func (k *Knowledge) Decline(ctx context.Context, id, actor, reason string) (ops.Note, error) {
	return k.move(ctx, id, ops.NoteDecline, actor, reason)
}

// Remove ends an active note.
func (k *Knowledge) Remove(ctx context.Context, id, actor, reason string) (ops.Note, error) {
	return k.move(ctx, id, ops.NoteRemove, actor, reason)
}

func (k *Knowledge) move(ctx context.Context, id string, on ops.NoteEvent, actor, reason string) (n ops.Note, err error) {
	err = k.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		if n, err = tx.Note(ctx, id); err != nil {
			return err
		}
		n, err = tx.MoveNote(ctx, n, on, store.Why{Actor: actor, Reason: redact.Line(reason, MaxText)})
		return err
	})
	return n, err
}

const (
	// scopeNotes bounds what a run is given; maxListed is how many resources
	// are named to the database, beyond that all notes are read and chosen
	// from.
	scopeNotes = 100
	maxListed  = 200
)

// ForScope answers what a run over resources should know: active notes about
// them and about the whole estate, and why active findings of theirs are
// accepted. The newest first, at most 100; what is suggested is not in it.
func (k *Knowledge) ForScope(ctx context.Context, resources []string) ([]ops.Note, error) {
	wanted := map[string]bool{"": true}
	for _, id := range resources {
		wanted[id] = true
	}
	f := store.NoteFilter{States: []string{string(ops.NoteActive)}, Limit: 1000}
	if len(resources) <= maxListed {
		f.Resources = append([]string{""}, resources...)
	}
	var all []ops.Note
	for next := &f.After; next != nil && len(all) < scopeNotes; {
		f.After = *next
		var page []ops.Note
		var err error
		if page, next, err = k.store.Notes(ctx, f); err != nil {
			return nil, err
		}
		for _, n := range page {
			if wanted[n.ResourceID] {
				all = append(all, n)
			}
		}
	}
	accepted, err := k.accepted(ctx, wanted)
	if err != nil {
		return nil, err
	}
	all = append(all, accepted...)
	slices.SortStableFunc(all, func(a, b ops.Note) int { return b.At.Compare(a.At) })
	return all[:min(len(all), scopeNotes)], nil
}

// accepted answers, as notes, why people accept what is wrong now.
func (k *Knowledge) accepted(ctx context.Context, wanted map[string]bool) ([]ops.Note, error) {
	active, _, err := k.store.Findings(ctx, store.FindingFilter{Active: true, All: true})
	if err != nil {
		return nil, err
	}
	var all []ops.Note
	for _, f := range active {
		s := f.Suppression.Own()
		if s == nil || s.Kind != ops.SuppressAccepted || !wanted[f.ResourceID] {
			continue
		}
		all = append(all, ops.Note{ResourceID: f.ResourceID, Condition: f.Condition, FindingID: f.ID, Kind: Dismissal, Text: bounded(s.Reason),
			Author: s.Actor, State: ops.NoteActive, At: f.OpenedAt})
	}
	return all, nil
}
