package containers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

// Every is how often a collector of containers should pass.
const Every = 10 * time.Second

// reinspect is how old an inspection may get without any sign of change.
const reinspect = time.Minute

// lookAgain is how long an engine that is not there is left alone.
const lookAgain = 30 * time.Second

// firstLook is how far back the first pass reads events.
const firstLook = 15 * time.Minute

// longAway is the longest time for which missed events are still asked for.
const longAway = time.Hour

// A Collector reads one engine.
type Collector struct {
	env     collect.Env
	runtime string
	paths   []string
	engine  *Engine
	record  *record
	known   map[string]*known // by container ID
	digests map[string]string // by image ID
	// told holds the source IDs of the events of the last passes, because
	// each query reaches a little back: an event may become visible after
	// others that are younger.
	told  map[string]time.Time
	met   bool // the engine has answered since the start
	first bool // nothing is known of the time before this pass
	news  []*ops.Event
	saved time.Time
	quiet time.Time // until when an absent engine is not looked for
	// kills and memory are what the kernel knows and the engine does not
	// tell, or not always; nil where it is not this kernel.
	kills  *killLog
	killed map[string]time.Time // by container: when the kernel last killed in it
	memory *memoryTree
}

// known is what a pass keeps of a container for the next.
type known struct {
	Detail
	listed     string // state and health as listed at the last inspection
	inspected  time.Time
	usage      Usage
	usageTried time.Time
	rates      map[string]float64
	touched    bool
}

// state is all that a pass knows of one container.
type state struct {
	Container
	Detail
	State                 string
	Place                 place
	Placed                bool
	Stopped, StoppedKnown bool
	Digest                string
	Restarts              int64
	known                 *known
}

// NewCollector makes the collector of one runtime over the first of paths on
// which such an engine answers.
func NewCollector(env collect.Env, runtime string, paths []string) *Collector {
	c := &Collector{
		env: env, runtime: runtime, paths: paths, record: newRecord(),
		known: map[string]*known{}, digests: map[string]string{}, told: map[string]time.Time{}, killed: map[string]time.Time{}, memory: newMemoryTree(env),
	}
	if env.Live {
		c.kills = newKillLog(env.RootPath("dev", "kmsg"))
	}
	return c
}

// Collect reads the engine once.
func (c *Collector) Collect(ctx context.Context, out *collect.Batch) error {
	if err := c.connect(ctx, out.Now); err != nil {
		if denied, ok := errors.AsType[*Denied](err); ok {
			out.Gap("containers of "+c.runtime, denied.Error(), c.remedy())
			return nil
		}
		return err
	}
	list, err := c.engine.List(ctx)
	if err != nil {
		// The engine may come back as another version, or elsewhere.
		c.engine.Close()
		c.engine = nil
		return err
	}
	deaf := c.catchUp(ctx, out, list)
	broken := c.inspect(ctx, out, list)
	c.tell(out)
	c.readUsage(ctx, out.Now, list)
	states := c.states(ctx, out, list)
	for _, s := range states {
		c.report(out, s)
	}
	c.reportServices(out, states)
	if broken == nil {
		out.Whole(ops.KindContainer, ops.KindService, ops.KindProject)
	}
	c.prune(out.Now, list)
	return errors.Join(deaf, broken, c.save(out.Now))
}

// connect finds the engine. One that was there and is not any more is a
// failure, not an absence: its containers are not known to be gone.
func (c *Collector) connect(ctx context.Context, now time.Time) error {
	if c.engine != nil {
		return nil
	}
	if now.Before(c.quiet) {
		return collect.ErrAbsent
	}
	e, err := Find(ctx, c.runtime, c.paths)
	if errors.Is(err, collect.ErrAbsent) && c.met {
		return fmt.Errorf("the socket of %s is gone: it was there before", c.runtime)
	}
	if errors.Is(err, collect.ErrAbsent) {
		c.quiet = now.Add(lookAgain)
	}
	if err != nil {
		return err
	}
	if !c.met {
		c.load()
	}
	c.engine, c.met = e, true
	return nil
}

func (c *Collector) remedy() string {
	if c.runtime == Podman {
		return "run the agent as root, or as the user whose containers these are"
	}
	return "usermod -aG docker USER for the agent's user, then restart the agent"
}

