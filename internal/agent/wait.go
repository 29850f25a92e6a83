package agent

import (
	"math/rand/v2"
	"time"

	"reeve/internal/ops"
)

const (
	// spread is over how long agents that lost a server together come back.
	spread = 10 * time.Second
	// least and most are the waits between tries that fail.
	least = 2 * time.Second
	most  = time.Minute
	// refused is how long an agent waits that the server does not want.
	refused = 5 * time.Minute
)

// Waits draws how long an agent waits before it connects again, so that a
// thousand agents that lost their server do not come back as one. The zero
// value is that of a start.
type Waits struct{ fails int }

// After answers the wait after a try that ended with err, nil for a
// connection that ended by itself, and took as long as it did. Others are the
// further servers that may answer: they are tried soon, and share the load.
func (w *Waits) After(err error, took time.Duration, others int) time.Duration {
	switch {
	case err == nil || took > most:
		w.fails = 0
		if others > 0 {
			return rand.N(spread / 3)
		}
		return rand.N(spread)
	case unwanted(err):
		return refused/2 + rand.N(refused/2)
	}
	w.fails++
	if w.fails <= others {
		return rand.N(least)
	}
	backoff := min(least<<min(w.fails, 6), most)
	return backoff/2 + rand.N(backoff)
}

// unwanted reports whether the server answered, and does not want this host.
func unwanted(err error) bool {
	return ops.KindOf(err) == ops.Forbidden || ops.KindOf(err) == ops.Conflict
}
