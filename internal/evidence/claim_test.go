package evidence_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reeve/internal/evidence"
	"reeve/internal/ops"
)

// TestFabricatedFactsAreRejected draws true and false claims about generated
// estates. The bars: of the false at least 99 % are rejected, of the true less
// than 1 %. `go test ./internal/evidence -run Rejected -rapid.checks=3000 -v`
// judges more than 100,000.
func TestFabricatedFactsAreRejected(t *testing.T) {
	var told, struck, lies, believed int
	rapid.Check(t, func(rt *rapid.T) {
		e := estates().Draw(rt, "estate")
		src := e.source()
		for range 20 {
			c := e.trueClaim(rt)
			told++
			if r := evidence.Check(t.Context(), src, now, c); !r.OK {
				struck++
				t.Logf("true, struck: %s: %s", evidence.Say(c), r.Reason)
			}
			c = e.falseClaim(rt)
			lies++
			if r := evidence.Check(t.Context(), src, now, c); r.OK {
				believed++
				t.Logf("false, believed: %s: %s", evidence.Say(c), r.Evidence.What)
			}
		}
	})
	t.Logf("%d true claims, %d struck; %d false ones, %d believed", told, struck, lies, believed)
	if told < 1000 || struck*100 >= told || believed*100 > lies {
		t.Errorf("of %d true claims %d were struck, of %d false ones %d believed; the bars are 1 %%", told, struck, lies, believed)
	}
}

func one(e estate) (*estate, string) {
	return &e, e.resources[0].ID
}

func small() (*estate, string) {
	const id = "res_00000000000000000000001"
	points := make([]ops.Point, 60)
	for i := range points {
		points[i] = ops.Point{At: now.Add(time.Duration(i-59) * time.Minute), Value: 0.5 + float64(i)*0.008}
	}
	return one(estate{
		resources: []ops.Resource{{ID: id, Kind: ops.KindFilesystem, Name: "/var", HostName: "web-1", Presence: ops.Present, Observed: ops.Attrs{"state": "rw"}}},
		series: map[string][]ops.Series{id: {
			{Metric: "fs_used_ratio", Points: points}, {Metric: "fs_available_bytes", Points: []ops.Point{{At: now, Value: 1.5 * (1 << 30)}}},
			{Metric: "zero_count", Points: []ops.Point{{At: now, Value: 0}}},
			{Metric: "restarts_total", Points: []ops.Point{{At: now.Add(-2 * time.Minute), Value: 7}, {At: now.Add(-time.Minute), Value: 9}, {At: now, Value: 1}}},
		}},
		texts: map[string][]evidence.Text{id: {{Text: "no space left on device", At: now, Where: "event log_error"}, {Text: "password=[redacted] [redacted] [redacted]", At: now, Where: "log"}}},
		times: map[string][]evidence.Moment{id: {{Name: "opened", At: now.Add(-time.Hour)}}},
	})
}

func TestClaimsHoldAsTheyAreStored(t *testing.T) {
	e, id := small()
	v := func(x float64) *float64 { return &x }
	for name, x := range map[string]struct {
		claim ops.Claim
		ok    bool
	}{
		"last as read":                         {ops.Claim{Kind: "metric", Metric: "fs_used_ratio", Value: v(0.972)}, true},
		"rounded":                              {ops.Claim{Kind: "metric", Metric: "fs_used_ratio", Value: v(0.97)}, true},
		"percent of a ratio":                   {ops.Claim{Kind: "metric", Metric: "fs_used_ratio", Value: v(97)}, true},
		"percent as said":                      {ops.Claim{Kind: "metric", Metric: "fs_used_ratio", Value: v(97.2), Text: "%"}, true},
		"percent said, ratio given":            {ops.Claim{Kind: "metric", Metric: "fs_used_ratio", Value: v(0.97), Text: "%"}, false},
		"too coarse: 1 is no rounding of 0.97": {ops.Claim{Kind: "metric", Metric: "fs_used_ratio", Value: v(1)}, false},
		"wrong":                                {ops.Claim{Kind: "metric", Metric: "fs_used_ratio", Value: v(0.6)}, false},
		"lowest":                               {ops.Claim{Kind: "metric", Metric: "fs_used_ratio", Stat: "min", Value: v(0.5)}, true},
		"delta":                                {ops.Claim{Kind: "metric", Metric: "fs_used_ratio", Stat: "delta", Minutes: 10, Value: v(0.08)}, true},
		"window matters":                       {ops.Claim{Kind: "metric", Metric: "fs_used_ratio", Stat: "min", Minutes: 10, Value: v(0.5)}, false},
		"GiB as said":                          {ops.Claim{Kind: "metric", Metric: "fs_available_bytes", Value: v(1.5), Text: "GiB"}, true},
		"GiB not said":                         {ops.Claim{Kind: "metric", Metric: "fs_available_bytes", Value: v(1.5)}, false},
		"MB for what is GiB":                   {ops.Claim{Kind: "metric", Metric: "fs_available_bytes", Value: v(1.5), Text: "MB"}, false},
		"zero is zero":                         {ops.Claim{Kind: "metric", Metric: "zero_count", Value: v(0)}, true},
		"one is not zero":                      {ops.Claim{Kind: "metric", Metric: "zero_count", Value: v(1)}, false},
		"a counter that began anew":            {ops.Claim{Kind: "metric", Metric: "restarts_total", Stat: "delta", Value: v(3)}, true},
		"unknown metric":                       {ops.Claim{Kind: "metric", Metric: "nothing", Value: v(1)}, false},
		"unknown statistic":                    {ops.Claim{Kind: "metric", Metric: "fs_used_ratio", Stat: "p95", Value: v(0.97)}, false},
		"no value":                             {ops.Claim{Kind: "metric", Metric: "fs_used_ratio"}, false},
		"other resource":                       {ops.Claim{Kind: "metric", ResourceID: "res_x", Metric: "fs_used_ratio", Value: v(0.97)}, false},

		"quote":                   {ops.Claim{Kind: "quote", Text: "no  space left\non device"}, true},
		"quote in marks":          {ops.Claim{Kind: "quote", Text: `"no space left on device"`}, true},
		"quote with another word": {ops.Claim{Kind: "quote", Text: "no space left on disk"}, false},
		"short quote":             {ops.Claim{Kind: "quote", Text: "no spac"}, false},
		"masked words only":       {ops.Claim{Kind: "quote", Text: "[redacted] [redacted]"}, false},

		"state":              {ops.Claim{Kind: "state", Name: "state", Text: "rw"}, true},
		"state of every one": {ops.Claim{Kind: "state", Name: "presence", Text: "present"}, true},
		"other state":        {ops.Claim{Kind: "state", Name: "state", Text: "ro"}, false},
		"no such attribute":  {ops.Claim{Kind: "state", Name: "mood", Text: "good"}, false},
		"empty state":        {ops.Claim{Kind: "state", Name: "mood", Text: ""}, false},

		"time":            {ops.Claim{Kind: "time", Name: "opened", At: now.Add(-time.Hour + 40*time.Second)}, true},
		"time off":        {ops.Claim{Kind: "time", Name: "opened", At: now.Add(-time.Hour + 70*time.Second)}, false},
		"other event":     {ops.Claim{Kind: "time", Name: "changed", At: now.Add(-time.Hour)}, false},
		"time to come":    {ops.Claim{Kind: "time", Name: "opened", At: now.Add(time.Hour)}, false},
		"no kind":         {ops.Claim{}, false},
		"unheard-of kind": {ops.Claim{Kind: "feeling", Text: "bad"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if x.claim.ResourceID == "" {
				x.claim.ResourceID = id
			}
			r := evidence.Check(t.Context(), e.source(), now, x.claim)
			if r.OK != x.ok {
				t.Fatalf("got %v (%s), want %v", r.OK, r.Reason, x.ok)
			}
			if r.OK == (r.Reason != "") {
				t.Errorf("OK is %v, the reason %q", r.OK, r.Reason)
			}
			if r.OK && (r.Evidence.What == "" || r.Evidence.TakenAt.IsZero() || r.Evidence.To.Before(r.Evidence.From)) {
				t.Errorf("evidence is not complete: %+v", r.Evidence)
			}
		})
	}
}

