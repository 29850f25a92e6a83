package app

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/internal/tools"
)

func TestNothingButAUnitIsAskedOfTheJournal(t *testing.T) {
	q := tools.LogQuery{Since: time.Unix(1_700_000_000, 0), Lines: 20}
	for _, unit := range []string{"", "nginx", "-f.service", "--since=x.service", "a b.service", "a;b.service", "*.service", "x.service --all", "x.service\n", "../x.service", "$(id).service", strings.Repeat("x", 300) + ".service"} {
		if args, err := journalArgs(unit, q); !errors.Is(err, tools.ErrNoLogs) {
			t.Errorf("%q is asked as %q", unit, args)
		}
	}
	for _, unit := range []string{"nginx.service", "getty@tty1.service", "backup.timer", `dev-disk\x2d1.mount`} {
		args, err := journalArgs(unit, q)
		want := []string{"--output=json", "--no-pager", "--quiet", "--unit=" + unit, "--since=@1700000000", "--lines=20"}
		if err != nil || !slices.Equal(args, want) {
			t.Errorf("%q is asked as %q, %v", unit, args, err)
		}
	}
	q.Contains, q.Lines = "--grep=x", 5
	if args, err := journalArgs("nginx.service", q); err != nil || slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, "grep") }) || args[5] != "--lines=2000" {
		t.Errorf("a text to find is asked as %q, %v", args, err)
	}
}

func TestLogsOfThisMachineAreReadLive(t *testing.T) {
	var ran []string
	l := localLogs{host: "h1", env: collect.Env{
		Tools: func(name string) (string, bool) { return "/usr/bin/" + name, name == "journalctl" },
		Run: func(_ context.Context, tool string, args ...string) (collect.Output, error) {
			ran = append(ran, tool)
			return collect.Output{Stdout: []byte(`{"__REALTIME_TIMESTAMP":"1700000001000000","MESSAGE":"started"}
not json
{"__REALTIME_TIMESTAMP":"x","MESSAGE":"lost"}
{"__REALTIME_TIMESTAMP":"1700000002000000","MESSAGE":[102,97,105,108,101,100,32,27,255]}
{"__REALTIME_TIMESTAMP":"1700000003000000","MESSAGE":"failed: password=hunter2"}
`)}, nil
		},
	}}
	unit := ops.Resource{Kind: ops.KindUnit, Name: "nginx.service", Key: ops.ResourceKey{Host: "h1", Source: "systemd"}}
	lines, err := l.read(t.Context(), unit, tools.LogQuery{Since: time.Unix(1_700_000_000, 0), Contains: "FAILED", Lines: 10})
	if err != nil || len(lines) != 2 || lines[1].Text != "failed: password=[redacted]" || !strings.HasPrefix(lines[0].Text, "failed") || strings.ContainsRune(lines[0].Text, 27) {
		t.Errorf("%+v %v", lines, err)
	}
	if lines, err = l.read(t.Context(), unit, tools.LogQuery{Since: time.Unix(1_700_000_000, 0), Lines: 1}); err != nil || len(lines) != 1 || !lines[0].At.Equal(time.Unix(1_700_000_003, 0)) {
		t.Errorf("%+v %v", lines, err)
	}
	ran = nil
	for _, far := range []ops.Resource{
		{Kind: ops.KindUnit, Name: "nginx.service", Key: ops.ResourceKey{Host: "h2"}}, {Kind: ops.KindFilesystem, Key: ops.ResourceKey{Host: "h1"}},
		{Kind: ops.KindUnit, Name: "--help", Key: ops.ResourceKey{Host: "h1"}}, {Kind: ops.KindContainer, Name: "x", Key: ops.ResourceKey{Host: "h1", Source: "lxd"}},
	} {
		if _, err := l.read(t.Context(), far, tools.LogQuery{Lines: 1}); !errors.Is(err, tools.ErrNoLogs) {
			t.Errorf("%s %s: %v", far.Kind, far.Name, err)
		}
	}
	if _, err := (localLogs{}).read(t.Context(), unit, tools.LogQuery{Lines: 1}); !errors.Is(err, tools.ErrNoLogs) || len(ran) > 0 {
		t.Errorf("without an agent %v, ran %q", err, ran)
	}
}
