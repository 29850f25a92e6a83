package fleet

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/internal/secret"
	"reeve/test/dockerd"
	"reeve/test/netns"
	"reeve/test/program"
	"reeve/test/receiver"
	"reeve/test/storetest"
)

// A shared is what several servers have between them: a database, a metrics
// store and a receiver of messages, on a host of their own.
type shared struct {
	network  *netns.Network
	at       *netns.Host
	database *url.URL
	metrics  string
	hook     *receiver.HTTP
}

func openShared(t *testing.T) shared {
	t.Helper()
	x := shared{network: netns.New(t)}
	x.at = x.network.Host()
	x.hook = newHook(t, x.at)
	x.metrics = prometheus(t, x.at)
	var err error
	if x.database, err = url.Parse(storetest.PostgresURL(t)); err != nil {
		t.Fatal(err)
	}
	return x
}

// prometheus starts a metrics store on a host and answers its address.
func prometheus(t *testing.T, at *netns.Host) string {
	t.Helper()
	dir, address := t.TempDir(), net.JoinHostPort(at.IP, "9090")
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte("global: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := at.Command("prometheus", "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address,
		"--log.level=warn", "--web.enable-remote-write-receiver")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	client := at.Client()
	until(t, soon, "prometheus is ready", func() bool {
		r, err := client.Get("http://" + address + "/-/ready")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	return "http://" + address
}

// server answers a server on a host of its own that does not run yet, and how
// it is started. The database and the receiver are reached as if they were on
// its host.
func (x shared) server(t *testing.T) (*site, func(url string) program.Setup) {
	t.Helper()
	s := &site{network: x.network, at: x.network.Host()}
	database := *x.database
	database.Host = s.at.Forward(func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", x.database.Host)
	})
	hook, err := url.Parse(x.hook.URL)
	if err != nil {
		t.Fatal(err)
	}
	hook.Host = s.at.Forward(func(ctx context.Context) (net.Conn, error) {
		return x.at.Dial(ctx, "tcp", strings.TrimPrefix(x.hook.URL, "http://"))
	})
	dir := t.TempDir()
	return s, func(metrics string) program.Setup {
		setup := s.setup(t, "server", settings{"database": database.String(), "metrics": map[string]any{"url": metrics},
			"channels": []map[string]any{{"name": "hook", "type": "webhook", "url": hook.String(), "secret": "s"}}})
		setup.Dir = dir
		return setup
	}
}

func (s *site) start(t *testing.T, setup program.Setup, hook *receiver.HTTP) {
	t.Helper()
	s.started = time.Now()
	s.Program, s.hook = setup.Start(t), hook
}

// TestTwoServers are two servers on one PostgreSQL and one metrics store.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	x := openShared(t)
	a, setupA := x.server(t)
	b, setupB := x.server(t)
	a.start(t, setupA(""), x.hook)
	if err := copyFile(filepath.Join(a.Dir, secret.IdentityFile), filepath.Join(setupB("").Dir, secret.IdentityFile)); err != nil {
		t.Fatal(err)
	}
	for metrics, says := range map[string]string{"": "set metrics.url to it, or stop the other", x.metrics: "set metrics.url there first"} {
		if out := setupB(metrics).Refused(t); !strings.Contains(out, says) {
			t.Errorf("a second server with the metrics store %q says\n%s", metrics, out)
		}
	}
	a.Stop()
	a.start(t, setupA(x.metrics), x.hook)
	b.start(t, setupB(x.metrics), x.hook)
	_, keyless := x.server(t) // it lacks the key with which the first one sealed what it keeps
	if out := keyless(x.metrics).Refused(t); !strings.Contains(out, "needs the file "+secret.IdentityFile) {
		t.Errorf("a server without the key says\n%s", out)
	}

	docker := dockerd.Start(t)
	docker.Run(t, dockerd.Options{Name: "box", Command: []string{"sh", "-c", "trap 'exit 0' TERM; while true; do sleep 1; done"}})
	first, second := a.host(t, "first"), a.host(t, "second")
	third, lost := b.host(t, "third"), b.host(t, "lost")
	box := b.join(t, x.network.Host(), "box-host", "--docker-socket", docker.Socket)
	box.Run("--perform")
	b.awaitOnline(t, box)
	spread(t, a, b, []*member{first, second}, []*member{third, lost, box})
	ownParts(t, b)
	restartThrough(t, a, docker, box)
	failOver(t, a, b, lost, first, second)
	for _, m := range []*member{first, second, third, box} {
		b.exactly(t, m.name)
	}
	b.exactly(t, "lost", "host_unreachable")
	b.exactly(t, "reeve", "server_away")
	a.Stop() // in order, so that nobody misses it
	until(t, 2*time.Minute, "its parts are taken away", func() bool { return len(parts(t, b)["loop self"]) == 1 && len(parts(t, b)[nameOf(t)]) == 1 }, b.Log)
	if out, err := b.Order("servers"); err != nil || strings.Count(out, "on duty") != 1 || strings.Contains(out, "away") {
		t.Errorf("%v\n%s", err, out)
	}
}

