package collectors

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/internal/probe"
	"reeve/internal/redact"
)

var _ = all.Add(collect.Definition{
	Name: "check",
	Doc: "Runs the checks that are declared for this host when each is due, sixteen at a time: HTTP, TCP, ICMP, DNS, " +
		"TLS, and heartbeats. A check is up or down only by an answer; one that could not be run keeps its state.",
	Every: 5 * time.Second, Timeout: 3 * time.Minute, Cost: collect.Dear,
	Permissions: "none; icmp needs net.ipv4.ping_group_range or CAP_NET_RAW",
	Metrics: []collect.Metric{
		{Name: "check_up", Unit: "bool", Doc: "1 when the probe got the right answer."},
		{Name: "check_duration_seconds", Unit: "seconds", Doc: "How long the probe took."},
		{Name: "check_certificate_expires_seconds", Unit: "seconds", Doc: "Time until the certificate that the target showed runs out; negative after."},
		{Name: "check_heartbeat_age_seconds", Unit: "seconds", Doc: "Time since the heartbeat last came, or since it was first expected."},
	},
	Kinds: []ops.Kind{ops.KindCheck},
	Open: func(env collect.Env) collect.Collector {
		c := &checks{env: env, dial: env.Dial, states: map[string]*checkState{}}
		if c.dial == nil {
			c.dial = (&net.Dialer{}).DialContext
		}
		return c
	},
})

// checksAtOnce is how many probes run at the same time.
const checksAtOnce = 16

// checkShortest is the shortest period of a check.
const checkShortest = 10 * time.Second

type checks struct {
	env    collect.Env
	dial   probe.Dial
	states map[string]*checkState
	loaded bool
}

// A checkState is what is remembered of a check between passes and starts.
type checkState struct {
	// What is the type and target that the rest is about: another target is
	// another check.
	What      string    `json:"what"`
	FirstSeen time.Time `json:"first_seen"`
	Known     bool      `json:"known"` // there was a result
	Up        bool      `json:"up"`
	Err       string    `json:"error,omitempty"`
	Since     time.Time `json:"since,omitzero"` // since when it is up or down
	Expires   time.Time `json:"expires,omitzero"`
	ran       time.Time
}

// Collect runs the checks that are due and reports all.
func (c *checks) Collect(ctx context.Context, out *collect.Batch) error {
	declared := c.declared()
	c.load()
	changed := c.keep(declared, out.Now)
	results := c.run(ctx, c.due(declared, out.Now))
	for _, d := range declared {
		s := c.states[d.Name]
		if d.Type == "heartbeat" {
			changed = c.beat(out, d, s) || changed
		} else if r, ok := results[d.Name]; ok {
			s.ran = out.Now
			changed = c.take(out, d, s, r) || changed
		}
		c.report(out, d, s)
	}
	out.Whole(ops.KindCheck)
	if !changed {
		return nil
	}
	return c.save()
}

// declared answers the checks with their defaults, one a name.
func (c *checks) declared() []collect.Check {
	if c.env.Checks == nil {
		return nil
	}
	var list []collect.Check
	seen := map[string]bool{}
	for _, d := range c.env.Checks() {
		if d.Name == "" || seen[d.Name] {
			continue
		}
		seen[d.Name] = true
		d = probe.Defaults(d)
		d.Every = max(d.Every, checkShortest)
		list = append(list, d)
	}
	return list
}

// keep makes a state for each new check and drops those of checks that are
// not declared any more.
func (c *checks) keep(declared []collect.Check, now time.Time) (changed bool) {
	wanted := map[string]bool{}
	for _, d := range declared {
		wanted[d.Name] = true
		what := d.Type + " " + d.Target
		if s := c.states[d.Name]; s == nil || s.What != what {
			c.states[d.Name] = &checkState{What: what, FirstSeen: now}
			changed = true
		}
	}
	for name := range c.states {
		if !wanted[name] {
			delete(c.states, name)
			changed = true
		}
	}
	return changed
}

// due answers the checks to run now, the one that waits longest first.
func (c *checks) due(declared []collect.Check, now time.Time) (due []collect.Check) {
	for _, d := range declared {
		// A pass that begins a little early still runs what is due by then.
		if s := c.states[d.Name]; d.Type != "heartbeat" && now.Sub(s.ran).Abs() >= d.Every-time.Second {
			due = append(due, d)
		}
	}
	slices.SortStableFunc(due, func(a, b collect.Check) int {
		return cmp.Or(c.states[a.Name].ran.Compare(c.states[b.Name].ran), cmp.Compare(a.Name, b.Name))
	})
	return due
}

type checkResult struct {
	probe.Result
	unable error
}

