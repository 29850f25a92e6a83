package faults

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/test/dockerd"
	"reeve/test/program"
)

// A gate stands between Reeve and a real engine. It can let one container's
// state be a word of another time, and keep orders to stop one from ending.
type gate struct {
	socket string
	odd    atomic.Bool
	stuck  chan struct{} // closed: what was kept may go on
}

const (
	oddName   = "odd"
	stuckName = "stuck"
)

// before opens a gate before an engine.
func before(t *testing.T, engine string) *gate {
	t.Helper()
	g := &gate{socket: filepath.Join(t.TempDir(), "gate.sock"), stuck: make(chan struct{})}
	l, err := net.Listen("unix", g.socket)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "engine"})
	proxy.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", engine)
	}}
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
	proxy.ModifyResponse = g.rewrite
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/stop") {
			select {
			case <-g.stuck:
			case <-r.Context().Done():
				return
			}
		}
		proxy.ServeHTTP(w, r)
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return g
}

// rewrite changes the state of the odd container in a list.
func (g *gate) rewrite(r *http.Response) error {
	if !g.odd.Load() || !strings.HasSuffix(r.Request.URL.Path, "/containers/json") {
		return nil
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if at := bytes.Index(text, []byte(`"/`+oddName+`"`)); at >= 0 {
		rest := bytes.Replace(text[at:], []byte(`"State":"running"`), []byte(`"State":"hibernate"`), 1)
		text = append(text[:at:at], rest...)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	r.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return nil
}

// command runs the command line against a program, as its machine's admin.
func command(t *testing.T, p *program.Program, args ...string) string {
	t.Helper()
	out, err := exec.Command(program.Path(t), append(args, "--data", p.Dir)...).CombinedOutput()
	if err != nil {
		t.Fatalf("reeve %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestWorkloads changes what runs behind Reeve's back, on a real engine: what
// should run is stopped, removed, renamed; what should not is started; the
// engine itself goes away. Every difference is told and nothing is done about
// it but what a person orders and signs.
func TestWorkloads(t *testing.T) {
	t.Parallel()
	d := dockerd.Start(t)
	g := before(t, d.Socket)
	for _, name := range []string{"web", "db", "cache", oddName, stuckName, "guest"} {
		d.Run(t, dockerd.Options{Name: name, Command: shell("sleep 6000")})
	}
	s := live(nil)
	s["agent"].(map[string]any)["docker_sockets"] = []string{g.socket}
	s["workloads"] = []map[string]any{{"driver": "docker", "name": "web"}, {"driver": "docker", "name": "db"}, {"driver": "docker", "name": "cache", "desired": "stopped"},
		{"driver": "docker", "name": oddName}, {"driver": "docker", "name": stuckName}}
	p := program.Start(t, s.text(t))
	await(p, 60*time.Second, "active", "drift", "cache")
	await(p, 60*time.Second, "active", "unowned", "guest")
	command(t, p, "workload", "stop", stuckName, "--yes", "--no-wait", "--reason", "the engine hangs")
	overdue := time.Now().Add(2 * time.Minute)

	d.Rename(t, "guest", "visitor")
	d.Stop(t, "cache")
	d.Stop(t, "web")
	d.Remove(t, "db")
	g.odd.Store(true)
	await(p, 60*time.Second, "resolved", "drift", "cache")
	f := await(p, 60*time.Second, "active", "stopped_unexpectedly", "web")
	if f.Severity != ops.Critical || d.State(t, "web") != "exited" {
		t.Errorf("%s; it is %s", f.Severity, d.State(t, "web"))
	}
	await(p, 60*time.Second, "active", "protocol", oddName)
	await(p, 100*time.Second, "active", "lost", "db")
	g.odd.Store(false)
	if out := command(t, p, "workload", "start", "web", "--yes"); !strings.Contains(out, "succeeded") || d.State(t, "web") != "running" {
		t.Errorf("it is %s after: %s", d.State(t, "web"), out)
	}
	await(p, 60*time.Second, "resolved", "stopped_unexpectedly", "web")
	await(p, 60*time.Second, "resolved", "protocol", oddName)
	d.Run(t, dockerd.Options{Name: "db", Command: shell("sleep 6000")})
	await(p, 60*time.Second, "resolved", "lost", "db")

	await(p, time.Until(overdue)+60*time.Second, "active", "operation_overdue", stuckName)
	close(g.stuck)
	await(p, 100*time.Second, "resolved", "unowned", "guest")
	await(p, 10*time.Second, "active", "unowned", "visitor")
	engineGone(t, p, d)
}

// engineGone takes the engine away and brings it back: containers that it
// stopped are told of as stopped, and none as lost.
func engineGone(t *testing.T, p *program.Program, d *dockerd.Daemon) {
	t.Helper()
	d.Down(t)
	p.Until(70*time.Second, "the agent was asked while the engine was away", func() bool {
		var l struct{ Items []ops.Resource }
		return p.Get("/api/v1/resources?kind=component", &l) == nil && strings.Contains(fmt.Sprint(l.Items), "collector docker")
	})
	d.Up(t)
	await(p, 90*time.Second, "active", "stopped_unexpectedly", "web")
	for _, name := range []string{"web", "db", oddName} {
		if f, ok := find(p, "active", "lost", name); ok {
			t.Errorf("an engine that was away lost %s: %s", name, f.Summary)
		}
	}
}
