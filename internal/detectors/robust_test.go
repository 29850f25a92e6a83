package detectors_test

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reeve/internal/detect"
	"reeve/internal/detectors"
	"reeve/internal/ops"
)

// The attributes that any detector reads, and texts that they may have.
var attrNames = []string{
	"active_state", "admin_up", "boot_at", "carrier", "cpu_count", "dead", "desired", "device", "disks_active", "disks_failed",
	"disks_total", "enabled", "error", "errors", "every_ms", "exit_code", "expires_at", "failures", "finished_at", "grace_ms", "health",
	"last_beat", "level", "missing_pvs", "not_after", "not_before", "oom_killed", "operstate", "partial", "physical", "read_only",
	"read_only_expected", "reboot_reason", "reboot_required", "restart_policy", "result", "rotational", "running", "scan", "smart_passed",
	"smart_reason", "state", "stopped_by_user", "transport", "type", "up", "was_up",
}

var attrTexts = []string{
	"true", "false", "0", "1", "2", "137", "-1", "1e300", "NaN", "+Inf", "", "failed", "exited", "running", "failing", "stuck", "heartbeat",
	"ONLINE", "raid5", "nvme", "unhealthy", "2026-01-05T07:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "%s %d %!", "\x00\xff",
}

func drawSubject(t *rapid.T, d detect.Definition) detect.Subject {
	kind := rapid.SampledFrom(d.Kinds).Draw(t, "kind")
	attrs := rapid.MapOfN(rapid.SampledFrom(attrNames), rapid.SampledFrom(attrTexts), 0, 20).Draw(t, "attrs")
	r := ops.Resource{ID: "res_1", Kind: kind, Name: rapid.SampledFrom([]string{"", "x", "%s%d"}).Draw(t, "name"), Observed: attrs}
	r.Key = ops.ResourceKey{Host: "h", Source: rapid.SampledFrom([]string{"zfs", "lvm", "linux"}).Draw(t, "source"),
		Key: rapid.SampledFrom([]string{"collector:x", "loop:x", "store:x", "channel:x", "x"}).Draw(t, "key")}
	r.ObservedAt = begin.Add(-time.Duration(rapid.IntRange(0, 1e4).Draw(t, "seen")) * time.Second)
	r.FirstSeen = begin.Add(-time.Duration(rapid.IntRange(0, 1e6).Draw(t, "first")) * time.Second)
	s := detect.Subject{Now: begin, Resource: r, Limits: map[string]float64{}, Active: rapid.Bool().Draw(t, "active")}
	for _, l := range d.Thresholds {
		s.Limits[l.Name] = rapid.SampledFrom([]float64{l.Default, 0, -1, 1e9}).Draw(t, "limit")
	}
	for _, m := range d.Metrics {
		for range rapid.IntRange(0, 2).Draw(t, "series") {
			s.Series = append(s.Series, drawSeries(t, m))
		}
	}
	for i := range rapid.IntRange(0, 6).Draw(t, "events") {
		if len(d.Events) == 0 {
			break
		}
		s.Events = append(s.Events, ops.Event{
			Type: rapid.SampledFrom(d.Events).Draw(t, "event"), At: begin.Add(time.Duration(i-7) * time.Minute),
			Text:  rapid.SampledFrom(attrTexts).Draw(t, "text"),
			Count: rapid.Int64Range(-1, 1000).Draw(t, "count"),
			Facts: rapid.MapOfN(rapid.SampledFrom([]string{"new", "template", "template_id", "by_user", "oom_killed", "process", "device"}),
				rapid.SampledFrom(attrTexts), 0, 4).Draw(t, "facts"),
		})
	}
	return s
}

func drawSeries(t *rapid.T, metric string) ops.Series {
	x := ops.Series{Metric: metric, Labels: map[string]string{
		"what": rapid.SampledFrom([]string{"memory", "cpu"}).Draw(t, "what"), "mode": "steal", "sensor": "s"}}
	value := rapid.OneOf(rapid.Float64Range(0, 2), rapid.Float64Range(-1e3, 1e13),
		rapid.SampledFrom([]float64{0, 1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64}))
	n := rapid.IntRange(0, 40).Draw(t, "points")
	for i := range n {
		x.Points = append(x.Points, ops.Point{At: begin.Add(time.Duration(i-n) * time.Minute), Value: value.Draw(t, "value")})
	}
	return x
}

// Whatever comes from the estate, a detector answers, answers the same twice,
// and never makes a finding without a severity and a sentence.
func TestDetectorsAnswerWhateverTheyAreGiven(t *testing.T) {
	for _, d := range detectors.All() {
		t.Run(d.Name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := drawSubject(t, d)
				v := d.Eval(s)
				if diff := cmp.Diff(v, d.Eval(s), cmp.Comparer(sameNumber)); diff != "" {
					t.Fatalf("the same subject has two verdicts:\n%s", diff)
				}
				switch v.State {
				case detect.Bad:
					if !v.Severity.Valid() || v.Summary == "" {
						t.Fatalf("bad without severity or summary: %+v", v)
					}
				case detect.Between, detect.Good, detect.Unknown:
					if v.Severity != "" {
						t.Fatalf("%s with severity %s", v.State, v.Severity)
					}
				default:
					t.Fatalf("state %q", v.State)
				}
				if strings.Contains(v.Summary, "MISSING") || strings.Contains(v.Summary, "EXTRA") {
					t.Fatal(v.Summary)
				}
			})
		})
	}
}

func sameNumber(a, b float64) bool {
	return strconv.FormatFloat(a, 'g', -1, 64) == strconv.FormatFloat(b, 'g', -1, 64)
}