// catchUp takes in the events since the last pass.
func (c *Collector) catchUp(ctx context.Context, out *collect.Batch, list []Container) error {
	places, names := map[string]string{}, map[string]string{}
	for _, x := range list {
		names[x.ID] = x.Name
		if p, ok := placeOf(x.Labels); ok && !p.OneOff {
			places[x.Name] = p.key()
		}
	}
	since := c.record.Cursor.Add(-2 * time.Second)
	c.first = c.record.Cursor.IsZero()
	if c.record.Cursor.IsZero() {
		since = out.Now.Add(-firstLook)
	} else if out.Now.Sub(since) > longAway {
		since = out.Now.Add(-longAway)
	}
	until := time.Now()
	events, err := c.engine.Events(ctx, since, until)
	if errors.Is(err, ErrNoEvents) {
		out.Gap("who stopped a container of "+c.runtime, ErrNoEvents.Error(), "set events_logger to journald or file in containers.conf")
	} else if err != nil {
		return err
	}
	if c.kills != nil {
		events = c.withKills(events, c.kills.read(time.Now()), names, since)
	}
	ooms := map[string]*ops.Event{}
	for _, v := range events {
		id := v.source()
		if _, dup := c.told[id]; dup {
			continue
		}
		c.told[id] = v.At
		if place := places[v.Name]; place != "" {
			c.record.life(v.Name, v.ID, v.At).Service = place
		}
		if k := c.known[v.ID]; k != nil {
			k.touched = true
		}
		what, ok := c.record.happened(v)
		if !ok {
			continue
		}
		if e := ooms[v.Name]; what == ops.EventContainerOOM && e != nil {
			e.Count, e.At, e.SourceID = e.Count+1, v.At, id
			continue
		}
		e := c.event(out, v, what, id)
		if what == ops.EventContainerOOM {
			ooms[v.Name] = &e
		}
		c.news = append(c.news, &e)
	}
	c.record.Cursor = until
	for id, at := range c.told {
		if until.Sub(at) > 10*time.Second && at.Before(since) {
			delete(c.told, id)
		}
	}
	return nil
}

func (c *Collector) event(out *collect.Batch, v Event, what ops.EventType, id string) ops.Event {
	e := ops.Event{Resource: out.Ref(c.runtime, v.Name), Type: what, At: v.At, SourceID: id, Count: 1}
	if what == ops.EventContainerOOM {
		e.Text = "the kernel killed a process of the container for want of memory"
		return e
	}
	c.describe(&e, c.record.Lives[v.Name].Exit)
	return e
}

// tell tells of what happened. It comes after the inspections, because they
// may know more of a container's last end than its event; a fresh kill of
// unknown cause waits for the next pass, because the engine may tell of the
// end before it tells that memory was out.
func (c *Collector) tell(out *collect.Batch) {
	var wait []*ops.Event
	for _, e := range c.news {
		l := c.record.Lives[e.Resource.Key]
		if e.Type == ops.EventContainerExit && l != nil && l.Exit.At.Equal(e.At) {
			c.describe(e, l.Exit)
			if l.Exit.unexplained() && c.record.Cursor.Sub(e.At) < oomAfter {
				wait = append(wait, e)
				continue
			}
		}
		out.Happen(*e)
	}
	c.news = wait
}

// describe gives an event of an end its text and facts.
func (c *Collector) describe(e *ops.Event, x exit) {
	e.Text = "exited with code " + strconv.Itoa(x.Code)
	e.Facts = map[string]string{"exit_code": strconv.Itoa(x.Code), "oom_killed": strconv.FormatBool(x.OOM)}
	if x.ByUser != nil {
		e.Facts["by_user"] = strconv.FormatBool(*x.ByUser)
	}
}

