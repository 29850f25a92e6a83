package tsdb

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reeve/internal/ops"
)

func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// open opens a store in dir that is closed when the test ends.
func open(t testing.TB, dir string, change ...func(*Options)) *DB {
	t.Helper()
	opts := Options{Dir: dir, BallastSize: 1 << 20, rollPartly: true}
	for _, f := range change {
		f(&opts)
	}
	db, err := Open(t.Context(), testLog(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// put appends one sample and fails the test when the store does not take it.
func put(t testing.TB, db *DB, ref Ref, at time.Time, v float64) {
	t.Helper()
	before := db.appended.Load()
	if err := db.Append(t.Context(), []Sample{{Ref: ref, At: at, Value: v}}); err != nil {
		t.Fatal(err)
	}
	if db.appended.Load() != before+1 {
		t.Fatalf("sample at %s was not kept", at)
	}
}

func now() time.Time { return time.Now().Truncate(time.Millisecond) }

func TestReadingsComeBack(t *testing.T) {
	db := open(t, t.TempDir())
	at := now()
	load := db.Ref("h1", "res_1", "load1", nil)
	user := db.Ref("h1", "res_1", "cpu_mode_ratio", map[string]string{"mode": "user"})
	idle := db.Ref("h1", "res_1", "cpu_mode_ratio", map[string]string{"mode": "idle"})
	other := db.Ref("h2", "res_2", "load1", nil)
	for i := range 4 {
		when := at.Add(time.Duration(i-3) * 15 * time.Second)
		put(t, db, load, when, float64(i))
		put(t, db, user, when, 0.25)
		put(t, db, idle, when, 0.75)
		put(t, db, other, when, 9)
	}
	points := func(vs ...float64) (ps []ops.Point) {
		for i, v := range vs {
			ps = append(ps, ops.Point{At: at.Add(time.Duration(i-len(vs)+1) * 15 * time.Second), Value: v})
		}
		return ps
	}
	want := map[string][]ops.Series{
		"res_1": {
			{Metric: "cpu_mode_ratio", Labels: map[string]string{"mode": "idle"}, Points: points(0.75, 0.75, 0.75, 0.75)},
			{Metric: "cpu_mode_ratio", Labels: map[string]string{"mode": "user"}, Points: points(0.25, 0.25, 0.25, 0.25)},
			{Metric: "load1", Points: points(0, 1, 2, 3)},
		},
		"res_2": {{Metric: "load1", Points: points(9, 9, 9, 9)}},
	}
	courses, err := recent(t.Context(), db, []string{"load1", "cpu_mode_ratio"}, at.Add(-time.Minute), at, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]ops.Series{}
	for resource, list := range courses {
		for _, c := range list {
			got[resource] = append(got[resource], ops.Series{Metric: c.Metric, Labels: c.Labels, Points: c.AppendTo(nil)})
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error("recent:", d)
	}
	for _, list := range want {
		for i := range list {
			list[i].Points = list[i].Points[3:]
		}
	}
	got, err = db.Latest(t.Context(), []string{"load1", "cpu_mode_ratio"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error("latest:", d)
	}
	one, err := db.Query(t.Context(), `sum(load1)`, at)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]ops.Series{{Labels: map[string]string{}, Points: points(12)}}, one); d != "" {
		t.Error("query:", d)
	}
}

func TestReadingsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	at := now()
	put(t, db, db.Ref("h1", "res_1", "load1", nil), at, 7)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir)
	got, err := db.Latest(t.Context(), []string{"load1"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]ops.Series{"res_1": {{Metric: "load1", Points: []ops.Point{{At: at, Value: 7}}}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if s := db.Stats(); s.Series != 1 || s.Degraded || s.Bytes == 0 || !s.Oldest.Equal(at) {
		t.Errorf("stats: %+v", s)
	}
}

func TestLateSamplesWithinTheWindowAreKept(t *testing.T) {
	db := open(t, t.TempDir())
	at := now()
	ref := db.Ref("h1", "res_1", "load1", nil)
	put(t, db, ref, at, 3)
	put(t, db, ref, at.Add(-50*time.Minute), 1)
	put(t, db, ref, at.Add(-20*time.Minute), 2)
	late := []Sample{
		{Ref: ref, At: at.Add(-70 * time.Minute), Value: 0}, // beyond the window
		{Ref: ref, At: at.Add(time.Hour), Value: 0},         // from the future
		{Ref: ref, At: at, Value: 4},                        // another value for one time
		{Ref: db.Ref("h1", "res_1", "bad\xff", nil), At: at, Value: 4},
	}
	if err := db.Append(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	if s := db.Stats(); s.Rejected != 4 || s.Appended != 3 {
		t.Errorf("stats: %+v", s)
	}
	got, err := recent(t.Context(), db, []string{"load1"}, at.Add(-2*time.Hour), at, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []float64
	for _, p := range got["res_1"][0].Points {
		values = append(values, p.Value)
	}
	if d := cmp.Diff([]float64{1, 2, 3}, values); d != "" {
		t.Error(d)
	}
	latest, err := db.Latest(t.Context(), []string{"load1"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if v := latest["res_1"][0].Points[0].Value; v != 3 {
		t.Errorf("latest is %v", v)
	}
}

// recent answers what a history that was never read before says.
func recent(ctx context.Context, db *DB, metrics []string, from, to time.Time, step time.Duration) (map[string][]*Course, error) {
	h := db.History(metrics, to.Sub(from), step)
	err := h.Renew(ctx, to)
	return h.courses, err
}

func TestOfEachStepTheNewestSampleCounts(t *testing.T) {
	db := open(t, t.TempDir())
	at := now().Truncate(time.Minute)
	from := at.Add(-10 * time.Minute)
	fill(t, db, db.Ref("h", "r", "m", nil), from, at.Add(30*time.Second), 10*time.Second, func(x time.Time) float64 { return x.Sub(from).Seconds() })
	got, err := recent(t.Context(), db, []string{"m"}, from, at.Add(time.Minute), time.Minute)
	if err != nil || len(got["r"]) != 1 {
		t.Fatal(got, err)
	}
	var values, want []float64
	for _, p := range got["r"][0].Points {
		values = append(values, p.Value)
	}
	for i := range 10 {
		want = append(want, float64(60*i+50))
	}
	want = append(want, 620) // the newest of all
	if d := cmp.Diff(want, values); d != "" {
		t.Error(d)
	}
}

func TestOldReadingsAreNotLatest(t *testing.T) {
	db := open(t, t.TempDir())
	put(t, db, db.Ref("h1", "res_1", "load1", nil), now().Add(-10*time.Minute), 1)
	got, err := db.Latest(t.Context(), []string{"load1"}, 5*time.Minute)
	if err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestForgottenSeriesComeBack(t *testing.T) {
	db := open(t, t.TempDir())
	at := now()
	ref := db.Ref("h1", "res_1", "load1", nil)
	put(t, db, ref, at.Add(-time.Second), 1)
	db.cache.prune(math.MaxInt64)
	if n := db.cache.size(); n != 0 {
		t.Fatalf("%d series left", n)
	}
	put(t, db, ref, at, 2)
	got, err := db.Latest(t.Context(), []string{"load1"}, time.Minute)
	if err != nil || len(got["res_1"]) != 1 || got["res_1"][0].Points[0].Value != 2 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestIdentitiesOfSeriesDoNotMix(t *testing.T) {
	db := open(t, t.TempDir())
	refs := map[*series]string{}
	for i, r := range []Ref{
		db.Ref("h", "r", "m", nil),
		db.Ref("h", "r", "m", map[string]string{"a": "b"}),
		db.Ref("h", "r", "m", map[string]string{"a": "bc"}),
		db.Ref("h", "r", "m", map[string]string{"ab": "c"}),
		db.Ref("h", "rm", "", nil),
		db.Ref("", "r", "m", map[string]string{"h": ""}),
	} {
		if was, ok := refs[r.s]; ok {
			t.Errorf("%d is the same as %s", i, was)
		}
		refs[r.s] = fmt.Sprint(i)
	}
	a := db.Ref("h", "r", "m", map[string]string{"x": "1", "y": "2", "z": "3"})
	for range 20 {
		if b := db.Ref("h", "r", "m", map[string]string{"z": "3", "y": "2", "x": "1"}); a != b {
			t.Fatal("the order of labels makes another series")
		}
	}
}

func TestBadQueriesAreThePersonsFault(t *testing.T) {
	db := open(t, t.TempDir())
	for _, expr := range []string{"", "sum(", "load1[5m", "nofunction(load1)"} {
		if _, err := db.Query(t.Context(), expr, now()); ops.KindOf(err) != ops.Invalid {
			t.Errorf("%q: %v", expr, err)
		}
	}
	if _, err := db.Series(t.Context(), "load1", now().Add(-time.Hour), now(), time.Millisecond); ops.KindOf(err) != ops.Invalid {
		t.Errorf("too many points: %v", err)
	}
}

func TestClosedStoreRefuses(t *testing.T) {
	db := open(t, t.TempDir())
	ref := db.Ref("h1", "res_1", "load1", nil)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Append(t.Context(), []Sample{{Ref: ref, At: now(), Value: 1}}); ops.KindOf(err) != ops.Unavailable {
		t.Errorf("append: %v", err)
	}
	if _, err := db.Query(t.Context(), "load1", now()); ops.KindOf(err) != ops.Unavailable {
		t.Errorf("query: %v", err)
	}
	if s := db.Stats(); s.Dropped != 1 {
		t.Errorf("stats: %+v", s)
	}
}

func TestMain(m *testing.M) {
	if dir := os.Getenv("REEVE_TEST_APPEND_DIR"); dir != "" {
		appendUntilKilled(dir)
	}
	os.Exit(m.Run())
}
