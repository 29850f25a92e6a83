package upgrade

import (
	"crypto/ed25519"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"reeve/internal/api"
	"reeve/internal/ops"
	"reeve/internal/release"
	"reeve/test/program"
)

// A booted machine runs a systemd of its own as its first process.
type booted struct {
	t     *testing.T
	first int    // the process systemd
	agent string // what is seen there as /opt/agent
}

func boot(t *testing.T) *booted {
	t.Helper()
	m := &booted{t: t, agent: t.TempDir()}
	script, err := filepath.Abs("testdata/boot-systemd")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--cgroup", script, t.TempDir(), m.agent)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for end := time.Now().Add(time.Minute); ; {
		text, _ := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/task/" + strconv.Itoa(cmd.Process.Pid) + "/children")
		m.first, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		state, _ := m.try("systemctl is-system-running")
		if state = strings.TrimSpace(state); state == "running" || state == "degraded" {
			return m
		}
		if time.Now().After(end) {
			t.Fatalf("systemd is %q, not running: %s", state, out.String())
		}
		<-time.After(100 * time.Millisecond)
	}
}

// try runs a line in the machine.
func (m *booted) try(line string) (string, error) {
	cmd := exec.Command("nsenter", "--target", strconv.Itoa(m.first), "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--root", "--wd", "sh", "-c", "cd /opt/agent && "+line)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (m *booted) run(line string) string {
	m.t.Helper()
	out, err := m.try(line)
	if err != nil {
		journal, _ := m.try("journalctl --no-pager -n 30")
		m.t.Fatalf("%s: %v\n%s\n%s", line, err, out, journal)
	}
	return out
}

const demoUnit = `[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
`

const onceUnit = `[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
[Install]
WantedBy=multi-user.target
`

// TestAnAgentUnderSystemd is the life of an installed agent on a machine that
// systemd runs: its units, what systemd starts as a source of what should run,
// orders, an upgrade, one that crashes, and the end.
func TestAnAgentUnderSystemd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	m := boot(t)
	server := program.Start(t, "listen_tls: "+address+`
agent: {enabled: false}
collectors: {systemd: {every: 2s}, logs: {every: 2s}}
workloads:
  - {host: sd1, driver: systemd, enabled: true}
`)
	copyFile(t, built(t, "v1.0.0"), filepath.Join(m.agent, "reeve-agent"))
	for _, name := range []string{"scripts/install-agent", "scripts/uninstall-agent", "packaging/reeve-agent.service", "packaging/reeve-agent-perform.service"} {
		copyFile(t, filepath.Join("../..", name), filepath.Join(m.agent, filepath.Base(name)))
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(m.agent, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("demo.service", demoUnit)
	write("once.service", onceUnit)
	write("release.pub", string(release.PublicText(key.Public().(ed25519.PublicKey))))
	var line struct{ Command string }
	if err := server.Post("/api/v1/hosts", map[string]any{"name": "sd1"}, &line); err != nil {
		t.Fatal(err)
	}
	m.run("cp demo.service once.service /etc/systemd/system/ && systemctl daemon-reload && systemctl enable --now demo once")
	m.run("./install-agent --join '" + line.Command + "'")
	m.run("systemctl is-active reeve-agent reeve-agent-perform && reeve-agent check")
	if user := m.run("ps -o user= -p $(systemctl show -p MainPID --value reeve-agent)"); !strings.HasPrefix(user, "reeve-a") {
		t.Errorf("the watching part runs as %s", user)
	}

	workloads := func() map[string]ops.Workload {
		var page struct{ Items []ops.Workload }
		if err := server.Get("/api/v1/workloads?declared=true", &page); err != nil {
			t.Fatal(err)
		}
		all := map[string]ops.Workload{}
		for _, w := range page.Items {
			all[w.Name] = w
		}
		return all
	}
	server.Until(3*time.Minute, "what systemd starts is declared and runs", func() bool {
		return workloads()["demo.service"].Observed == "running"
	})
	if w, ok := workloads()["once.service"]; ok {
		t.Errorf("a service that ends is declared: %+v", w)
	}
	var hosts struct{ Items []ops.Resource }
	if err := server.Get("/api/v1/resources?kind=host", &hosts); err != nil {
		t.Fatal(err)
	}
	sd1 := slices.IndexFunc(hosts.Items, func(r ops.Resource) bool { return r.Name == "sd1" })
	m.run("logger -p user.err 'no space left for the queue'")
	server.Until(time.Minute, "the journal is read when it is written", func() bool {
		var answer api.SeriesAnswer
		if err := server.Get("/api/v1/resources/"+hosts.Items[sd1].ID+"/series?metric=log_errors_count", &answer); err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(answer.Series, func(c api.ChartSeries) bool {
			return slices.ContainsFunc(c.Points, func(p ops.Point) bool { return p.Value > 0 })
		})
	})
	m.run("systemctl stop demo")
	server.Await(2*time.Minute, "open", "stopped_unexpectedly", "demo.service")
	if out, err := server.Command("workload", "start", "sd1/demo.service", "--yes"); err != nil {
		t.Fatal(err, out)
	}
	m.run("systemctl is-active demo")
	server.Await(2*time.Minute, "resolved", "stopped_unexpectedly", "demo.service")
	if out, err := server.Command("workload", "stop", "sd1/reeve-agent.service", "--yes"); err == nil || !strings.Contains(out, "cannot stop itself") || strings.Contains(out, "approve") {
		t.Errorf("the agent was ordered to end itself: %v %s", err, out)
	}
	m.run("systemctl is-active reeve-agent")

	h := &host{t: t, dir: m.agent}
	version := func() string { return strings.TrimSpace(m.run("reeve-agent version")) }
	h.offer(built(t, "v1.1.0"), key, asItIs)
	m.run("reeve-agent upgrade ./offered --restart")
	if v := version(); v != "reeve-agent v1.1.0" {
		t.Error(v)
	}
	h.offer(h.script(strings.NewReplacer("REACHED", "true", "v1.1.0", "v1.2.0").Replace(pretender)), key, func(s *release.Statement) { s.Version = "v1.2.0" })
	if out, err := m.try("reeve-agent upgrade ./offered --restart"); err == nil || !strings.Contains(out, "taken back") {
		t.Errorf("an upgrade that crashes: %v %s", err, out)
	}
	if v := version(); v != "reeve-agent v1.1.0" {
		t.Error(v)
	}
	m.run("systemctl is-active reeve-agent && reeve-agent check")
	m.run("echo '{' >/usr/bin/reeve-agent.upgrade && systemctl restart reeve-agent && systemctl is-active reeve-agent")
	m.run("printf '#!/bin/sh\\nexit 1\\n' >/usr/bin/reeve-agent.previous && systemctl restart reeve-agent && systemctl is-active reeve-agent")

	m.run("./uninstall-agent --purge")
	if out := m.run("ls -d /usr/bin/reeve-agent* /var/lib/reeve-agent* /etc/reeve-agent* /etc/systemd/system/reeve* 2>/dev/null; id reeve-agent 2>/dev/null; true"); out != "" {
		t.Errorf("the agent left %s", out)
	}
}
