package tsdb

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reeve/internal/ops"
)

// openURL opens a store that is elsewhere.
func openURL(t *testing.T, base string, change ...func(*Options)) *DB {
	return open(t, "", append(change, func(o *Options) { o.URL = base })...)
}

// TestExternalAnswersAsEmbedded writes the same to a store of its own and,
// by way of a real Prometheus, to one elsewhere.
func TestExternalAnswersAsEmbedded(t *testing.T) {
	base := prometheus(t, "global: {}", "--web.enable-remote-write-receiver")
	inner, far := open(t, t.TempDir()), openURL(t, base)
	at := now()
	for _, db := range []*DB{inner, far} {
		fill(t, db, db.Ref("h", "r1", "m", map[string]string{"mode": "a"}), at.Add(-time.Hour), at, 15*time.Second, wave)
		fill(t, db, db.Ref("h", "r1", "n", nil), at.Add(-time.Hour), at, 20*time.Second, wave)
		fill(t, db, db.Ref("h", "r2", "m", nil), at.Add(-time.Hour), at, 15*time.Second, wave)
		if err := db.Ship(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if s := far.Stats(); s.Queued != 0 || s.Degraded || !s.External || s.Series != 3 || s.Appended != inner.Stats().Appended {
		t.Errorf("stats: %+v", s)
	}
	same := func(what string, ask func(*DB) (any, error)) {
		t.Helper()
		want, err := ask(inner)
		if err != nil {
			t.Fatal(what, err)
		}
		got, err := ask(far)
		if err != nil {
			t.Fatal(what, err)
		}
		if d := cmp.Diff(want, got, near); d != "" {
			t.Errorf("%s (-embedded +external):\n%s", what, d)
		}
	}
	off := at.Add(-time.Minute + 7*time.Millisecond)
	same("recent", func(db *DB) (any, error) {
		return recent(t.Context(), db, []string{"m", "n"}, off.Add(-10*time.Minute), off, 0)
	})
	same("recent of each minute", func(db *DB) (any, error) {
		return recent(t.Context(), db, []string{"m", "n"}, off.Add(-10*time.Minute), off, time.Minute)
	})
	same("latest", func(db *DB) (any, error) { return db.Latest(t.Context(), []string{"m", "n"}, time.Minute) })
	same("query", func(db *DB) (any, error) {
		got, err := db.Query(t.Context(), "sum by (resource) (rate(m[5m]))", off)
		sortSeries(got)
		return got, err
	})
	same("scalar", func(db *DB) (any, error) { return db.Query(t.Context(), "scalar(vector(3))", off) })
	same("series", func(db *DB) (any, error) {
		got, err := db.Series(t.Context(), `avg_over_time(m[1m])`, off.Add(-30*time.Minute), off, time.Minute)
		sortSeries(got)
		return got, err
	})
	q := BandQuery{Selector: `m{resource="r2"}`, From: at.Add(-50 * time.Minute).Truncate(time.Minute).Add(time.Millisecond), To: at.Add(-10 * time.Minute).Truncate(time.Minute), MaxPoints: 40}
	same("range", func(db *DB) (any, error) { return db.Range(t.Context(), q) })
	if _, err := far.Query(t.Context(), "sum(", at); ops.KindOf(err) != ops.Invalid {
		t.Errorf("bad query: %v", err)
	}
	front := httptest.NewServer(far.Handler())
	t.Cleanup(front.Close)
	if status, body := ask(t, http.MethodPost, front.URL, "/api/v1/query", url.Values{"query": {"count(m)"}}); status != http.StatusOK || body["status"] != "success" {
		t.Errorf("%d %v", status, body)
	}
	if answer, err := http.Post(front.URL+"/api/v1/admin/tsdb/snapshot", "", nil); err != nil || answer.StatusCode != http.StatusNotFound {
		t.Errorf("%v, %v", answer, err)
	}
}

func TestExternalQueueKeepsTheNewest(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	store := open(t, t.TempDir())
	inner := store.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	db := openURL(t, server.URL, func(o *Options) { o.QueueSamples = 100 })
	at := now()
	fill(t, db, db.Ref("h", "r", "m", nil), at.Add(-130*time.Second), at, time.Second, func(at time.Time) float64 { return float64(at.Unix()) })
	if err := db.Ship(t.Context()); ops.KindOf(err) != ops.Unavailable {
		t.Errorf("ship: %v", err)
	}
	if s := db.Stats(); s.Dropped != 30 || s.Queued != 100 || !s.Degraded {
		t.Errorf("stats: %+v", s)
	}
	down.Store(false)
	if err := db.Ship(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := db.Stats(); s.Queued != 0 || s.Degraded {
		t.Errorf("stats: %+v", s)
	}
	got, err := recent(t.Context(), store, []string{"m"}, at.Add(-time.Hour), at, 0)
	if err != nil || len(got["r"]) != 1 || len(got["r"][0].Points) != 100 || got["r"][0].Points[99].At != at.Add(-time.Second).UnixMilli() {
		t.Errorf("%v, %v", got, err)
	}
	// What the store refuses for good does not block what comes after it.
	other := openURL(t, server.URL)
	put(t, other, other.Ref("h", "r", "m", nil), at.Add(-3*time.Hour), 1)
	if err := other.Ship(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := other.Stats(); s.Queued != 0 || s.Rejected != 1 || s.Appended != 0 {
		t.Errorf("stats: %+v", s)
	}
}

func TestExternalIsGreeted(t *testing.T) {
	var mu sync.Mutex
	got := map[string]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		mu.Lock()
		defer mu.Unlock()
		got[r.URL.Path] = user + ":" + password + "@" + r.Header.Get("X-Scope-OrgID") + " " + r.Header.Get("Cookie")
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
	}))
	t.Cleanup(server.Close)
	db := openURL(t, strings.Replace(server.URL, "//", "//u:p@", 1)+"/base/", func(o *Options) { o.Headers = map[string]string{"X-Scope-OrgID": "me"} })
	put(t, db, db.Ref("h", "r", "m", nil), now(), 1)
	if err := db.Ship(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Query(t.Context(), "up", now()); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/api/v1/labels", nil)
	r.Header.Set("Cookie", "session=secret")
	r.SetBasicAuth("person", "secret")
	db.Handler().ServeHTTP(httptest.NewRecorder(), r)
	want := map[string]string{"/base/api/v1/write": "u:p@me ", "/base/api/v1/query": "u:p@me ", "/base/api/v1/labels": "u:p@me "}
	mu.Lock()
	defer mu.Unlock()
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestExternalAnswersOnlyWhatIsListed(t *testing.T) {
	var passed atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		passed.Add(1)
		fmt.Fprint(w, `{"status":"success"}`)
	}))
	t.Cleanup(server.Close)
	handler := openURL(t, server.URL).Handler()
	ask := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w
	}
	listed := []string{"GET label/job/values", "GET metadata", "GET rules", "GET alerts", "GET status/buildinfo"}
	for _, path := range []string{"query", "query_range", "series", "labels", "query_exemplars"} {
		listed = append(listed, "GET "+path, "POST "+path)
	}
	for _, one := range listed {
		method, path, _ := strings.Cut(one, " ")
		if w := ask(method, "/api/v1/"+path); w.Code != http.StatusOK {
			t.Errorf("%s: status %d", one, w.Code)
		}
	}
	if int(passed.Load()) != len(listed) {
		t.Errorf("%d of %d were passed on", passed.Load(), len(listed))
	}
	for _, one := range []string{
		"GET status/config", "GET status/flags", "GET targets", "GET admin/tsdb/snapshot", "GET query/", "GET ",
		"POST metadata", "DELETE series", "POST write", "POST admin/tsdb/delete_series", "GET read",
		"GET label/%2e%2e/values", "GET label/..%2F..%2Fadmin/values", "GET label/%252e%252e/values",
	} {
		method, path, _ := strings.Cut(one, " ")
		w := ask(method, "/api/v1/"+path)
		if w.Code != http.StatusNotFound || !strings.HasPrefix(w.Body.String(), `{"status":"error","errorType":"not_found","error":"`) {
			t.Errorf("%s: status %d: %s", one, w.Code, w.Body)
		}
	}
	if int(passed.Load()) != len(listed) {
		t.Error("what is not listed was passed on")
	}
}

func TestExternalThatIsNotThereIsUnavailable(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	db := openURL(t, server.URL)
	if _, err := db.Query(t.Context(), "up", now()); ops.KindOf(err) != ops.Unavailable {
		t.Errorf("query: %v", err)
	}
	if _, err := recent(t.Context(), db, []string{"m"}, now().Add(-time.Minute), now(), 0); ops.KindOf(err) != ops.Unavailable {
		t.Errorf("recent: %v", err)
	}
	for _, base := range []string{"localhost:9090", "ftp://x", "http://", "://"} {
		if _, err := Open(t.Context(), testLog(t), Options{URL: base}); ops.KindOf(err) != ops.Invalid {
			t.Errorf("%q: %v", base, err)
		}
	}
}
