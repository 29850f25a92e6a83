package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"reeve/internal/ops"
)

// Record adds a transition to what the transaction will append to the audit
// chain. The time, sequence and hashes are filled in at the end.
func (tx *Tx) Record(t ops.Transition) { tx.pending = append(tx.pending, t) }

// seal appends the pending transitions. It takes the head row last before
// commit, so that on PostgreSQL too the order of sequences is the order of
// commits: whoever holds the row commits before the next one can read it.
func (tx *Tx) seal(ctx context.Context) error {
	if len(tx.pending) == 0 {
		return nil
	}
	n := int64(len(tx.pending))
	var last int64
	var prev string
	err := tx.q.QueryRowContext(ctx, `UPDATE audit_head SET seq = seq + $1 WHERE id = 1 RETURNING seq, hash`, n).Scan(&last, &prev)
	if err != nil {
		return err
	}
	for i := range tx.pending {
		t := &tx.pending[i]
		t.Seq, t.At, t.PrevHash = last-n+1+int64(i), tx.now, prev
		t.Hash = chainHash(*t)
		prev = t.Hash
	}
	if err := tx.insertAudit(ctx); err != nil {
		return err
	}
	_, err = tx.q.ExecContext(ctx, `UPDATE audit_head SET hash = $1 WHERE id = 1`, prev)
	return err
}

const auditColumns = `seq, at_ms, actor, on_behalf, verb, object, object_id, from_s, to_s, reason, before_d, after_d, facts, prev_hash, hash`

// insertAudit writes the rows, several to a statement.
func (tx *Tx) insertAudit(ctx context.Context) error {
	return tx.insertMany(ctx, `INSERT INTO audit (`+auditColumns+`) VALUES `, "", len(tx.pending), func(i int) []any {
		t := tx.pending[i]
		return []any{t.Seq, toMS(t.At), t.Actor, t.OnBehalf, t.Verb, t.Object, t.ObjectID, t.From, t.To, t.Reason, t.Before, t.After, toJSON(t.Facts), t.PrevHash, t.Hash}
	})
}

// tuples answers "($1,$2),($3,$4)" for rows of columns.
func tuples(rows, columns int) string {
	var b strings.Builder
	for r := range rows {
		if r > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		for c := range columns {
			if c > 0 {
				b.WriteByte(',')
			}
			b.WriteString("$" + strconv.Itoa(r*columns+c+1))
		}
		b.WriteByte(')')
	}
	return b.String()
}

