package tsdb

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"net/http/httputil"
	"runtime"
	"strconv"
	"strings"
	"time"

	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"reeve/internal/ops"
)

// engineVersion is the version of Prometheus whose engine answers, as data
// sources ask for it to know what they may use.
const engineVersion = "3.15.0"

// maxForm bounds the body of a query.
const maxForm = 1 << 20

// Handler serves the HTTP API of Prometheus below /api/v1: queries, series and
// labels as a Grafana data source asks for them, and remote write. An external
// store answers itself: requests are passed on to it.
func (db *DB) Handler() http.Handler {
	if x, ok := db.back.(*external); ok {
		return x.proxy()
	}
	s := server{e: db.back.(*embedded), db: db}
	mux := http.NewServeMux()
	both := func(path string, f func(r *http.Request) (answer, error)) {
		mux.Handle("GET "+path, s.wrap(f))
		mux.Handle("POST "+path, s.wrap(f))
	}
	both("/api/v1/query", s.query)
	both("/api/v1/query_range", s.queryRange)
	both("/api/v1/series", s.series)
	both("/api/v1/labels", s.labelNames)
	both("/api/v1/query_exemplars", fixed([]struct{}{}))
	mux.Handle("GET /api/v1/label/{name}/values", s.wrap(s.labelValues))
	mux.Handle("GET /api/v1/metadata", s.wrap(s.metadata))
	mux.Handle("GET /api/v1/rules", s.wrap(fixed(map[string]any{"groups": []struct{}{}})))
	mux.Handle("GET /api/v1/alerts", s.wrap(fixed(map[string]any{"alerts": []struct{}{}})))
	mux.Handle("GET /api/v1/status/buildinfo", s.wrap(fixed(map[string]string{
		"version": engineVersion, "revision": "", "branch": "", "buildUser": "", "buildDate": "", "goVersion": runtime.Version(),
	})))
	mux.Handle("POST /api/v1/write", remoteapi.NewWriteHandler(writer{s.e, db},
		remoteapi.MessageTypes{remoteapi.WriteV1MessageType, remoteapi.WriteV2MessageType},
		remoteapi.WithWriteHandlerMiddlewares(remoteapi.SnappyDecodeMiddleware(slog.New(slog.DiscardHandler)))))
	return mux
}

// proxied are the requests that are passed on to an external store, the same
// that an embedded one answers. The list is closed, since the store takes them
// with the credentials of Reeve: what else it offers, such as its settings and
// its administration, is not for everybody who may read metrics.
var proxied = []string{
	"GET /api/v1/query", "POST /api/v1/query",
	"GET /api/v1/query_range", "POST /api/v1/query_range",
	"GET /api/v1/series", "POST /api/v1/series",
	"GET /api/v1/labels", "POST /api/v1/labels",
	"GET /api/v1/query_exemplars", "POST /api/v1/query_exemplars",
	"GET /api/v1/label/{name}/values",
	"GET /api/v1/metadata", "GET /api/v1/rules", "GET /api/v1/alerts", "GET /api/v1/status/buildinfo",
}

func (x *external) proxy() http.Handler {
	pass := &httputil.ReverseProxy{
		Transport: x.client.Transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(x.base)
			// Who asks us is no business of the store's.
			r.Out.Header.Del("Authorization")
			r.Out.Header.Del("Cookie")
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			fail(w, failure{http.StatusBadGateway, "unavailable", "the external metrics store cannot be reached"})
		},
	}
	mux := http.NewServeMux()
	for _, path := range proxied {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if leadsAway(r.PathValue("name")) {
				unknown(w, r)
				return
			}
			pass.ServeHTTP(w, r)
		})
	}
	mux.HandleFunc("/", unknown)
	return mux
}

// leadsAway says that a label name, once a server on the way decodes it, could
// name another path than that of its values.
func leadsAway(name string) bool {
	return name == "." || name == ".." || strings.ContainsAny(name, `/\%?#`)
}

func unknown(w http.ResponseWriter, _ *http.Request) {
	fail(w, failure{http.StatusNotFound, "not_found", "there is no such request, or it is not passed on to the external metrics store"})
}

// server answers requests from the embedded databases.
type server struct {
	e  *embedded
	db *DB
}

// An answer writes itself; it may hold what must be closed afterwards.
type answer func(w http.ResponseWriter)

// failure is an error as the API tells it.
type failure struct {
	status int
	kind   string
	text   string
}

func (f failure) Error() string { return f.text }

func bad(text string) error { return failure{http.StatusBadRequest, "bad_data", text} }

