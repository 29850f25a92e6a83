package containers

import (
	"slices"
	"time"

	"reeve/internal/ops"
)

// A record is what must be remembered of containers between passes and
// between starts of the agent. It is changed by what happened, in the order
// in which it happened, and knows no clock.
type record struct {
	// Cursor is the time up to which events were read.
	Cursor   time.Time         `json:"cursor"`
	Lives    map[string]*life  `json:"containers"`
	Services map[string]*tally `json:"services"`
}

// A life is what is remembered of the containers of one name, one after the
// other.
type life struct {
	ID       string `json:"id"`
	Service  string `json:"service,omitempty"`
	Restarts int64  `json:"restarts"` // since first seen
	// Inspected says that Count and StartedAt are what the engine last said.
	Inspected bool      `json:"inspected"`
	Count     int       `json:"count"`
	StartedAt time.Time `json:"started_at,omitzero"`
	// KilledAt and Signal are of the last signal sent through the engine's
	// API since the start, StoppedAt of the last stop.
	KilledAt  time.Time `json:"killed_at,omitzero"`
	Signal    string    `json:"signal,omitempty"`
	StoppedAt time.Time `json:"stopped_at,omitzero"`
	OOMAt     time.Time `json:"oom_at,omitzero"`
	Exit      exit      `json:"exit,omitzero"`
	SeenAt    time.Time `json:"seen_at"`
}

// An exit is the last end of a container.
type exit struct {
	At   time.Time `json:"at"`
	Code int       `json:"code"`
	// ByUser is nil when it is not known whether a person stopped it.
	ByUser *bool `json:"by_user,omitempty"`
	OOM    bool  `json:"oom,omitempty"`
	// Guess says that ByUser is inferred from the code alone.
	Guess bool `json:"guess,omitempty"`
	// Inferred says that the engine's answer told of it, and no event yet.
	Inferred bool `json:"inferred,omitempty"`
}

// bad reports whether the exit is a failure.
func (e exit) bad() bool {
	return (e.Code != 0 || e.OOM) && (e.ByUser == nil || !*e.ByUser)
}

// unexplained reports whether the exit is a kill that nobody is known to have
// asked for.
func (e exit) unexplained() bool { return e.Code == codeKilled && !e.OOM && e.bad() }

// A tally counts failures and restarts of a service in buckets of time.
type tally struct {
	Failures map[int64]int64 `json:"failures"` // by minute
	Restarts map[int64]int64 `json:"restarts"` // by ten minutes
}

const (
	failureBucket = time.Minute
	restartBucket = 10 * time.Minute
)

// codeKilled is the exit code of a process that SIGKILL ended.
const codeKilled = 137

// How near to an exit a request must be to be its cause. The engine sends its
// second, final signal ten seconds after the first unless told otherwise; a
// stop with a longer patience ends with one, or with a stop event.
const (
	anySignal   = 15 * time.Second
	finalSignal = 10 * time.Minute
	afterwards  = 5 * time.Second
	oomBefore   = time.Minute
	oomAfter    = time.Second // less than what a start of the agent reads again
	sameExit    = 5 * time.Second
	forgetAfter = 24 * time.Hour
	maxLives    = 5000
)

func newRecord() *record {
	return &record{Lives: map[string]*life{}, Services: map[string]*tally{}}
}

// life answers the life under a name, a new one when there is none or when
// the container behind the name is another.
func (r *record) life(name, id string, at time.Time) *life {
	old := r.Lives[name]
	if old != nil && old.ID == id {
		old.SeenAt = at
		return old
	}
	l := &life{ID: id, SeenAt: at}
	if old != nil {
		l.Restarts, l.Service = old.Restarts, old.Service
		if !old.Exit.At.IsZero() && old.Exit.bad() {
			// What failed under this name was replaced: a supervisor that runs
			// a new container each time restarts it all the same.
			r.restart(l, 1, at)
		}
	}
	r.Lives[name] = l
	return l
}

