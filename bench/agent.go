package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"reeve/internal/collect"
	"reeve/internal/collectors"
)

const (
	// besides are the processes beside the agent on a small host.
	besides  = 120
	exporter = "prometheus-node-exporter"
	scrape   = 15 * time.Second
	nowhere  = "/nowhere/none.sock"
)

// measureAgent is the agent alone on a small host: a process namespace of its
// own on this machine, without container engines.
func measureAgent(ctx context.Context, b *bench) error {
	info, err := os.Stat(b.agent)
	if err != nil {
		return fmt.Errorf("there is no agent to measure; go build -o %s ./cmd/reeve-agent: %w", b.agent, err)
	}
	b.add(Line{What: "Agent: stripped binary", Value: float64(info.Size()) / 1e6, Unit: "MB", Bar: 15})
	if err := b.agentStarts(ctx); err != nil {
		return err
	}
	if err := b.agentAlone(ctx); err != nil {
		return err
	}
	what := "Agent: processor over that of " + exporter
	if err := b.agentBeside(ctx, Line{What: what, Bar: 1.5, Note: "all collectors and scrapes every 15 s"}, func(d collect.Definition) (time.Duration, bool) { return scrape, true }); err != nil {
		return err
	}
	if err := b.agentBeside(ctx, Line{What: what + ", dear collectors at their own paces", Note: "collectors every 15 s, those that are slower by themselves as they are, and scrapes every 15 s"},
		func(d collect.Definition) (time.Duration, bool) { return max(scrape, d.Every), true }); err != nil {
		return err
	}
	return b.agentBeside(ctx, Line{What: what + ", of what both read", Note: "the collectors that it has too and scrapes every 15 s"},
		func(d collect.Definition) (time.Duration, bool) { return scrape, slices.Contains(alike, d.Name) })
}

// alike are the collectors that read what the exporter does.
var alike = []string{"clock", "cpu", "disk", "filesystem", "host", "load", "mdraid", "memory", "network", "pressure", "swap", "temperature", "zfs"}

// A guest is an agent that has joined a server of its own.
type guest struct {
	*process
	dir string
}

// invite starts a server and lets an agent join.
func (b *bench) invite(ctx context.Context, dir, config string) (*guest, error) {
	file := filepath.Join(dir, "bench.yaml")
	if err := os.WriteFile(file, []byte("log_level: warn\nagent: {enabled: false}\n"+config), 0o600); err != nil {
		return nil, err
	}
	p, err := launch(ctx, dir, exec.CommandContext(ctx, b.program, "up", "--data", dir, "--config", file, "--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0"))
	if err != nil {
		return nil, err
	}
	g := &guest{p, filepath.Join(dir, "agent")}
	text, err := p.request(ctx, "POST", "/api/v1/hosts", strings.NewReader(`{"name":"small"}`), map[string]string{"Content-Type": "application/json"})
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	var line struct{ Address, Token, Fingerprint string }
	if err := json.Unmarshal(text, &line); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	out, err := exec.CommandContext(ctx, b.agent, "join", line.Address, "--token", line.Token, "--authority", line.Fingerprint, "--data", g.dir).CombinedOutput()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("join: %w: %.300s", err, out), p.stop())
	}
	return g, nil
}

func (g *guest) args(sockets string) []string {
	return []string{"--data", g.dir, "--docker-socket", sockets, "--podman-socket", nowhere, "run"}
}

// agentStarts times exec to the server's answer to the hello.
func (b *bench) agentStarts(ctx context.Context) error {
	dir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()
	g, err := b.invite(ctx, dir, "")
	if err != nil {
		return err
	}
	var times []time.Duration
	for range 9 {
		took, err := startOf(ctx, exec.CommandContext(ctx, b.agent, g.args(nowhere)...))
		if err != nil {
			return errors.Join(err, g.stop())
		}
		times = append(times, took)
	}
	slices.Sort(times)
	b.add(Line{What: "Agent: start to connected", Value: ms(times[len(times)/2]), Unit: "ms", Bar: 100,
		Note: fmt.Sprintf("median of %d, slowest %d ms; from exec until its server has answered", len(times), times[len(times)-1].Milliseconds())})
	return g.stop()
}

