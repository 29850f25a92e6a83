package evidence_test

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reeve/internal/evidence"
	"reeve/internal/ops"
)

var taken = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)

func draw(t *rapid.T) ops.Evidence {
	series := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) ops.Series {
		s := ops.Series{
			Metric: rapid.SampledFrom([]string{"fs_used_ratio", "fs_size_bytes"}).Draw(t, "metric"),
			Labels: rapid.MapOfN(rapid.StringN(1, 4, 8), rapid.String(), 0, 3).Draw(t, "labels"),
		}
		for i := range rapid.IntRange(0, 5).Draw(t, "points") {
			at := taken.Add(time.Duration(i-10) * time.Second)
			s.Points = append(s.Points, ops.Point{At: at, Value: rapid.Float64Range(-1e12, 1e12).Draw(t, "value")})
		}
		return s
	}), 0, 4)
	e := ops.Evidence{
		What: rapid.String().Draw(t, "what"), Query: rapid.String().Draw(t, "query"),
		From: taken.Add(-time.Minute), To: taken, TakenAt: taken,
		Series: series.Draw(t, "series"), Quotes: rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "quotes"),
	}
	e.Hash = evidence.Hash(e)
	return e
}

func TestEvidenceSurvivesStorageAndOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := draw(t)
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var back ops.Evidence
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		slices.Reverse(back.Series)
		back.ID, back.FindingID = "evd_1", "fnd_1"
		back.From, back.TakenAt = back.From.Local(), back.TakenAt.In(time.FixedZone("there", 3600)).Add(300*time.Microsecond)
		if ok, reason := evidence.Verify(back); !ok {
			t.Fatal(reason)
		}
	})
}

func TestEveryChangeIsSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := draw(t)
		switch rapid.IntRange(0, 6).Draw(t, "change") {
		case 0:
			e.What += "!"
		case 1:
			e.Query += " "
		case 2:
			e.From = e.From.Add(time.Millisecond)
		case 3:
			e.Quotes = append(e.Quotes, "")
		case 4:
			e.Series = append(e.Series, ops.Series{Metric: "load1"})
		case 5:
			e.TakenAt = time.Time{}
		case 6:
			for i := range e.Series {
				for j := range e.Series[i].Points {
					e.Series[i].Points[j].Value++
					if ok, _ := evidence.Verify(e); ok {
						t.Fatal("a changed value passed")
					}
					return
				}
			}
			return
		}
		if ok, _ := evidence.Verify(e); ok {
			t.Fatal("changed evidence passed")
		}
	})
}

func TestTextCannotMoveBetweenParts(t *testing.T) {
	a := ops.Evidence{What: "ab", Query: "c", Quotes: []string{"d", "e"}}
	b := ops.Evidence{What: "a", Query: "bc", Quotes: []string{"d", "e"}}
	c := ops.Evidence{What: "ab", Query: "c", Quotes: []string{"de"}}
	if evidence.Hash(a) == evidence.Hash(b) || evidence.Hash(a) == evidence.Hash(c) {
		t.Fatal("two claims have one hash")
	}
}

func TestVerifySaysWhatIsWrong(t *testing.T) {
	point := func(second int) ops.Point {
		return ops.Point{At: taken.Add(time.Duration(second) * time.Second), Value: math.NaN()}
	}
	seal := func(e ops.Evidence) ops.Evidence { e.Hash = evidence.Hash(e); return e }
	window := ops.Evidence{What: "x", From: taken.Add(-time.Minute), To: taken}
	late, backwards := window, window
	late.Series = []ops.Series{{Metric: "load1", Points: []ops.Point{point(61)}}}
	backwards.To = backwards.From.Add(-time.Second)
	for want, e := range map[string]ops.Evidence{
		"":                                 window,
		"its window ends before it begins": backwards,
		"series load1 has a point after its window": late,
	} {
		if ok, reason := evidence.Verify(seal(e)); reason != want || ok != (want == "") {
			t.Errorf("got %q, want %q", reason, want)
		}
	}
	if _, reason := evidence.Verify(window); reason != "it has no hash" {
		t.Error(reason)
	}
}

// The hash is stored; a change of its form needs a new form beside it.
func TestHashStaysTheSame(t *testing.T) {
	e := ops.Evidence{What: "/var is 96 % full", Query: "fs_used_ratio", From: taken.Add(-time.Hour), To: taken, TakenAt: taken,
		Series: []ops.Series{{Metric: "fs_used_ratio", Labels: map[string]string{"a": "b"}, Points: []ops.Point{{At: taken, Value: 0.96}}}},
		Quotes: []string{"No space left on device"}}
	const want = "7c16c28ff0908190fdc395caca145d8815197932ac2acfbeabee80ed563dfe27"
	if got := evidence.Hash(e); got != want {
		t.Errorf("got %s", got)
	}
}
