package fleet

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"reeve/internal/collectors"
	"reeve/internal/ops"
	"reeve/test/netns"
	"reeve/test/program"
	"reeve/test/receiver"
)

// TestMain lets all scenarios run at once: they wait most of the time, each
// for minutes.
func TestMain(m *testing.M) {
	flag.Set("test.parallel", "32")
	os.Exit(m.Run())
}

const (
	startGrace = 180 * time.Second
	silence    = 90 * time.Second
	// passes is what comes on top of a condition's time until people are told:
	// the clocks are written, hosts are judged, findings are made. The rest is
	// for machines that are busy with other tests.
	passes = 5*time.Second + 5*time.Second + 10*time.Second + 15*time.Second
	// soon is for what takes no time but that of the machine.
	soon = 60 * time.Second
)

// settings is a configuration.
type settings map[string]any

// quiet collects little: the load, the kernel log and containers, and takes
// neither the load of the machine that tests nor the kernel log for trouble.
func quiet() settings {
	collect := map[string]any{}
	for _, c := range collectors.All() {
		collect[c.Name] = map[string]any{"enabled": false}
	}
	collect["load"] = map[string]any{"every": "10s"}
	collect["kernel_events"] = map[string]any{"every": "5s"}
	collect["docker"] = map[string]any{"every": "10s"}
	off := map[string]any{"enabled": false}
	return settings{"collectors": collect, "detectors": map[string]any{"load_high": off, "kernel_io_error": off,
		"oom_kill": off, "hung_task": off, "hardware_error": off}, // other tests cause these in the one kernel
		"agent": map[string]any{"docker_sockets": []string{"/nowhere/docker.sock"}}}
}

// with adds settings.
func (s settings) with(more settings) settings {
	all := maps.Clone(s)
	maps.Copy(all, more)
	return all
}

// A site is a server on a network of its own, with a receiver of messages
// beside it.
type site struct {
	*program.Program
	network *netns.Network
	at      *netns.Host
	hook    *receiver.HTTP
	started time.Time
}

// openSite starts a server that watches hosts of a new network.
func openSite(t *testing.T, verb string, more settings) *site {
	t.Helper()
	network := netns.New(t)
	s := &site{network: network, at: network.Host()}
	s.hook = newHook(t, s.at)
	s.started = time.Now()
	s.Program = s.setup(t, verb, more).Start(t)
	return s
}

