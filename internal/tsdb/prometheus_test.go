package tsdb

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"reeve/internal/ops"
)

// prometheus starts the Prometheus of this machine and answers its URL. SELF
// in the configuration is its own address.
func prometheus(t *testing.T, config string, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(config, "SELF", address)), 0o600); err != nil {
		t.Fatal(err)
	}
	flags = append([]string{"--config.file=" + file, "--storage.tsdb.path=" + filepath.Join(dir, "data"),
		"--web.listen-address=" + address, "--log.level=warn"}, flags...)
	cmd := exec.Command("/usr/bin/prometheus", flags...)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	base := "http://" + address
	eventually(t, "prometheus is ready", func() bool {
		answer, err := http.Get(base + "/-/ready")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return base
}

// eventually waits until a condition holds; it fails the test after a while.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not in a minute: %s", what)
		}
		<-tick.C
	}
}

// exporter serves metrics that move.
func exporter(t *testing.T) *httptest.Server {
	start := time.Now()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s := time.Since(start).Seconds()
		fmt.Fprintf(w, "# TYPE work_total counter\n# HELP work_total Work that was done.\n")
		for i := range 5 {
			fmt.Fprintf(w, "work_total{worker=\"w%d\",kind=\"k%d\"} %d\n", i, i%2, int(s*float64(i+1)*10))
		}
		fmt.Fprintf(w, "# TYPE heat_celsius gauge\nheat_celsius{place=\"top \\\"left\\\" <&>\"} %g\nheat_celsius{place=\"öst\"} %g\n", 20+math.Sin(s), -s/1e9)
		fmt.Fprintf(w, "edge{v=\"nan\"} NaN\nedge{v=\"inf\"} +Inf\nedge{v=\"big\"} 1.5e+25\nedge{v=\"small\"} 2.5e-9\n")
		fmt.Fprintf(w, "# TYPE wait_seconds histogram\n")
		for i, le := range []string{"0.1", "0.5", "1", "+Inf"} {
			fmt.Fprintf(w, "wait_seconds_bucket{le=%q} %d\n", le, int(s*float64(i+2)))
		}
		fmt.Fprintf(w, "wait_seconds_sum %g\nwait_seconds_count %d\n", s*2.2, int(s*5))
	}))
	t.Cleanup(server.Close)
	return server
}