// happened takes in an event and answers what is worth telling of it.
func (r *record) happened(v Event) (what ops.EventType, ok bool) {
	l := r.life(v.Name, v.ID, v.At)
	switch v.Action {
	case "start":
		l.KilledAt, l.StoppedAt, l.OOMAt = time.Time{}, time.Time{}, time.Time{}
	case "kill":
		l.KilledAt, l.Signal = v.At, v.Signal
		r.explain(l, v.At)
	case "stop":
		l.StoppedAt = v.At
		r.explain(l, v.At)
	case "oom":
		l.OOMAt = v.At
		if l.Exit.Code == codeKilled && !l.Exit.At.IsZero() && v.At.Sub(l.Exit.At) < afterwards {
			r.outOfMemory(l) // the engine told of the end first
		}
		return ops.EventContainerOOM, true
	case "die":
		byUser := l.asked(v.At)
		e := exit{At: v.At, Code: v.ExitCode, ByUser: &byUser, OOM: !l.OOMAt.IsZero() && v.At.Sub(l.OOMAt) < oomBefore}
		if !byUser && !e.OOM && v.Unsure && (v.ExitCode == codeKilled || v.ExitCode == 143) {
			// Of those that a signal ended, most were stopped. If the kernel
			// did it, the inspection says so.
			byUser, e.Guess = true, true
		}
		if v.Unsure && !byUser && v.ExitCode == 0 {
			e.ByUser = nil
		}
		if l.Exit.Inferred && v.At.Sub(l.Exit.At).Abs() < sameExit {
			// The engine's answer told of this end before its event did.
			l.Exit.Inferred, l.Exit.ByUser, l.Exit.Guess = false, e.ByUser, e.Guess
			return "", false
		}
		r.ended(l, e)
		return ops.EventContainerExit, true
	}
	return "", false
}

// asked reports whether somebody asked for an end that came at the given
// time. Most signals end a process soon or are for something else (a reload);
// those that mean the end may take as long as the stop's patience.
func (l *life) asked(at time.Time) bool {
	if !l.StoppedAt.IsZero() && at.Sub(l.StoppedAt) < finalSignal {
		return true
	}
	if l.KilledAt.IsZero() {
		return false
	}
	within := anySignal
	if slices.Contains([]string{"2", "3", "9", "15", "SIGINT", "SIGQUIT", "SIGKILL", "SIGTERM", ""}, l.Signal) {
		within = finalSignal
	}
	return at.Sub(l.KilledAt) < within
}

// explain marks an exit as asked for when the request is told after it: the
// engine writes both at nearly the same time, in either order.
func (r *record) explain(l *life, at time.Time) {
	if l.Exit.At.IsZero() || at.Sub(l.Exit.At) > afterwards || l.Exit.ByUser != nil && *l.Exit.ByUser {
		return
	}
	if l.Exit.bad() {
		r.fail(l.Service, l.Exit.At, -1)
	}
	yes := true
	l.Exit.ByUser = &yes
}

// outOfMemory corrects the last exit when the engine says that the kernel
// killed the container and no event before it did.
func (r *record) outOfMemory(l *life) {
	was := l.Exit.bad()
	l.Exit.OOM = true
	if l.Exit.Guess {
		no := false
		l.Exit.ByUser, l.Exit.Guess = &no, false
	}
	if !was && l.Exit.bad() {
		r.fail(l.Service, l.Exit.At, 1)
	}
}

func (r *record) ended(l *life, e exit) {
	l.Exit = e
	if e.bad() {
		r.fail(l.Service, e.At, 1)
	}
}

// inspected takes in what the engine says of a container now; first says that
// nothing is known of the time before: what the engine counted till now did
// not happen on our watch. It answers an exit that no event told of.
func (r *record) inspected(l *life, d Detail, first bool) (missed exit, ok bool) {
	switch {
	case !l.Inspected && first:
		l.Restarts += int64(d.RestartCount)
	case !l.Inspected:
		r.restart(l, d.RestartCount, d.StartedAt)
	default:
		r.restart(l, l.newStarts(d), d.StartedAt)
	}
	l.Inspected, l.Count, l.StartedAt = true, d.RestartCount, d.StartedAt
	over := d.State == "exited" || d.State == "dead"
	if over && d.OOMKilled && !l.Exit.OOM && d.FinishedAt.Sub(l.Exit.At).Abs() < sameExit {
		r.outOfMemory(l)
	}
	if !over || d.FinishedAt.Sub(l.Exit.At) < sameExit || d.FinishedAt.After(r.Cursor) {
		return exit{}, false
	}
	missed = exit{At: d.FinishedAt, Code: d.ExitCode, ByUser: inferStop(d), OOM: d.OOMKilled, Inferred: true}
	if first {
		l.Exit = missed
		return exit{}, false
	}
	r.ended(l, missed)
	return missed, true
}