// parts answers the parts of Reeve by name, each with the hosts that it is on.
func parts(t *testing.T, s *site) map[string][]ops.ResourceKey {
	t.Helper()
	var list struct{ Items []ops.Resource }
	if err := s.Get("/api/v1/resources?kind=component&limit=1000", &list); err != nil {
		t.Fatal(err)
	}
	by := map[string][]ops.ResourceKey{}
	for _, r := range list.Items {
		if r.Key.Source == "self" && r.Presence == ops.Present {
			by[r.Name] = append(by[r.Name], r.Key)
		}
	}
	return by
}

// nameOf answers what a server is called as a part of Reeve: they are all on
// one machine, and have its name.
func nameOf(t *testing.T) string {
	t.Helper()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return "server " + name
}

// ownParts checks that each server has parts of its own, and that what they
// have between them is there once.
func ownParts(t *testing.T, s *site) {
	t.Helper()
	until(t, soon, "both servers report their parts", func() bool { return len(parts(t, s)["loop self"]) == 2 && len(parts(t, s)[nameOf(t)]) == 2 }, s.Log)
	all := parts(t, s)
	for _, name := range []string{"loop self", "loop watch", "store database", nameOf(t)} {
		if keys := all[name]; len(keys) != 2 || keys[0] == keys[1] {
			t.Errorf("%s is %v", name, keys)
		}
	}
	for _, name := range []string{"channel hook", "fleet monitor", "loop patrol_runs"} {
		if keys := all[name]; len(keys) != 1 || keys[0].Host != "server" {
			t.Errorf("%s is %v", name, keys)
		}
	}
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}

// spread checks that agents are where they joined, and that each server tells
// of those at the other one too.
func spread(t *testing.T, a, b *site, atA, atB []*member) {
	t.Helper()
	for _, s := range []*site{a, b} {
		until(t, soon, "both servers tell where the agents are", func() bool {
			for _, m := range atA {
				if !a.has(t, s, m) {
					return false
				}
			}
			for _, m := range atB {
				if !b.has(t, s, m) {
					return false
				}
			}
			return true
		}, s.Log)
	}
}

// has reports whether an agent is connected to the server a, as the server s
// tells.
func (a *site) has(t testing.TB, s *site, m *member) bool {
	t.Helper()
	id, err := os.ReadFile(filepath.Join(a.Dir, "server_id"))
	if err != nil {
		t.Fatal(err)
	}
	h := s.row(t, m.name)
	return h.State == ops.HostOnline && h.Server == strings.TrimSpace(string(id))
}

// onDuty reports whether a server has the duty, as it tells itself.
func (a *site) onDuty(t testing.TB) bool {
	t.Helper()
	var fleet struct{ Servers []ops.Server }
	if err := a.Get("/api/v1/fleet", &fleet); err != nil {
		t.Log(err)
	}
	id, _ := os.ReadFile(filepath.Join(a.Dir, "server_id"))
	for _, x := range fleet.Servers {
		if x.ID == strings.TrimSpace(string(id)) {
			return x.Duty
		}
	}
	return false
}

