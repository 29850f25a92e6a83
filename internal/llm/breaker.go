package llm

import "time"

const (
	// breakerFailures in a row open a breaker, breakerSuccesses of probes
	// close it.
	breakerFailures  = 3
	breakerSuccesses = 2
	breakerBase      = 5 * time.Second
	breakerMax       = 5 * time.Minute
	// breakerLimit bounds what a provider may ask for with retry-after.
	breakerLimit = 24 * time.Hour
)

// A BreakerState says whether a model is asked.
type BreakerState string

// The breaker states. Half-open lets one probe through at a time.
const (
	BreakerClosed   BreakerState = "closed"
	BreakerOpen     BreakerState = "open"
	BreakerHalfOpen BreakerState = "half_open"
)

// A breaker keeps a model that is down or overloaded from being asked again
// and again. It has no clock and no lock of its own.
type breaker struct {
	failures  int       // in a row, while closed
	openings  int       // in a row, for the back-off
	successes int       // of probes, while half-open
	until     time.Time // zero while closed
	probing   bool
}

// A verdict is what a call proved about the model it went to.
type verdict int

const (
	// provedNothing: it was cancelled, or garbage came. The zero value, so
	// that whatever ends early gives its probe back and changes nothing else.
	provedNothing verdict = iota
	provedAlive           // it answered, if only with a refusal
	provedDown            // overloaded, unreachable, silent, cut off
	provedLimited         // it said: later
)

// verdictOf answers what an outcome proves. Auth and credit are for a person
// and no reason to wait; that the provider said so proves that it is there.
func verdictOf(c Class) verdict {
	switch c {
	case "", Auth, Credit, Refusal, ContextLength, Invalid:
		return provedAlive
	case Transient:
		return provedDown
	case RateLimit:
		return provedLimited
	}
	return provedNothing
}

// A ticket is the leave to make one call. Settle it in every case.
type ticket struct {
	probe  bool
	forced bool // by a person, although the breaker is open
}

func (b *breaker) state(now time.Time) BreakerState {
	switch {
	case b.until.IsZero():
		return BreakerClosed
	case now.Before(b.until):
		return BreakerOpen
	}
	return BreakerHalfOpen
}

// admit gives leave for one call; without it, the model may be asked again at
// until, or, when that is past, as soon as the probe under way has ended.
func (b *breaker) admit(now time.Time) (t ticket, ok bool) {
	switch b.state(now) {
	case BreakerClosed:
		return ticket{}, true
	case BreakerHalfOpen:
		if !b.probing {
			b.probing = true
			return ticket{probe: true}, true
		}
	}
	return ticket{}, false
}

// settle takes a ticket back with what its call proved. after is the
// provider's own wish, 0 for none; jitter is from 0 up to 1.
func (b *breaker) settle(now time.Time, t ticket, v verdict, after time.Duration, jitter float64) {
	if t.probe {
		b.probing = false
	}
	closed := b.until.IsZero()
	switch {
	case v == provedAlive && t.forced:
		*b = breaker{probing: b.probing}
	case v == provedAlive && t.probe:
		if b.successes++; b.successes >= breakerSuccesses {
			*b = breaker{}
		}
	case v == provedAlive && closed:
		b.failures = 0
	case v == provedDown && t.probe:
		b.open(now, after, jitter)
	case v == provedDown && closed:
		if b.failures++; b.failures >= breakerFailures {
			b.open(now, after, jitter)
		}
	case v == provedLimited && (t.probe || closed):
		b.open(now, after, jitter)
	case v == provedLimited:
		b.until = latest(b.until, now.Add(min(after, breakerLimit)))
	}
}

// open waits for as long as the provider asks, else twice as long as the last
// time, with up to a fifth more so that callers do not come back together.
func (b *breaker) open(now time.Time, after time.Duration, jitter float64) {
	wait := min(breakerBase<<min(b.openings, 10), breakerMax)
	if after > 0 {
		wait = min(after, breakerLimit)
	}
	wait += time.Duration(jitter * float64(wait) / 5)
	b.openings++
	b.failures, b.successes = 0, 0
	b.until = now.Add(wait)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
