package watch_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
)

// hear reports a heartbeat with a period of an hour and ten minutes of grace
// that last came at a time, and lets a pass judge it.
func (e *estate) hear(last time.Time) {
	e.t.Helper()
	now, key := time.Now(), ops.ResourceKey{Host: host.Key, Source: "check", Key: "backup"}
	attrs := ops.Attrs{"type": "heartbeat", "every_ms": "3600000", "grace_ms": "600000", "last_beat": last.UTC().Format(time.RFC3339)}
	obs := ops.Observation{Collector: "check", Started: now, EveryMS: 10_000,
		Sightings: []ops.Sighting{{Key: key, Kind: ops.KindCheck, Name: "backup", Observed: attrs}},
		Samples:   []ops.Sample{{Resource: key, Metric: "check_heartbeat_age_seconds", At: now, Value: now.Sub(last).Seconds()}}}
	if err := e.ingest.Accept(context.Background(), ops.Report{Host: host, At: now, Observations: []ops.Observation{obs}}); err != nil {
		e.t.Fatal(err)
	}
	e.judge()
}

func (e *estate) judge() {
	e.t.Helper()
	if err := e.watch.Pass(context.Background()); err != nil {
		e.t.Fatal(err)
	}
}

// hearFor reports the same heartbeat every ten seconds for a while.
func (e *estate) hearFor(d time.Duration, last time.Time) {
	e.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Second) {
		e.hear(last)
	}
}

// down lets the server be down for a while.
func (e *estate) down(d time.Duration) {
	e.t.Helper()
	e.close()
	time.Sleep(d)
	e.open()
}

func TestHeartbeatsThatCameDueInADowntimeAreWaitedFor(t *testing.T) {
	in(t, func(e *estate) {
		last := time.Now()
		e.hearFor(time.Minute, last)
		e.down(2 * time.Hour)
		e.judge() // Before the first report, on what the store has.
		e.hear(last)
		if all := e.findings(true); len(all) != 0 {
			t.Fatalf("at the first look: %+v", all)
		}
		e.hearFor(170*time.Second, last)
		if all := e.findings(true); len(all) != 0 {
			t.Fatalf("while it is waited for: %+v", all)
		}
		last = time.Now() // It calls again.
		e.hearFor(time.Hour, last)
		if all := e.findings(true); len(all) != 0 {
			t.Fatalf("after it came: %+v", all)
		}
	})
}

func TestHeartbeatsThatStayAwayAfterADowntimeAreFound(t *testing.T) {
	in(t, func(e *estate) {
		last := time.Now()
		e.hearFor(time.Minute, last)
		e.down(2 * time.Hour)
		started := time.Now()
		e.hearFor(4*time.Minute, last)
		f := e.only(true)
		if f.Condition != "heartbeat_missing" || f.Severity != ops.Critical || !strings.Contains(f.Summary, "last heard of") {
			t.Fatalf("%+v", f)
		}
		if wait := f.OpenedAt.Sub(started); wait < 3*time.Minute || wait > 3*time.Minute+10*time.Second {
			t.Errorf("it opened %v after the start", wait)
		}
		// Another start neither resolves nor doubles what is open.
		e.down(time.Minute)
		e.hearFor(4*time.Minute, last)
		if again := e.only(true); again.ID != f.ID || again.Episode != f.Episode {
			t.Errorf("%+v became %+v", f, again)
		}
	})
}
