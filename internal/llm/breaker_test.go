package llm

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var t0 = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// after calls a closed breaker with verdicts in a row.
func after(verdicts ...verdict) *breaker {
	b := &breaker{}
	for _, v := range verdicts {
		t, ok := b.admit(t0)
		if !ok {
			panic("not admitted")
		}
		b.settle(t0, t, v, 0, 0)
	}
	return b
}

func TestBreakerOpensAfterThreeFailuresInARow(t *testing.T) {
	if b := after(provedDown, provedDown); b.state(t0) != BreakerClosed {
		t.Error("two failures open it")
	}
	if b := after(provedDown, provedDown, provedAlive, provedDown, provedDown); b.state(t0) != BreakerClosed {
		t.Error("failures that are not in a row open it")
	}
	if b := after(provedDown, provedNothing, provedDown, provedDown); b.state(t0) != BreakerOpen {
		t.Error("three failures in a row do not open it")
	}
}

func TestRateLimitOpensAtOnceUntilItsTime(t *testing.T) {
	b := &breaker{}
	leave, _ := b.admit(t0)
	b.settle(t0, leave, provedLimited, 90*time.Second, 0)
	if b.state(t0.Add(89*time.Second)) != BreakerOpen || b.state(t0.Add(90*time.Second)) != BreakerHalfOpen {
		t.Errorf("open until %v", b.until)
	}
}

func TestWhatIsNoFaultOfTheModelNeverCounts(t *testing.T) {
	for _, c := range []Class{Auth, Credit, Refusal, ContextLength, Invalid, Cancelled, Protocol, Budget} {
		v := verdictOf(c)
		if b := after(v, v, v, v, v, v); b.state(t0) != BreakerClosed {
			t.Errorf("%s opens it", c)
		}
	}
}

func TestHalfOpenLetsExactlyOneProbeThrough(t *testing.T) {
	b := after(provedDown, provedDown, provedDown)
	at := b.until
	probe, ok := b.admit(at)
	if !ok || !probe.probe {
		t.Fatal("no probe")
	}
	if _, ok := b.admit(at); ok {
		t.Error("a second probe beside the first")
	}
	b.settle(at, probe, provedAlive, 0, 0)
	probe, ok = b.admit(at)
	if !ok || b.state(at) != BreakerHalfOpen {
		t.Fatal("no second probe after the first")
	}
	b.settle(at, probe, provedAlive, 0, 0)
	if b.state(at) != BreakerClosed {
		t.Error("two good probes do not close it")
	}
}

func TestBackOffDoublesUpToFiveMinutes(t *testing.T) {
	b := after(provedDown, provedDown, provedDown)
	now, last := t0, time.Duration(0)
	for range 10 {
		wait := b.until.Sub(now)
		if wait < last || wait > breakerMax {
			t.Fatalf("waits %v after %v", wait, last)
		}
		last, now = wait, b.until
		probe, _ := b.admit(now)
		b.settle(now, probe, provedDown, 0, 0)
	}
	if last != breakerMax {
		t.Errorf("ends at %v", last)
	}
}

// TestNoProbeIsEverStranded: whatever calls do, and in whatever order they
// end, a breaker whose calls are over lets one through when its time has
// come.
func TestNoProbeIsEverStranded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, now := &breaker{}, t0
		var open []ticket
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "seconds")) * time.Second)
			if leave, ok := b.admit(now); ok {
				open = append(open, leave)
			}
			probes := 0
			for _, o := range open {
				if o.probe {
					probes++
				}
			}
			if probes > 1 {
				t.Fatal("two probes at a time")
			}
			if len(open) > 0 && rapid.Bool().Draw(t, "ends") {
				i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
				v := verdict(rapid.IntRange(0, 3).Draw(t, "verdict"))
				b.settle(now, open[i], v, time.Duration(rapid.IntRange(0, 100).Draw(t, "after"))*time.Second, rapid.Float64Range(0, 0.99).Draw(t, "jitter"))
				open = append(open[:i], open[i+1:]...)
			}
		}
		for _, o := range open {
			b.settle(now, o, provedNothing, 0, 0)
		}
		if _, ok := b.admit(latest(now, b.until)); !ok {
			t.Fatalf("stranded: %+v", b)
		}
	})
}

func TestExamByHandClosesWhatItFindsWell(t *testing.T) {
	b := after(provedDown, provedDown, provedDown)
	b.settle(t0, ticket{forced: true}, provedDown, 0, 0)
	if b.state(t0) != BreakerOpen {
		t.Error("a failed exam closes it")
	}
	b.settle(t0, ticket{forced: true}, provedAlive, 0, 0)
	if b.state(t0) != BreakerClosed {
		t.Error("a good answer leaves it open")
	}
}
