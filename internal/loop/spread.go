package loop

import (
	"context"
	"sync"
	"time"
)

// gap is the most that Spread waits between two items.
const gap = 10 * time.Millisecond

// Spread calls do for each item, at most as many at a time as given, and waits
// for all. Many begin evenly over a time, so that what else the process does
// is not held up by a burst; few begin at once. Items that have not begun when
// ctx ends are left out.
func Spread[T any](ctx context.Context, items []T, over time.Duration, atOnce int, do func(T)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	turn := make(chan struct{}, atOnce)
	pace := time.NewTicker(min(gap, max(over/time.Duration(max(len(items), 1)), 1)))
	defer pace.Stop()
	for i, item := range items {
		if i > 0 {
			select {
			case <-pace.C:
			case <-ctx.Done():
				return
			}
		}
		select {
		case turn <- struct{}{}:
		case <-ctx.Done():
			return
		}
		wg.Go(func() {
			defer func() { <-turn }()
			do(item)
		})
	}
}
