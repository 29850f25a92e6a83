package containers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reeve/internal/collect"
)

var (
	podID   = strings.Repeat("0123456789abcdef", 4)
	otherID = strings.Repeat("fedcba9876543210", 4)
)

const killLine = "6,4242,473233248,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/libpod_parent/libpod-ID,task_memcg=/libpod_parent/libpod-ID,task=tail,pid=17461,uid=0\n"

func TestKillOfEachForm(t *testing.T) {
	for form, want := range map[string]bool{
		killLine: true,
		"6,4242,473233248,-;oom-kill:constraint=CONSTRAINT_MEMCG,task_memcg=/machine.slice/libpod-ID.scope/container,task=x,pid=1,uid=0\n": true,
		"6,4242,473233248,-;Task in /machine.slice/libpod-ID.scope killed as a result of limit of /machine.slice/libpod-ID.scope\n":        true,
		"6,4242,473233248,-;oom-kill:constraint=CONSTRAINT_MEMCG,task_memcg=/machine.slice/libpod-conmon-ID.scope,task=x,pid=1,uid=0\n":    false,
		"6,4242,473233248,-;oom-kill:constraint=CONSTRAINT_MEMCG,task_memcg=/docker/ID,task=x,pid=1,uid=0\n":                               true,
		"6,4242,473233248,-;oom-kill:constraint=CONSTRAINT_MEMCG,task_memcg=/system.slice/docker-ID.scope,task=x,pid=1,uid=0\n":            true,
		"6,4242,473233248,-;oom-kill:constraint=CONSTRAINT_NONE,task_memcg=/user.slice/ID0,task=x,pid=1,uid=0\n":                           false,
		"6,4242,473233248,-;Memory cgroup out of memory: Killed process 17461 (libpod-ID)\n":                                               false,
		"oom-kill:task_memcg=/libpod-ID": false,
	} {
		x, after, ok := parseKill([]byte(strings.ReplaceAll(form, "ID", podID)))
		if ok != want || ok && (x.ID != podID || x.Seq != 4242 || after != 473233248*time.Microsecond) {
			t.Errorf("%s: %+v %v %v", form, x, after, ok)
		}
	}
}

func FuzzParseKill(f *testing.F) {
	f.Add([]byte(strings.ReplaceAll(killLine, "ID", podID)))
	f.Add([]byte(";Task in /libpod-"))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, after, ok := parseKill(b)
		if ok && (len(x.ID) != 64 || after < 0) {
			t.Fatalf("%+v %v", x, after)
		}
	})
}

// A kill that the engine does not tell of goes before the end that it caused,
// whatever the kernel's clock says, and makes it one for want of memory.
func TestKillExplainsAnEnd(t *testing.T) {
	end := unsure(137, 60)
	end.ID = podID
	start := ev("start", 62)
	start.ID = podID
	for _, off := range []float64{-2, 0, 1.5} {
		events := withKills([]Event{end, start}, []kill{{ID: podID, At: after(60 + off), Seq: 7}, {ID: otherID, At: after(60), Seq: 8}}, nil, after(0))
		r, ends := newRecord(), 0
		for _, v := range events {
			r.happened(v)
			if v.Action == "die" {
				ends++
				if x := r.Lives["web"].Exit; !x.OOM || x.ByUser == nil || *x.ByUser {
					t.Errorf("the kernel's clock off by %v s: %+v", off, x)
				}
			}
		}
		if len(events) != 3 || ends != 1 {
			t.Errorf("%+v", events)
		}
	}
	if events := withKills(nil, []kill{{ID: podID, At: after(-100), Seq: 7}}, map[string]string{podID: "web"}, after(0)); len(events) != 0 {
		t.Errorf("a kill of long ago is news: %+v", events)
	}
	events := withKills(nil, []kill{{ID: podID, At: after(5), Seq: 7}}, map[string]string{podID: "web"}, after(0))
	if len(events) != 1 || events[0].Name != "web" || events[0].source() != podID+"/oom/kernel/7" {
		t.Errorf("a kill in a container that lives on: %+v", events)
	}
}

