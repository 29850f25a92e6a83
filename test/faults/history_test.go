package faults

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reeve/internal/collect"
	"reeve/internal/gather"
	"reeve/internal/ingest"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tsdb"
	"reeve/test/program"
)

// past fills a data folder with reports of earlier hours, which no test can
// wait for, in the way in which the program itself takes them in.
func past(t testing.TB, dir string, env collect.Env, from time.Time, see func(at time.Time, b *collect.Batch)) {
	t.Helper()
	log, ctx := slog.New(slog.DiscardHandler), t.Context()
	st, err := store.Open(ctx, log, store.Options{URL: "sqlite:" + filepath.Join(dir, "reeve.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	db, err := tsdb.Open(ctx, log, tsdb.Options{Dir: filepath.Join(dir, "metrics"), Retention: 30 * 24 * time.Hour, RollupRetention: 60 * 24 * time.Hour, MaxSize: 8 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	in, err := ingest.New(ctx, log, st, db, func() {})
	if err != nil {
		t.Fatal(err)
	}
	host, err := gather.Identity(dir, env)
	if err != nil {
		t.Fatal(err)
	}
	for at := from; at.Before(time.Now()); at = at.Add(time.Minute) {
		obs := ops.Observation{Collector: "past", Started: at, EveryMS: 60_000}
		see(at, collect.NewBatch(host, at, &obs))
		if err := in.Accept(ctx, ops.Report{Host: host, At: at, Observations: []ops.Observation{obs}}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullSoon: a file system that grew steadily for two hours.
func TestFullSoon(t *testing.T) {
	t.Parallel()
	m, dir := newMachine(t, "server"), t.TempDir()
	env := gather.RecordedEnv(slog.New(slog.DiscardHandler), gather.Roots{Root: m.dir})
	from := time.Now().Add(-2 * time.Hour)
	past(t, dir, env, from, func(at time.Time, b *collect.Batch) {
		growing, still := b.Ref("linux", "fs:/"), b.Ref("linux", "fs:/tank/media")
		b.See(ops.Sighting{Key: growing, Kind: ops.KindFilesystem, Name: "/", Observed: ops.Attrs{"read_only": "false"}})
		b.See(ops.Sighting{Key: still, Kind: ops.KindFilesystem, Name: "/tank/media", Observed: ops.Attrs{"read_only": "false"}})
		// The recorded machine has 68.5 % and 50 % in use.
		b.Add(growing, "fs_used_ratio", 0.685-0.14*(2-at.Sub(from).Hours()))
		b.Add(still, "fs_used_ratio", 0.5)
	})
	p := program.StartIn(t, dir, quick(m, nil).text(t))
	f := await(p, 30*time.Second, "active", "fs_full_soon", "/")
	if f.Severity != ops.Critical || !strings.Contains(f.Summary, "will be full in") || f.Facts["full_at"] == "" {
		t.Errorf("%s: %s %v", f.Severity, f.Summary, f.Facts)
	}
	p.Until(20*time.Second, "the other is judged to be well", func() bool { return judgedWell(p, "/tank/media", "fs_full_soon") })
}
