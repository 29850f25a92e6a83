package llm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"reeve/internal/ops"
)

func dollars(v float64) *float64 { return &v }

func took(in, out int64) func(Request) (Reply, error) {
	return func(Request) (Reply, error) {
		return Reply{Message: Say(Assistant, "here"), Tokens: ops.Tokens{Input: in, Output: out}}, nil
	}
}

func TestCeilingIsCheckedBeforeTheCallAndSaysWhatItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		b := newBench(t, []string{"a:big"}, map[string]func(Request) (Reply, error){"a:big": func(r Request) (Reply, error) { sent++; return took(400, 100)(r) }},
			func(o *Options) { o.Ceilings = Ceilings{DayTokens: 1200} })
		for range 2 {
			if _, err := ask(b, "hello"); err != nil {
				t.Fatal(err)
			}
		}
		err := b.Allow(t.Context(), Job{Use: ops.UseChat}, 100, 200)
		if classOf(err) != Budget || sent != 2 {
			t.Fatalf("%v after %d calls", err, sent)
		}
		for _, word := range []string{"day_tokens", "1200 tokens", "1000 tokens spent in 24 hours", "models.ceilings.day_tokens", "there is room at"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q does not say %q", err, word)
			}
		}
		if _, err := b.Ask(t.Context(), Job{Use: ops.UseChat}, Request{Messages: []Message{Say(User, "x")}, MaxOutput: 300}, nil); classOf(err) != Budget || sent != 2 {
			t.Errorf("asked: %v", err)
		}
		if _, why := b.AvailableFor(Job{Use: ops.UseChat}); why != "" {
			t.Errorf("a small call would fit: %s", why)
		}
		e, _ := errors.AsType[*Error](err)
		time.Sleep(e.RetryAfter)
		if err := b.Allow(t.Context(), Job{Use: ops.UseChat}, 100, 200); err != nil {
			t.Errorf("at the time that it named: %v", err)
		}
	})
}

func TestCeilingsHoldForModelsWithoutAPrice(t *testing.T) {
	b := newBench(t, []string{"a:big"}, map[string]func(Request) (Reply, error){"a:big": took(400, 100)},
		func(o *Options) { o.Ceilings = Ceilings{DayMicroUSD: 1, RunTokens: 700} })
	if _, err := ask(b, "hello"); err != nil {
		t.Fatal(err)
	}
	if b.calls[0].CostMicroUSD != nil || b.Estimate(ops.UsePatrol, 10, 10) != nil {
		t.Error("an unknown price is told as a number")
	}
	if _, err := ask(b, strings.Repeat("word ", 200)); classOf(err) != Budget || !strings.Contains(err.Error(), "run_tokens") {
		t.Errorf("%v", err)
	}
	if _, err := b.Ask(t.Context(), Job{Use: ops.UsePatrol, RunID: "run_2"}, Request{Messages: []Message{Say(User, "x")}, MaxOutput: 100}, nil); err != nil {
		t.Errorf("another run: %v", err)
	}
}

func TestCheaperModelIsAskedWhenTheDearOneDoesNotFit(t *testing.T) {
	b := newBench(t, []string{"a:dear", "b:cheap"}, map[string]func(Request) (Reply, error){"a:dear": took(10, 10), "b:cheap": took(10, 10)},
		func(o *Options) {
			o.Ceilings = Ceilings{RunMicroUSD: 1000}
			o.Prices = Prices{{Model: "a:*", Input: dollars(1000), Output: dollars(1000)}, {Model: "b:*", Input: dollars(0.1), Output: dollars(0.1)}}
		})
	if a, err := ask(b, "hello"); err != nil || a.Model != "b:cheap" || *b.calls[0].CostMicroUSD != 2 {
		t.Errorf("%s %v", a.Model, err)
	}
}