// startOf runs an agent until it says that it is connected.
func startOf(ctx context.Context, cmd *exec.Cmd) (time.Duration, error) {
	out, err := cmd.StderrPipe()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	took := time.Duration(0)
	lines := bufio.NewScanner(out)
	for took == 0 && lines.Scan() {
		if strings.Contains(lines.Text(), "connected to the server") {
			took = time.Since(began)
		}
	}
	cmd.Process.Signal(syscall.SIGTERM)
	io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil || took == 0 {
		return 0, errors.Join(err, fmt.Errorf("the agent did not connect within %s", time.Since(began)))
	}
	return took, ctx.Err()
}

// A smallHost is a process namespace with what runs in it.
type smallHost struct {
	cmd  *exec.Cmd
	pids map[string]int // by the name of the program
}

// smallHost starts programs, by their command lines, beside sleeping ones.
func startSmall(ctx context.Context, want []string, lines ...string) (*smallHost, error) {
	script := fmt.Sprintf("for i in $(seq %d); do sleep 100000 & done; %s wait", besides, strings.Join(lines, " & ")+" &")
	s := &smallHost{cmd: exec.CommandContext(ctx, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script), pids: map[string]int{}}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a host with a process namespace: %w", err)
	}
	for end := time.Now().Add(10 * time.Second); len(s.pids) < len(want) && time.Now().Before(end); {
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return nil, errors.Join(err, s.stop())
		}
		s.find(want)
	}
	if len(s.pids) < len(want) {
		return nil, errors.Join(fmt.Errorf("of %v only %v run", want, s.pids), s.stop())
	}
	return s, nil
}

// find notes the programs among the children of the namespace's first.
func (s *smallHost) find(want []string) {
	for _, first := range childrenOf(s.cmd.Process.Pid) {
		for _, pid := range childrenOf(first) {
			target, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)) // gone meanwhile
			if name := filepath.Base(target); slices.Contains(want, name) {
				s.pids[name] = pid
			}
		}
	}
}

func childrenOf(pid int) (all []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, f := range files {
		text, _ := os.ReadFile(f)
		for _, word := range strings.Fields(string(text)) {
			if n, err := strconv.Atoi(word); err == nil {
				all = append(all, n)
			}
		}
	}
	return all
}

// stop ends the namespace with all in it.
func (s *smallHost) stop() error {
	if err := s.cmd.Process.Kill(); err != nil {
		return err
	}
	s.cmd.Wait()
	return nil
}

// agentAlone measures the agent at its default paces.
func (b *bench) agentAlone(ctx context.Context) error {
	core, rss, anon, err := b.agentCost(ctx, "", nowhere)
	if err != nil {
		return err
	}
	b.add(Line{What: "Agent: memory (RSS)", Value: rss, Unit: "MB", Bar: 20, Note: fmt.Sprintf("highest of %d s; %d processes in a namespace of their own, no container", b.seconds, besides)})
	b.add(Line{What: "Agent: memory of its own (anonymous)", Value: anon, Unit: "MB", Bar: 10, Note: "highest"})
	b.add(Line{What: "Agent: processor a minute, at its own paces", Value: core.Seconds(), Unit: "s", Note: fmt.Sprintf("%.2f %% of a core", core.Seconds()/60*100)})
	return nil
}

// agentCost answers what an agent takes a minute, and its highest memory in MB.
func (b *bench) agentCost(ctx context.Context, config, docker string) (core time.Duration, rss, anon float64, err error) {
	dir, remove, err := folder()
	if err != nil {
		return 0, 0, 0, err
	}
	defer remove()
	g, err := b.invite(ctx, dir, config)
	if err != nil {
		return 0, 0, 0, err
	}
	defer g.stop()
	name := filepath.Base(b.agent)
	s, err := startSmall(ctx, []string{name}, b.agent+" "+strings.Join(g.args(docker), " ")+" 2>/dev/null")
	if err != nil {
		return 0, 0, 0, err
	}
	defer s.stop()
	if err := pause(ctx, 20*time.Second); err != nil {
		return 0, 0, 0, err
	}
	return s.watch(ctx, s.pids[name], time.Duration(b.seconds)*time.Second)
}

