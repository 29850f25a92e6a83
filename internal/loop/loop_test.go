package loop_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"reeve/internal/loop"
)

var quiet = slog.New(slog.DiscardHandler)

func TestPassesWakesAndBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := loop.NewGroup(quiet)
		var at []time.Duration
		start := time.Now()
		l := g.Add(&loop.Loop{Name: "x", Every: time.Minute, Pass: func(context.Context) error {
			at = append(at, time.Since(start))
			switch len(at) {
			case 2:
				panic("boom")
			case 3:
				return errors.New("down")
			}
			return nil
		}})
		g.Start(t.Context())
		time.Sleep(30 * time.Second)
		l.Wake()
		synctest.Wait()
		if s := l.Status(); len(at) != 2 || s.Failures != 1 || !strings.Contains(s.Err, "boom") || s.FailingSince.IsZero() {
			t.Fatalf("%v %+v", at, s)
		}
		time.Sleep(9 * time.Minute)
		synctest.Wait()
		// Woken at 30 s it panics, waits two minutes, fails again, waits four,
		// then runs every minute; waits after failures have a tenth of jitter.
		between := func(i int, low, high time.Duration) {
			if d := at[i] - at[i-1]; d < low || d > high {
				t.Errorf("pass %d came %v after the one before, want %v to %v", i, d, low, high)
			}
		}
		between(1, 30*time.Second, 30*time.Second)
		between(2, 2*time.Minute, 132*time.Second)
		between(3, 4*time.Minute, 264*time.Second)
		between(4, time.Minute, time.Minute)
		if s := l.Status(); s.Failures != 0 || s.Err != "" || s.LastOK.IsZero() {
			t.Errorf("%+v", s)
		}
		if err := g.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAPassThatTakesTooLongIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := loop.NewGroup(quiet)
		l := g.Add(&loop.Loop{Name: "slow", Every: time.Hour, Timeout: time.Minute, Pass: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		g.Start(t.Context())
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s := l.Status(); s.Failures != 1 || !strings.Contains(s.Err, "longer than 1m") {
			t.Errorf("%+v", s)
		}
		if err := g.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestStopNamesTheBusyLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := loop.NewGroup(quiet)
		g.Add(&loop.Loop{Name: "stuck", Every: time.Hour, Pass: func(context.Context) error {
			time.Sleep(time.Minute) // ignores its context
			return nil
		}})
		g.Start(context.Background())
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := g.Stop(ctx); err == nil || !strings.Contains(err.Error(), "stuck") {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
	})
}

func TestALongPassIsFollowedByRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := loop.NewGroup(quiet)
		start := time.Now()
		var at []time.Duration
		l := g.Add(&loop.Loop{Name: "x", Every: 10 * time.Second, Rest: 4, Pass: func(context.Context) error {
			at = append(at, time.Since(start))
			time.Sleep(time.Second)
			return nil
		}})
		g.Start(t.Context())
		time.Sleep(1500 * time.Millisecond)
		l.Wake() // within the rest: it counts when the rest is over
		time.Sleep(20 * time.Second)
		if want := []time.Duration{0, 5 * time.Second, 16 * time.Second}; !slices.Equal(at, want) {
			t.Errorf("passes at %v, want %v", at, want)
		}
		if err := g.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestASteadyLoopKeepsItsPaceWhenItFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := loop.NewGroup(quiet)
		n := 0
		g.Add(&loop.Loop{Name: "x", Every: time.Minute, Steady: true, Pass: func(context.Context) error {
			n++
			return errors.New("down")
		}})
		g.Start(t.Context())
		time.Sleep(10*time.Minute + time.Second)
		if err := g.Stop(t.Context()); err != nil || n != 11 {
			t.Fatal(n, err)
		}
	})
}
