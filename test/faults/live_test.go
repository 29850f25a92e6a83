package faults

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/test/program"
	"reeve/test/receiver"
)

// A fault is a condition of the live machine that a test makes true.
type fault struct {
	condition, resource string
	severity            ops.Severity
	says                string
	thresholds          map[string]float64
	// start breaks it and answers how it is mended; nil when it is not, and
	// then the finding is not awaited to resolve.
	start func() (mend func())
	// noisy conditions may be true on a machine that others use.
	noisy bool
}

// live answers the quick configuration of this machine itself, without the
// containers that others run on it.
func live(faults []fault) setup {
	s := quick(&machine{dir: "/"}, nil)
	s["agent"] = map[string]any{"docker_sockets": []string{"/nowhere/docker.sock"}, "podman_sockets": []string{"/nowhere/podman.sock"}}
	for _, f := range faults {
		if len(f.thresholds) > 0 {
			s["detectors"].(map[string]any)[f.condition].(map[string]any)["thresholds"] = f.thresholds
		}
	}
	return s
}

// proveLive breaks everything, sees what is told, and mends it.
func proveLive(t *testing.T, p *program.Program, faults []fault) {
	t.Helper()
	for _, f := range faults {
		if f.noisy {
			continue
		}
		p.Until(40*time.Second, f.condition+" of "+f.resource+" is judged to be well", func() bool { return judgedWell(p, f.resource, f.condition) })
		if x, ok := find(p, "active", f.condition, f.resource); ok {
			t.Fatalf("%s of %s is open before it is broken: %s", f.condition, f.resource, x.Summary)
		}
	}
	mends := make([]func(), len(faults))
	for i, f := range faults {
		mends[i] = f.start()
	}
	for _, f := range faults {
		x := await(p, 100*time.Second, "active", f.condition, f.resource)
		if x.Severity != f.severity || !strings.Contains(x.Summary, f.says) {
			t.Errorf("%s of %s is %s: %s; not %s with %q", f.condition, f.resource, x.Severity, x.Summary, f.severity, f.says)
		}
	}
	for _, mend := range mends {
		if mend != nil {
			mend()
		}
	}
	for i, f := range faults {
		if mends[i] != nil && !f.noisy {
			await(p, 100*time.Second, "resolved", f.condition, f.resource)
		}
	}
}

func hostname(t testing.TB) string {
	t.Helper()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// TestLiveMachine breaks parts of the machine that the test runs on.
func TestLiveMachine(t *testing.T) {
	t.Parallel()
	host := hostname(t)
	inodes, readOnly := mount(t, 16<<20, "-N", "64"), mount(t, 16<<20)
	site, beat := newSite(t), newBeat()
	faults := []fault{
		{condition: "fs_inodes_full", resource: inodes, severity: ops.Critical, says: "of its inodes", start: func() func() { return useInodes(t, inodes) }},
		{condition: "fs_read_only", resource: readOnly, severity: ops.Critical, says: "has become read-only", start: func() func() {
			run(t, "mount", "-o", "remount,ro", readOnly)
			return func() { run(t, "mount", "-o", "remount,rw", readOnly) }
		}},
		memoryFault(t, host), zombieFault(t, host),
		{condition: "host_cpu_high", resource: host, severity: ops.Warning, says: "The CPU is", noisy: true,
			thresholds: map[string]float64{"warning": 60, "critical": 101, "margin": 5},
			start:      func() func() { return work(t, "burn", "0") }},
		kernelFault(t, "oom_kill", "The kernel killed eater", "Out of memory: Killed process 4242 (eater) total-vm:99936kB, anon-rss:16000kB, file-rss:1328kB, shmem-rss:0kB, UID:0 pgtables:72kB oom_score_adj:0"),
		kernelFault(t, "kernel_io_error", "I/O error of sdz", "I/O error, dev sdz, sector 5860533160 op 0x0:(READ) flags 0x80700 phys_seg 4 prio class 0"),
		kernelFault(t, "hung_task", "sleeper hangs", "INFO: task sleeper:4343 blocked for more than 122 seconds."),
		kernelFault(t, "hardware_error", "1 error of the hardware", "mce: [Hardware Error]: Machine check events logged"),
		{condition: "check_failing", resource: "site", severity: ops.Critical, says: "site fails", start: site.fail},
		{condition: "heartbeat_missing", resource: "nightly", severity: ops.Critical, says: "it should come every", start: beat.stop},
	}
	s := live(faults)
	s["checks"] = []map[string]any{
		{"name": "site", "type": "http", "target": site.url, "every": "5s"},
		{"name": "nightly", "type": "heartbeat", "every": "5s", "grace": "2s"},
	}
	p := program.Start(t, s.text(t))
	beat.run(t, p)
	proveLive(t, p, faults)
}

// useInodes makes files until there is no inode left.
func useInodes(t testing.TB, at string) (mend func()) {
	dir := filepath.Join(at, "many")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 100_000 {
		if os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), nil, 0o600) != nil {
			break
		}
	}
	return func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}
}

