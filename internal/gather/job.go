package gather

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/internal/redact"
)

const (
	// stuckGrace is how long after its timeout a collector may still end.
	stuckGrace = 2 * time.Second
	// tellAgain is how often a state that does not change by itself is told.
	tellAgain   = 5 * time.Minute
	leastOfPass = 10 * time.Second
	// passLimit is how many samples, sightings or events one pass may bring:
	// far more than any host has.
	passLimit = 20_000
	textLimit = 1024
	// A pass begins as much as mostJitter, and a share of its period, beside
	// when it was due without being said to.
	mostJitter    = 50 * time.Millisecond
	shareOfJitter = 100
)

// The states of a collector, as its component resource shows them.
const (
	stateOK       = "ok"
	stateFailing  = "failing"
	stateGap      = "gap"
	stateStuck    = "stuck"
	stateDisabled = "disabled"
)

// A job is a collector with its schedule and its health.
type job struct {
	def       collect.Definition
	collector collect.Collector
	every     time.Duration
	timeout   time.Duration
	disabled  bool

	next, started, told time.Time
	stamped             time.Time // when the samples of the last pass are of
	running, stuck      bool
	state, err, gap     string
	absent              bool
	failures            int
}

func newJob(log *slog.Logger, d collect.Definition, s Setting, env collect.Env) *job {
	j := &job{def: d, every: d.Every, timeout: d.Timeout, state: stateOK}
	if s.Every > 0 {
		j.every = max(s.Every, leastEvery)
	}
	if j.timeout == 0 {
		j.timeout = max(d.Every, leastOfPass)
	}
	if j.disabled = s.Enabled != nil && !*s.Enabled; j.disabled {
		j.state = stateDisabled
		return j
	}
	env.Log = log.With("collector", d.Name)
	env.Option = func(name string) string { return s.Options[name] }
	j.collector = d.Open(env)
	return j
}

func (j *job) begin(at time.Time) {
	// The next pass counts from when this one was due, so that the time
	// between passes does not grow; passes that were missed are left out.
	if j.next = j.next.Add(j.every); !j.next.After(at) {
		j.next = at.Add(j.every)
	}
	j.started, j.running = at, true
}

// due answers when the job is looked at next; zero if only now and then.
func (j *job) due() time.Time {
	switch {
	case j.disabled:
		return time.Time{}
	case j.stuck:
		return j.told.Add(j.every)
	}
	// While it runs, this is early enough to notice that it does not end: a
	// pass that is missed is looked at every tick.
	return j.next
}

// noticeStuck reports whether the collector has just been found to ignore the
// end of its time.
func (j *job) noticeStuck(now time.Time) bool {
	if j.stuck || now.Before(j.started.Add(j.timeout+stuckGrace)) {
		return false
	}
	j.stuck, j.state = true, stateStuck
	j.err = fmt.Sprintf("a pass that began at %s does not end", j.started.UTC().Format(time.RFC3339))
	j.failures++
	return true
}

// A result is what a pass came to.
type result struct {
	obs    ops.Observation
	absent bool
}

// collect runs one pass. What was read before it failed still counts. It
// touches nothing of the job's state, which the worker guards.
func (j *job) collect(ctx context.Context, host ops.HostIdentity, log *slog.Logger) result {
	ctx, cancel := context.WithTimeoutCause(ctx, j.timeout, fmt.Errorf("the pass took longer than %v", j.timeout))
	defer cancel()
	obs := ops.Observation{Collector: j.def.Name, Started: time.Now(), EveryMS: j.every.Milliseconds()}
	err := j.safely(ctx, collect.NewBatch(host, obs.Started, &obs), log)
	obs.Took = time.Since(obs.Started).Microseconds()
	if cause := context.Cause(ctx); err != nil && cause != nil && errors.Is(err, ctx.Err()) {
		err = cause
	}
	if bound(&obs) {
		err = errors.Join(err, fmt.Errorf("the pass saw more than %d things; the rest was left out", passLimit))
	}
	absent := errors.Is(err, collect.ErrAbsent)
	if err != nil && !absent {
		obs.Err = redact.Line(err.Error(), textLimit)
		// After an error the list of what was seen is not known to be whole.
		obs.Complete = nil
	}
	return result{obs, absent}
}

