package loop_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"reeve/internal/loop"
)

// times answers when each of n items began.
func times(ctx context.Context, n int, over time.Duration, atOnce int, each time.Duration) []time.Duration {
	var mu sync.Mutex
	var at []time.Duration
	start := time.Now()
	loop.Spread(ctx, make([]int, n), over, atOnce, func(int) {
		mu.Lock()
		at = append(at, time.Since(start))
		mu.Unlock()
		time.Sleep(each)
	})
	slices.Sort(at)
	return at
}

func TestManyBeginOverATimeAndFewAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		many := times(t.Context(), 1000, 2*time.Second, 1000, time.Minute)
		if len(many) != 1000 || many[0] != 0 || many[500] != time.Second || many[999] > 2*time.Second {
			t.Fatal(len(many), many[0], many[500], many[999])
		}
		few := times(t.Context(), 3, 2*time.Second, 3, time.Minute)
		if len(few) != 3 || few[2] > 20*time.Millisecond {
			t.Fatal(few)
		}
		if none := times(t.Context(), 0, time.Second, 1, 0); len(none) != 0 {
			t.Fatal(none)
		}
	})
}

func TestNoMoreAtATimeThanGivenAndNoneAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		two := times(t.Context(), 4, time.Second, 2, time.Minute)
		if len(two) != 4 || two[1] > time.Second || two[2] < time.Minute {
			t.Fatal(two)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if cut := times(ctx, 4, time.Second, 2, time.Minute); len(cut) != 2 {
			t.Fatal(cut)
		}
	})
}