// setup is how the server of a site is started.
func (s *site) setup(t *testing.T, verb string, more settings) program.Setup {
	t.Helper()
	all := quiet().with(settings{"listen_tls": net.JoinHostPort(s.at.IP, "7434")}).with(more)
	if s.hook != nil {
		all["channels"] = []map[string]any{{"name": "hook", "type": "webhook", "url": s.hook.URL, "secret": "s"}}
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return program.Setup{Verb: verb, Dir: t.TempDir(), Config: string(text), Listen: "127.0.0.1:7433", Command: s.at.Command, Client: s.at.Client()}
}

// For answers the same site for a test within the one that opened it.
func (s *site) For(t testing.TB) *site {
	q := *s
	q.Program = s.Program.For(t)
	return &q
}

// newHook starts a receiver of messages on a host.
func newHook(t testing.TB, at *netns.Host) (h *receiver.HTTP) {
	t.Helper()
	err := at.Do(func() (err error) {
		h, err = receiver.NewHTTP()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// until waits for a condition that is looked at now and then: many tests wait
// at once.
func until(t testing.TB, within time.Duration, what string, holds func() bool, logs ...func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(400 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			for _, log := range logs {
				t.Log(tail(log()))
			}
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

func tail(text string) string { return text[max(0, len(text)-5000):] }

// age waits until the server has run for a time.
func (s *site) age(t testing.TB, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(time.Until(s.started.Add(d))):
	case <-t.Context().Done():
		t.Fatal("the test ended")
	}
}

// A member is a host with its agent. It is removed when its test is over.
type member struct {
	*program.Agent
	name string
	at   *netns.Host
	tree tree
}

// invite answers the line with which a host joins.
func (s *site) invite(t testing.TB, name string) string {
	t.Helper()
	var made struct{ Command string }
	if err := s.Post("/api/v1/hosts", map[string]any{"name": name}, &made); err != nil {
		t.Fatal(err)
	}
	return made.Command
}

// join makes a host that has joined; its agent does not run yet.
func (s *site) join(t testing.TB, at *netns.Host, name string, flags ...string) *member {
	t.Helper()
	m := &member{name: name, at: at, tree: newTree(t, name)}
	// A host whose test is over must not look as if it were cut off: so many
	// of them would trip the mass brake.
	t.Cleanup(func() {
		if err := s.Delete("/api/v1/hosts/" + name); err != nil {
			t.Log(err)
		}
	})
	m.Agent = program.Machine{Command: at.Command, Flags: append(m.tree.flags(), flags...)}.Join(t, s.invite(t, name))
	return m
}

// host makes a host on the network with its agent and waits until it is
// online and has reported.
func (s *site) host(t testing.TB, name string) *member {
	t.Helper()
	m := s.join(t, s.network.Host(), name)
	m.Run()
	s.awaitOnline(t, m)
	return m
}

func (s *site) awaitOnline(t testing.TB, m *member) {
	t.Helper()
	until(t, soon, m.name+" is online and reports", func() bool {
		h := s.row(t, m.name)
		return h.State == ops.HostOnline && time.Since(h.ReportAt) < 30*time.Second && !h.ProofAt.IsZero()
	}, m.Log, s.Log)
}

// stop stops the agent of a host and answers what is known of the host once
// all that came of it is written.
func (s *site) stop(t testing.TB, m *member) ops.Host {
	t.Helper()
	m.Stop()
	until(t, soon, "the server has written when it last heard of "+m.name, func() bool { return s.row(t, m.name).Server == "" }, s.Log)
	return s.row(t, m.name)
}

// again starts the agent of a host once more and waits until it is let in.
func (s *site) again(t testing.TB, m *member, flags ...string) {
	t.Helper()
	before := m.connected()
	m.Run(flags...)
	until(t, soon, m.name+" is let in", func() bool { return m.connected() > before }, m.Log, s.Log)
	s.awaitOnline(t, m)
}

// connected answers how often the agent was let in.
func (m *member) connected() int { return lines(m.Log(), `msg="connected to the server"`) }

// row answers what is known of a host.
func (s *site) row(t testing.TB, name string) (h ops.Host) {
	t.Helper()
	row := struct{ Fleet *ops.Host }{&h}
	if err := s.Get("/api/v1/hosts/"+name, &row); err != nil {
		t.Log(err) // it may be starting
	}
	return h
}

// all answers every finding there ever was, by host; those of the server's
// own parts are under its own name.
func (s *site) all(t testing.TB) map[string][]ops.Finding {
	t.Helper()
	var list struct{ Items []ops.Finding }
	if err := s.Get("/api/v1/findings?limit=1000", &list); err != nil {
		t.Fatal(err)
	}
	by := map[string][]ops.Finding{}
	for _, f := range list.Items {
		r := s.Resource(f.ResourceID)
		by[r.HostName] = append(by[r.HostName], f)
	}
	return by
}

// exactly fails when the findings that a host ever had have other conditions.
func (s *site) exactly(t testing.TB, host string, conditions ...string) {
	t.Helper()
	var got []string
	for _, f := range s.all(t)[host] {
		got = append(got, f.Condition)
		if !slices.Contains(conditions, f.Condition) {
			t.Errorf("%s of %s: %s", f.Condition, host, f.Summary)
		}
	}
	slices.Sort(got)
	slices.Sort(conditions)
	if !slices.Equal(got, conditions) {
		t.Errorf("%s had the findings %v instead of %v", host, got, conditions)
	}
}

// find answers the newest finding of a condition of a host.
func (s *site) find(t testing.TB, host, condition string) (ops.Finding, bool) {
	t.Helper()
	var list struct{ Items []ops.Finding }
	if err := s.Get("/api/v1/findings?limit=1000&condition="+condition, &list); err != nil {
		t.Log(err) // the server may be starting
		return ops.Finding{}, false
	}
	for _, f := range list.Items {
		if s.Resource(f.ResourceID).HostName == host {
			return f, true
		}
	}
	return ops.Finding{}, false
}

// awaitFinding waits until a finding is active, or no longer.
func (s *site) awaitFinding(t testing.TB, within time.Duration, active bool, host, condition string, logs ...func() string) (f ops.Finding) {
	t.Helper()
	until(t, within, fmt.Sprintf("%s of %s is active: %v", condition, host, active), func() (ok bool) {
		f, ok = s.find(t, host, condition)
		return ok && f.Active() == active
	}, append(logs, s.Log)...)
	return f
}

// told answers the messages about a condition of a host.
func (s *site) told(host, condition string, event ops.MessageEvent) (all []ops.Message) {
	return messages(s.hook, func(m ops.Message) bool {
		return m.Event == event && slices.ContainsFunc(m.Findings, func(f ops.MessageFinding) bool { return f.Condition == condition && f.Host == host })
	})
}

// messages answers what a receiver was told, each once: attempts of one carry
// its ID.
func messages(h *receiver.HTTP, which func(ops.Message) bool) (all []ops.Message) {
	seen := map[string]bool{}
	for _, r := range h.Requests() {
		var m ops.Message
		if json.Unmarshal(r.Body, &m) == nil && !seen[m.ID] && which(m) {
			seen[m.ID] = true
			all = append(all, m)
		}
	}
	return all
}

// once waits until people were told of a finding and checks that they were
// told once, by one incident that has no other member.
func (s *site) once(t testing.TB, host string, f ops.Finding, event ops.MessageEvent) {
	t.Helper()
	until(t, soon, string(event)+" of "+f.Condition+" is told", func() bool { return len(s.told(host, f.Condition, event)) > 0 }, s.Log)
	told := s.told(host, f.Condition, event)
	if len(told) != 1 {
		t.Errorf("%s of %s of %s was told %d times", event, f.Condition, host, len(told))
	}
	var i ops.Incident
	if err := s.Get("/api/v1/incidents/"+f.IncidentID, &i); err != nil {
		t.Fatal(err)
	}
	if told[0].IncidentID != i.ID || i.RootID != f.ID || i.MemberCount != 1 {
		t.Errorf("the message is of incident %s; the finding is in %+v", told[0].IncidentID, i)
	}
}

// A tree is a recorded machine: what its agent sees.
type tree struct{ dir string }

// newTree makes a machine of its own kind, with a boot of its own.
func newTree(t testing.TB, name string) tree {
	t.Helper()
	r := tree{t.TempDir()}
	id := ops.NewID("machine")
	r.write(t, "etc/hostname", name+"\n")
	r.write(t, "proc/loadavg", "0.10 0.10 0.10 1/100 1234\n")
	r.write(t, "proc/uptime", "1000.00 2000.00\n")
	r.write(t, "proc/sys/kernel/random/boot_id", "boot-"+id+"\n")
	r.write(t, "sys/class/dmi/id/product_uuid", id+"\n")
	r.write(t, "dev/kmsg", "")
	// Until the server has said which collectors are off, all of them look: on
	// a bad line that may be so long that three passes would fail.
	r.write(t, "proc/stat", "cpu  10 0 10 1000 0 0 0 0 0 0\ncpu0 10 0 10 1000 0 0 0 0 0 0\nintr 100\nctxt 100\nbtime 1700000000\nprocesses 10\nprocs_running 1\nprocs_blocked 0\n")
	r.write(t, "proc/meminfo", "MemTotal: 1000000 kB\nMemFree: 900000 kB\nMemAvailable: 900000 kB\nBuffers: 0 kB\nCached: 0 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n")
	r.write(t, "proc/net/dev", "Inter-|   Receive                                                |  Transmit\n"+
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n")
	r.write(t, "proc/self/mountinfo", "")
	r.write(t, "proc/diskstats", "")
	r.write(t, "proc/vmstat", "pswpin 0\npswpout 0\n")
	r.write(t, ".reeve/statfs.json", "{}")
	return r
}

func (r tree) flags() []string { return []string{"--root", r.dir} }

func (r tree) write(t testing.TB, path, text string) {
	t.Helper()
	path = filepath.Join(r.dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// ioError lets the machine's kernel tell of a fault of a disk.
func (r tree) ioError(t testing.TB, number int, disk string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(r.dir, "dev/kmsg"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// Later than the uptime: the time is that at which it is read.
	if _, err := fmt.Fprintf(f, "3,%d,%d,-;Buffer I/O error on dev %s, logical block 7, async page read\n", number, 9_000_000_000+number, disk); err != nil {
		t.Fatal(err)
	}
}

func lines(text, with string) (n int) {
	for line := range strings.Lines(text) {
		if strings.Contains(line, with) {
			n++
		}
	}
	return n
}
