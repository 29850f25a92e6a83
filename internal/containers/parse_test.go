package containers

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
)

func recorded(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}

func of(n uint64) *uint64 { return &n }

func TestUsageOfEachShape(t *testing.T) {
	for _, x := range []struct {
		file string
		want Usage
	}{
		// 20 MB of file pages out of 22 MB do not count.
		{"stats_docker_20.10_cgroup1.json", Usage{At: at("2026-11-22T07:32:14.914127696Z"), CPU: 26722170, Memory: of(22016000 - 20971520), Pids: of(1)}},
		// tmpfs (shmem) counts, both lists of file pages do not.
		{"stats_docker_cgroup2.json", Usage{At: at("2026-03-01T12:00:10.5Z"), CPU: 5e9, Memory: of(60 << 20), Pids: of(23),
			Received: of(2000), Sent: of(1000), BlockRead: of(4097000), BlockWritten: of(1024000)}},
		{"stats_podman_4.3_cgroup1.json", Usage{Memory: of(335872), Gross: true, Pids: of(1), Received: of(0), Sent: of(0)}},
	} {
		got, err := parseUsage(recorded(t, x.file))
		if err != nil {
			t.Fatal(x.file, err)
		}
		if x.want.At.IsZero() {
			x.want.At, x.want.CPU = got.At, got.CPU
		}
		if diff := cmp.Diff(x.want, got); diff != "" || got.At.IsZero() || got.CPU == 0 {
			t.Errorf("%s (-want +got):\n%s", x.file, diff)
		}
	}
	if u, err := parseUsage([]byte(`{"read":"0001-01-01T00:00:00Z"}`)); err != nil || !u.At.IsZero() {
		t.Errorf("a stopped container's empty reading: %+v %v", u, err)
	}
	if _, err := parseUsage([]byte(`{"read":`)); err == nil {
		t.Error("half an answer was taken")
	}
}

func TestInspectOfEachEngine(t *testing.T) {
	docker, err := parseInspect(recorded(t, "inspect_docker_20.10.json"))
	if err != nil {
		t.Fatal(err)
	}
	if docker.State != "restarting" || docker.ExitCode != 3 || docker.Policy != "always" || docker.RestartCount < 5 || docker.Health != "none" || docker.StartedAt.IsZero() {
		t.Errorf("%+v", docker)
	}
	podman, err := parseInspect(recorded(t, "inspect_podman_4.3.json"))
	if err != nil {
		t.Fatal(err)
	}
	if podman.State != "exited" || podman.ExitCode != 7 || podman.Policy != "no" || podman.Health != "none" || podman.FinishedAt.IsZero() {
		t.Errorf("%+v", podman)
	}
	if _, err := parseInspect([]byte(`{"Config":{}}`)); err == nil {
		t.Error("an inspection without a state was taken")
	}
	never, err := parseInspect([]byte(`{"State":{"Status":"created","StartedAt":"0001-01-01T00:00:00Z"},"HostConfig":{"Memory":-5}}`))
	if err != nil || !never.StartedAt.IsZero() || never.MemoryLimit != 0 {
		t.Errorf("%+v %v", never, err)
	}
}

func TestSummary(t *testing.T) {
	c, ok := fromSummary(container.Summary{ID: "a", Names: []string{"/web/db", "/db"}, State: "running", Status: "Up 2 hours (unhealthy)"})
	if !ok || c.Name != "db" || c.Health != "unhealthy" {
		t.Errorf("%+v", c)
	}
	c, _ = fromSummary(container.Summary{ID: "a", Names: []string{"/x"}, State: "stopped", Health: &container.HealthSummary{Status: "starting"}})
	if c.State != "exited" || c.Health != "starting" {
		t.Errorf("%+v", c)
	}
	if _, ok := fromSummary(container.Summary{ID: "a"}); ok {
		t.Error("a container without a name was taken")
	}
}

func TestDigestOfTheRepositoryThatIsNamed(t *testing.T) {
	digests := []string{"other.test/web@sha256:aa", "registry.test:5000/shop/web@sha256:bb"}
	for name, want := range map[string]string{
		"registry.test:5000/shop/web:1.2": "sha256:bb", "registry.test:5000/shop/web": "sha256:bb", "unknown": "sha256:aa",
	} {
		if got := pickDigest(digests, name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if pickDigest([]string{"no digest"}, "x") != "" {
		t.Error("made one up")
	}
}

func frame(stream byte, text string) string {
	var head [8]byte
	head[0] = stream
	binary.BigEndian.PutUint32(head[4:], uint32(len(text)))
	return string(head[:]) + text
}

func TestLogOfEachForm(t *testing.T) {
	const stamp = "2026-03-01T12:00:00.5Z "
	want := []Line{{at("2026-03-01T12:00:00.5Z"), "one"}, {at("2026-03-01T12:00:00.5Z"), "two words"}}
	multiplexed := frame(1, stamp+"one\n") + frame(2, stamp+"two words\n")
	if diff := cmp.Diff(want, parseLog([]byte(multiplexed), false)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, parseLog([]byte(stamp+"one\r\n"+stamp+"two words\r\n"), true)); diff != "" {
		t.Error(diff)
	}
	cut := parseLog([]byte(multiplexed[:len(multiplexed)-4]), false)
	if len(cut) != 2 || cut[1].Text != "two wo" {
		t.Errorf("a cut log: %+v", cut)
	}
}

func FuzzParseUsage(f *testing.F) {
	for _, name := range []string{"stats_docker_20.10_cgroup1.json", "stats_docker_cgroup2.json", "stats_podman_4.3_cgroup1.json"} {
		f.Add(recorded(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := parseUsage(b)
		if err != nil && u.Memory != nil {
			t.Fatal("a reading with an error")
		}
		if u.Memory != nil && u.At.IsZero() {
			t.Fatal("a reading without a time")
		}
		k := &known{}
		k.take(u, time.Unix(1, 0))
		k.take(u, time.Unix(2, 0))
	})
}

func FuzzParseInspect(f *testing.F) {
	f.Add(recorded(f, "inspect_docker_20.10.json"))
	f.Add(recorded(f, "inspect_podman_4.3.json"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parseInspect(b)
		if err == nil && (d.State == "" || d.RestartCount < 0 || d.Policy == "") {
			t.Fatalf("%+v", d)
		}
		r := newRecord()
		r.inspected(r.life("x", "1", time.Unix(1, 0)), d, false)
	})
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte(`{"Type":"container","Action":"die","Actor":{"ID":"a","Attributes":{"exitCode":"137","name":"x"}},"time":1795330978,"timeNano":1795330978557388533}`))
	f.Add([]byte(`{"Type":"container","Action":"died","Actor":{"ID":"a","Attributes":{"containerExitCode":"4","name":"x"}},"time":1795331061}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m message
		if json.Unmarshal(b, &m) != nil {
			return
		}
		v, ok := m.event()
		if !ok {
			return
		}
		if strings.ContainsAny(v.Name, "\n\x1b") {
			t.Fatalf("name %q", v.Name)
		}
		r := newRecord()
		r.happened(v)
		r.forget(time.Unix(1, 0))
	})
}

func FuzzParseLog(f *testing.F) {
	f.Add([]byte(frame(1, "2026-03-01T12:00:00.5Z one\n")), false)
	f.Add([]byte("2026-03-01T12:00:00.5Z one\r\n"), true)
	f.Fuzz(func(t *testing.T, b []byte, tty bool) {
		for _, l := range parseLog(b, tty) {
			if len(l.Text) > maxLine || l.At.IsZero() {
				t.Fatalf("%+v", l)
			}
		}
	})
}
