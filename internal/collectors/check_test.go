package collectors

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

func checkEnv(t *testing.T, declared ...collect.Check) collect.Env {
	env := liveEnv()
	env.StateDir = t.TempDir()
	env.Checks = func() []collect.Check { return declared }
	return env
}

func TestCheckRunsWhenDueAndRemembersSince(t *testing.T) {
	var asked, status atomic.Int64
	status.Store(200)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(int(status.Load()))
	}))
	defer s.Close()
	env := checkEnv(t, collect.Check{Name: "shop", Type: "http", Target: s.URL + "/?key=hunter2", Every: 30 * time.Second,
		Labels: map[string]string{"tier": "front"}})
	c := open(t, "check", env)
	d, _ := Get("check")

	obs := mustPass(t, c, clock0)
	checkDocumented(t, d, obs)
	site := seen(t, obs, "shop")
	if site.Kind != ops.KindCheck || site.Labels["tier"] != "front" || !site.Observed.Is("up", "true") || !site.Observed.Is("every_ms", "30000") {
		t.Errorf("sighting %+v", site)
	}
	if target := site.Observed["target"]; target != s.URL+"/?key=redacted" {
		t.Errorf("target is shown as %q", target)
	}
	if value(t, obs, "shop", "check_up") != 1 || value(t, obs, "shop", "check_duration_seconds") <= 0 {
		t.Error("an answer is not up")
	}
	obs = mustPass(t, c, clock0.Add(5*time.Second))
	if _, ok := find(obs, "shop", "check_up"); ok || asked.Load() != 1 {
		t.Error("a check ran before it was due")
	}
	status.Store(503)
	obs = mustPass(t, c, clock0.Add(30*time.Second))
	a := attrsOf(obs, "shop")
	if !a.Is("up", "false") || !a.Is("error", "status 503") || !a.Is("since", "2026-03-01T12:00:30Z") {
		t.Errorf("attributes %v", a)
	}

	c = open(t, "check", env)
	a = attrsOf(mustPass(t, c, clock0.Add(time.Minute)), "shop")
	if !a.Is("since", "2026-03-01T12:00:30Z") {
		t.Errorf("a start of the agent forgets since when the check is down: %v", a)
	}
	status.Store(200)
	a = attrsOf(mustPass(t, c, clock0.Add(90*time.Second)), "shop")
	if _, has := a["error"]; !a.Is("up", "true") || has || !a.Is("since", "2026-03-01T12:01:30Z") {
		t.Errorf("after the fault: %v", a)
	}
}

// A check that could not be run, here because the pass ended first, keeps
// what it was and is due again.
func TestCheckKeepsItsStateWithoutAnAnswer(t *testing.T) {
	env := checkEnv(t, collect.Check{Name: "db", Type: "tcp", Target: "db.test:5432"})
	ctx, cancel := context.WithCancel(t.Context())
	env.Dial = func(context.Context, string, string) (net.Conn, error) {
		a, b := net.Pipe()
		b.Close()
		return a, nil
	}
	c := open(t, "check", env)
	mustPass(t, c, clock0)
	c.(*checks).dial = func(context.Context, string, string) (net.Conn, error) {
		cancel()
		return nil, context.Canceled
	}
	var obs ops.Observation
	err := c.Collect(ctx, collect.NewBatch(ops.HostIdentity{Key: "k"}, clock0.Add(time.Minute), &obs))
	if err != nil || !attrsOf(obs, "db").Is("up", "true") {
		t.Errorf("%v %v", err, attrsOf(obs, "db"))
	}
	if due := c.(*checks).due(c.(*checks).declared(), clock0.Add(65*time.Second)); len(due) != 1 {
		t.Error("it is not due again")
	}
}

func TestCheckHeartbeat(t *testing.T) {
	beat := collect.Check{Name: "backup", Type: "heartbeat", Every: time.Hour, Grace: 5 * time.Minute}
	env := checkEnv(t)
	env.Checks = func() []collect.Check { return []collect.Check{beat} }
	c := open(t, "check", env)
	up := func(at time.Time) string { return attrsOf(mustPass(t, c, at), "backup")["up"] }
	if got := up(clock0); got != "true" {
		t.Errorf("a new heartbeat is up %s", got)
	}
	if got := up(clock0.Add(64 * time.Minute)); got != "true" {
		t.Errorf("within the grace it is up %s", got)
	}
	if got := up(clock0.Add(66 * time.Minute)); got != "false" {
		t.Errorf("never beaten, it is up %s", got)
	}
	beat.LastBeat = clock0.Add(66 * time.Minute)
	obs := mustPass(t, c, clock0.Add(67*time.Minute))
	if a := attrsOf(obs, "backup"); !a.Is("up", "true") || !a.Is("last_beat", "2026-03-01T13:06:00Z") || !a.Is("grace_ms", "300000") {
		t.Errorf("after a beat: %v", a)
	}
	if age := value(t, obs, "backup", "check_heartbeat_age_seconds"); age != 60 {
		t.Errorf("age %v", age)
	}
}

// Forty targets that never answer are given up together, not one after the
// other.
func TestChecksRunTogether(t *testing.T) {
	var running, most atomic.Int64
	var declared []collect.Check
	for i := range 40 {
		declared = append(declared, collect.Check{Name: fmt.Sprint("c", i), Type: "tcp", Target: "silent.test:1", Timeout: 50 * time.Millisecond})
	}
	env := checkEnv(t, declared...)
	env.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		n := running.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-ctx.Done()
		running.Add(-1)
		return nil, ctx.Err()
	}
	obs := mustPass(t, open(t, "check", env), clock0)
	for _, s := range obs.Sightings {
		if !s.Observed.Is("error", "timeout after 50ms") {
			t.Fatalf("%s: %v", s.Name, s.Observed)
		}
	}
	if len(obs.Sightings) != 40 || most.Load() > checksAtOnce || most.Load() < 2 {
		t.Errorf("%d checks, %d at once", len(obs.Sightings), most.Load())
	}
}