func TestRunInputBoundsPatrolsOnly(t *testing.T) {
	b := newBench(t, []string{"a:big"}, map[string]func(Request) (Reply, error){"a:big": took(90, 5)}, func(o *Options) { o.Ceilings = Ceilings{RunInput: 100} })
	if _, err := ask(b, "hello"); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(b, "hello, once more and longer"); classOf(err) != Budget {
		t.Errorf("%v", err)
	}
	if err := b.Allow(t.Context(), Job{Use: ops.UseInvestigation, RunID: "run_1"}, 1000, 10); err != nil {
		t.Errorf("an investigation: %v", err)
	}
}

func TestWhatCannotBeRecordedStillCounts(t *testing.T) {
	b := newBench(t, []string{"a:big"}, map[string]func(Request) (Reply, error){"a:big": took(400, 100)}, func(o *Options) { o.Ceilings = Ceilings{DayTokens: 1000} })
	b.lost = errors.New("the disk is full")
	for i := range 3 {
		_, err := ask(b, "hello")
		if refused := classOf(err) == Budget; refused != (i == 2) {
			t.Fatalf("call %d: %v", i, err)
		}
	}
}

func TestNothingIsSentWhileWhatWasSpentCannotBeRead(t *testing.T) {
	b := newBench(t, []string{"a:big"}, map[string]func(Request) (Reply, error){"a:big": took(400, 100)}, func(o *Options) {
		o.Ceilings = Ceilings{DayTokens: 1000}
		o.Account.Spent = func(context.Context, string, time.Time) (ops.Spend, error) { return ops.Spend{}, errors.New("away") }
	})
	if _, err := ask(b, "hello"); classOf(err) != Budget || len(b.calls) != 0 {
		t.Errorf("%v", err)
	}
}

// TestConcurrentCallsStayBelowTheCeilings: many callers at once, of several
// runs, with models that take less and more than was estimated, never pass a
// ceiling by more than what one reply was too long.
func TestConcurrentCallsStayBelowTheCeilings(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limit := int64(rapid.IntRange(500, 20_000).Draw(rt, "limit"))
		perRun := int64(rapid.IntRange(300, 10_000).Draw(rt, "per run"))
		maxOut := int64(rapid.IntRange(1, 400).Draw(rt, "max output"))
		seed := rapid.Uint64().Draw(rt, "seed")
		var mu sync.Mutex
		random := rand.New(rand.NewPCG(seed, 1))
		draw := func(n int64) int64 { mu.Lock(); defer mu.Unlock(); return random.Int64N(n + 1) }
		b := newBench(t, []string{"a:big"}, map[string]func(Request) (Reply, error){"a:big": func(r Request) (Reply, error) {
			if draw(9) == 0 {
				return Reply{}, &Error{Class: Refusal, Provider: "a", Status: 200}
			}
			return Reply{Message: Say(Assistant, "x"), Tokens: ops.Tokens{Input: draw(EstimateRequest(r)), Output: draw(maxOut)}}, nil
		}}, func(o *Options) { o.Ceilings = Ceilings{DayTokens: limit, RunTokens: perRun, MonthTokens: limit * 2} })
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range 10 {
					text := strings.Repeat("word ", int(draw(300)))
					_, err := b.Ask(t.Context(), Job{Use: ops.UseChat, RunID: fmt.Sprint("run_", i%3)}, Request{Messages: []Message{Say(User, "x"+text)}, MaxOutput: maxOut}, nil)
					if c := classOf(err); err != nil && c != Budget && c != Refusal {
						rt.Errorf("%v", err)
					}
				}
			})
		}
		wg.Wait()
		var all int64
		runs := map[string]int64{}
		for _, c := range b.calls {
			all += c.Tokens.Total()
			runs[c.RunID] += c.Tokens.Total()
		}
		if all > limit {
			rt.Fatalf("%d of %d tokens", all, limit)
		}
		for run, n := range runs {
			if n > perRun {
				rt.Fatalf("%s: %d of %d tokens", run, n, perRun)
			}
		}
		if len(b.ledger.flight) != 0 {
			rt.Fatal("room stays taken")
		}
	})
}
