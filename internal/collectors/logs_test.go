package collectors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/test/dockerd"
)

func fileEnv(t *testing.T) (env collect.Env, path string) {
	env = rootEnv(t.TempDir())
	env.StateDir = filepath.Join(t.TempDir(), "logs")
	env.Option = func(name string) string { return map[string]string{"files": "/app.log"}[name] }
	return env, filepath.Join(env.Root, "app.log")
}

func write(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestLogsOfAFile(t *testing.T) {
	env, path := fileEnv(t)
	write(t, path, "ERROR old and not ours\n")
	c := open(t, "logs", env)
	d, _ := Get("logs")
	if obs := mustPass(t, c, clock0); len(obs.Events) > 0 {
		t.Errorf("what was there before is told: %+v", obs.Events)
	}
	write(t, path, "INFO fine\nERROR connect to 10.0.0.1:5432 failed after 3s password=hunter2\nERROR connect to 10.0.0.2:5432 failed after 9s password=x\nERROR half")
	obs := mustPass(t, c, clock0.Add(time.Minute))
	checkDocumented(t, d, obs)
	if n := value(t, obs, "host", "log_errors_count"); n != 2 || len(obs.Events) != 1 {
		t.Fatalf("%v lines, events %+v", n, obs.Events)
	}
	e := obs.Events[0]
	if e.Count != 2 || e.Type != ops.EventLogError || e.Facts["new"] != "false" || strings.Contains(e.Text, "hunter2") ||
		!strings.HasPrefix(e.Facts["template"], "connect to <ip> failed after <n>s") || len(e.Facts["template_id"]) != 16 {
		t.Errorf("%+v", e)
	}
	write(t, path, " a line\n")
	obs = mustPass(t, c, clock0.Add(11*time.Minute))
	if len(obs.Events) != 1 || obs.Events[0].Text != "ERROR half a line" || obs.Events[0].Facts["new"] != "true" {
		t.Errorf("after the learning time: %+v", obs.Events)
	}

	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, path, "ERROR half a line\n")
	c = open(t, "logs", env) // a new start
	obs = mustPass(t, c, clock0.Add(12*time.Minute))
	if len(obs.Events) != 1 || obs.Events[0].Facts["new"] != "false" {
		t.Errorf("a rotated file after a start: %+v", obs.Events)
	}
}

func TestLogsAreBounded(t *testing.T) {
	env, path := fileEnv(t)
	write(t, path, "")
	c := open(t, "logs", env)
	mustPass(t, c, clock0)
	write(t, path, strings.Repeat("ERROR the same again and again\n", 50_000))
	obs := mustPass(t, c, clock0.Add(time.Minute))
	if n := value(t, obs, "host", "log_errors_count"); n > logLinesFiles || n < logLinesFiles/2 {
		t.Errorf("%v lines in a pass", n)
	}
	if obs := mustPass(t, c, clock0.Add(2*time.Minute)); len(obs.Events) > 0 {
		t.Error("what was left out is read later")
	}
	env.Option = func(string) string { return "/missing.log" }
	if obs := mustPass(t, open(t, "logs", env), clock0); len(obs.Gaps) != 1 {
		t.Errorf("a file that is not there: %+v", obs.Gaps)
	}
	env.Option = func(string) string { return "" }
	if _, err := pass(t, open(t, "logs", env), clock0); !errors.Is(err, collect.ErrAbsent) {
		t.Errorf("no log at all: %v", err)
	}
}

func entry(cursor int, fields string) string {
	return fmt.Sprintf(`{"__CURSOR":"s=%d","__REALTIME_TIMESTAMP":"%d",%s}`+"\n", cursor, clock0.UnixMicro(), fields)
}