func TestClaimIsNotProvenWhileNothingCanBeRead(t *testing.T) {
	e, id := small()
	src := e.source()
	broken := errors.New("broken")
	src.Series = func(context.Context, string, string, time.Time, time.Time) ([]ops.Series, error) { return nil, broken }
	src.Texts = func(context.Context, string) ([]evidence.Text, error) { return nil, broken }
	src.Times = func(context.Context, string) ([]evidence.Moment, error) { return nil, broken }
	v := 0.97
	claims := []ops.Claim{{Kind: "metric", ResourceID: id, Metric: "fs_used_ratio", Value: &v}, {Kind: "quote", ResourceID: id, Text: "no space left on device"}, {Kind: "time", ResourceID: id, At: now}}
	held, _, struck := evidence.Sift(t.Context(), src, now, claims)
	if len(held) != 0 || len(struck) != 3 {
		t.Fatalf("held %v, struck %v", held, struck)
	}
	for _, s := range struck {
		if !strings.Contains(s.Reason, "cannot be read now") {
			t.Errorf("reason is %q", s.Reason)
		}
	}
}

func TestEvidenceOfAClaimKeepsItsStatistic(t *testing.T) {
	const id = "res_00000000000000000000001"
	points := make([]ops.Point, 5000)
	for i := range points {
		points[i] = ops.Point{At: now.Add(time.Duration(i-4999) * 10 * time.Second), Value: float64(i%977) + 1}
	}
	e := &estate{resources: []ops.Resource{{ID: id}}, series: map[string][]ops.Series{id: {{Metric: "load1", Points: points}}}}
	for _, stat := range []string{"avg", "min", "max", "delta"} {
		s := ops.Series{Metric: "load1", Points: points}
		v := actual(s, stat, len(points))
		c := ops.Claim{Kind: "metric", ResourceID: id, Metric: "load1", Stat: stat, Minutes: 900, Value: &v}
		r := evidence.Check(t.Context(), e.source(), now, c)
		if !r.OK || len(r.Evidence.Series[0].Points) > 1100 {
			t.Fatalf("%s: %v %s, %d points", stat, r.OK, r.Reason, len(r.Evidence.Series[0].Points))
		}
		again := actual(r.Evidence.Series[0], stat, len(points))
		if d := again - v; d > 0.005*v || -d > 0.005*v {
			t.Errorf("%s of what is stored is %v, it was %v", stat, again, v)
		}
	}
}

func TestCauseComesBeforeItsEffect(t *testing.T) {
	effect := evidence.Moment{Name: "opened", At: now}
	for off, want := range map[time.Duration]bool{-time.Hour: true, 0: true, 50 * time.Second: true, 2 * time.Minute: false} {
		if ok, reason := evidence.After(evidence.Moment{Name: "changed", At: now.Add(off)}, effect); ok != want || ok == (reason != "") {
			t.Errorf("a cause %v after its effect: %v %q", off, ok, reason)
		}
	}
	if ok, _ := evidence.After(evidence.Moment{Name: "changed"}, effect); ok {
		t.Error("a cause of no known time is believed")
	}
}
