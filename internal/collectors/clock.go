package collectors

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

var _ = all.Add(collect.Definition{
	Name: "clock",
	Doc: "Whether the clock is synchronised, by what, and how far it is off. " +
		"Where chrony keeps the clock, chronyc tells the offset. Recorded trees answer adjtimex from .reeve/timex.json.",
	Every: time.Minute, Cost: collect.Cheap, Permissions: "none",
	Metrics: []collect.Metric{
		{Name: "clock_offset_seconds", Unit: "seconds", Doc: "How far the clock is off the reference; absent when nothing synchronises it."},
		{Name: "clock_synchronised", Unit: "bool", Doc: "1 when the kernel says that something keeps the clock right."},
	},
	Kinds: []ops.Kind{ops.KindHost},
	Open: func(env collect.Env) collect.Collector {
		return collect.Func(func(ctx context.Context, out *collect.Batch) error { return collectClock(ctx, env, out) })
	},
})

// clockState is what the kernel says; the JSON form is that of recorded
// trees.
type clockState struct {
	Offset       *float64 `json:"offset_s"`
	Synchronised bool     `json:"synchronised"`
}

func collectClock(ctx context.Context, env collect.Env, out *collect.Batch) error {
	read := readClockRecord
	if env.Live {
		read = readClock
	}
	state, err := read(env)
	if err != nil {
		return err
	}
	source := clockSource(env)
	if offset, ok := chronyOffset(ctx, env, source); ok {
		state.Offset = &offset
	}
	out.Add(out.HostRef(), "clock_synchronised", bit(state.Synchronised))
	if state.Offset != nil && math.Abs(*state.Offset) < 1e9 {
		out.Add(out.HostRef(), "clock_offset_seconds", *state.Offset)
	}
	out.SeeHost(ops.Attrs{"clock_synchronised": truth(state.Synchronised), "clock_source": source})
	return nil
}

// readClock asks the kernel. Its offset means something only while somebody
// synchronises the clock.
func readClock(collect.Env) (clockState, error) {
	var t unix.Timex
	verdict, err := unix.Adjtimex(&t)
	if err != nil {
		return clockState{}, fmt.Errorf("adjtimex: %w", err)
	}
	state := clockState{Synchronised: verdict != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0}
	if state.Synchronised {
		unit := 1e-6
		if t.Status&unix.STA_NANO != 0 {
			unit = 1e-9
		}
		offset := float64(t.Offset) * unit
		state.Offset = &offset
	}
	return state, nil
}

func readClockRecord(env collect.Env) (clockState, error) {
	where := env.RootPath(".reeve", "timex.json")
	b, err := readSmall(where)
	if err != nil {
		return clockState{}, err
	}
	var state clockState
	if err := json.Unmarshal(b, &state); err != nil {
		return clockState{}, fmt.Errorf("parse %s: %w", where, err)
	}
	return state, nil
}

// clockSource answers which program keeps the clock, by the files that it
// has while it runs.
func clockSource(env collect.Env) string {
	for _, s := range []struct{ path, name string }{
		{"run/chrony/chronyd.pid", "chrony"}, {"run/chronyd.pid", "chrony"}, {"run/chrony/chronyd.sock", "chrony"},
		{"run/systemd/timesync", "timesyncd"}, {"run/ntpd.pid", "ntpd"}, {"run/ntpsec/ntpd.pid", "ntpd"},
		{"run/openntpd.sock", "openntpd"}, {"run/ntpd.sock", "openntpd"}, {"run/phc2sys.0.sock", "phc2sys"},
	} {
		if _, err := os.Lstat(env.RootPath(s.path)); err == nil {
			return s.name
		}
	}
	return "none"
}

// chronyOffset asks chrony, which corrects the clock in a way that the
// kernel's own offset does not show.
func chronyOffset(ctx context.Context, env collect.Env, source string) (float64, bool) {
	if source != "chrony" {
		return 0, false
	}
	if _, ok := env.Tools("chronyc"); !ok {
		return 0, false
	}
	out, err := env.Run(ctx, "chronyc", "-n", "-c", "tracking")
	if err != nil || out.Exit != 0 {
		return 0, false
	}
	return parseTracking(out.Stdout)
}

// parseTracking reads the offset of the system time, the fifth field of what
// chronyc -c tracking prints. A clock without a reference has none.
func parseTracking(b []byte) (float64, bool) {
	line, _ := nextLine(b)
	fields := strings.Split(strings.TrimSpace(string(line)), ",")
	if len(fields) < 14 || strings.TrimSpace(fields[0]) == "00000000" || fields[2] == "0" {
		return 0, false
	}
	offset, err := strconv.ParseFloat(fields[4], 64)
	if err != nil || math.IsNaN(offset) || math.IsInf(offset, 0) {
		return 0, false
	}
	return offset, true
}