// memoryFault takes up to 2 GiB, with thresholds around what that makes of
// the memory that is used now.
func memoryFault(t testing.TB, host string) fault {
	total, available := meminfo(t, "MemTotal"), meminfo(t, "MemAvailable")
	take := min(2<<30, available/3)
	used, rise := 100*(1-float64(available)/float64(total)), 100*float64(take)/float64(total)
	return fault{condition: "host_memory_high", resource: host, severity: ops.Warning, says: "Memory is",
		thresholds: map[string]float64{"warning": used + rise*0.7, "critical": 101, "margin": rise * 0.2},
		start:      func() func() { return work(t, "hold", fmt.Sprint(take)) }}
}

func meminfo(t testing.TB, field string) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kb int64
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			if _, err := fmt.Sscan(rest, &kb); err == nil {
				return kb << 10
			}
		}
	}
	t.Fatalf("/proc/meminfo has no %s", field)
	return 0
}

// zombieFault leaves more ended processes than there are already.
func zombieFault(t testing.TB, host string) fault {
	before := 0
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, _ := os.ReadFile(path)
		if _, rest, ok := strings.Cut(string(text), ") "); ok && strings.HasPrefix(rest, "Z") {
			before++
		}
	}
	limit := 2*before + 20
	return fault{condition: "zombies", resource: host, severity: ops.Warning, says: "not cleared away",
		thresholds: map[string]float64{"warning": float64(limit)},
		start:      func() func() { return work(t, "orphan", strconv.Itoa(limit+10)) }}
}

// kernelFault writes to the kernel log. What was there looks back over half
// an hour, so it does not resolve within a test.
func kernelFault(t testing.TB, condition, says, line string) fault {
	return fault{condition: condition, resource: hostname(t), severity: ops.Warning, says: says, noisy: true, start: func() func() {
		if err := os.WriteFile("/dev/kmsg", []byte("<3>"+line+"\n"), 0); err != nil {
			t.Fatal(err)
		}
		return nil
	}}
}

// A site is a real web server that a check probes.
type site struct {
	url  string
	down atomic.Bool
}

func newSite(t testing.TB) *site {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{url: "http://" + listener.Addr().String()}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if s.down.Load() {
			http.Error(w, "down for a test", http.StatusServiceUnavailable)
		}
	})}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return s
}

func (s *site) fail() (mend func()) {
	s.down.Store(true)
	return func() { s.down.Store(false) }
}

// A beater is a job that calls its heartbeat address.
type beater struct{ silent atomic.Bool }

func newBeat() *beater { return &beater{} }

func (b *beater) stop() (mend func()) {
	b.silent.Store(true)
	return func() { b.silent.Store(false) }
}

func (b *beater) run(t testing.TB, p *program.Program) {
	t.Helper()
	var list struct {
		Items []struct {
			Name string
			URL  string `json:"heartbeat_url"`
		}
	}
	if err := p.Get("/api/v1/checks", &list); err != nil {
		t.Fatal(err)
	}
	url := ""
	for _, c := range list.Items {
		if c.Name == "nightly" {
			url = c.URL
		}
	}
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			if !b.silent.Load() {
				if r, err := http.Get(url); err == nil {
					r.Body.Close()
				}
			}
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
}

// TestExpiringCertificate: a service of this machine serves a certificate
// that expires within a week.
func TestExpiringCertificate(t *testing.T) {
	t.Parallel()
	now := time.Now()
	cert, _, err := receiver.CertificateOf(now.AddDate(-1, 0, 0), now.AddDate(0, 0, 5))
	if err != nil {
		t.Fatal(err)
	}
	service, err := receiver.NewHTTPS(cert)
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	addr := strings.TrimPrefix(service.URL, "https://")
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	p := program.Start(t, live(nil).text(t))
	f := await(p, 60*time.Second, "active", "certificate_expiring", addr)
	if f.Severity != ops.Critical || !strings.Contains(f.Summary, "expires in") {
		t.Errorf("%s: %s", f.Severity, f.Summary)
	}
	if f.Facts["process"] == "" && runtime.GOOS == "linux" {
		t.Error("the process that serves it is not named")
	}
}