// watch answers what a process of the host takes a minute, and its highest
// memory in MB.
func (s *smallHost) watch(ctx context.Context, pid int, d time.Duration) (core time.Duration, rss, anon float64, err error) {
	before, err := cpuOf(pid)
	if err != nil {
		return 0, 0, 0, err
	}
	began := time.Now()
	for time.Since(began) < d {
		if err := pause(ctx, time.Second); err != nil {
			return 0, 0, 0, err
		}
		rss, anon = max(rss, statusOf(pid, "VmRSS")), max(anon, statusOf(pid, "RssAnon"))
	}
	after, err := cpuOf(pid)
	return time.Duration(float64(after-before) * float64(time.Minute) / float64(time.Since(began))), rss, anon, err
}

// statusOf answers a field of a process's status in MB.
func statusOf(pid int, name string) float64 {
	kb, _ := strconv.ParseFloat(strings.TrimSuffix(field(fmt.Sprintf("/proc/%d/status", pid), name), " kB"), 64)
	return kb * 1024 / 1e6
}

// agentBeside measures agent and node exporter side by side; pace answers how
// often a collector runs, and whether.
func (b *bench) agentBeside(ctx context.Context, line Line, pace func(collect.Definition) (time.Duration, bool)) error {
	if _, err := exec.LookPath(exporter); err != nil {
		fmt.Printf("  %s is not installed: apt-get install %s\n", exporter, exporter)
		return nil
	}
	dir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()
	var paces strings.Builder
	for _, d := range collectors.All() {
		every, on := pace(d)
		fmt.Fprintf(&paces, "  %s: {every: %s, enabled: %t}\n", d.Name, every, on)
	}
	g, err := b.invite(ctx, dir, "collectors:\n"+paces.String())
	if err != nil {
		return err
	}
	defer g.stop()
	const address = "127.0.0.1:39100"
	name := filepath.Base(b.agent)
	s, err := startSmall(ctx, []string{name, exporter}, b.agent+" "+strings.Join(g.args(nowhere), " ")+" 2>/dev/null", exporter+" --web.listen-address="+address+" 2>/dev/null")
	if err != nil {
		return err
	}
	defer s.stop()
	ending, end := context.WithCancel(ctx)
	defer end()
	go scrapeEvery(ending, "http://"+address+"/metrics") // ends with this function
	if err := pause(ctx, 20*time.Second); err != nil {
		return err
	}
	theirs, err := cpuOf(s.pids[exporter])
	if err != nil {
		return err
	}
	started, err := cpuOfPrograms(s.pids[name])
	if err != nil {
		return err
	}
	began := time.Now()
	ours, rss, anon, err := s.watch(ctx, s.pids[name], max(time.Duration(b.seconds)*time.Second, 4*scrape))
	if err != nil {
		return err
	}
	after, err := cpuOf(s.pids[exporter])
	if err != nil {
		return err
	}
	ended, err := cpuOfPrograms(s.pids[name])
	if err != nil {
		return err
	}
	minute := func(d time.Duration) time.Duration {
		return time.Duration(float64(d) * float64(time.Minute) / float64(time.Since(began)))
	}
	other, programs := minute(after-theirs), minute(ended-started)
	line.Value, line.Unit = ours.Seconds()/other.Seconds(), "times"
	line.Note += fmt.Sprintf(", side by side: %.3f and %.3f s a minute, of the agent's %.3f in programs that it starts (%.2f times without them); memory %.1f (%.1f its own) and %.1f (%.1f its own) MB",
		ours.Seconds(), other.Seconds(), programs.Seconds(), (ours-programs).Seconds()/other.Seconds(), rss, anon, statusOf(s.pids[exporter], "VmRSS"), statusOf(s.pids[exporter], "RssAnon"))
	b.add(line)
	return nil
}

// scrapeEvery scrapes as a Prometheus does.
func scrapeEvery(ctx context.Context, url string) {
	for {
		if r, err := http.Get(url); err == nil {
			io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
		if pause(ctx, scrape) != nil {
			return
		}
	}
}
