package collectors

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestProcessesOfAServer(t *testing.T) {
	obs := onTree(t, "server", "processes")
	near(t, obs, "host", "processes_count", 9)
	near(t, obs, "host", "processes_zombie_count", 1)
	near(t, obs, "host", "processes_running_count", 1)
	near(t, obs, "host", "processes_blocked_count", 1)
	near(t, obs, "host", "process_memory_bytes", 1812334*4096, "process", "java", "pid", "1311")
	near(t, obs, "host", "process_memory_bytes", 412331*4096, "process", "postgres: a (b)", "pid", "1204")
	count := 0
	for _, s := range obs.Samples {
		if s.Metric == "process_memory_bytes" {
			count++
		}
	}
	if count != processTop {
		t.Errorf("%d processes are listed by memory", count)
	}
	none(t, obs, "process_cpu_ratio")
}

func processLine(pid, ticks, started int, name string) string {
	return fmt.Sprintf("%d (%s) S 1 1 1 0 -1 4194560 1 0 3 0 %d 0 0 0 20 0 1 0 %d 1000 10 18446744073709551615\n", pid, name, ticks, started)
}

func TestBusiestProcesses(t *testing.T) {
	files := map[string]string{"x/stat": "no process"}
	for pid := 1; pid <= 8; pid++ {
		files[fmt.Sprintf("%d/stat", pid)] = processLine(pid, 100, 5, "p")
	}
	root := procFile(t, files)
	c := open(t, "processes", rootEnv(root))
	mustPass(t, c, clock0)
	for pid := 1; pid <= 7; pid++ {
		replace(t, fmt.Sprintf("%s/proc/%d/stat", root, pid), processLine(pid, 100+pid*100, 5, "p"))
	}
	// The pid of one was taken by another since.
	replace(t, root+"/proc/8/stat", processLine(8, 90000, 700, "new"))
	obs := mustPass(t, c, clock0.Add(10*time.Second))
	for pid := 3; pid <= 7; pid++ {
		near(t, obs, "host", "process_cpu_ratio", float64(pid)/10, "process", "p", "pid", fmt.Sprint(pid))
	}
	for _, pid := range []string{"1", "2", "8"} {
		if v, ok := find(obs, "host", "process_cpu_ratio", "pid", pid); ok {
			t.Errorf("process %s used %v", pid, v)
		}
	}
}

func TestProcessNamesAreSafeText(t *testing.T) {
	root := procFile(t, map[string]string{"1/stat": processLine(1, 1, 1, "a) R\x1b[2J\xff\n(b")})
	obs := mustPass(t, open(t, "processes", rootEnv(root)), clock0)
	for _, s := range obs.Samples {
		if strings.ContainsAny(s.Labels["process"], "\x1b\n") {
			t.Errorf("%q", s.Labels["process"])
		}
	}
	if _, ok := find(obs, "host", "process_memory_bytes", "pid", "1"); !ok {
		t.Error("the process is lost")
	}
}

func TestTreeWithoutProcesses(t *testing.T) {
	if _, err := pass(t, open(t, "processes", rootEnv(procFile(t, map[string]string{"stat": ""}))), clock0); err == nil {
		t.Error("a host without processes is believed")
	}
}

func FuzzParseProcess(f *testing.F) {
	f.Add([]byte(processLine(1, 2, 3, "a (b) c")))
	f.Add([]byte("1 () S"))
	f.Add([]byte(")("))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, ok := parseProcess(b); ok && s.id.pid == 0 && b[0] != '0' && b[0] != ' ' {
			t.Fatalf("%q is process 0", b)
		}
	})
}