// newStarts answers how many restarts the engine's answer tells of. The
// engine counts those that it does by policy and starts again at 0 when
// somebody starts the container; a start by somebody after a failure counts
// as one.
func (l *life) newStarts(d Detail) int {
	n := d.RestartCount - l.Count
	if n < 0 {
		n = d.RestartCount
	}
	if n == 0 && d.StartedAt.After(l.StartedAt) && !l.Exit.At.IsZero() && l.Exit.bad() {
		n = 1
	}
	return n
}

// inferStop judges an end of which no event is known. A container that its
// policy keeps running stays down only when somebody stopped it, or when it
// cannot be started, which the engine says as an error.
func inferStop(d Detail) *bool {
	kept := d.Policy == "always" || d.Policy == "unless-stopped"
	if !kept || d.Error != "" || d.OOMKilled {
		return nil
	}
	yes := true
	return &yes
}

// stoppedByUser answers whether a container that is down was stopped by a
// person; known is false when that cannot be told.
func (l *life) stoppedByUser(d Detail) (yes, known bool) {
	switch d.State {
	case "running", "restarting", "created":
		return false, d.State != "created"
	case "paused":
		return true, true
	}
	by := inferStop(d)
	switch {
	case d.FinishedAt.Sub(l.Exit.At).Abs() < sameExit:
		if l.Exit.ByUser != nil {
			by = l.Exit.ByUser
		}
	case l.asked(d.FinishedAt):
		return true, true
	}
	if by == nil {
		return false, false
	}
	return *by, true
}

func (r *record) restart(l *life, n int, at time.Time) {
	l.Restarts += int64(n)
	if n > 0 && l.Service != "" {
		r.tally(l.Service).Restarts[bucket(at, restartBucket)] += int64(n)
	}
}

func (r *record) fail(service string, at time.Time, n int64) {
	if service != "" {
		r.tally(service).Failures[bucket(at, failureBucket)] += n
	}
}

func (r *record) tally(service string) *tally {
	t := r.Services[service]
	if t == nil {
		t = &tally{}
		r.Services[service] = t
	}
	if t.Failures == nil {
		t.Failures = map[int64]int64{}
	}
	if t.Restarts == nil {
		t.Restarts = map[int64]int64{}
	}
	return t
}

// failures1h and restarts24h answer the sums up to now, to the bucket.
func (r *record) failures1h(service string, now time.Time) int64 {
	return since(r.tally(service).Failures, bucket(now.Add(-time.Hour), failureBucket))
}

func (r *record) restarts24h(service string, now time.Time) int64 {
	return since(r.tally(service).Restarts, bucket(now.Add(-24*time.Hour), restartBucket))
}

func since(buckets map[int64]int64, first int64) (sum int64) {
	for b, n := range buckets {
		if b > first {
			sum += n
		} else {
			delete(buckets, b)
		}
	}
	return max(0, sum)
}

func bucket(at time.Time, width time.Duration) int64 {
	return at.Unix() / int64(width/time.Second)
}

// forget drops what was not seen for a day, and more when there is too much.
func (r *record) forget(now time.Time) {
	for name, l := range r.Lives {
		if now.Sub(l.SeenAt) > forgetAfter || len(r.Lives) > maxLives && !l.SeenAt.Equal(now) {
			delete(r.Lives, name)
		}
	}
	used := map[string]bool{}
	for _, l := range r.Lives {
		used[l.Service] = true
	}
	for s := range r.Services {
		if !used[s] {
			delete(r.Services, s)
		}
	}
}