func badParameter(name string, err error) error {
	return bad("invalid parameter " + strconv.Quote(name) + ": " + err.Error())
}

func (s server) wrap(f func(*http.Request) (answer, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			fail(w, badParameter("form", err))
			return
		}
		write, err := f(r)
		if err != nil {
			fail(w, err)
			return
		}
		if write != nil {
			write(w)
		}
	})
}

// fail writes an error with the status and type that Prometheus gives it.
func fail(w http.ResponseWriter, err error) {
	f := classify(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.status)
	b := newJSON(w)
	b.text(`{"status":"error","errorType":`).quote(f.kind).text(`,"error":`).quote(f.text).text(`}`)
	b.flush()
}

func classify(err error) failure {
	var f failure
	var broken badQuery
	var late promql.ErrQueryTimeout
	var gone promql.ErrQueryCanceled
	var stored promql.ErrStorage
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &broken):
		return failure{http.StatusBadRequest, "bad_data", `invalid parameter "query": ` + err.Error()}
	case errors.As(err, &late), errors.Is(err, context.DeadlineExceeded):
		return failure{http.StatusServiceUnavailable, "timeout", err.Error()}
	case errors.As(err, &gone), errors.Is(err, context.Canceled):
		return failure{499, "canceled", err.Error()}
	case errors.As(err, &stored):
		return failure{http.StatusInternalServerError, "internal", err.Error()}
	case ops.KindOf(err) == ops.Unavailable:
		text, _ := ops.Shown(err)
		return failure{http.StatusServiceUnavailable, "unavailable", text}
	}
	return failure{http.StatusUnprocessableEntity, "execution", err.Error()}
}

// fixed answers always the same.
func fixed(data any) func(*http.Request) (answer, error) {
	return func(*http.Request) (answer, error) { return plain(data, nil), nil }
}

// The oldest and newest times that can be asked for, in milliseconds.
const (
	minTime = math.MinInt64/1000 + 62135596801
	maxTime = math.MaxInt64/1000 - 62135596801
)

// parseTime reads a time of a request: seconds since 1970 or RFC 3339.
func parseTime(text string) (time.Time, error) {
	if v, err := strconv.ParseFloat(text, 64); err == nil {
		if math.IsNaN(v) || v*1000 < float64(minTime) || v*1000 > float64(maxTime) {
			return time.Time{}, errors.New(strconv.Quote(text) + " is out of range")
		}
		return time.UnixMilli(int64(math.Round(v * 1000))).UTC(), nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, errors.New(strconv.Quote(text) + " is neither seconds nor a time by RFC 3339")
	}
	return t, nil
}

// timeOf reads a time of a request, missing when the request does not say.
func timeOf(r *http.Request, name string, missing time.Time) (time.Time, error) {
	text := r.FormValue(name)
	if text == "" {
		return missing, nil
	}
	t, err := parseTime(text)
	if err != nil {
		return t, badParameter(name, err)
	}
	return t, nil
}

// durationOf reads a duration of a request: seconds or as PromQL writes it.
func durationOf(r *http.Request, name string, missing time.Duration) (time.Duration, error) {
	text := r.FormValue(name)
	if text == "" {
		return missing, nil
	}
	if v, err := strconv.ParseFloat(text, 64); err == nil {
		ns := v * float64(time.Second)
		if !(math.Abs(ns) < math.MaxInt64) {
			return 0, badParameter(name, errors.New(strconv.Quote(text)+" is out of range"))
		}
		return time.Duration(ns), nil
	}
	d, err := model.ParseDuration(text)
	if err != nil {
		return 0, badParameter(name, errors.New(strconv.Quote(text)+" is no duration"))
	}
	return time.Duration(d), nil
}

// limitOf reads how many results are wanted; zero means all.
func limitOf(r *http.Request) (int, error) {
	text := r.FormValue("limit")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, badParameter("limit", errors.New("must be a number that is not negative"))
	}
	return n, nil
}

// matchersOf reads the match[] selectors of a request.
func matchersOf(r *http.Request) ([][]*labels.Matcher, error) {
	sets, err := parser.NewParser(parser.Options{}).ParseMetricSelectors(r.Form["match[]"])
	if err != nil {
		return nil, badParameter("match[]", err)
	}
	for _, set := range sets {
		if everything(set) {
			return nil, badParameter("match[]", errors.New("match[] must contain at least one non-empty matcher"))
		}
	}
	return sets, nil
}

// everything says that matchers leave out nothing.
func everything(set []*labels.Matcher) bool {
	for _, m := range set {
		if !m.Matches("") {
			return false
		}
	}
	return true
}
