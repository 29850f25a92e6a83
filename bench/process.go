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
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is a server under measure.
type process struct {
	url, token, dir string
	cmd             *exec.Cmd
	log             *os.File
	readyIn         time.Duration // from exec to the first answer that it is ready
}

// start starts the program on a folder with a configuration and waits until
// it is ready.
func (b *bench) start(ctx context.Context, dir, config string) (*process, error) {
	file := filepath.Join(dir, "bench.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	return launch(ctx, dir, exec.CommandContext(ctx, b.program, "up", "--data", dir, "--config", file, "--listen", "127.0.0.1:0"))
}

// self starts this command again as a child.
func self(ctx context.Context, dir, child string) (*process, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return launch(ctx, dir, exec.CommandContext(ctx, path, "-child", child, "-dir", dir))
}

// selfOutput starts this command again as a child and answers what it prints.
func selfOutput(ctx context.Context, dir, child string) ([]byte, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, "-child", child, "-dir", dir)
	cmd.Stderr = os.Stderr
	return cmd.Output()
}

// launch starts a server that prints its address, and waits until it is
// ready.
func launch(ctx context.Context, dir string, cmd *exec.Cmd) (*process, error) {
	p := &process{dir: dir, cmd: cmd}
	var err error
	if p.log, err = os.Create(filepath.Join(dir, "bench.log")); err != nil {
		return nil, err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = in, p.log
	began := time.Now()
	err = cmd.Start()
	in.Close()
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	err = p.await(ctx, out, began)
	go func() { // What it prints later must find a reader.
		io.Copy(io.Discard, out)
		out.Close()
	}()
	if err != nil {
		text, _ := os.ReadFile(p.log.Name())
		return nil, errors.Join(fmt.Errorf("the server does not get ready: %w\n%.2000s", err, text), p.stop())
	}
	return p, nil
}

func (p *process) await(ctx context.Context, out io.Reader, began time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	lines := bufio.NewScanner(out)
	for p.url == "" && lines.Scan() {
		if what, value, _ := strings.Cut(strings.TrimSpace(lines.Text()), " "); what == "page" {
			p.url = strings.TrimSpace(value)
		}
	}
	if p.url == "" {
		return errors.New("it printed no address")
	}
	for {
		r, err := http.Get(p.url + "/readyz")
		if err == nil {
			r.Body.Close()
		}
		if err == nil && r.StatusCode == http.StatusOK {
			p.readyIn = time.Since(began)
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
	var client struct{ Token string }
	text, err := os.ReadFile(filepath.Join(p.dir, "client.json"))
	if err == nil {
		err = json.Unmarshal(text, &client)
	}
	p.token = client.Token
	return err
}

func (p *process) stop() error {
	defer p.log.Close()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	late := time.AfterFunc(30*time.Second, func() { p.cmd.Process.Kill() })
	defer late.Stop()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("the server stopped with %w", err)
	}
	return nil
}

// request asks the API and answers the body.
func (p *process) request(ctx context.Context, method, path string, body io.Reader, header map[string]string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	for k, v := range header {
		req.Header.Set(k, v)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %.300s", method, path, r.Status, text)
	}
	return text, err
}

func (p *process) get(ctx context.Context, path string) ([]byte, error) {
	return p.request(ctx, http.MethodGet, path, nil, nil)
}

// cpu answers the processor time that a process and the programs that it
// started took so far.
func (p *process) cpu() (time.Duration, error) { return cpuOf(p.cmd.Process.Pid) }

// cpuOf is cpu of a process by its ID.
func cpuOf(pid int) (time.Duration, error) {
	proc := fmt.Sprintf("/proc/%d/", pid)
	tasks, err := filepath.Glob(proc + "task/*/schedstat")
	if err != nil {
		return 0, err
	}
	var total time.Duration
	for _, t := range tasks {
		text, err := os.ReadFile(t)
		if err != nil {
			continue // a thread that ended meanwhile
		}
		ns, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(ns, 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(n)
	}
	programs, err := cpuOfPrograms(pid)
	return total + programs, err
}

// cpuOfPrograms answers the time of the programs that a process has started
// and waited for.
func cpuOfPrograms(pid int) (total time.Duration, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	const userOfChildren, systemOfChildren, tick = 13, 14, 10 * time.Millisecond
	for _, i := range []int{userOfChildren, systemOfChildren} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(n) * tick
	}
	return total, nil
}

// memory answers a field of the process's mappings in MB (10^6 bytes).
func (p *process) memory() (map[string]float64, error) {
	file := fmt.Sprintf("/proc/%d/smaps_rollup", p.cmd.Process.Pid)
	m := map[string]float64{}
	for _, name := range []string{"Rss", "Pss", "Pss_Anon", "Pss_File"} {
		kb, err := strconv.ParseFloat(strings.TrimSuffix(field(file, name), " kB"), 64)
		if err != nil {
			return nil, fmt.Errorf("read %s of %s: %w", name, file, err)
		}
		m[name] = kb * 1024 / 1e6
	}
	return m, nil
}

// A spell is what a process took over a while.
type spell struct {
	core   float64 // share of one core in percent
	memory map[string]float64
	peak   float64 // highest RSS seen, MB
	own    float64 // highest anonymous part of it
	ever   float64 // highest RSS since the process began, MB
}

// watch measures a process for a while.
func (p *process) watch(ctx context.Context, d time.Duration) (s spell, err error) {
	before, err := p.cpu()
	if err != nil {
		return s, err
	}
	began := time.Now()
	for time.Since(began) < d {
		if err := pause(ctx, min(time.Second, d)); err != nil {
			return s, err
		}
		if s.memory, err = p.memory(); err != nil {
			return s, err
		}
		s.peak, s.own = max(s.peak, s.memory["Rss"]), max(s.own, s.memory["Pss_Anon"])
	}
	kb, err := strconv.ParseFloat(strings.TrimSuffix(field(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid), "VmHWM"), " kB"), 64)
	if err != nil {
		return s, fmt.Errorf("read the highest memory of a process: %w", err)
	}
	s.ever = kb * 1024 / 1e6
	after, err := p.cpu()
	s.core = 100 * (after - before).Seconds() / time.Since(began).Seconds()
	return s, err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// folder makes a data folder that is removed by the function it answers.
func folder() (string, func(), error) {
	dir, err := os.MkdirTemp("", "reeve-bench")
	return dir, func() { os.RemoveAll(dir) }, err
}
