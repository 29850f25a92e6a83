package brief

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"slices"

	"reeve/internal/ops"
)

// form names the way in which a digest is made: another way makes other
// digests, and so one more look.
const form = "reeve digest 1"

// Digest answers the SHA-256, in hexadecimal, over what matters of an
// estate: which resources are in scope, whether they are there and reachable,
// what is wanted and seen of them but for what changes all the time, and the
// active findings with their severity, state and suppression. It depends on
// no order, no reading, no time; not on what is resolved or only about to be
// a problem.
func Digest(e Estate) string {
	rows := make([][sha256.Size]byte, 0, len(e.Scope)+len(e.Findings))
	w := writer{Hash: sha256.New()}
	for _, r := range e.Scope {
		w.Reset()
		w.resource(r)
		rows = append(rows, w.sum())
	}
	for _, f := range e.Findings {
		if !f.Active() {
			continue
		}
		w.Reset()
		w.finding(f)
		rows = append(rows, w.sum())
	}
	slices.SortFunc(rows, func(a, b [sha256.Size]byte) int { return slices.Compare(a[:], b[:]) })
	w.Reset()
	w.text(form)
	for _, row := range rows {
		w.Write(row[:])
	}
	sum := w.sum()
	return hex.EncodeToString(sum[:])
}

// Quiet says whether a run may end without a closer look: its digest is that
// of a run before that found everything healthy, nothing is open, nothing
// ended since, and everything was collected. Why says what speaks against.
func Quiet(e Estate, digest string) (quiet bool, why string) {
	switch p := e.Previous; {
	case len(e.Scope) == 0:
		return false, "nothing is in scope"
	case len(e.Findings) > 0:
		return false, "findings are open or ended since the run before"
	case len(e.Incomplete) > 0:
		return false, "not everything was collected"
	case p == nil || p.Health != ops.RunHealthy:
		return false, "no run before found everything healthy"
	case p.Digest != digest:
		return false, "something changed since the run before"
	}
	return true, "nothing changed since run " + e.Previous.ID + " and nothing is open"
}

// A writer feeds a hash with parts of which each tells its length, so that
// nothing can move from one part to the next unseen.
type writer struct {
	hash.Hash
	buf []byte
}

func (w *writer) text(s string) {
	w.buf = binary.BigEndian.AppendUint64(w.buf[:0], uint64(len(s)))
	w.Write(append(w.buf, s...))
}

func (w *writer) attrs(a map[string]string) {
	names := slices.Sorted(maps.Keys(a))
	for _, name := range names {
		if !ops.Volatile(name) {
			w.text(name)
			w.text(a[name])
		}
	}
	w.text("")
}

func (w *writer) resource(r ops.Resource) {
	for _, s := range []string{"resource", r.ID, string(r.Kind), r.Name, r.HostID, r.ParentID, string(r.Presence), r.Reachable} {
		w.text(s)
	}
	w.Write(binary.BigEndian.AppendUint64(nil, uint64(r.Generation)))
	w.attrs(r.Labels)
	w.attrs(r.Desired)
	w.attrs(r.Observed)
}

func (w *writer) finding(f ops.Finding) {
	kept := ""
	if f.Suppression != nil {
		kept = string(f.Suppression.Kind)
	}
	for _, s := range []string{"finding", f.ID, f.ResourceID, f.Condition, string(f.State), string(f.Severity), kept} {
		w.text(s)
	}
}

func (w *writer) sum() (sum [sha256.Size]byte) {
	copy(sum[:], w.Sum(nil))
	return sum
}