func TestLogsOfTheJournal(t *testing.T) {
	env := rootEnv(t.TempDir())
	env.Tools = func(name string) (string, bool) { return "/usr/bin/" + name, name == "journalctl" }
	file := env.RootPath("var/log/journal/4f3a/system.journal")
	if err := cmp.Or(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, nil, 0o640)); err != nil {
		t.Fatal(err)
	}
	touch := func(at time.Time) {
		t.Helper()
		for path := file; path != env.RootPath("var/log"); path = filepath.Dir(path) {
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	ran := 0
	said := map[string]collect.Output{
		"--output=json --no-pager --lines=1": {Stdout: []byte(entry(1, `"MESSAGE":"ERROR before us","_SYSTEMD_UNIT":"a.service"`))},
		"--output=json --no-pager --lines=800 --after-cursor=s=1": {Stdout: []byte("-- No entries --\n" +
			entry(2, `"MESSAGE":"cannot bind port 80","PRIORITY":"3","_SYSTEMD_UNIT":"nginx.service"`) +
			entry(3, `"MESSAGE":"all well","PRIORITY":"6","_SYSTEMD_UNIT":"nginx.service"`) +
			entry(4, `"MESSAGE":[69,82,82,79,82,32,255],"PRIORITY":"6","_SYSTEMD_UNIT":"user@0.service"`) +
			entry(5, `"MESSAGE":"Failed with result 'exit-code'.","PRIORITY":"3","UNIT":"nginx.service","_SYSTEMD_UNIT":"init.scope"`) +
			entry(6, `"MESSAGE":"ERROR of a container","CONTAINER_NAME":"web","_SYSTEMD_UNIT":"docker.service"`) +
			entry(6, `"MESSAGE":"ERROR the kernel says, and means nothing by it","PRIORITY":"5","_TRANSPORT":"kernel"`) +
			entry(7, `"MESSAGE":null,"PRIORITY":["3","4"]`))},
		"--output=json --no-pager --lines=800 --after-cursor=s=7": {Exit: 1, Stderr: []byte("Failed to seek to cursor: Invalid argument\n")},
	}
	env.Run = func(_ context.Context, tool string, args ...string) (collect.Output, error) {
		answer, ok := said[strings.Join(args, " ")]
		if !ok {
			t.Errorf("%s %v", tool, args)
		}
		ran++
		return answer, nil
	}
	c := open(t, "logs", env)
	touch(clock0.Add(-time.Hour))
	if obs := mustPass(t, c, clock0); len(obs.Events) > 0 {
		t.Errorf("what was there before is told: %+v", obs.Events)
	}
	mustPass(t, c, clock0.Add(5*time.Second))
	if ran != 1 {
		t.Errorf("a journal that nobody wrote to was read %d times", ran)
	}
	touch(clock0.Add(9 * time.Second)) // not settled: it is read once more
	obs := mustPass(t, c, clock0.Add(10*time.Second))
	if n := value(t, obs, "nginx.service", "log_errors_count"); n != 2 {
		t.Errorf("nginx: %v lines", n)
	}
	if n := value(t, obs, "host", "log_errors_count"); n != 1 {
		t.Errorf("host: %v lines", n)
	}
	if len(obs.Events) != 3 {
		t.Errorf("%+v", obs.Events)
	}
	mustPass(t, c, clock0.Add(20*time.Second))
	mustPass(t, c, clock0.Add(30*time.Second)) // from the start again: the journal was replaced
	mustPass(t, c, clock0.Add(40*time.Second))
	if ran != 4 {
		t.Errorf("read %d times, not at the start, when it was written, when that had settled, and from the start", ran)
	}
	env.Run = func(context.Context, string, ...string) (collect.Output, error) {
		return collect.Output{Exit: 1, Stderr: []byte("No journal files were found.\n")}, nil
	}
	if _, err := pass(t, open(t, "logs", env), clock0); !errors.Is(err, collect.ErrAbsent) {
		t.Errorf("no journal: %v", err)
	}
	env.Run = func(context.Context, string, ...string) (collect.Output, error) {
		return collect.Output{Stderr: []byte("Hint: You are currently not seeing messages from other users and the system.\n")}, nil
	}
	c = open(t, "logs", env)
	touch(clock0.Add(-time.Hour))
	for i := range 2 { // it stays a gap while nothing is written
		if obs := mustPass(t, c, clock0.Add(time.Duration(i)*time.Minute)); len(obs.Gaps) != 1 || obs.Gaps[0].Remedy == "" {
			t.Errorf("no permission: %+v", obs.Gaps)
		}
	}
	env.Run = func(context.Context, string, ...string) (collect.Output, error) {
		t.Error("a host without a journal is asked for it")
		return collect.Output{}, nil
	}
	if err := os.RemoveAll(env.RootPath("var/log/journal")); err != nil {
		t.Fatal(err)
	}
	if _, err := pass(t, open(t, "logs", env), clock0); !errors.Is(err, collect.ErrAbsent) {
		t.Errorf("no journal at all: %v", err)
	}
}

func TestLogsOfContainers(t *testing.T) {
	d := dockerd.Start(t)
	line := "echo 'INFO up'; n=0; while true; do n=$((n+1)); echo \"level=error msg=\\\"query $n failed\\\"\" >&2; sleep 0.2; done"
	d.Run(t, dockerd.Options{Name: "plain", Command: shell(line)})
	d.Run(t, dockerd.Options{Name: "terminal", TTY: true, Command: shell(line)})
	c := open(t, "logs", engineEnv(t, d.Socket))
	count := map[string]int64{}
	ids := map[string]bool{}
	for end := time.Now().Add(time.Minute); count["plain"] < 5 || count["terminal"] < 5; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("lines seen: %v", count)
		}
		for _, e := range mustPass(t, c, time.Now()).Events {
			count[e.Resource.Key] += e.Count
			ids[e.SourceID] = true
			if e.Facts["template"] != "query <n> failed" || e.Resource.Source != "docker" {
				t.Fatalf("%+v", e)
			}
		}
	}
	d.Run(t, dockerd.Options{Name: "brief", Command: shell("echo 'panic: query 1 failed'; exit 2")})
	for end := time.Now().Add(time.Minute); count["brief"] == 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("what a container said before it crashed was not read")
		}
		for _, e := range mustPass(t, c, time.Now()).Events {
			count[e.Resource.Key] += e.Count
		}
	}
	d.Stop(t, "plain")
	before := count["plain"]
	for range 3 {
		for _, e := range mustPass(t, c, time.Now()).Events {
			count[e.Resource.Key] += e.Count
		}
	}
	if count["plain"] > before+20 {
		t.Errorf("the last lines of a stopped container are read again and again: %d, then %d", before, count["plain"])
	}
}
