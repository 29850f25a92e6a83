package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// open starts the process; driver is the wrapped SQLite driver, or "".
func open(ctx context.Context, dir, receiver, driver string) (*estate, error) {
	o := store.Options{URL: "sqlite:" + filepath.Join(dir, "reeve.db")}
	if driver != "" {
		o.WrapDriver = func(string) string { return driver }
	}
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
	all, err := notify.OpenChannels(notify.NewEnv(quiet, ""), channels.Get, []map[string]any{{"name": "hook", "type": "webhook", "url": receiver}})
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

// check answers which invariants of 2-domain.md do not hold in a database at
// rest.
func check(ctx context.Context, s *store.Store) error {
	var wrong []error
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if good, broken, err := s.VerifyAudit(ctx, func(int64, int64) {}); err != nil || broken != nil {
		bad("audit: %d good, %+v, %v", good, broken, err)
	}
	states, err := replay(ctx, s)
	if err != nil {
		return err
	}
	findings, _, err := s.Findings(ctx, store.FindingFilter{All: true})
	if err != nil {
		return err
	}
	alive := map[string]string{}
	for _, f := range findings {
		if got := states["finding "+f.ID]; got != string(f.State) {
			bad("finding %s is %s, its transitions end at %q (invariant 6)", f.ID, f.State, got)
		}
		if f.State == ops.FindingClosed {
			continue
		}
		key := ops.Fingerprint(f.ResourceID, f.Condition)
		if other := alive[key]; other != "" {
			bad("%s and %s are alive for one fingerprint (invariant 1)", other, f.ID)
		}
		alive[key] = f.ID
		if f.Active() && f.IncidentID == "" {
			bad("finding %s is in no incident", f.ID)
		}
	}
	return errors.Join(append(wrong, checkIncidents(ctx, s, states))...)
}

func checkIncidents(ctx context.Context, s *store.Store, states map[string]string) error {
	var wrong []error
	incidents, _, err := s.Incidents(ctx, store.IncidentFilter{All: true})
	if err != nil {
		return err
	}
	for _, i := range incidents {
		if got := states["incident "+i.ID]; got != string(i.State) {
			wrong = append(wrong, fmt.Errorf("incident %s is %s, its transitions end at %q (invariant 6)", i.ID, i.State, got))
		}
		told, err := s.CountDeliveries(ctx, store.DeliveryFilter{Incident: i.ID})
		if err != nil {
			return err
		}
		if told == 0 {
			wrong = append(wrong, fmt.Errorf("incident %s has no delivery (invariant 6)", i.ID))
		}
	}
	return errors.Join(wrong...)
}

// replay follows every transition from state to state: each must begin where
// the last one of its object ended, and none may leave a terminal state.
func replay(ctx context.Context, s *store.Store) (map[string]string, error) {
	states := map[string]string{}
	for after := int64(0); ; {
		page, err := s.Transitions(ctx, store.TransitionFilter{After: after, Limit: 1000})
		if err != nil || len(page) == 0 {
			return states, err
		}
		for _, t := range page {
			after = t.Seq
			if t.To == "" || (t.Object != "finding" && t.Object != "incident" && t.Object != "delivery") {
				continue
			}
			key := t.Object + " " + t.ObjectID
			if states[key] != t.From {
				return states, fmt.Errorf("transition %d (%s of %s) begins at %q, the one before ended at %q (invariant 6)", t.Seq, t.Verb, key, t.From, states[key])
			}
			states[key] = t.To
		}
	}
}
