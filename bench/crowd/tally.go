package crowd

import (
	"slices"
	"sync"
	"time"
)

// A Tally counts what the agents of a crowd see.
type Tally struct {
	mu        sync.Mutex
	connected int
	arrivals  []time.Time
	times     []time.Duration
	errs      map[string]int
}

// A Reading is what was counted since the one before.
type Reading struct {
	Reports       int
	P50, P99, Max time.Duration
	Arrivals      []time.Time    // when agents were let in
	Errors        map[string]int // why connections ended, by their text
}

// Connected answers how many agents are connected.
func (t *Tally) Connected() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.connected
}

// Take answers what was counted and begins anew.
func (t *Tally) Take() Reading {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := Reading{Reports: len(t.times), Arrivals: t.arrivals, Errors: t.errs}
	if n := len(t.times); n > 0 {
		slices.Sort(t.times)
		r.P50, r.P99, r.Max = t.times[n/2], t.times[n*99/100], t.times[n-1]
	}
	t.times, t.arrivals, t.errs = nil, nil, nil
	return r
}

func (t *Tally) came() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.connected++
	t.arrivals = append(t.arrivals, time.Now())
}

func (t *Tally) went() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.connected--
}

func (t *Tally) took(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.times = append(t.times, d)
}

func (t *Tally) failed(err error) {
	text := "the connection ended"
	if err != nil {
		text = err.Error()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.errs == nil {
		t.errs = map[string]int{}
	}
	t.errs[text]++
}
