package containers

import (
	"testing"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// after answers a time some seconds after t0.
func after(seconds float64) time.Time {
	return t0.Add(time.Duration(seconds * float64(time.Second)))
}

func ev(action string, seconds float64) Event {
	return Event{ID: "id1", Name: "web", Action: action, At: after(seconds)}
}

func killed(signal string, seconds float64) Event {
	e := ev("kill", seconds)
	e.Signal = signal
	return e
}

func died(code int, seconds float64) Event {
	e := ev("die", seconds)
	e.ExitCode = code
	return e
}

// unsure is a death that Podman tells of.
func unsure(code int, seconds float64) Event {
	e := died(code, seconds)
	e.Unsure = true
	return e
}

func TestWhoStoppedIt(t *testing.T) {
	yes, no, unknown := "yes", "no", "unknown"
	for name, x := range map[string]struct {
		events []Event
		policy string
		want   string
	}{
		"it ended by itself":                {[]Event{ev("start", 0), died(1, 60)}, "no", no},
		"docker stop":                       {[]Event{ev("start", 0), killed("15", 60), died(143, 61), ev("stop", 61.1)}, "no", yes},
		"docker stop, and it waited long":   {[]Event{ev("start", 0), killed("15", 60), died(0, 300)}, "no", yes},
		"docker kill":                       {[]Event{ev("start", 0), killed("SIGKILL", 60), died(137, 60.1)}, "no", yes},
		"a reload, and a crash much later":  {[]Event{ev("start", 0), killed("1", 60), died(1, 600)}, "no", no},
		"a reload that it does not survive": {[]Event{ev("start", 0), killed("1", 60), died(129, 60.1)}, "no", yes},
		"a stop signal of its own":          {[]Event{ev("start", 0), killed("28", 60), died(0, 100), ev("stop", 100.1)}, "no", yes},
		"the kill is told after the end":    {[]Event{ev("start", 0), died(137, 60), killed("9", 60.01)}, "no", yes},
		"a stop before the last start":      {[]Event{killed("9", 0), died(137, 1), ev("start", 2), died(1, 3)}, "no", no},
		"podman, by a signal":               {[]Event{ev("start", 0), unsure(137, 60)}, "no", yes},
		"podman, by itself":                 {[]Event{ev("start", 0), unsure(7, 60)}, "no", no},
		"podman, well, kept by its policy":  {[]Event{ev("start", 0), unsure(0, 60)}, "always", yes},
		"podman, well, not kept":            {[]Event{ev("start", 0), unsure(0, 60)}, "no", unknown},
		"no event, kept by its policy":      {nil, "unless-stopped", yes},
		"no event, not kept":                {nil, "no", unknown},
	} {
		r := newRecord()
		end := after(60)
		for _, v := range x.events {
			r.happened(v)
			if v.Action == "die" {
				end = v.At.Add(5 * time.Millisecond)
			}
		}
		l := r.life("web", "id1", after(400))
		got, known := l.stoppedByUser(Detail{State: "exited", FinishedAt: end, Policy: x.policy})
		word := map[[2]bool]string{{true, true}: yes, {false, true}: no, {false, false}: unknown}[[2]bool{got, known}]
		if word != x.want {
			t.Errorf("%s: stopped by a person: %s, want %s", name, word, x.want)
		}
	}
}

// The counters of a service say what failed and restarted by itself.
func TestTallyOfAService(t *testing.T) {
	r := newRecord()
	l := r.life("web", "id1", after(0))
	l.Service = "shop/web"
	r.Cursor = after(10000)
	r.inspected(l, Detail{State: "running", StartedAt: after(0), RestartCount: 4}, true)
	if l.Restarts != 4 || r.restarts24h("shop/web", after(0)) != 0 {
		t.Errorf("what the engine counted before is %d, on our watch %d", l.Restarts, r.restarts24h("shop/web", after(0)))
	}
	r.happened(died(1, 60))
	r.inspected(l, Detail{State: "running", StartedAt: after(61), RestartCount: 5}, false)
	r.happened(died(1, 120))
	r.inspected(l, Detail{State: "running", StartedAt: after(3000), RestartCount: 0}, false)
	r.happened(killed("15", 3100))
	r.happened(died(0, 3101))
	r.inspected(l, Detail{State: "running", StartedAt: after(3102), RestartCount: 0}, false)
	if l.Restarts != 6 {
		t.Errorf("restarts %d, want the policy's and the one after the failure", l.Restarts)
	}
	if f := r.failures1h("shop/web", after(3200)); f != 2 {
		t.Errorf("failures within the hour: %d", f)
	}
	if f := r.failures1h("shop/web", after(60+3600+30)); f != 1 {
		t.Errorf("failures an hour later: %d", f)
	}
	if n := r.restarts24h("shop/web", after(86400+4000)); n != 0 {
		t.Errorf("restarts a day later: %d", n)
	}
}

// A failure that turns out to be a stop is taken back.
func TestAFailureIsTakenBack(t *testing.T) {
	r := newRecord()
	r.life("web", "id1", after(0)).Service = "shop/web"
	r.happened(died(137, 60))
	r.happened(killed("9", 60.01))
	if f := r.failures1h("shop/web", after(61)); f != 0 {
		t.Errorf("failures %d", f)
	}
}

// A supervisor that runs a new container of the same name each time is a
// restart loop all the same; a new version put in its place is none.
func TestReplacedContainers(t *testing.T) {
	r := newRecord()
	r.Cursor = after(10000)
	for i, id := range []string{"a", "b", "c"} {
		at := float64(i * 10)
		for _, v := range []Event{ev("start", at), died(1, at+1)} {
			v.ID = id
			r.happened(v)
		}
	}
	if n := r.Lives["web"].Restarts; n != 2 {
		t.Errorf("restarts %d, want 2", n)
	}
	for _, v := range []Event{ev("start", 50), killed("15", 55), died(143, 56)} {
		v.ID = "d"
		r.happened(v)
	}
	before := r.Lives["web"].Restarts
	r.life("web", "e", after(60))
	if n := r.Lives["web"].Restarts; n != before {
		t.Errorf("a new version counts as a restart")
	}
}

// An end that no event told of is told of once, and not again.
func TestAMissedEnd(t *testing.T) {
	r := newRecord()
	r.Cursor = after(1000)
	l := r.life("web", "id1", after(0))
	r.inspected(l, Detail{State: "running", StartedAt: after(0), Policy: "no"}, false)
	gone := Detail{State: "exited", StartedAt: after(0), FinishedAt: after(100), ExitCode: 9, Policy: "no"}
	if x, ok := r.inspected(l, gone, false); !ok || x.Code != 9 || x.ByUser != nil {
		t.Errorf("%+v %v", x, ok)
	}
	if _, ok := r.inspected(l, gone, false); ok {
		t.Error("told of twice")
	}
	gone.FinishedAt = after(2000)
	if _, ok := r.inspected(l, gone, false); ok {
		t.Error("an end after the events that were read is not missed yet")
	}
}

func TestOutOfMemoryIsNotAStop(t *testing.T) {
	r := newRecord()
	r.Cursor = after(1000)
	l := r.life("web", "id1", after(0))
	l.Service = "shop/web"
	r.happened(unsure(137, 60))
	d := Detail{State: "exited", FinishedAt: after(60), ExitCode: 137, OOMKilled: true, Policy: "no"}
	r.inspected(l, d, false)
	if by, known := l.stoppedByUser(d); by || !known {
		t.Error("the kernel's kill is taken for a person's")
	}
	if r.failures1h("shop/web", after(61)) != 1 {
		t.Error("it is no failure")
	}
	if what, ok := newRecord().happened(ev("oom", 1)); !ok || what != ops.EventContainerOOM {
		t.Error("an oom event is not told of")
	}
}

func TestOutOfMemoryToldAfterTheEnd(t *testing.T) {
	for name, x := range map[string]struct {
		code  int
		later float64
		want  bool
	}{"at once": {137, 1, true}, "of another end": {137, 60, false}, "not what ended it": {1, 1, false}} {
		r := newRecord()
		die := ev("die", 60)
		die.ExitCode = x.code
		r.happened(die)
		if r.happened(ev("oom", 60+x.later)); r.Lives["web"].Exit.OOM != x.want {
			t.Errorf("%s: %+v", name, r.Lives["web"].Exit)
		}
	}
}

// TestFreshKillWaits: what killed a container may be told a moment after its
// end, and what is told of the end is told once and for all.
func TestFreshKillWaits(t *testing.T) {
	for name, x := range map[string]struct {
		exit  exit
		age   int // milliseconds
		waits bool
	}{
		"fresh":        {exit{Code: 137}, 300, true},
		"old":          {exit{Code: 137}, 1000, false},
		"explained":    {exit{Code: 137, OOM: true}, 300, false},
		"asked for":    {exit{Code: 137, ByUser: new(true)}, 300, false},
		"ended itself": {exit{Code: 1}, 300, false},
	} {
		at := after(60)
		c := &Collector{record: newRecord()}
		x.exit.At = at
		c.record.Lives["web"] = &life{Exit: x.exit}
		c.record.Cursor = at.Add(time.Duration(x.age) * time.Millisecond)
		c.news = []*ops.Event{{Resource: ops.ResourceKey{Key: "web"}, Type: ops.EventContainerExit, At: at}}
		var obs ops.Observation
		c.tell(collect.NewBatch(ops.HostIdentity{}, c.record.Cursor, &obs))
		if waits := len(c.news) == 1; waits != x.waits || waits == (len(obs.Events) == 1) {
			t.Errorf("%s: waits %v, told %+v", name, waits, obs.Events)
		}
	}
}

func TestWanted(t *testing.T) {
	for name, x := range map[string]struct {
		s    state
		want bool
	}{
		"runs":                       {state{State: "running"}, true},
		"restarts":                   {state{State: "restarting"}, true},
		"paused by a person":         {state{State: "paused", Stopped: true, StoppedKnown: true}, false},
		"stopped by a person":        {state{State: "exited", Stopped: true, StoppedKnown: true, Detail: Detail{Policy: "always", ExitCode: 137}}, false},
		"failed":                     {state{State: "exited", StoppedKnown: true, Detail: Detail{Policy: "no", ExitCode: 1}}, true},
		"did its work":               {state{State: "exited", StoppedKnown: true, Detail: Detail{Policy: "on-failure"}}, false},
		"made, kept by its policy":   {state{State: "created", Detail: Detail{Policy: "unless-stopped"}}, true},
		"made and left":              {state{State: "created", Detail: Detail{Policy: "no"}}, false},
		"is being removed":           {state{State: "removing", Detail: Detail{Policy: "always"}}, false},
		"ran out of memory, ended 0": {state{State: "exited", Detail: Detail{Policy: "no", OOMKilled: true}}, true},
	} {
		if got := x.s.wanted(); got != x.want {
			t.Errorf("%s: wanted %v", name, got)
		}
	}
}

func TestForgetIsBounded(t *testing.T) {
	r := newRecord()
	r.life("old", "1", after(0)).Service = "a/b"
	r.tally("a/b")
	r.life("new", "2", after(90000)).Service = "c/d"
	r.tally("c/d")
	r.forget(after(90000))
	if len(r.Lives) != 1 || len(r.Services) != 1 {
		t.Errorf("%d lives, %d services", len(r.Lives), len(r.Services))
	}
}

// TestEndIsToldOnce: an end that the engine's answer told of before its event
// came is one end, and the event still says who ended it.
func TestEndIsToldOnce(t *testing.T) {
	r := newRecord()
	r.happened(ev("start", 0))
	l := r.life("web", "id1", after(1))
	r.inspected(l, Detail{State: "running", StartedAt: after(0)}, false)
	r.Cursor = after(70)
	if _, ok := r.inspected(l, Detail{State: "exited", StartedAt: after(0), FinishedAt: after(60), ExitCode: 137, OOMKilled: true}, false); !ok {
		t.Fatal("an end without an event is not told of")
	}
	if what, ok := r.happened(died(137, 60.1)); ok {
		t.Errorf("the end is told of again as %s", what)
	}
	if l.Exit.ByUser == nil || *l.Exit.ByUser || !l.Exit.OOM {
		t.Errorf("%+v", l.Exit)
	}
	if _, ok := r.happened(died(137, 61)); !ok {
		t.Error("the end after it is not told of")
	}
}