// ask sends a request to a Prometheus API and answers what it answered.
func ask(t *testing.T, method, base, path string, form url.Values) (status int, body map[string]any) {
	t.Helper()
	var r *http.Request
	var err error
	if method == http.MethodPost {
		r, err = http.NewRequest(method, base+path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else {
		r, err = http.NewRequest(method, base+path+"?"+form.Encode(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &body); err != nil {
		t.Fatalf("%s %s: %v: %s", path, form, err, text)
	}
	return answer.StatusCode, body
}

// comparable makes numbers out of the texts that are values, and puts series
// in one order.
func comparable(v any) any {
	switch v := v.(type) {
	case []any:
		if len(v) == 2 {
			if _, ok := v[0].(float64); ok {
				if text, ok := v[1].(string); ok {
					if f, err := strconv.ParseFloat(text, 64); err == nil {
						return []any{v[0], f}
					}
				}
			}
		}
		list := make([]any, len(v))
		for i := range v {
			list[i] = comparable(v[i])
		}
		if len(list) > 0 {
			if _, ok := list[0].(map[string]any); ok {
				slices.SortFunc(list, func(a, b any) int { return strings.Compare(keyOf(a), keyOf(b)) })
			}
		}
		return list
	case map[string]any:
		all := map[string]any{}
		for k, x := range v {
			all[k] = comparable(x)
		}
		return all
	}
	return v
}

func keyOf(v any) string {
	m, _ := v.(map[string]any)
	if metric, ok := m["metric"]; ok {
		v = metric
	}
	text, _ := json.Marshal(v)
	return string(text)
}

var sameQueries = []string{
	"up", "work_total", `work_total{worker=~"w[12]"}`, `work_total{kind!="k0"} offset 2s`, "heat_celsius", "edge", "-edge", "edge > bool 3",
	"rate(work_total[5s])", "increase(work_total[6s])", "irate(work_total[5s])", "delta(heat_celsius[5s])", "deriv(heat_celsius[5s])",
	"sum(rate(work_total[5s]))", "sum by (kind) (work_total)", "avg without (worker) (work_total)", "max by (job) (up)",
	"count by (__name__) ({job=\"exporter\"})", "topk(2, work_total)", "bottomk(1, work_total)", "quantile(0.9, work_total)", "stddev(work_total)",
	"histogram_quantile(0.9, rate(wait_seconds_bucket[5s]))", "histogram_quantile(0.5, sum by (le) (wait_seconds_bucket))",
	"min_over_time(heat_celsius[5s])", "max_over_time(heat_celsius[5s])", "avg_over_time(heat_celsius[5s])", "count_over_time(up[5s])",
	"quantile_over_time(0.5, work_total[5s])", "last_over_time(work_total[5s])", "stddev_over_time(work_total[5s])", "changes(work_total[5s])", "resets(work_total[5s])",
	"max_over_time(rate(work_total[3s])[4500ms:1s])", // Prometheus 2 counts a step right at the begin, 3 does not
	"predict_linear(work_total[5s], 60)",
	"work_total / on(worker) group_left work_total", "work_total and on(worker) work_total{kind=\"k1\"}", "work_total unless work_total{kind=\"k1\"}", "up or work_total",
	"absent(nothing)", "absent(up)", "vector(1)", "scalar(vector(2))", "time()", "1 + 2 * 3", `"text"`, "timestamp(up)", "sort_desc(work_total)",
	`label_replace(up, "x", "$1", "job", "(.*)")`, `label_join(up, "x", "-", "job", "instance")`, "clamp(work_total, 10, 50)", "round(heat_celsius, 0.1)", "abs(heat_celsius)",
	"work_total[5s]", "work_total @ end()", "count_values(\"v\", up)", "hour()", "sgn(heat_celsius)", "prometheus_build_info", "sum(prometheus_tsdb_head_series)",
	"rate(prometheus_http_requests_total[5s])", "histogram_quantile(0.99, sum by (le, handler) (rate(prometheus_http_request_duration_seconds_bucket[6s])))",
}

// quietQueries are those whose right answer is empty or no number.
var quietQueries = map[string]bool{`"text"`: true, "absent(up)": true}

// TestAnswersAsPrometheusDoes lets a Prometheus write what it scrapes to us
// and asks both the same.
func TestAnswersAsPrometheusDoes(t *testing.T) {
	begin := time.Now()
	db, ours, theirs := besidePrometheus(t)
	for tries := 1; !betweenSeconds(t, db); tries++ {
		if tries == 20 {
			t.Fatal("Prometheus scrapes beside whole seconds again and again")
		}
		begin = time.Now()
		db, ours, theirs = besidePrometheus(t)
	}
	eventually(t, "twelve scrapes came over", func() bool { return scrapes(t, db) >= 12 })
	at := quietMoment(t, db)
	eventually(t, "we have what they have", func() bool {
		got, err := db.Query(t.Context(), "min(timestamp(up))", time.Now())
		return err == nil && len(got) == 1 && got[0].Points[0].Value > float64(at.UnixMilli())/1000+1
	})
	t.Logf("asked %d queries at %s, %s after the start", len(sameQueries), at, at.Sub(begin))

	// Nothing equals nothing; so most must answer something.
	for _, expr := range sameQueries {
		if got, err := db.Query(t.Context(), expr, at); err != nil || (len(got) == 0 && !quietQueries[expr]) {
			t.Errorf("%s answers %v, %v", expr, got, err)
		}
	}
	loose := cmp.Options{cmpopts.EquateApprox(1e-12, 1e-15), cmpopts.EquateNaNs()}
	for _, expr := range sameQueries {
		instant := url.Values{"query": {expr}, "time": {fmt.Sprintf("%.3f", float64(at.UnixMilli())/1000)}}
		compare(t, ours.URL, theirs, "/api/v1/query", instant, loose)
		if strings.HasSuffix(expr, "[5s]") || expr == `"text"` {
			continue // A range query must answer instant vectors.
		}
		over := url.Values{"query": {expr}, "start": {at.Add(-5 * time.Second).Format(time.RFC3339Nano)}, "end": {at.Format(time.RFC3339Nano)}, "step": {"1s"}}
		compare(t, ours.URL, theirs, "/api/v1/query_range", over, loose)
	}
	span := url.Values{"start": {begin.Format(time.RFC3339)}, "end": {at.Format(time.RFC3339)}}
	with := func(more ...string) url.Values {
		form := url.Values{}
		for k, v := range span {
			form[k] = v
		}
		for i := 0; i < len(more); i += 2 {
			form.Add(more[i], more[i+1])
		}
		return form
	}
	compare(t, ours.URL, theirs, "/api/v1/series", with("match[]", "work_total", "match[]", `{place=~".+"}`), loose)
	compare(t, ours.URL, theirs, "/api/v1/labels", with(), loose)
	compare(t, ours.URL, theirs, "/api/v1/labels", with("match[]", "work_total"), loose)
	for _, name := range []string{"__name__", "worker", "le", "place", "nothing"} {
		compare(t, ours.URL, theirs, "/api/v1/label/"+name+"/values", with(), loose)
		compare(t, ours.URL, theirs, "/api/v1/label/"+name+"/values", with("match[]", `{job="exporter"}`), loose)
	}
	eventually(t, "metadata came over", func() bool {
		_, body := ask(t, http.MethodGet, ours.URL, "/api/v1/metadata", url.Values{"metric": {"work_total"}})
		_, want := ask(t, http.MethodGet, theirs, "/api/v1/metadata", url.Values{"metric": {"work_total"}})
		return cmp.Equal(want, body)
	})
}

// besidePrometheus starts a store, and a Prometheus that scrapes an exporter
// and itself and writes to that store.
func besidePrometheus(t *testing.T) (db *DB, ours *httptest.Server, theirs string) {
	t.Helper()
	db = open(t, t.TempDir())
	ours = httptest.NewServer(db.Handler())
	t.Cleanup(ours.Close)
	target := strings.TrimPrefix(exporter(t).URL, "http://")
	return db, ours, prometheus(t, `
global: {scrape_interval: 1s, scrape_timeout: 1s, external_labels: {}}
scrape_configs:
- {job_name: exporter, static_configs: [{targets: ["`+target+`"]}]}
- {job_name: prometheus, static_configs: [{targets: ["SELF"]}]}
remote_write:
- url: `+ours.URL+`/api/v1/write
  queue_config: {batch_send_deadline: 100ms, min_shards: 1}
  metadata_config: {send_interval: 1s}
`)
}

// scrapes answers how many scrapes of the target that was scraped least came
// over.
func scrapes(t *testing.T, db *DB) float64 {
	got, err := db.Query(t.Context(), "min(count_over_time(up[5m])) and on() (count(up) == 2)", time.Now())
	if err != nil || len(got) != 1 {
		return 0
	}
	return got[0].Points[0].Value
}

// betweenSeconds reports whether scrapes keep away from whole seconds, at
// which sub-queries look whatever they are asked at. When a target is scraped
// follows from its port, which is another one with every start.
func betweenSeconds(t *testing.T, db *DB) bool {
	t.Helper()
	eventually(t, "three scrapes came over", func() bool { return scrapes(t, db) >= 3 })
	got, err := db.Query(t.Context(), "timestamp(up)", time.Now())
	if err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	return !slices.ContainsFunc(got, func(s ops.Series) bool {
		_, part := math.Modf(s.Points[0].Value)
		return min(part, 1-part) < 0.05
	})
}

// quietMoment answers a time at which no sample lies on the edge of a window
// of whole seconds: Prometheus 2 counts that edge in and Prometheus 3 does not.
func quietMoment(t *testing.T, db *DB) time.Time {
	t.Helper()
	got, err := db.Query(t.Context(), "timestamp(up)", time.Now())
	if err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	at := time.Now().Truncate(time.Second)
	for try := range 1000 {
		ms, clear := float64(try), true
		for _, s := range got {
			_, part := math.Modf(s.Points[0].Value)
			far := math.Abs(part*1000 - ms)
			clear = clear && math.Min(far, 1000-far) > 150
		}
		if clear {
			return at.Add(time.Duration(try) * time.Millisecond)
		}
	}
	t.Fatal("there is no quiet moment")
	return at
}

func compare(t *testing.T, ours, theirs, path string, form url.Values, loose cmp.Options) {
	t.Helper()
	wantStatus, want := ask(t, http.MethodGet, theirs, path, form)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		if method == http.MethodPost && strings.Contains(path, "/label/") {
			continue
		}
		// Series come over in several parts, of which a busy machine may send one
		// later than the others: an answer about the past is right once it is.
		status, diff := 0, ""
		for deadline := time.Now().Add(lateShard); ; {
			var got map[string]any
			status, got = ask(t, method, ours, path, form)
			// Notes on queries are newer than their Prometheus.
			delete(got, "infos")
			delete(got, "warnings")
			if diff = cmp.Diff(comparable(want), comparable(got), loose); diff == "" || time.Now().After(deadline) {
				break
			}
		}
		if status != wantStatus {
			t.Errorf("%s %s: status %d, theirs %d", path, form, status, wantStatus)
		}
		if diff != "" {
			t.Errorf("%s %s (-theirs +ours):\n%s", path, form, diff)
		}
	}
}

// lateShard is how long a part of the samples may come over after the others.
const lateShard = 10 * time.Second

func TestRefusesAsPrometheusDoes(t *testing.T) {
	db := open(t, t.TempDir())
	ours := httptest.NewServer(db.Handler())
	t.Cleanup(ours.Close)
	theirs := prometheus(t, "global: {}")
	for _, c := range []struct {
		path string
		form url.Values
	}{
		{"/api/v1/query", nil},
		{"/api/v1/query", url.Values{"query": {"sum("}}},
		{"/api/v1/query", url.Values{"query": {"up"}, "time": {"yesterday"}}},
		{"/api/v1/query", url.Values{"query": {"up"}, "timeout": {"soon"}}},
		{"/api/v1/query", url.Values{"query": {`label_replace(vector(1), "a", "b", "c", "(")`}}},
		{"/api/v1/query", url.Values{"query": {`vector(1) + on() group_left(a) (label_replace(vector(1), "b", "1", "", "") or label_replace(vector(1), "b", "2", "", ""))`}}},
		{"/api/v1/query_range", url.Values{"query": {"up"}}},
		{"/api/v1/query_range", url.Values{"query": {"up"}, "start": {"100"}, "end": {"50"}, "step": {"1"}}},
		{"/api/v1/query_range", url.Values{"query": {"up"}, "start": {"0"}, "end": {"50"}, "step": {"0"}}},
		{"/api/v1/query_range", url.Values{"query": {"up"}, "start": {"0"}, "end": {"50"}, "step": {"-1"}}},
		{"/api/v1/query_range", url.Values{"query": {"up"}, "start": {"0"}, "end": {"500000"}, "step": {"1"}}},
		{"/api/v1/query_range", url.Values{"query": {"up[5m]"}, "start": {"0"}, "end": {"50"}, "step": {"1"}}},
		{"/api/v1/series", nil},
		{"/api/v1/series", url.Values{"match[]": {`{a=""}`}}},
		{"/api/v1/series", url.Values{"match[]": {`{`}}},
		{"/api/v1/series", url.Values{"match[]": {"up"}, "start": {"x"}}},
		{"/api/v1/labels", url.Values{"match[]": {`{}`}}},
	} {
		wantStatus, want := ask(t, http.MethodGet, theirs, c.path, c.form)
		status, got := ask(t, http.MethodGet, ours.URL, c.path, c.form)
		if status != wantStatus || got["status"] != want["status"] || got["errorType"] != want["errorType"] {
			t.Errorf("%s %s: %d %v, theirs %d %v", c.path, c.form, status, got, wantStatus, want)
		}
		if text, _ := got["error"].(string); text == "" {
			t.Errorf("%s %s: no text in %v", c.path, c.form, got)
		}
	}
}

func TestBuildInfoAnswersTheEngine(t *testing.T) {
	db := open(t, t.TempDir())
	ours := httptest.NewServer(db.Handler())
	t.Cleanup(ours.Close)
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, body := ask(t, http.MethodGet, ours.URL, "/api/v1/status/buildinfo", nil)
	version := body["data"].(map[string]any)["version"].(string)
	parts := strings.Split(version, ".")
	if !strings.Contains(string(mod), fmt.Sprintf("github.com/prometheus/prometheus v0.%s%02s.%s\n", parts[0], parts[1], parts[2])) {
		t.Errorf("version %s is not the one in go.mod", version)
	}
	for path, want := range map[string]string{"rules": `{"groups":[]}`, "query_exemplars": `[]`, "alerts": `{"alerts":[]}`} {
		_, body := ask(t, http.MethodGet, ours.URL, "/api/v1/"+path, nil)
		if got, _ := json.Marshal(body["data"]); string(got) != want || body["status"] != "success" {
			t.Errorf("%s: %v", path, body)
		}
	}
}