// chainHash answers the hash of a transition over its content and the hash of
// the one before it: SHA-256 of a JSON array, so that no two contents share a
// text.
func chainHash(t ops.Transition) string {
	text, _ := json.Marshal([]any{t.Seq, toMS(t.At), t.Actor, t.OnBehalf, t.Verb, t.Object, t.ObjectID, t.From, t.To,
		t.Reason, t.Before, t.After, toJSON(t.Facts), t.PrevHash})
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// A TransitionFilter chooses transitions; zero fields choose all.
type TransitionFilter struct {
	After    int64 // sequence to start after
	Before   int64 // sequence to stop before; with Newest
	Object   string
	ObjectID string
	Newest   bool // newest first
	Limit    int
}

// Transitions answers transitions in order of commit.
func (v view) Transitions(ctx context.Context, f TransitionFilter) ([]ops.Transition, error) {
	w := where{}
	w.add(`seq > $?`, f.After)
	if f.Before > 0 {
		w.add(`seq < $?`, f.Before)
	}
	if f.Object != "" {
		w.add(`object = $?`, f.Object)
	}
	if f.ObjectID != "" {
		w.add(`object_id = $?`, f.ObjectID)
	}
	order := `seq`
	if f.Newest {
		order = `seq DESC`
	}
	rows, err := v.q.QueryContext(ctx, `SELECT `+auditColumns+` FROM audit`+w.text()+` ORDER BY `+order+` LIMIT `+w.arg(limitOf(f.Limit)), w.args...)
	if err != nil {
		return nil, fmt.Errorf("read transitions: %w", err)
	}
	return collectRows(rows, scanTransition)
}

func scanTransition(rows *sql.Rows) (ops.Transition, error) {
	var t ops.Transition
	var at int64
	var facts string
	err := rows.Scan(&t.Seq, &at, &t.Actor, &t.OnBehalf, &t.Verb, &t.Object, &t.ObjectID, &t.From, &t.To,
		&t.Reason, &t.Before, &t.After, &facts, &t.PrevHash, &t.Hash)
	t.At = fromMS(at)
	return t, errors.Join(err, fromJSON(facts, &t.Facts))
}

// Head answers the sequence and hash of the last transition.
func (v view) Head(ctx context.Context) (seq int64, hash string, err error) {
	err = v.q.QueryRowContext(ctx, `SELECT seq, hash FROM audit_head WHERE id = 1`).Scan(&seq, &hash)
	return seq, hash, err
}

// A Broken says where the audit chain breaks first.
type Broken struct {
	Seq int64
	Why string
}

// VerifyAudit re-computes the whole chain. It answers how many entries are
// good and, when one is not, the first that breaks it.
func (v view) VerifyAudit(ctx context.Context, progress func(done, total int64)) (good int64, broken *Broken, err error) {
	head, headHash, err := v.Head(ctx)
	if err != nil {
		return 0, nil, err
	}
	prev := ""
	for good < head {
		page, err := v.Transitions(ctx, TransitionFilter{After: good, Limit: maxLimit})
		if err != nil {
			return good, nil, err
		}
		for _, t := range page {
			if t.Seq > head {
				break
			}
			if why := brokenLink(t, good+1, prev); why != "" {
				return good, &Broken{t.Seq, why}, nil
			}
			good, prev = t.Seq, t.Hash
		}
		if len(page) == 0 {
			return good, &Broken{good + 1, "the entry is missing"}, nil
		}
		progress(good, head)
	}
	if prev != headHash {
		return good, &Broken{head, "the head of the chain has another hash: entries were replaced"}, nil
	}
	return good, nil, nil
}

func brokenLink(t ops.Transition, seq int64, prev string) string {
	switch {
	case t.Seq != seq:
		return fmt.Sprintf("entry %d is missing", seq)
	case t.PrevHash != prev:
		return "it does not continue the entry before it"
	case chainHash(t) != t.Hash:
		return "its content was changed"
	}
	return ""
}

// Cursor answers how far the named reader of transitions has come.
func (v view) Cursor(ctx context.Context, name string) (int64, error) {
	var seq int64
	err := v.q.QueryRowContext(ctx, `SELECT seq FROM reader WHERE name = $1`, name).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return seq, err
}

// Advance moves the named reader on, in the transaction that holds its
// effect. It refuses when another process moved it meanwhile.
func (tx *Tx) Advance(ctx context.Context, name string, from, to int64) error {
	res, err := tx.q.ExecContext(ctx, `
		INSERT INTO reader (name, seq) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET seq = excluded.seq WHERE reader.seq = $3`, name, to, from)
	ok, err := one(res, err)
	if err == nil && !ok {
		return ops.Errorf(ops.Conflict, "the reader %s moved on meanwhile", name)
	}
	return err
}

// ResourceChanges answers what happened to resources between two sequences,
// both excluded, the newest first. Nothing but the order of sequences leads to
// these rows: the object is an expression, so that SQLite does not sort all of
// an index for them.
func (v view) ResourceChanges(ctx context.Context, after, before int64, limit int) ([]ops.Transition, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT `+auditColumns+` FROM audit WHERE seq > $1 AND seq < $2 AND object || '' = 'resource'
		ORDER BY seq DESC LIMIT $3`, after, before, limit)
	if err != nil {
		return nil, fmt.Errorf("read changes of resources: %w", err)
	}
	return collectRows(rows, scanTransition)
}

// SeqAt answers the sequence of the last transition that was committed before
// a time, 0 for none: times of transitions only rise with their sequence, but
// for what the clocks of several servers differ.
func (v view) SeqAt(ctx context.Context, at time.Time) (int64, error) {
	low, _, err := v.Head(ctx) // Everything above low is at or after the time.
	if err != nil {
		return 0, err
	}
	for first := int64(0); first < low; {
		middle := first + (low-first+1)/2
		var ms int64
		err := v.q.QueryRowContext(ctx, `SELECT at_ms FROM audit WHERE seq = $1`, middle).Scan(&ms)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return first, nil
		case err != nil:
			return 0, fmt.Errorf("find a transition by its time: %w", err)
		case ms < toMS(at):
			first = middle
		default:
			low = middle - 1
		}
	}
	return low, nil
}
