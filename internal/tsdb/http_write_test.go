package tsdb

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/snappy"
	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"reeve/internal/ops"
)

// post sends a remote write body and answers status and text.
func post(t testing.TB, handler http.Handler, contentType string, body []byte) (int, string, http.Header) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/api/v1/write", bytes.NewReader(snappy.Encode(nil, body)))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Content-Encoding", "snappy")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Code, w.Body.String(), w.Header()
}

const (
	protoV1 = "application/x-protobuf"
	protoV2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
)

// v1 encodes samples as a remote write 1 request.
func v1(t testing.TB, series ...prompb.TimeSeries) []byte {
	t.Helper()
	body, err := (&prompb.WriteRequest{Timeseries: series}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func series1(at time.Time, v float64, pairs ...string) prompb.TimeSeries {
	s := prompb.TimeSeries{Samples: []prompb.Sample{{Timestamp: at.UnixMilli(), Value: v}}}
	for i := 0; i < len(pairs); i += 2 {
		s.Labels = append(s.Labels, prompb.Label{Name: pairs[i], Value: pairs[i+1]})
	}
	return s
}

func TestWriteKeepsTheGoodAndTellsTheBad(t *testing.T) {
	db := open(t, t.TempDir())
	at := now()
	body := v1(t,
		series1(at, 1, "__name__", "good", "zone", "a"),
		series1(at, 1, "zone", "a"), // no name
		series1(at, 1, "__name__", "twice", "a", "1", "a", "2"),
		series1(at, 1, "__name__", "bad", "a\xff", "2"),
		series1(at, 1, "__name__", "large", "a", strings.Repeat("x", maxLabelBytes)),
		series1(at.Add(time.Hour), 1, "__name__", "future"),
		series1(at, 2, "__name__", "good", "zone", "b"),
		series1(at.Add(-2*time.Hour), 2, "__name__", "old"),
	)
	status, text, _ := post(t, db.Handler(), protoV1, body)
	if status != http.StatusBadRequest || !strings.Contains(text, "6 samples refused") {
		t.Errorf("%d %s", status, text)
	}
	again := v1(t, series1(at, 3, "__name__", "good", "zone", "a")) // another value for one time
	if status, text, _ := post(t, db.Handler(), protoV1, again); status != http.StatusBadRequest {
		t.Errorf("%d %s", status, text)
	}
	got, err := db.Query(t.Context(), `{__name__=~".+"}`, at)
	if err != nil {
		t.Fatal(err)
	}
	want := []ops.Series{
		{Metric: "good", Labels: map[string]string{"zone": "a"}, Points: []ops.Point{{At: at, Value: 1}}},
		{Metric: "good", Labels: map[string]string{"zone": "b"}, Points: []ops.Point{{At: at, Value: 2}}},
	}
	sortSeries(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if s := db.Stats(); s.Appended != 2 || s.Rejected != 7 {
		t.Errorf("stats: %+v", s)
	}
	status, text, _ = post(t, db.Handler(), protoV1, v1(t, series1(at, 2, "__name__", "fine")))
	if status != http.StatusNoContent || text != "" {
		t.Errorf("%d %s", status, text)
	}
}

func TestWriteRefusesWhatItCannotRead(t *testing.T) {
	db := open(t, t.TempDir())
	for _, c := range []struct {
		contentType string
		body        []byte
		want        int
	}{
		{protoV1, []byte{1, 2, 3}, http.StatusBadRequest},
		{protoV2, []byte{1, 2, 3}, http.StatusBadRequest},
		{"text/plain", nil, http.StatusUnsupportedMediaType},
		{"application/x-protobuf;proto=other", nil, http.StatusUnsupportedMediaType},
		{protoV1, make([]byte, 33<<20), http.StatusBadRequest},
	} {
		if status, text, _ := post(t, db.Handler(), c.contentType, c.body); status != c.want {
			t.Errorf("%s: %d %s", c.contentType, status, text)
		}
	}
	// A length of four gigabytes before three bytes.
	r := httptest.NewRequest(http.MethodPost, "/api/v1/write", bytes.NewReader([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2}))
	w := httptest.NewRecorder()
	db.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestWriteOfVersion2KeepsHistogramsAndDescriptions(t *testing.T) {
	db := open(t, t.TempDir())
	server := httptest.NewServer(db.Handler())
	t.Cleanup(server.Close)
	at := now()
	symbols := writev2.NewSymbolTable()
	h := &histogram.Histogram{Schema: 1, Count: 6, Sum: 20, ZeroThreshold: 0.001, ZeroCount: 1,
		PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{2, 1}}
	request := &writev2.Request{Timeseries: []writev2.TimeSeries{
		{
			LabelsRefs: symbols.SymbolizeLabels(labels.FromStrings("__name__", "jobs_total", "queue", "a"), nil),
			Samples:    []writev2.Sample{{Timestamp: at.UnixMilli(), Value: 5}},
			Metadata:   writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_COUNTER, HelpRef: symbols.Symbolize("Jobs done."), UnitRef: symbols.Symbolize("jobs")},
		},
		{
			LabelsRefs: symbols.SymbolizeLabels(labels.FromStrings("__name__", "wait"), nil),
			Histograms: []writev2.Histogram{writev2.FromIntHistogram(0, at.UnixMilli(), h)},
		},
	}}
	request.Symbols = symbols.Symbols()
	client, err := remoteapi.NewAPI(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	stats, err := client.Write(t.Context(), remoteapi.WriteV2MessageType, request)
	if err != nil || stats.Samples != 1 || stats.Histograms != 1 {
		t.Fatalf("%+v, %v", stats, err)
	}
	instant := url.Values{"time": {at.Format(time.RFC3339Nano)}, "query": {"histogram_count(wait) + on() jobs_total"}}
	_, body := ask(t, http.MethodGet, server.URL, "/api/v1/query", instant)
	if got := body["data"].(map[string]any)["result"].([]any); len(got) != 1 || got[0].(map[string]any)["value"].([]any)[1] != "11" {
		t.Errorf("%v", body)
	}
	instant.Set("query", "wait")
	_, body = ask(t, http.MethodGet, server.URL, "/api/v1/query", instant)
	shown := body["data"].(map[string]any)["result"].([]any)[0].(map[string]any)["histogram"].([]any)[1].(map[string]any)
	if shown["count"] != "6" || shown["sum"] != "20" || len(shown["buckets"].([]any)) != 3 {
		t.Errorf("%v", shown)
	}
	_, body = ask(t, http.MethodGet, server.URL, "/api/v1/metadata", nil)
	want := map[string]any{"jobs_total": []any{map[string]any{"type": "counter", "help": "Jobs done.", "unit": "jobs"}}}
	if d := cmp.Diff(want, body["data"]); d != "" {
		t.Error(d)
	}
}

func TestWriteToAClosedStoreIsToBeRepeated(t *testing.T) {
	db := open(t, t.TempDir())
	handler := db.Handler()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	status, _, header := post(t, handler, protoV1, v1(t, series1(now(), 2, "__name__", "fine")))
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		t.Errorf("%d %v", status, header)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	if status, body := ask(t, http.MethodGet, server.URL, "/api/v1/query", url.Values{"query": {"up"}}); status != http.StatusServiceUnavailable || body["errorType"] != "unavailable" {
		t.Errorf("%d %v", status, body)
	}
}

func TestTooManySeriesAreRefused(t *testing.T) {
	db := open(t, t.TempDir(), func(o *Options) { o.MaxSeries = 10 })
	at := now()
	for i := range 15 {
		post(t, db.Handler(), protoV1, v1(t, series1(at, 1, "__name__", "m", "i", fmt.Sprint(i))))
	}
	if s := db.Stats(); s.Series != 10 || s.Rejected != 5 || !s.Degraded {
		t.Errorf("stats: %+v", s)
	}
	// A series that is there already goes on.
	if status, text, _ := post(t, db.Handler(), protoV1, v1(t, series1(at.Add(time.Second), 1, "__name__", "m", "i", "3"))); status != http.StatusNoContent {
		t.Errorf("%d %s", status, text)
	}
	if err := db.Append(t.Context(), []Sample{{Ref: db.Ref("h", "r", "m", nil), At: at, Value: 1}}); err != nil {
		t.Fatal(err)
	}
	if s := db.Stats(); s.Rejected != 6 {
		t.Errorf("stats: %+v", s)
	}
}

// fuzzStore is one store for all inputs of a fuzz test.
func fuzzStore(f *testing.F) *DB {
	dir, err := os.MkdirTemp("", "reeve-fuzz")
	if err != nil {
		f.Fatal(err)
	}
	db, err := Open(context.Background(), slog.New(slog.DiscardHandler), Options{Dir: dir, BallastSize: 1 << 20, MaxSeries: 1000})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		db.Close()
		os.RemoveAll(dir)
	})
	return db
}

func FuzzWrite(f *testing.F) {
	handler := fuzzStore(f).Handler()
	at := time.Now()
	good := v1(f, series1(at, 1, "__name__", "good", "zone", "a"))
	f.Add(false, good)
	f.Add(false, v1(f, series1(at, 1, "zone", "a"), series1(at, 1, "__name__", "twice", "a", "1", "a", "2")))
	symbols := writev2.NewSymbolTable()
	request := &writev2.Request{Timeseries: []writev2.TimeSeries{{
		LabelsRefs: symbols.SymbolizeLabels(labels.FromStrings("__name__", "n"), nil),
		Samples:    []writev2.Sample{{Timestamp: at.UnixMilli(), Value: 5}},
		Histograms: []writev2.Histogram{writev2.FromIntHistogram(0, at.UnixMilli(), &histogram.Histogram{
			Schema: 1, Count: 3, Sum: 20, PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{1, 1}})},
	}}}
	request.Symbols = symbols.Symbols()
	if body, err := request.Marshal(); err == nil {
		f.Add(true, body)
	}
	f.Add(true, good)
	f.Fuzz(func(t *testing.T, v2 bool, body []byte) {
		contentType := protoV1
		if v2 {
			contentType = protoV2
		}
		status, text, _ := post(t, handler, contentType, body)
		if status != http.StatusNoContent && status != http.StatusBadRequest {
			t.Errorf("%d %s", status, text)
		}
	})
}

func FuzzRequests(f *testing.F) {
	db := fuzzStore(f)
	handler := db.Handler()
	at := time.Now().Truncate(time.Millisecond)
	for i := range 5 {
		ref := db.Ref("h", fmt.Sprint(i), "load1", nil)
		if err := db.Append(context.Background(), []Sample{{Ref: ref, At: at, Value: float64(i)}}); err != nil {
			f.Fatal(err)
		}
	}
	f.Add("/api/v1/query", "query=rate(load1[5m])&time=1700000000.123&timeout=5s&limit=3")
	f.Add("/api/v1/query_range", "query=load1&start=0&end=100&step=1s&lookback_delta=3m")
	f.Add("/api/v1/query_range", "query=load1[5m:1m]&start=-1e300&end=NaN&step=1e99")
	f.Add("/api/v1/series", "match[]=load1&match[]={host=~\"h.*\"}&start=2020-01-01T00:00:00Z")
	f.Add("/api/v1/labels", "match[]={resource!=\"\"}&end=1e12&limit=-1")
	f.Add("/api/v1/label/U__load_2e_1/values", "match[]=load1")
	f.Add("/api/v1/label/__name__/values", "limit=1")
	f.Add("/api/v1/metadata", "metric=load1&limit=99999999999999999999")
	f.Fuzz(func(t *testing.T, path, form string) {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: path, RawQuery: form}, Body: http.NoBody, Header: http.Header{}}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r.WithContext(ctx))
		if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") && !bytes.HasPrefix(w.Body.Bytes(), []byte(`{"status":"`)) {
			t.Errorf("%s?%s: %d %s", path, form, w.Code, w.Body)
		}
	})
}