// TestOneKillIsToldOnce, whether the kernel alone tells of it or Docker as
// well, and maybe later.
func TestOneKillIsToldOnce(t *testing.T) {
	c := &Collector{killed: map[string]time.Time{}}
	oom := Event{ID: podID, Name: "web", Action: "oom", At: after(61)}
	other := Event{ID: otherID, Name: "db", Action: "oom", At: after(61)}
	events := c.withKills([]Event{oom, other}, []kill{{ID: podID, At: after(60), Seq: 7}}, map[string]string{podID: "web"}, after(50))
	if len(events) != 2 || events[0].Seq != 7 || events[1].ID != otherID {
		t.Errorf("%+v", events)
	}
	if events = c.withKills([]Event{oom}, nil, nil, after(58)); len(events) != 0 {
		t.Errorf("told again in the next pass: %+v", events)
	}
	oom.At = after(120)
	if events = c.withKills([]Event{oom}, nil, nil, after(118)); len(events) != 1 || len(c.killed) != 0 {
		t.Errorf("another kill, which the kernel's log does not show: %+v", events)
	}
}

func TestMemoryGroup(t *testing.T) {
	for groups, want := range map[string]string{
		"9:name=systemd:/x\n4:memory:/libpod_parent/libpod-ID\n0::/libpod_parent/libpod-ID\n": "memory/libpod_parent/libpod-ID",
		"0::/machine.slice/libpod-ID.scope/container\n":                                       "machine.slice/libpod-ID.scope",
		"0::/libpod_parent/libpod-ID\n":                                                       "libpod_parent/libpod-ID",
		"0::/user.slice/session.scope\n":                                                      "",
		"0::/../libpod-ID\n":                                                                  "",
		"":                                                                                    "",
	} {
		got, ok := memoryGroup(strings.ReplaceAll(groups, "ID", podID), podID)
		if got = strings.TrimPrefix(strings.ReplaceAll(got, podID, "ID"), "/"); got != want || ok != (want != "") {
			t.Errorf("%q: %q, want %q", groups, got, want)
		}
	}
}

// Podman's figure holds file pages; the kernel says how many. The recording
// is of a container that had read a large file: 29.8 MB of 33.6 MB, of which
// it needs 0.4.
func TestNetMemory(t *testing.T) {
	const id = "17d5f03d0fd02a3ad592b4ff191ddcd9d32303205085413cc7493c3312a5a5aa"
	root := t.TempDir()
	for path, text := range map[string][]byte{
		"proc/77/cgroup": recorded(t, "cgroup_podman_4.3_cgroup1"),
		"sys/fs/cgroup/memory/libpod_parent/libpod-" + id + "/memory.stat": recorded(t, "memory.stat_podman_4.3_cgroup1"),
	} {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m := newMemoryTree(collect.Env{Live: true, Proc: filepath.Join(root, "proc"), Sys: filepath.Join(root, "sys")})
	u, err := parseUsage(recorded(t, "stats_podman_4.3_reader_cgroup1.json"))
	if err != nil || !u.Gross || *u.Memory != 29790208 {
		t.Fatalf("%+v %v", u, err)
	}
	if m.net(&u, otherID, 77); *u.Memory != 29790208 {
		t.Error("the figures of another container were taken")
	}
	for range 2 { // they are taken off once
		if m.net(&u, id, 77); *u.Memory != 430080 || u.Gross {
			t.Errorf("%d", *u.Memory)
		}
	}
	if newMemoryTree(collect.Env{}) != nil {
		t.Error("a recorded kernel is asked for an engine's containers")
	}
}

// A pattern stands for the sockets of users who came after the start.
func TestExpand(t *testing.T) {
	dir := t.TempDir()
	pattern := filepath.Join(dir, "*", "podman.sock")
	if all := expand([]string{"/a", pattern}); len(all) != 1 || all[0] != "/a" {
		t.Errorf("%v", all)
	}
	if err := os.MkdirAll(filepath.Join(dir, "1000"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "1000", "podman.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if all := expand([]string{"/a", pattern}); len(all) != 2 || filepath.Dir(all[1]) != filepath.Join(dir, "1000") {
		t.Errorf("%v", all)
	}
}
