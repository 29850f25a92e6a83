package turn_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"reeve/internal/evidence"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tsdb"
	"reeve/internal/turn"
	"reeve/test/storetest"
)

func resource(id string, kind ops.Kind, name, host string) ops.Resource {
	return ops.Resource{ID: id, Kind: kind, Name: name, HostID: host, HostName: host, Key: ops.ResourceKey{Host: host, Source: "linux", Key: id}, Presence: ops.Present,
		Reachable: "online", Observed: ops.Attrs{"state": "running"}}
}

const (
	varID  = "res_00000000000000000000001"
	rootID = "res_00000000000000000000002"
	webID  = "res_00000000000000000000003"
)

func fill(t *testing.T, s *store.Store, now time.Time) {
	t.Helper()
	err := s.Tx(t.Context(), now, func(tx *store.Tx) error {
		for _, r := range []ops.Resource{resource(varID, ops.KindFilesystem, "/var", "web"), resource(rootID, ops.KindFilesystem, "/var", "db"), resource(webID, ops.KindHost, "web", "web")} {
			r.Version = 0
			if err := tx.SaveResource(t.Context(), r, ""); err != nil {
				return err
			}
		}
		f := ops.Finding{ID: "fnd_00000000000000000000001", ResourceID: varID, Condition: "fs_full", State: ops.FindingOpen, Severity: ops.Critical, Peak: ops.Critical, Origin: "rule",
			Summary: "/var is 97 % full", FirstSeen: now.Add(-2 * time.Hour), OpenedAt: now.Add(-2 * time.Hour), LastSeen: now, Count: 1, Episode: 1}
		if err := tx.OpenFinding(t.Context(), f, store.Why{Actor: "watch"}); err != nil {
			return err
		}
		if err := tx.AddEvidence(t.Context(), ops.Evidence{ID: ops.NewID("evd"), FindingID: f.ID, What: "quote", Quotes: []string{"write error: no space left on device"}, TakenAt: now}); err != nil {
			return err
		}
		tx.Record(ops.Transition{Actor: "ingest", Verb: "change", Object: "resource", ObjectID: varID})
		return tx.AddEvents(t.Context(), []store.StoredEvent{{ResourceID: varID, Collector: "kernel", Event: ops.Event{Type: ops.EventIOError, At: now.Add(-time.Hour),
			Text: "I/O error, dev sda, sector 12345", SourceID: "1", Count: 1}}})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func metrics(t *testing.T) *tsdb.DB {
	t.Helper()
	m, err := tsdb.Open(t.Context(), slog.New(slog.DiscardHandler), tsdb.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func TestClaimsAreCheckedAgainstWhatIsStored(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	m := metrics(t)
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		fill(t, s, now)
		ref := m.Ref("web", varID, "fs_used_ratio", map[string]string{"device": "sda1"})
		other := m.Ref("db", rootID, "fs_used_ratio", nil)
		var batch []tsdb.Sample
		for i := range 30 {
			at := now.Add(-time.Duration(29-i) * time.Minute)
			batch = append(batch, tsdb.Sample{Ref: ref, At: at, Value: 0.9 + float64(i)/500}, tsdb.Sample{Ref: other, At: at, Value: 0.1})
		}
		if err := m.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		shown := &turn.Shown{}
		shown.Add(varID, evidence.Text{Text: "nginx: worker process exited", Where: "log"})
		src := shown.Into(turn.NewSource(s, m))
		v := func(x float64) *float64 { return &x }
		for name, x := range map[string]struct {
			c  ops.Claim
			ok bool
		}{
			"last":                {ops.Claim{Kind: "metric", Metric: "fs_used_ratio", Value: v(0.958)}, true},
			"min of the window":   {ops.Claim{Kind: "metric", Metric: "fs_used_ratio", Stat: "min", Minutes: 29, Value: v(0.9)}, true},
			"of another resource": {ops.Claim{Kind: "metric", Metric: "fs_used_ratio", Value: v(0.1)}, false},
			"by label":            {ops.Claim{Kind: "metric", Metric: "fs_used_ratio", Name: "sda1", Value: v(0.958)}, true},
			"by other label":      {ops.Claim{Kind: "metric", Metric: "fs_used_ratio", Name: "sdb1", Value: v(0.958)}, false},
			"no metric's name":    {ops.Claim{Kind: "metric", Metric: `x"} or vector(1)`, Value: v(1)}, false},
			"event":               {ops.Claim{Kind: "quote", Text: "I/O error, dev sda"}, true},
			"summary":             {ops.Claim{Kind: "quote", Text: "/var is 97 % full"}, true},
			"evidence":            {ops.Claim{Kind: "quote", Text: "no space left on device"}, true},
			"shown":               {ops.Claim{Kind: "quote", Text: "worker process exited"}, true},
			"invented":            {ops.Claim{Kind: "quote", Text: "segfault at 0000"}, false},
			"state":               {ops.Claim{Kind: "state", Name: "state", Text: "running"}, true},
			"opened":              {ops.Claim{Kind: "time", Name: "opened", At: now.Add(-2 * time.Hour)}, true},
			"event's time":        {ops.Claim{Kind: "time", Name: "io_error", At: now.Add(-time.Hour)}, true},
			"changed":             {ops.Claim{Kind: "time", Name: "changed", At: now}, true},
			"never":               {ops.Claim{Kind: "time", Name: "changed", At: now.Add(-time.Hour)}, false},
		} {
			x.c.ResourceID = varID
			if r := evidence.Check(t.Context(), src, now, x.c); r.OK != x.ok {
				t.Errorf("%s: %v %s", name, r.OK, r.Reason)
			}
		}
	})
}

func TestNameThatFitsSeveralIsRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		fill(t, s, time.Now())
		all := turn.Resolver(s, nil)
		within := turn.Resolver(s, func(r ops.Resource) bool { return r.HostName == "web" })
		for _, x := range []struct {
			find func() (ops.Resource, error)
			id   string
			why  string
		}{
			{func() (ops.Resource, error) { return all(t.Context(), varID) }, varID, ""},
			{func() (ops.Resource, error) { return all(t.Context(), "web") }, webID, ""},
			{func() (ops.Resource, error) { return all(t.Context(), "/var@db") }, rootID, ""},
			{func() (ops.Resource, error) { return within(t.Context(), "/var") }, varID, ""},
			{func() (ops.Resource, error) { return all(t.Context(), "/var") }, "", "name of 2 resources"},
			{func() (ops.Resource, error) { return all(t.Context(), "/va") }, "", "no resource in scope"},
			{func() (ops.Resource, error) { return within(t.Context(), rootID) }, "", "out of scope"},
			{func() (ops.Resource, error) { return all(t.Context(), "") }, "", "say which"},
			{func() (ops.Resource, error) { return all(t.Context(), "res_0000000000000000000000z") }, "", "there is no resource"},
		} {
			r, err := x.find()
			if r.ID != x.id && err == nil || (err != nil) != (x.why != "") || err != nil && !strings.Contains(err.Error(), x.why) {
				t.Errorf("got %s, %v; want %s, %q", r.ID, err, x.id, x.why)
			}
		}
	})
}
