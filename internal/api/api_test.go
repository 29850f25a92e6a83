package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reeve/internal/api"
	"reeve/internal/collect"
	"reeve/internal/detect"
	"reeve/internal/investigate"
	"reeve/internal/knowledge"
	"reeve/internal/llm"
	"reeve/internal/loop"
	"reeve/internal/ops"
	"reeve/internal/patrol"
	"reeve/internal/secret"
	"reeve/internal/signin"
	"reeve/internal/store"
	"reeve/internal/tool"
	"reeve/internal/tools"
	"reeve/internal/tsdb"
	"reeve/internal/watch"
)

// A world is a real server over a real database.
type world struct {
	t      testing.TB
	db     *store.Store
	server *api.Server
	http   *httptest.Server
	dir    string
	host   ops.Resource
	fs     ops.Resource

	metrics *tsdb.DB
	patrols *patrol.Patrol
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func openStore(t testing.TB, dir string) *store.Store {
	t.Helper()
	db, err := store.Open(t.Context(), quiet(), store.Options{URL: "sqlite:" + filepath.Join(dir, "reeve.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// newWorld starts a server; change edits its parts first.
func newWorld(t testing.TB, change ...func(*api.Deps)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	w.db = openStore(t, w.dir)
	metrics, err := tsdb.Open(t.Context(), quiet(), tsdb.Options{Dir: filepath.Join(w.dir, "metrics"), BallastSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	w.metrics = metrics
	t.Cleanup(func() { metrics.Close() })
	w.seed()
	deps := w.deps()
	for _, f := range change {
		f(&deps)
	}
	server, err := api.New(deps)
	if err != nil {
		t.Fatal(err)
	}
	w.server = server
	group := loop.NewGroup(quiet())
	for _, l := range server.Loops() {
		group.Add(l)
	}
	group.Start(context.Background())
	w.http = httptest.NewServer(server)
	t.Cleanup(func() {
		w.http.CloseClientConnections()
		w.http.Close()
		if err := group.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) deps() api.Deps {
	self := prometheus.NewRegistry()
	self.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "reeve_test"}, func() float64 { return 1 }))
	return api.Deps{
		Log: quiet(), Store: w.db, Self: self, DataDir: w.dir, Version: "test", Started: time.Now(),
		Metrics: w.ask(),
		Models:  w.models(),
		Desk:    w.desk(),
		Fleet:   w.fleet(),
		Work:    w.work(),

		Patrol: w.patrol(), Investigate: w.investigate(), Knowledge: knowledge.New(w.db, func(c string) bool { return c == fsFull.Name }),

		Loops:  func() []loop.Status { return []loop.Status{{Name: "stream"}} },
		Stores: func(context.Context) []api.StoreStatus { return []api.StoreStatus{{Name: "state", State: "ok"}} },
		Channels: func(context.Context) []api.ChannelStatus {
			return []api.ChannelStatus{{Name: "mail", Type: "email", State: "ok"}}
		},
		TestChannel:  func(context.Context, string) error { return nil },
		Coverage:     func() map[string]any { return map[string]any{"metrics_series": 12} },
		ConfigView:   func() any { return map[string]any{"listen": "127.0.0.1:7433"} },
		Ready:        func() error { return nil },
		ChecksEdited: func() {},
		Restart:      func() {},
		Seal: func(ctx context.Context, name, value string, why store.Why) (row ops.SealedSetting, err error) {
			sealed, err := secret.New(w.dir).Seal(name, value)
			if err != nil {
				return row, err
			}
			return row, w.db.Tx(ctx, time.Now(), func(tx *store.Tx) error { row, err = tx.SaveSealed(ctx, name, sealed, why); return err })
		},
		DeleteSecret: func(ctx context.Context, name string, why store.Why) error {
			return w.db.Tx(ctx, time.Now(), func(tx *store.Tx) error { return tx.DeleteSealed(ctx, name, why) })
		},
		Detectors:  []detect.Definition{fsFull},
		Collectors: []collect.Definition{{Name: "cpu", Doc: "Use of the processors.", Every: 10 * time.Second, Cost: collect.Cheap}},
		ChannelTypes: []api.ChannelType{{Name: "webhook", Doc: "Posts JSON.", Settings: struct {
			URL string `json:"url" doc:"Where to."`
		}{}}},
		Page: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<!doctype html>the page") }),
	}
}

// ask hands questions about readings to a real store of them.
func (w *world) ask() api.Metrics {
	return api.Metrics{
		Prometheus: w.metrics.Handler(), Latest: w.metrics.Latest,
		Range: func(ctx context.Context, id string, metrics []string, from, to time.Time, points int) (all []api.ChartSeries, err error) {
			for _, m := range metrics {
				bands, err := w.metrics.Range(ctx, tsdb.BandQuery{Selector: watch.Selector(m, id, nil), From: from, To: to, MaxPoints: points})
				if err != nil {
					return nil, err
				}
				for _, b := range bands {
					c := api.ChartSeries{Metric: b.Metric}
					for _, p := range b.Points {
						c.Points, c.Min, c.Max = append(c.Points, ops.Point{At: p.At, Value: p.Avg}), append(c.Min, p.Min), append(c.Max, p.Max)
					}
					all = append(all, c)
				}
			}
			return all, nil
		},
		Names: func(context.Context, string) ([]string, error) { return []string{"cpu_busy_ratio"}, nil },
	}
}

// read stores one reading.
func (w *world) read(r ops.Resource, metric string, at time.Time, value float64) {
	w.t.Helper()
	err := w.metrics.Append(context.Background(), []tsdb.Sample{{Ref: w.metrics.Ref("alpha", r.ID, metric, nil), At: at, Value: value}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// investigate accepts investigations, which nobody carries out here.
func (w *world) investigate() *investigate.Investigate {
	v := investigate.New(investigate.Options{Log: quiet(), Store: w.db, Settings: investigate.Settings{Auto: "none", AtOnce: 1, Attempts: 3}})
	group := loop.NewGroup(quiet())
	for _, l := range v.Loops() {
		group.Add(l) // so that they can be woken; they are not started
	}
	return v
}

// patrol accepts patrols; tests do them with its Pass.
func (w *world) patrol() *patrol.Patrol {
	know := knowledge.New(w.db, func(string) bool { return true })
	p, err := patrol.New(patrol.Options{Log: quiet(), Store: w.db, Metrics: w.metrics, Router: llm.New(quiet(), llm.Options{}), Node: "test",
		Tools: func(profile tool.Profile, desk tool.Desk) tool.Toolbox {
			return tool.NewSet(tools.Env{Now: time.Now, Store: w.db, Metrics: w.metrics, Desk: desk}, profile, tools.All(), tool.Limits{})
		},
		Definitions: []detect.Definition{fsFull}, Settings: patrol.Settings{Every: 6 * time.Hour, MinSeverity: ops.Warning, Timeout: time.Minute, Keep: 24 * time.Hour, QuietRuns: 3},
		Knowledge: patrol.Knowledge{Notes: know.ForScope, Before: func(ctx context.Context, condition, resource string) (string, error) {
			past, err := know.Before(ctx, condition, resource)
			return past.Text, err
		}}})
	if err != nil {
		w.t.Fatal(err)
	}
	group := loop.NewGroup(quiet())
	for _, l := range p.Loops() {
		group.Add(l) // so that they can be woken; they are not started
	}
	w.patrols = p
	return p
}

// desk hands decisions to a real watch.
func (w *world) desk() api.Desk {
	watched := watch.New(quiet(), w.db, w.metrics, []detect.Definition{fsFull}, nil)
	return api.Desk{
		AckFinding: watched.AckFinding, Suppress: watched.Suppress, Unsuppress: watched.Unsuppress,
		Resolve: watched.Resolve, AckIncident: watched.AckIncident,
		Explain: func(ctx context.Context, id, condition string) (any, error) {
			return watched.Explain(ctx, id, condition)
		},
		Story: func(ctx context.Context, id string) (any, error) { return watched.Story(ctx, id) },
	}
}

var fsFull = detect.Definition{Name: "fs_full", Title: "File system is almost full", Doc: "Too little room is left.",
	Kinds: []ops.Kind{ops.KindFilesystem}, Metrics: []string{"fs_used_ratio"}, Hold: 5 * time.Minute, Clear: time.Minute,
	Thresholds: []detect.Threshold{{Name: "warn", Default: 0.85, Unit: "ratio", Doc: "Opens at."}},
	Eval: func(s detect.Subject) detect.Verdict {
		if v, ok := s.Value("fs_used_ratio"); ok && v >= s.Limit("warn") {
			return detect.Badf(ops.Warning, "%.0f %% used", v*100)
		}
		return detect.OK()
	}}

func (w *world) seed() {
	now := time.Now().UTC()
	w.host = resourceOf("h1", "linux", "host", ops.KindHost, "alpha", now)
	w.host.HostID = w.host.ID
	w.fs = resourceOf("h1", "linux", "fs:/", ops.KindFilesystem, "/", now)
	w.fs.HostID, w.fs.ParentID = w.host.ID, w.host.ID
	collector := resourceOf("h1", "reeve", "collector:cpu", ops.KindComponent, "collector cpu", now)
	collector.HostID, collector.Observed = w.host.ID, ops.Attrs{"state": "gap", "every_ms": "10000", "gap": "SMART: smartctl is not installed; apt install smartmontools"}
	w.tx(func(tx *store.Tx) error {
		for _, r := range []ops.Resource{w.host, w.fs, collector} {
			if err := tx.SaveResource(w.t.Context(), r, ""); err != nil {
				return err
			}
		}
		return tx.AddHost(w.t.Context(), ops.Host{ID: "h1", Name: "alpha", State: ops.HostOnline, ResourceID: w.host.ID}, store.Why{Actor: "test"})
	})
	w.read(w.host, "cpu_busy_ratio", now, 0.25)
	w.read(w.fs, "fs_used_ratio", now, 0.9)
}

func resourceOf(host, source, key string, kind ops.Kind, name string, now time.Time) ops.Resource {
	return ops.Resource{ID: ops.NewID(ops.ResourceID), Kind: kind, Name: name, HostName: "alpha", Key: ops.ResourceKey{Host: host, Source: source, Key: key},
		Labels: map[string]string{"role": "test"}, Presence: ops.Present, Reachable: "online", FirstSeen: now, ObservedAt: now}
}

func (w *world) tx(f func(*store.Tx) error) {
	w.t.Helper()
	if err := w.db.Tx(context.Background(), time.Now(), f); err != nil {
		w.t.Fatal(err)
	}
}

// openFinding opens a finding with an incident around it.
func (w *world) openFinding(condition string) ops.Finding {
	w.t.Helper()
	now := time.Now().UTC().Truncate(time.Millisecond)
	f := ops.Finding{ID: ops.NewID(ops.FindingID), ResourceID: w.fs.ID, Condition: condition, State: ops.FindingOpen, Severity: ops.Critical,
		Peak: ops.Critical, Origin: "rule", Summary: "/ is 96 % full", FirstSeen: now, LastSeen: now, OpenedAt: now, Count: 1, Episode: 1}
	i := ops.Incident{ID: ops.NewID(ops.IncidentID), Title: "/ is full", State: ops.IncidentOpen, Severity: ops.Critical, Peak: ops.Critical, RootID: f.ID, OpenedAt: now}
	ctx := context.Background()
	w.tx(func(tx *store.Tx) error {
		if err := tx.OpenFinding(ctx, f, store.Why{Actor: "watch"}); err != nil {
			return err
		}
		if err := tx.OpenIncident(ctx, i, store.Why{Actor: "watch"}); err != nil {
			return err
		}
		return tx.Join(ctx, i.ID, ops.IncidentMember{FindingID: f.ID, Reason: "the first", JoinedAt: now})
	})
	f, err := w.db.Finding(ctx, f.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// A client is somebody who asks.
type client struct {
	t     testing.TB
	base  string
	http  *http.Client
	csrf  string
	token string
}

func (w *world) anyone() *client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &client{t: w.t, base: w.http.URL, http: &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// admin answers somebody who signed in with the one-time link.
func (w *world) admin() *client {
	w.t.Helper()
	token, err := signin.NewLink(w.t.Context(), w.db, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	c := w.anyone()
	var s signin.SessionView
	c.want(200, "POST", "/api/v1/session/link", map[string]string{"token": token}, &s)
	c.csrf = s.CSRF
	return c
}

// do asks and answers the status, header and body.
func (c *client) do(method, path string, body any, header ...string) (int, http.Header, []byte) {
	c.t.Helper()
	var in io.Reader
	if text, ok := body.(string); ok {
		in = strings.NewReader(text)
	} else if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, c.base+path, in)
	if err != nil {
		c.t.Fatal(err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.csrf != "" {
		req.Header.Set("X-CSRF-Token", c.csrf)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, res.Header, text
}

// want asks, insists on a status and reads the answer into out.
func (c *client) want(status int, method, path string, body, out any, header ...string) http.Header {
	c.t.Helper()
	got, h, text := c.do(method, path, body, header...)
	if got != status {
		c.t.Fatalf("%s %s: status %d, want %d: %s", method, path, got, status, text)
	}
	if got >= 400 && h.Get("Content-Type") != "application/problem+json" {
		c.t.Fatalf("%s %s: an error of type %s", method, path, h.Get("Content-Type"))
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			c.t.Fatalf("%s %s: %v: %s", method, path, err, text)
		}
	}
	return h
}
