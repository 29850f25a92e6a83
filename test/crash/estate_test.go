package crash

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"reeve/internal/channels"
	"reeve/internal/detectors"
	"reeve/internal/ingest"
	"reeve/internal/notify"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tsdb"
	"reeve/internal/watch"
)

var quiet = slog.New(slog.DiscardHandler)

var host = ops.HostIdentity{Key: "host_1", Name: "web1", BootID: "b"}

// An inbox is a real HTTP receiver that outlives the process under test.
type inbox struct {
	server *httptest.Server
	mu     sync.Mutex
	got    map[string]ops.Message // by delivery ID: a receiver tells repeats by it
	times  map[string]int
}

func newInbox(t *testing.T) *inbox {
	in := &inbox{got: map[string]ops.Message{}, times: map[string]int{}}
	in.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var m ops.Message
		if err == nil {
			err = json.Unmarshal(body, &m)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		in.mu.Lock()
		defer in.mu.Unlock()
		in.got[m.ID] = m
		in.times[m.ID]++
	}))
	t.Cleanup(in.server.Close)
	return in
}

func (in *inbox) count(event ops.MessageEvent) int {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := 0
	for _, m := range in.got {
		if m.Event == event {
			n++
		}
	}
	return n
}

// An estate is one life of the process over a folder.
type estate struct {
	store   *store.Store
	metrics *tsdb.DB
	ingest  *ingest.Ingest
	watch   *watch.Watch
	notify  *notify.Notify
}

// sqlite answers the database of a folder; driver is the wrapped driver, or
// "".
func sqlite(dir, driver string) store.Options {
	o := store.Options{URL: "sqlite:" + filepath.Join(dir, "reeve.db")}
	if driver != "" {
		o.WrapDriver = func(string) string { return driver }
	}
	return o
}

// open starts the process.
func open(ctx context.Context, dir, receiver string, o store.Options) (*estate, error) {
	st, err := store.Open(ctx, quiet, o)
	if err != nil {
		return nil, err
	}
	e := &estate{store: st}
	if e.metrics, err = tsdb.Open(ctx, quiet, tsdb.Options{Dir: filepath.Join(dir, "metrics"), BallastSize: 1 << 20}); err != nil {
		return e, err
	}
	if e.ingest, err = ingest.New(ctx, quiet, st, e.metrics, func() {}); err != nil {
		return e, err
	}
	// No hold and clear times: what is under test are the writes, not the
	// timers, which have tests of their own.
	at := time.Duration(0)
	rules := []watch.Rule{{Condition: "fs_full", Hold: &at, Clear: &at}}
	e.watch = watch.New(quiet, st, e.metrics, detectors.All(), rules)
	all, err := notify.OpenChannels(notify.NewEnv(quiet, notify.NothingSealed, ""), channels.Get, []map[string]any{{"name": "hook", "type": "webhook", "url": receiver}})
	if err != nil {
		return e, err
	}
	policy, err := notify.NewPolicy(map[string]any{"channel_max_per_hour": 100000, "total_max_per_hour": 100000}, notify.Names(all))
	if err != nil {
		return e, err
	}
	e.notify = notify.New(quiet, st, notify.Options{Channels: all, Policy: policy, Advice: func(string) notify.Advice { return notify.Advice{} }})
	return e, nil
}

func (e *estate) close() {
	if e == nil {
		return
	}
	if e.store != nil {
		e.store.Close()
	}
	if e.metrics != nil {
		e.metrics.Close()
	}
}

func (e *estate) report(ctx context.Context, used float64) error {
	<-time.After(2 * time.Millisecond) // two readings of one millisecond would be one
	now := time.Now()
	key := ops.ResourceKey{Host: host.Key, Source: "linux", Key: "fs:/var"}
	obs := ops.Observation{Collector: "filesystem", Started: now, EveryMS: 10_000, Complete: []ops.Kind{ops.KindFilesystem},
		Sightings: []ops.Sighting{{Key: key, Kind: ops.KindFilesystem, Name: "/var", Observed: ops.Attrs{"fstype": "ext4", "read_only": "false"}}},
		Samples: []ops.Sample{{Resource: key, Metric: "fs_used_ratio", At: now, Value: used}, {Resource: key, Metric: "fs_size_bytes", At: now, Value: 4e10},
			{Resource: key, Metric: "fs_available_bytes", At: now, Value: 4e10 * (1 - used)}}}
	return e.ingest.Accept(ctx, ops.Report{Host: host, At: now, Observations: []ops.Observation{obs}})
}

// look is one turn of everything: report, judge, route, deliver.
func (e *estate) look(ctx context.Context, used float64) error {
	for _, step := range []func() error{
		func() error { return e.report(ctx, used) },
		func() error { return e.watch.Pass(ctx) },
		func() error { return e.notify.Route(ctx) },
		func() error { return e.notify.Deliver(ctx) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// ack acknowledges whatever is open.
func (e *estate) ack(ctx context.Context) error {
	open, _, err := e.store.Findings(ctx, store.FindingFilter{States: []string{"open"}, All: true})
	if err != nil {
		return err
	}
	for _, f := range open {
		if _, err := e.watch.AckFinding(ctx, f.ID, "user:ann", "seen"); err != nil {
			return err
		}
	}
	return nil
}
