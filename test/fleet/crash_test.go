package fleet

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"reeve/internal/ops"
	"reeve/test/dockerd"
)

// disk answers the name of the n-th disk of a machine.
func disk(n int) string { return "sd" + string(rune('a'+n/26)) + string(rune('a'+n%26)) }

// TestServerKilledMidReport kills the server again and again while its agents
// report every second. What they told of is there once, in order.
func TestServerKilledMidReport(t *testing.T) {
	t.Parallel()
	often := quiet()["collectors"].(map[string]any)
	often["kernel_events"] = map[string]any{"every": "1s"}
	s := openSite(t, "up", settings{"collectors": often})
	members := []*member{s.host(t, "one"), s.host(t, "two"), s.host(t, "three")}
	told := 0
	tell := func() {
		for _, m := range members {
			m.tree.ioError(t, told+1, disk(told))
		}
		told++
	}
	for round := range 4 {
		// Each round the kill comes at another moment of the agents' second.
		kill := time.After(3*time.Second + time.Duration(round)*230*time.Millisecond)
		tick := time.NewTicker(500 * time.Millisecond)
		for alive := true; alive; {
			select {
			case <-tick.C:
				tell()
			case <-kill:
				alive = false
			}
		}
		tick.Stop()
		s.Kill()
		tell()
		s.Again()
		tell()
	}
	var want []string
	for i := range told {
		want = append(want, disk(i))
	}
	for _, m := range members {
		s.awaitEvents(t, m, want...)
		s.awaitOnline(t, m)
		if n := m.connected(); n < 2 {
			t.Errorf("%s connected %d times", m.name, n)
		}
		s.exactly(t, m.name)
	}
	s.exactly(t, s.local(t))
	t.Logf("%d events of each of %d hosts", told, len(members))
}

// TestAgentKilledMidCommand kills an agent while it stops a container that
// takes its ten seconds. The order is not carried out twice, and what is known
// of the container becomes what is true.
func TestAgentKilledMidCommand(t *testing.T) {
	t.Parallel()
	docker := dockerd.Start(t)
	docker.Run(t, dockerd.Options{Name: "stubborn", Command: []string{"sh", "-c", `trap "" TERM; sleep 100`}})
	s := openSite(t, "up", nil)
	m := s.join(t, s.network.Host(), "dock", "--docker-socket", docker.Socket)
	m.Run("--perform")
	s.awaitOnline(t, m)
	until(t, soon, "the workload is known to run", func() bool { return s.workload(t, "dock/stubborn").Observed == "running" }, m.Log, s.Log)
	began := time.Now()
	type outcome struct {
		out string
		err error
	}
	ordered := make(chan outcome, 1)
	go func() {
		out, err := s.Order("workload", "stop", "dock/stubborn", "--yes", "--reason", "test of a crash")
		ordered <- outcome{out, err}
	}()
	until(t, soon, "the agent has begun", func() bool { return s.action(t).State == ops.ActionRunning }, m.Log, s.Log)
	m.Kill()
	t.Logf("the agent was killed %v after the order", time.Since(began).Round(100*time.Millisecond))
	m.Run("--perform")
	until(t, 2*time.Minute+soon, "the action has an outcome", func() bool {
		state := s.action(t).State
		return ops.ActionFlow.Final(state) || state == ops.ActionUnknown
	}, m.Log, s.Log)
	a := s.action(t)
	o := <-ordered
	t.Logf("%s: %s, %v after the order", a.State, a.Why, time.Since(began).Round(time.Second))
	if a.State == ops.ActionUnknown && (o.err == nil || !strings.Contains(o.out, "is unknown: the agent ended while it was at it")) {
		t.Errorf("the person is told: %v\n%s", o.err, o.out)
	}
	if a.State != ops.ActionUnknown && a.State != ops.ActionSucceeded {
		t.Errorf("the action is %s: %s", a.State, a.Why)
	}
	if n := terms(t, docker, began); n != 1 {
		t.Errorf("the container was told to stop %d times", n)
	}
	// An outcome that nobody knows leaves the lease to its end: then the
	// container is looked at, and people are told.
	f := s.awaitFinding(t, 2*time.Minute+passes, true, "dock", "operation_overdue", m.Log)
	s.once(t, "dock", f, ops.MessageOpened)
	until(t, soon, "what is known of the container is true", func() bool { return s.workload(t, "dock/stubborn").Observed == truth(t, docker, "stubborn") }, m.Log, s.Log)
	if w := s.workload(t, "dock/stubborn"); w.Observed != "stopped" || w.Desired != "stopped" {
		t.Errorf("it is %s and desired %s: %s", w.Observed, w.Desired, w.Reason)
	}
	s.awaitFinding(t, soon, false, "dock", "operation_overdue", m.Log)
	s.once(t, "dock", f, ops.MessageResolved)
	if n := terms(t, docker, began); n != 1 {
		t.Errorf("the container was told to stop %d times", n)
	}
	s.exactly(t, "dock", "operation_overdue")
	s.exactly(t, s.local(t))
}

// truth answers what a container does.
func truth(t testing.TB, d *dockerd.Daemon, name string) string {
	t.Helper()
	x, err := d.API.ContainerInspect(t.Context(), name, client.ContainerInspectOptions{})
	switch {
	case err != nil:
		t.Fatal(err)
	case x.Container.State.Running:
		return "running"
	}
	return "stopped"
}

// workload answers what is known of a workload, nothing while that is nothing.
func (s *site) workload(t testing.TB, name string) (w ops.Workload) {
	t.Helper()
	if s.Get("/api/v1/workloads/"+name, &w) != nil {
		return ops.Workload{}
	}
	return w
}

// action answers the newest action.
func (s *site) action(t testing.TB) ops.Action {
	t.Helper()
	var list struct{ Items []ops.Action }
	if err := s.Get("/api/v1/actions", &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) == 0 {
		return ops.Action{}
	}
	return list.Items[0]
}

// terms counts how often containers were told to end since a time.
func terms(t testing.TB, d *dockerd.Daemon, since time.Time) (n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	stamp := func(at time.Time) string { return fmt.Sprintf("%d.%09d", at.Unix(), at.Nanosecond()) }
	events := d.API.Events(ctx, client.EventsListOptions{Since: stamp(since), Until: stamp(time.Now()),
		Filters: make(client.Filters).Add("type", "container").Add("event", "kill")})
	for {
		select {
		case e := <-events.Messages:
			if e.Actor.Attributes["signal"] == "15" {
				n++
			}
		case <-events.Err: // the end of the time, too
			return n
		}
	}
}