// inspect asks for the details of the containers that changed, and of the
// others once a minute. It answers what it could not read.
func (c *Collector) inspect(ctx context.Context, out *collect.Batch, list []Container) (broken error) {
	var failed []error
	for _, x := range list {
		k := c.known[x.ID]
		listed := x.State + "/" + x.Health
		if k == nil {
			k = &known{}
		} else if !k.touched && k.listed == listed && x.State != "restarting" && out.Now.Sub(k.inspected) < reinspect {
			continue
		}
		d, ok, err := c.engine.Inspect(ctx, x.ID)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if !ok {
			delete(c.known, x.ID)
			continue
		}
		k.Detail, k.listed, k.inspected, k.touched = d, listed, out.Now, false
		c.known[x.ID] = k
		c.learn(out, x, d)
	}
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("%d containers: %w", len(failed), failed[0])
}

// learn puts an inspection into the record and tells of an end that no event
// told of.
func (c *Collector) learn(out *collect.Batch, x Container, d Detail) {
	l := c.record.life(x.Name, x.ID, out.Now)
	if p, ok := placeOf(x.Labels); ok && !p.OneOff {
		l.Service = p.key()
	}
	missed, ok := c.record.inspected(l, d, c.first)
	if !ok {
		return
	}
	e := ops.Event{
		Resource: out.Ref(c.runtime, x.Name), Type: ops.EventContainerExit, At: missed.At, Count: 1,
		SourceID: x.ID + "/exit/" + strconv.FormatInt(missed.At.UnixNano(), 10),
	}
	c.describe(&e, missed)
	c.news = append(c.news, &e)
}

// states joins what the list, the inspections and the record say.
func (c *Collector) states(ctx context.Context, out *collect.Batch, list []Container) []state {
	states := make([]state, 0, len(list))
	for _, x := range list {
		k := c.known[x.ID]
		if k == nil {
			continue
		}
		l := c.record.life(x.Name, x.ID, out.Now)
		s := state{Container: x, Detail: k.Detail, State: k.Detail.State, Restarts: l.Restarts, known: k}
		// The kernel may know of a kill that the engine missed.
		s.OOMKilled = s.OOMKilled || l.Exit.OOM && (s.State == "exited" || s.State == "dead") && s.FinishedAt.Sub(l.Exit.At).Abs() < sameExit
		s.Place, s.Placed = placeOf(x.Labels)
		s.Stopped, s.StoppedKnown = l.stoppedByUser(k.Detail)
		s.Digest = c.digest(ctx, x)
		states = append(states, s)
	}
	return states
}

func (c *Collector) digest(ctx context.Context, x Container) string {
	if d, ok := c.digests[x.ImageID]; ok || x.ImageID == "" {
		return d
	}
	d, err := c.engine.Digest(ctx, x.ImageID, x.Image)
	if err != nil {
		return ""
	}
	c.digests[x.ImageID] = d
	return d
}

// prune forgets what the engine no longer has.
func (c *Collector) prune(now time.Time, list []Container) {
	ids, images := map[string]bool{}, map[string]bool{}
	for _, x := range list {
		ids[x.ID], images[x.ImageID] = true, true
	}
	for id := range c.known {
		if !ids[id] {
			delete(c.known, id)
		}
	}
	for id := range c.digests {
		if !images[id] {
			delete(c.digests, id)
		}
	}
	c.record.forget(now)
}

func (c *Collector) file() string {
	if c.env.StateDir == "" {
		return ""
	}
	return filepath.Join(c.env.StateDir, "containers-"+c.runtime+".json")
}

// load reads the record of the last run. A record that cannot be read is as
// good as none: only counts of the past are lost.
func (c *Collector) load() {
	path := c.file()
	if path == "" {
		return
	}
	b, err := os.ReadFile(path)
	r := newRecord()
	if err != nil || len(b) > 16<<20 || json.Unmarshal(b, r) != nil {
		return
	}
	if r.Lives == nil || r.Services == nil {
		return
	}
	maps.DeleteFunc(r.Lives, func(_ string, l *life) bool { return l == nil })
	c.record = r
}

// save writes the record once a minute.
func (c *Collector) save(now time.Time) error {
	path := c.file()
	if path == "" || now.Sub(c.saved).Abs() < time.Minute {
		return nil
	}
	b, err := json.Marshal(c.record)
	if err == nil {
		err = os.MkdirAll(c.env.StateDir, 0o700)
	}
	if err == nil {
		err = os.WriteFile(path+".tmp", b, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err != nil {
		return fmt.Errorf("keep the record of containers: %w", err)
	}
	c.saved = now
	return nil
}
