package rest

import (
	"math"
	"net/netip"
	"sync"
	"time"
)

// A Limiter keeps token buckets by key, in memory that is bounded: hostile
// keys push each other out and cost nothing more.
type Limiter struct {
	burst float64
	every time.Duration // one more after this
	mu    sync.Mutex
	keys  map[string]bucket
}

type bucket struct {
	left float64
	at   time.Time
}

const maxBuckets = 8192

// NewLimiter makes buckets that hold burst, and get one more every so often.
func NewLimiter(burst int, every time.Duration) *Limiter {
	return &Limiter{burst: float64(burst), every: every, keys: map[string]bucket{}}
}

// Take takes one from the bucket of a key. It answers an error when the
// bucket is empty.
func (l *Limiter) Take(key string, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.keys[key]
	if !ok {
		l.makeRoom(now)
		b = bucket{l.burst, now}
	}
	b.left = min(l.burst, b.left+float64(max(0, now.Sub(b.at)))/float64(l.every))
	b.at = now
	if b.left < 1 {
		l.keys[key] = b
		wait := int(math.Ceil((1 - b.left) * l.every.Seconds()))
		return TooMany(wait, "too many attempts; try again in %d s", wait)
	}
	b.left--
	l.keys[key] = b
	return nil
}

// Forgive gives a key its whole bucket again, after a success.
func (l *Limiter) Forgive(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.keys, key)
}

// makeRoom forgets buckets that are full again, and where that is not enough
// the half of them that it meets first.
func (l *Limiter) makeRoom(now time.Time) {
	if len(l.keys) < maxBuckets {
		return
	}
	for key, b := range l.keys {
		if b.left+float64(now.Sub(b.at))/float64(l.every) >= l.burst {
			delete(l.keys, key)
		}
	}
	for key := range l.keys {
		if len(l.keys) <= maxBuckets/2 {
			return
		}
		delete(l.keys, key)
	}
}

// Sender answers what attempts are counted by: the address, of IPv6 the /64
// around it, because whoever has one address there has all of them.
func Sender(addr netip.Addr) string {
	if addr.Is6() && !addr.Is4In6() {
		if net, err := addr.WithZone("").Prefix(64); err == nil {
			return net.String()
		}
	}
	return addr.Unmap().String()
}