// stamp gives the samples of a pass one time: when it was due by the pass
// before, unless it began at another. Samples that are exactly a period apart
// take half of the room in the store, in memory as on disk.
func (j *job) stamp(o *ops.Observation) {
	at := j.stamped.Add(j.every)
	began := o.Started.Round(0) // by the clock that people read
	if off := began.Sub(at).Abs(); off > min(j.every/shareOfJitter, mostJitter) {
		at = began.Truncate(time.Millisecond)
	}
	j.stamped = at
	for i := range o.Samples {
		o.Samples[i].At = at
	}
}

// bound cuts what is above the limit and reports whether anything was.
func bound(obs *ops.Observation) bool {
	over := max(len(obs.Samples), len(obs.Sightings), len(obs.Events)) > passLimit
	obs.Samples = obs.Samples[:min(len(obs.Samples), passLimit)]
	obs.Sightings = obs.Sightings[:min(len(obs.Sightings), passLimit)]
	obs.Events = obs.Events[:min(len(obs.Events), passLimit)]
	return over
}

// safely turns a panic into an error: what a collector reads may be hostile,
// and one collector must not end the process.
func (j *job) safely(ctx context.Context, out *collect.Batch, log *slog.Logger) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
			log.Error("collector panicked", "collector", j.def.Name, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}()
	return j.collector.Collect(ctx, out)
}

// end takes the result of a pass into the collector's health and reports
// whether its state changed.
func (j *job) end(r result) (changed bool) {
	was, wasGap := j.state, j.gap
	j.running, j.stuck, j.absent = false, false, r.absent
	j.gap = gapText(r.obs.Gaps)
	switch {
	case r.obs.Err != "":
		j.state, j.err = stateFailing, r.obs.Err
		j.failures++
		return was != j.state
	case j.gap != "":
		j.state = stateGap
	default:
		j.state = stateOK
	}
	j.err, j.failures = "", 0
	return was != j.state || wasGap != j.gap
}

// gapText says what is not seen, why, and what to do, one line a gap.
func gapText(gaps []ops.Gap) string {
	var lines []string
	for _, g := range gaps {
		line := g.What + ": " + g.Why
		if g.Remedy != "" {
			line += "; " + g.Remedy
		}
		lines = append(lines, redact.Line(line, textLimit))
	}
	return redact.Cut(strings.Join(lines, "\n"), 4*textLimit)
}

// health answers obs with the collector's own resource added, or an
// observation of that alone while there is nothing else to tell.
func (j *job) health(host ops.HostIdentity, now time.Time, obs *ops.Observation) ops.Observation {
	told := ops.Observation{Collector: j.def.Name, Started: now, EveryMS: j.every.Milliseconds(), Err: j.err}
	if obs != nil {
		told = *obs
	}
	batch := collect.NewBatch(host, now, &told)
	ref := batch.Ref("reeve", "collector:"+j.def.Name)
	attrs := ops.Attrs{
		"state": j.state, "failures": strconv.Itoa(j.failures), "every_ms": strconv.FormatInt(j.every.Milliseconds(), 10),
	}
	if j.err != "" {
		attrs["error"] = j.err
	}
	if j.gap != "" {
		attrs["gap"] = j.gap
	}
	if j.absent {
		attrs["absent"] = "true"
	}
	batch.See(ops.Sighting{Key: ref, Kind: ops.KindComponent, Name: "collector " + j.def.Name, Observed: attrs})
	if j.disabled {
		return told
	}
	up := 1.0
	if j.state == stateFailing || j.state == stateStuck {
		up = 0
	}
	batch.Add(ref, "collector_up", up)
	if obs != nil {
		batch.Add(ref, "collector_duration_seconds", float64(obs.Took)/1e6)
	}
	return told
}
