package llm

import (
	"testing"
	"time"

	"reeve/internal/ops"
)

func TestBuiltInPricesAreWhole(t *testing.T) {
	prices, err := BuiltInPrices()
	if err != nil || len(prices) < 40 {
		t.Fatalf("%d rows, %v", len(prices), err)
	}
	for _, p := range prices {
		if _, err := time.Parse(time.DateOnly, p.Date); err != nil || p.Source == "" || p.Model == "" {
			t.Errorf("%+v has no date or no source", p)
		}
		if (p.Input == nil) != (p.Output == nil) {
			t.Errorf("%s: half of its price is known", p.Model)
		}
		if p.Known() && (*p.Input < 0 || *p.Output < *p.Input) {
			t.Errorf("%s: output is cheaper than input", p.Model)
		}
	}
	for model, known := range map[string]bool{"anthropic:claude-sonnet-4-5-20250929": true, "openai:gpt-5-mini": true, "gemini:gemini-2.5-flash": true, "ollama:qwen3:8b": true,
		"deepseek:deepseek-flash": true, "openai:gpt-99": false, "deepseek:deepseek-chat": false, "mine:llama": false} {
		if prices.Of(model, 0).Known() != known {
			t.Errorf("%s: known is %v", model, !known)
		}
	}
}

func TestCostCountsTheCacheAndTheLengthOfThePrompt(t *testing.T) {
	prices := Prices{{Model: "a:x", UpTo: 1000, Input: dollars(2), Output: dollars(10), Cached: dollars(0.2), CacheWrite: dollars(2.5)}, {Model: "a:*", Input: dollars(4), Output: dollars(20)}}
	cost := func(model string, t ops.Tokens) int64 { return *prices.Cost(model, t) }
	if got := cost("a:x", ops.Tokens{Input: 1000, Cached: 500, CacheWrite: 100, Output: 10}); got != 400*2+100+250+100 {
		t.Errorf("%d", got)
	}
	if got := cost("a:x", ops.Tokens{Input: 1001, Cached: 1001}); got != 4004 {
		t.Errorf("a long prompt: %d", got)
	}
	if got := cost("a:x", ops.Tokens{Cached: 1, Input: 1}); got != 1 {
		t.Errorf("a fraction is not rounded up: %d", got)
	}
	if prices.Cost("b:x", ops.Tokens{Input: 1}) != nil {
		t.Error("an unknown price is a number")
	}
	if got := *prices.Most("a:x", 100, 10); got != 350 {
		t.Errorf("at most %d", got)
	}
}