// restartThrough orders, at one server, a change on a host whose agent is
// connected to the other.
func restartThrough(t *testing.T, a *site, docker *dockerd.Daemon, box *member) {
	t.Helper()
	until(t, soon, "the workload is known to run", func() bool { return a.workload(t, box.name+"/box").Observed == "running" }, box.Log, a.Log)
	shown, err := a.Order("workload", "show", box.name+"/box")
	if err != nil || !strings.Contains(shown, "running") {
		t.Errorf("%v %s", err, shown)
	}
	before := startedAt(t, docker, "box")
	began := time.Now()
	out, err := a.Order("workload", "restart", box.name+"/box", "--yes", "--reason", "test of two servers")
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, tail(box.Log()))
	}
	if after := startedAt(t, docker, "box"); !after.After(before) {
		t.Errorf("the container runs since %v, as before\n%s", after, out)
	}
	t.Logf("an order through the other server took %v", time.Since(began).Round(time.Second))
}

// failOver kills the server on duty while a host falls silent.
func failOver(t *testing.T, a, b *site, lost *member, moving ...*member) {
	t.Helper()
	if !a.onDuty(t) || b.onDuty(t) {
		t.Fatal("the first server is not on duty")
	}
	b.age(t, startGrace-silence+15*time.Second)
	lost.at.Cut(netns.In, netns.Out)
	cut := time.Now()
	connected := map[*member]int{}
	for _, m := range moving {
		connected[m] = m.connected()
	}
	// Its last heartbeat was up to 15 s before the cut: the finding is due
	// from 75 s on, while nobody is on duty.
	until(t, silence, "the host is silent for long", func() bool { return time.Since(cut) > 72*time.Second })
	a.Kill()
	killed := time.Now()
	for _, m := range moving {
		until(t, soon, m.name+" connects to the other server", func() bool {
			return m.connected() > connected[m]
		}, m.Log)
		if took := time.Since(killed); took > 15*time.Second {
			t.Errorf("%s took %v to fail over", m.name, took)
		} else {
			t.Logf("%s failed over in %v", m.name, took.Round(100*time.Millisecond))
		}
	}
	until(t, soon, "the other server is on duty", func() bool { return b.onDuty(t) }, b.Log)
	t.Logf("the other server is on duty %v after the kill", time.Since(killed).Round(time.Second))
	f := b.awaitFinding(t, silence+passes, true, lost.name, "host_unreachable", lost.Log)
	t.Logf("the finding opened %v after the kill", f.OpenedAt.Sub(killed).Round(time.Second))
	b.once(t, lost.name, f, ops.MessageOpened)
	for _, m := range moving {
		if !b.has(t, b, m) {
			t.Errorf("%s is %+v", m.name, b.row(t, m.name))
		}
	}
	lost.at.Mend()
	b.awaitFinding(t, 90*time.Second+passes, false, lost.name, "host_unreachable", lost.Log)
	away := b.awaitFinding(t, 2*time.Minute, true, "reeve", "server_away", b.Log)
	b.once(t, "reeve", away, ops.MessageOpened)
	if out, err := b.Order("servers"); err != nil || strings.Count(out, "on duty") != 1 || strings.Count(out, " away ") != 1 {
		t.Errorf("%v\n%s", err, out)
	}
	a.Again() // and nothing is told again
	b.awaitFinding(t, soon, false, "reeve", "server_away", b.Log)
	b.once(t, "reeve", away, ops.MessageResolved)
	b.once(t, lost.name, f, ops.MessageResolved)
	b.once(t, lost.name, f, ops.MessageOpened)
	if !b.onDuty(t) {
		t.Error("the server that came back took the duty")
	}
}

// TestTwoServersOnOneFile: an SQLite file takes one server.
func TestTwoServersOnOneFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := "database: sqlite:" + filepath.Join(dir, "shared.db") + "\n"
	setup := func(dir string) program.Setup {
		return program.Setup{Verb: "server", Dir: dir, Config: file, Listen: "127.0.0.1:0", Command: exec.Command, Client: http.DefaultClient}
	}
	mine := t.TempDir()
	p := setup(mine).Start(t)
	if out := setup(t.TempDir()).Refused(t); !strings.Contains(out, "another Reeve uses the database") || !strings.Contains(out, "postgres://") {
		t.Errorf("it says\n%s", out)
	}
	if out := setup(mine).Refused(t); !strings.Contains(out, "uses the data folder "+mine) {
		t.Errorf("it says\n%s", out)
	}
	var status any
	if err := p.Get("/api/v1/status", &status); err != nil {
		t.Errorf("the first server: %v", err)
	}
}
