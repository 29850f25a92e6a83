package faults

import (
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/test/program"
	"reeve/test/receiver"
)

// TestStuckCollector: a file that does not answer stops one collector. What
// it reads is missing, and comes back with the file.
func TestStuckCollector(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "gpu")
	p := program.Start(t, quick(m, nil).text(t))
	const resource, file = "collector load", "proc/loadavg"
	p.Until(20*time.Second, "the collector is judged to be well", func() bool { return judgedWell(p, resource, "data_missing") })
	text := m.read(file)
	if err := os.Remove(m.path(file)); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(m.path(file), 0o600); err != nil {
		t.Fatal(err)
	}
	f := await(p, 60*time.Second, "active", "data_missing", resource)
	if !strings.Contains(f.Summary, "does not come back") {
		t.Errorf("%s", f.Summary)
	}
	pipe, err := os.OpenFile(m.path(file), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	m.write(file, text)
	pipe.WriteString(text)
	pipe.Close()
	await(p, 60*time.Second, "resolved", "data_missing", resource)
}

// TestStoppedAgent: a server without the agent that it had hears of no
// collector any more.
func TestStoppedAgent(t *testing.T) {
	t.Parallel()
	m, dir := newMachine(t, "gpu"), t.TempDir()
	s := quick(m, []row{{condition: "data_missing", thresholds: map[string]float64{"least": 5}}})
	p := program.StartIn(t, dir, s.text(t))
	const resource = "collector memory"
	p.Until(20*time.Second, "the collector is judged to be well", func() bool { return judgedWell(p, resource, "data_missing") })
	p.Stop()
	agent := s["agent"].(map[string]any)
	agent["enabled"] = false
	p = program.StartIn(t, dir, s.text(t))
	f := await(p, 40*time.Second, "active", "data_missing", resource)
	if !strings.Contains(f.Summary, "has not reported for") {
		t.Errorf("%s", f.Summary)
	}
	p.Stop()
	agent["enabled"] = true
	p = program.StartIn(t, dir, s.text(t))
	await(p, 40*time.Second, "resolved", "data_missing", resource)
}

// newStore is a metrics store that takes everything and holds nothing, until
// it is down.
func newStore(t testing.TB, down *atomic.Bool) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case down.Load():
			http.Error(w, "down for a test", http.StatusServiceUnavailable)
		case strings.HasSuffix(r.URL.Path, "/write"):
			w.WriteHeader(http.StatusNoContent)
		default:
			w.Header().Set("Content-Type", "application/json")
			w.Write([]byte(`{"status":"success","data":{"resultType":"matrix","result":[]}}`))
		}
	})}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return "http://" + listener.Addr().String()
}

// TestMetricsStoreDown: the store of the metrics is another server, which goes
// down. That is told, and what needs no history is found all the same.
func TestMetricsStoreDown(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	m := newMachine(t, "gpu")
	failing := edit{"proc/loadavg", m.read("proc/loadavg"), ""}
	s := quick(m, nil)
	s["metrics"] = map[string]any{"url": newStore(t, &down)}
	p := program.Start(t, s.text(t))
	p.Until(30*time.Second, "the store is judged to be well", func() bool {
		return judgedWell(p, "store metrics", "store_degraded") && judgedWell(p, "loop metrics_ship", "loop_failing")
	})
	down.Store(true)
	f := await(p, 60*time.Second, "active", "store_degraded", "store metrics")
	if f.Severity != ops.Critical || !strings.Contains(f.Summary, "does not take samples") {
		t.Errorf("%s: %s", f.Severity, f.Summary)
	}
	if f := await(p, 90*time.Second, "active", "loop_failing", "loop metrics_ship"); f.Severity != ops.Critical {
		t.Errorf("%s: %s", f.Severity, f.Summary)
	}
	m.spoil([]edit{failing})
	await(p, 30*time.Second, "active", "collector_failing", "collector load")
	m.mend([]edit{failing})
	down.Store(false)
	await(p, 90*time.Second, "resolved", "store_degraded", "store metrics")
	await(p, 90*time.Second, "resolved", "loop_failing", "loop metrics_ship")
}

// TestChannelFailing: a receiver refuses what it is sent. Another channel
// tells of it.
func TestChannelFailing(t *testing.T) {
	t.Parallel()
	ill, well := newHook(t), newHook(t)
	ill.Answer(func(int, receiver.Request) receiver.Answer {
		return receiver.Answer{Status: http.StatusInternalServerError, Body: "down for a test"}
	})
	m := newMachine(t, "gpu")
	s := quick(m, nil)
	s["channels"] = []map[string]any{
		{"name": "ill", "type": "webhook", "url": ill.URL, "secret": "s"}, {"name": "well", "type": "webhook", "url": well.URL, "secret": "s"},
	}
	p := program.Start(t, s.text(t))
	// The recorded machine is too hot from the beginning, so there is
	// something to tell.
	f := await(p, 120*time.Second, "active", "channel_failing", "channel ill")
	if f.Severity != ops.Critical || !strings.Contains(f.Summary, "channel ill does not deliver") {
		t.Errorf("%s: %s", f.Severity, f.Summary)
	}
	p.Until(30*time.Second, "the other channel tells of it", func() bool { return told(well, "channel_failing") > 0 })
	if n := told(ill, "channel_failing"); n > 0 {
		t.Errorf("the channel that fails was sent %d messages that it fails", n)
	}
}