// run runs checks, a bounded number at a time, and answers those that came to
// an end before ctx did.
func (c *checks) run(ctx context.Context, due []collect.Check) map[string]checkResult {
	work := make(chan collect.Check, len(due))
	for _, d := range due {
		work <- d
	}
	close(work)
	var mu sync.Mutex
	var wg sync.WaitGroup
	results := map[string]checkResult{}
	for range min(checksAtOnce, len(due)) {
		wg.Go(func() {
			for d := range work {
				r, err := probe.Run(ctx, d, c.dial)
				if ctx.Err() != nil {
					return
				}
				mu.Lock()
				results[d.Name] = checkResult{r, err}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return results
}

// take takes in a result.
func (c *checks) take(out *collect.Batch, d collect.Check, s *checkState, r checkResult) (changed bool) {
	if e, ok := errors.AsType[*probe.Unable](r.unable); ok {
		out.Gap(e.What, e.Why, e.Remedy)
		return false
	}
	if r.unable != nil {
		return false
	}
	ref := out.Ref("check", d.Name)
	out.Add(ref, "check_up", bit(r.Up))
	out.Add(ref, "check_duration_seconds", r.Took.Seconds())
	if !r.Expires.IsZero() {
		out.Add(ref, "check_certificate_expires_seconds", r.Expires.Sub(out.Now).Seconds())
		s.Expires = r.Expires
	}
	return s.turn(r.Up, r.Err, out.Now)
}

// beat judges a heartbeat by what the server has heard.
func (c *checks) beat(out *collect.Batch, d collect.Check, s *checkState) (changed bool) {
	since := d.LastBeat
	if since.IsZero() {
		since = s.FirstSeen
	}
	r := probe.Heartbeat(d, since, out.Now)
	if out.Now.Sub(s.ran).Abs() >= checkShortest-time.Second || !s.Known || s.Up != r.Up {
		s.ran = out.Now
		ref := out.Ref("check", d.Name)
		out.Add(ref, "check_up", bit(r.Up))
		out.Add(ref, "check_heartbeat_age_seconds", out.Now.Sub(since).Seconds())
	}
	return s.turn(r.Up, r.Err, out.Now)
}

// turn puts a result into the state and says whether that changed.
func (s *checkState) turn(up bool, why string, now time.Time) (changed bool) {
	changed = !s.Known || s.Up != up
	if changed {
		s.Known, s.Up, s.Since = true, up, now
	}
	s.Err = why
	return changed
}

func (c *checks) report(out *collect.Batch, d collect.Check, s *checkState) {
	a := ops.Attrs{"type": d.Type, "target": shownTarget(d), "every_ms": strconv.FormatInt(d.Every.Milliseconds(), 10)}
	if s.Known {
		a["up"], a["since"] = truth(s.Up), s.Since.UTC().Format(time.RFC3339)
		if s.Err != "" {
			a["error"] = s.Err
		}
	}
	if !s.Expires.IsZero() {
		a["expires_at"] = s.Expires.UTC().Format(time.RFC3339)
	}
	if d.Type == "heartbeat" {
		a["grace_ms"] = strconv.FormatInt(d.Grace.Milliseconds(), 10)
		if !d.LastBeat.IsZero() {
			a["last_beat"] = d.LastBeat.UTC().Format(time.RFC3339)
		}
	}
	out.See(ops.Sighting{Key: out.Ref("check", d.Name), Kind: ops.KindCheck, Name: d.Name, Labels: d.Labels, Observed: a})
}

// shownTarget answers a target without the secrets that addresses can hold.
func shownTarget(d collect.Check) string {
	if d.Type == "http" && strings.ContainsAny(d.Target, "?@") {
		return redact.URL(d.Target)
	}
	return redact.Line(d.Target, 300)
}

func (c *checks) file() string {
	if c.env.StateDir == "" {
		return ""
	}
	return filepath.Join(c.env.StateDir, "checks.json")
}

// load reads the states of the last run once. A file that cannot be read is
// as good as none: only since when a check is down is lost.
func (c *checks) load() {
	if c.loaded || c.file() == "" {
		return
	}
	c.loaded = true
	b, err := readSmall(c.file())
	if err != nil {
		return
	}
	states := map[string]*checkState{}
	if json.Unmarshal(b, &states) != nil {
		return
	}
	for name, s := range states {
		if s != nil {
			c.states[name] = s
		}
	}
}

func (c *checks) save() error {
	if c.file() == "" {
		return nil
	}
	b, err := json.Marshal(c.states)
	if err == nil {
		err = os.MkdirAll(c.env.StateDir, 0o700)
	}
	if err == nil {
		err = os.WriteFile(c.file()+".tmp", b, 0o600)
	}
	if err == nil {
		err = os.Rename(c.file()+".tmp", c.file())
	}
	if err != nil {
		return fmt.Errorf("keep the states of checks: %w", err)
	}
	return nil
}
