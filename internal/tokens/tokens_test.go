package tokens_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reeve/internal/tokens"
)

// How cl100k_base cuts some texts.
var counted = []struct {
	text  string
	count int64
}{
	{"", 0},
	{"hello world", 2},
	{"The quick brown fox jumps over the lazy dog.", 10},
	{"127.0.0.1", 7},
}

// TestEstimateErrsOnTheSideOfMore: a budget that an estimate keeps is kept.
func TestEstimateErrsOnTheSideOfMore(t *testing.T) {
	for _, c := range counted {
		if got := tokens.Estimate(c.text); got < c.count || got > 2*c.count+2 {
			t.Errorf("%q: %d, counted %d", c.text, got, c.count)
		}
	}
}

// TestEstimateAddsUp: parts that are cut at blanks are never estimated at less
// than the whole by more than a token each, so that a budget may be filled
// part by part.
func TestEstimateAddsUp(t *testing.T) {
	text := strings.Repeat("container web-1 on host vm exited with code 137 at 2026-01-02T03:04:05Z\n", 50)
	var parts int64
	for line := range strings.Lines(text) {
		parts += tokens.Estimate(line)
	}
	if whole := tokens.Estimate(text); parts < whole || parts > whole+50 {
		t.Errorf("the whole is %d, its lines %d", whole, parts)
	}
}

func TestEveryByteCosts(t *testing.T) {
	for _, text := range []string{strings.Repeat("\x00", 1000), strings.Repeat("\xff", 1000), strings.Repeat("日", 1000), strings.Repeat("😀", 1000), strings.Repeat("{", 1000)} {
		if got := tokens.Estimate(text); got < 1000 {
			t.Errorf("%q... is %d tokens", text[:4], got)
		}
	}
	if got := tokens.Estimate(strings.Repeat("a", 1000)); got < 200 {
		t.Errorf("a long word is %d tokens", got)
	}
}

// TestRatio prints bytes a token of the texts that Reeve sends, and refuses
// ratios that no tokenizer of a present model has for such texts.
func TestRatio(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "brief", "testdata", "seed_*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal("there are no seeds: ", err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		n := tokens.Estimate(string(text))
		ratio := float64(len(text)) / float64(n)
		t.Logf("%s: %d bytes, %d tokens, %.2f bytes a token", filepath.Base(f), len(text), n, ratio)
		if ratio < 1.5 || ratio > 3.6 {
			t.Errorf("%s: %.2f bytes a token", filepath.Base(f), ratio)
		}
	}
}
