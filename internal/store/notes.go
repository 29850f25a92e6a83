package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"reeve/internal/ops"
)

const noteColumns = `id, resource_id, condition, finding_id, kind, text, author, state, at_ms, decided_by, version`

func scanNote(row interface{ Scan(...any) error }) (ops.Note, error) {
	var n ops.Note
	var at int64
	err := row.Scan(&n.ID, &n.ResourceID, &n.Condition, &n.FindingID, &n.Kind, &n.Text, &n.Author, &n.State, &at, &n.DecidedBy, &n.Version)
	n.At = fromMS(at)
	return n, err
}

// Note answers one note.
func (v view) Note(ctx context.Context, id string) (ops.Note, error) {
	n, err := scanNote(v.q.QueryRowContext(ctx, `SELECT `+noteColumns+` FROM note WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return n, ops.Errorf(ops.NotFound, "there is no note %s", id)
	}
	return n, err
}

// A NoteFilter chooses notes; zero fields choose all. An empty text among
// Resources or Conditions chooses notes about the whole estate, and about no
// condition.
type NoteFilter struct {
	Resources  []string
	Conditions []string
	Kinds      []string // note, solution, dismissal
	States     []string
	After      Key // of the page before: At in milliseconds and ID
	Limit      int
}

// Notes answers a page of notes, the newest first, and where it ended when
// there may be more.
func (v view) Notes(ctx context.Context, f NoteFilter) ([]ops.Note, *Key, error) {
	w := where{}
	if f.Resources != nil {
		w.in("resource_id", f.Resources)
	}
	if f.Conditions != nil {
		w.in(bare("condition", f.Resources == nil), f.Conditions)
	}
	if f.Kinds != nil {
		w.in("kind", f.Kinds)
	}
	if f.States != nil {
		w.in("state", f.States)
	}
	if f.After.ID != "" {
		w.add(`(at_ms, id) < ($?, $?)`, f.After.Num, f.After.ID)
	}
	limit := limitOf(f.Limit)
	rows, err := v.q.QueryContext(ctx, `SELECT `+noteColumns+` FROM note`+w.text()+` ORDER BY at_ms DESC, id DESC LIMIT `+w.arg(limit+1), w.args...)
	if err != nil {
		return nil, nil, fmt.Errorf("read notes: %w", err)
	}
	all, err := collectRows(rows, func(r *sql.Rows) (ops.Note, error) { return scanNote(r) })
	if err != nil || len(all) <= limit {
		return all, nil, err
	}
	last := all[limit-1]
	return all[:limit], &Key{Num: toMS(last.At), ID: last.ID}, nil
}

// AddNote inserts a note in the state that it has: active from a person,
// suggested from a model.
func (tx *Tx) AddNote(ctx context.Context, n ops.Note, why Why) error {
	n.Version = 1
	_, err := tx.q.ExecContext(ctx, `INSERT INTO note (id, resource_id, condition, finding_id, kind, text, author, state, at_ms, decided_by)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)`,
		n.ID, n.ResourceID, n.Condition, n.FindingID, n.Kind, n.Text, n.Author, n.State, toMS(n.At), n.DecidedBy)
	if err != nil {
		return fmt.Errorf("add note: %w", err)
	}
	verb := "write"
	if n.State == ops.NoteSuggested {
		verb = "suggest"
	}
	tx.Record(noteTransition(verb, "", n, why))
	return nil
}

// MoveNote applies one event of the lifecycle to a note as the caller read
// it. It refuses an illegal move, and a note that was moved since.
func (tx *Tx) MoveNote(ctx context.Context, n ops.Note, on ops.NoteEvent, why Why) (ops.Note, error) {
	to, err := ops.NoteFlow.Next(n.State, on)
	if err != nil {
		return n, ops.Because(ops.Conflict, err, "a note that is %s cannot be moved by %s", n.State, on)
	}
	next := n
	next.State, next.DecidedBy, next.Version = to, why.Actor, n.Version+1
	ok, err := one(tx.q.ExecContext(ctx, `UPDATE note SET state = $1, decided_by = $2, version = version + 1 WHERE id = $3 AND version = $4`,
		next.State, next.DecidedBy, n.ID, n.Version))
	if err != nil {
		return n, fmt.Errorf("save note %s: %w", n.ID, err)
	}
	if !ok {
		return n, ops.Errorf(ops.Conflict, "note %s was changed meanwhile; read it again", n.ID)
	}
	tx.Record(noteTransition(string(on), n.State, next, why))
	return next, nil
}

// noteTransition records the text as a digest: the audit chain shows whether
// it is still the one that was written, and does not repeat it for ever.
func noteTransition(verb string, from ops.NoteState, n ops.Note, why Why) ops.Transition {
	sum := sha256.Sum256([]byte(n.Text))
	facts := map[string]string{"kind": n.Kind, "resource": n.ResourceID, "condition": n.Condition, "author": n.Author}
	for k, v := range why.Facts {
		facts[k] = v
	}
	return ops.Transition{Actor: why.Actor, OnBehalf: why.OnBehalf, Verb: verb, Object: "note", ObjectID: n.ID,
		From: string(from), To: string(n.State), Reason: why.Reason, After: hex.EncodeToString(sum[:]), Facts: facts}
}

// Decisions answers what people decided about findings and gave a reason for:
// transitions with the verbs suppress, claim (it is solved) and accept, the
// newest first, before a sequence number (0 for the newest).
func (v view) Decisions(ctx context.Context, before int64, limit int) ([]ops.Transition, error) {
	w := where{}
	w.add(`object = 'finding' AND verb IN ('suppress', 'claim', 'accept') AND reason <> ''`) // as the index has it
	if before > 0 {
		w.add(`seq < $?`, before)
	}
	rows, err := v.q.QueryContext(ctx, `SELECT `+auditColumns+` FROM audit`+w.text()+` ORDER BY seq DESC LIMIT `+w.arg(limitOf(limit)), w.args...)
	if err != nil {
		return nil, fmt.Errorf("read decisions: %w", err)
	}
	return collectRows(rows, scanTransition)
}
