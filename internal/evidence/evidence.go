// Package evidence makes what a finding rests on re-checkable: the values are
// stored with the claim, and a hash over both says whether either was changed
// since.
package evidence

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"reeve/internal/ops"
)

// form names the way in which the hash is made, so that another way can come
// beside it without making what is stored look forged.
const form = "reeve evidence 1"

// Hash answers the SHA-256, in hexadecimal, over the claim (what, query,
// window, time taken) and the values (series and quotes). It does not depend
// on the order of labels nor of series, on the time zone of times, nor on
// parts of a millisecond, which stores do not keep. IDs are no part of it: a
// copy for another finding has the same hash.
func Hash(e ops.Evidence) string {
	w := writer{sha256.New()}
	w.text(form)
	w.text(e.What)
	w.text(e.Query)
	w.time(e.From)
	w.time(e.To)
	w.time(e.TakenAt)
	sums := make([]string, len(e.Series))
	for i, s := range e.Series {
		sums[i] = seriesSum(s)
	}
	slices.Sort(sums)
	w.number(uint64(len(sums)))
	for _, sum := range sums {
		w.text(sum)
	}
	w.number(uint64(len(e.Quotes)))
	for _, q := range e.Quotes {
		w.text(q)
	}
	return w.sum()
}

func seriesSum(s ops.Series) string {
	w := writer{sha256.New()}
	w.text(s.Metric)
	w.number(uint64(len(s.Labels)))
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		w.text(name)
		w.text(s.Labels[name])
	}
	w.number(uint64(len(s.Points)))
	for _, p := range s.Points {
		w.time(p.At)
		w.number(bits(p.Value))
	}
	return w.sum()
}

// Bits makes all NaNs one, and -0 and 0: what is stored as text loses the
// difference.
func bits(v float64) uint64 {
	switch {
	case math.IsNaN(v):
		return math.Float64bits(math.NaN())
	case v == 0:
		return 0
	}
	return math.Float64bits(v)
}

// A writer feeds a hash with parts of which each tells its length, so that
// nothing can move from one part to the next unseen.
type writer struct{ hash.Hash }

func (w writer) number(n uint64) { w.Write(binary.BigEndian.AppendUint64(nil, n)) }

func (w writer) text(s string) {
	w.number(uint64(len(s)))
	w.Write([]byte(s))
}

func (w writer) time(t time.Time) {
	if t.IsZero() {
		w.number(math.MaxUint64)
		return
	}
	w.number(uint64(t.UnixMilli()))
}

func (w writer) sum() string { return hex.EncodeToString(w.Sum(nil)) }

// Verify reports whether evidence is as it was taken. When it is not, reason
// says what is wrong.
func Verify(e ops.Evidence) (ok bool, reason string) {
	switch {
	case e.Hash == "":
		return false, "it has no hash"
	case !strings.EqualFold(e.Hash, Hash(e)):
		return false, "its claim or its values were changed since it was taken"
	case e.To.Before(e.From):
		return false, "its window ends before it begins"
	}
	for _, s := range e.Series {
		for _, p := range s.Points {
			if p.At.After(e.To.Add(ahead)) {
				return false, "series " + s.Metric + " has a point after its window"
			}
		}
	}
	return true, ""
}

// ahead is how far the clock of a host may be ahead of that of the server.
const ahead = time.Minute
