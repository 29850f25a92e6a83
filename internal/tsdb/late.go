package tsdb

import (
	"math"
	"slices"
	"sync"
	"time"
)

const (
	// lateAfter is how long after its time a sample may come without that
	// anybody must read again what was before it.
	lateAfter = 30 * time.Second
	// maxLate bounds what is known of appends with late samples.
	maxLate = 1024
)

// lateness knows how far back late samples went since any append with some.
type lateness struct {
	mu    sync.Mutex
	now   int64  // the latest that the clock showed, unix ms: it may be set back
	count int64  // of appends with late samples
	lost  int64  // up to this one nothing is known any more
	steps []late // each newer and less far back than the one before
}

// late says that from the append after the step before on, no sample was older.
type late struct{ nth, oldest int64 }

// note counts an append whose oldest sample is of that time (unix ms) if that
// is late.
func (l *lateness) note(oldest int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now = max(l.now, time.Now().UnixMilli()); oldest >= l.now-lateAfter.Milliseconds() {
		return
	}
	l.count++
	at, _ := slices.BinarySearchFunc(l.steps, oldest, func(s late, oldest int64) int {
		if s.oldest < oldest {
			return -1
		}
		return 1
	})
	// What came before and went less far back is said by this one as well.
	l.steps = append(l.steps[:at], late{l.count, oldest})
	if len(l.steps) > maxLate {
		l.lost = l.steps[0].nth
		l.steps = slices.Delete(l.steps, 0, 1)
	}
}

// everything counts an append of which nothing is known.
func (l *lateness) everything() { l.note(math.MinInt64) }

// since answers how many appends with late samples there were, and how far
// back those went that came after the first n: MaxInt64 when there was none,
// MinInt64 when it is not known any more.
func (l *lateness) since(n int64) (count, oldest int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < l.lost {
		return l.count, math.MinInt64
	}
	for _, s := range l.steps {
		if s.nth > n {
			return l.count, s.oldest
		}
	}
	return l.count, math.MaxInt64
}
