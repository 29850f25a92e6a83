package fleet_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"reeve/internal/fleet"
	"reeve/internal/ops"
	"reeve/internal/reach"
	"reeve/internal/store"
	"reeve/internal/watch"
)

// soon is how long after a rule's time people may wait for what it says.
const soon = fleet.JudgeEvery + watch.Every

func TestAServerThatWasAwayTakesNobodysSilenceForItsOwn(t *testing.T) {
	for _, x := range []struct {
		hosts int
		end   func(*world)
	}{{200, (*world).shut}, {20, (*world).crash}} {
		t.Run(fmt.Sprint(x.hosts), func(t *testing.T) {
			inYoung(t, x.hosts, func(w *world) {
				x.end(w)
				time.Sleep(10 * time.Minute)
				w.start()
				w.pass(reach.StartGrace + ops.SilenceGrace + 2*soon)
				w.nothingIsWrong()
			})
		})
	}
}

func TestAServerThatWasFrozenTakesNobodysSilenceForItsOwn(t *testing.T) {
	in(t, 12, func(w *world) {
		for range 2 {
			w.freeze(3 * time.Minute)
			w.pass(reach.StartGrace + ops.SilenceGrace + 2*soon)
			w.nothingIsWrong()
		}
		w.nodes[0].setCut(true)
		w.passUntil(ops.SilenceGrace+soon, "a host that dies later is found as ever", func() bool { return w.active() == "host_unreachable@h000" })
	})
}

// TestWhoHasJoinedAndWasNotStartedIsToldApart: it is silent since it joined and
// no longer, it is no sign that the server is blind, and it is told of.
func TestWhoHasJoinedAndWasNotStartedIsToldApart(t *testing.T) {
	in(t, 5, func(w *world) {
		w.pass(10 * time.Minute)
		for i := range 7 {
			n := newAgent(t, fmt.Sprint("b", i), fmt.Sprint("mac:x", i))
			if err := n.join(&server{t: t, fleet: w.fleet, open: w.nodes[0].open}, w.add(fmt.Sprint("new", i))); err != nil {
				t.Fatal(err)
			}
		}
		w.pass(ops.SilenceGrace - 2*soon)
		if n := w.states(); n[ops.HostOnline] != 13 || w.ever() != "" {
			t.Fatalf("before their grace is over: %v, %s", n, w.ever())
		}
		w.pass(4 * soon)
		if n := w.states(); n[ops.HostUnreachable] != 7 || n[ops.HostHeld] > 0 {
			t.Errorf("after it: %v", n)
		}
		if h, err := w.store.FindHost(context.Background(), "new3"); err != nil || !strings.Contains(h.Reason, "start it there") {
			t.Errorf("%+v, %v", h, err)
		}
		if n := strings.Count(w.active(), "host_unreachable"); n != 7 || strings.Contains(w.active(), "blind") {
			t.Errorf("%s", w.active())
		}
	})
}

func TestADeadHostIsOneFindingWhateverRunsOnIt(t *testing.T) {
	in(t, 12, func(w *world) {
		dead := w.nodes[3]
		dead.setContainers(30)
		w.pass(time.Minute)
		dead.setCut(true)
		took := w.passUntil(ops.SilenceGrace+soon, "a finding", func() bool { return w.active() != "" })
		if took < ops.SilenceGrace-beatEvery {
			t.Errorf("found after %v", took)
		}
		w.pass(10 * time.Minute)
		if got := w.ever(); got != "host_unreachable@h003" {
			t.Errorf("findings: %s", got)
		}
		if all := w.incidents(); len(all) != 1 || all[0].Severity != ops.Critical || !strings.Contains(all[0].Title, "h003") {
			t.Errorf("incidents: %+v", all)
		}
		dead.setCut(false)
		w.passUntil(time.Minute+soon, "it resolves", func() bool { return w.active() == "" })
		w.pass(5 * time.Minute)
		if got := w.ever(); got != "host_unreachable@h003" || len(w.incidents()) != 1 {
			t.Errorf("findings after its return: %s", got)
		}
	})
}

// TestADeadHostStaysDeadWhileTheServerStarts: that the server has just begun
// to listen is no proof of life.
func TestADeadHostStaysDeadWhileTheServerStarts(t *testing.T) {
	in(t, 4, func(w *world) {
		w.nodes[0].setCut(true)
		w.pass(ops.SilenceGrace + 2*soon)
		w.shut()
		time.Sleep(time.Minute)
		w.start()
		for range 60 {
			w.pass(5 * time.Second)
			if got, n := w.active(), w.states(); got != "host_unreachable@h000" || n[ops.HostUnreachable] != 1 {
				t.Fatalf("active: %q; hosts: %v", got, n)
			}
		}
		if i := w.incidents(); len(i) != 1 {
			t.Errorf("%+v", i)
		}
	})
}

func TestAHostThatDiedWhileTheServerWasAwayIsFoundAfterTheStartGrace(t *testing.T) {
	in(t, 6, func(w *world) {
		w.shut()
		w.nodes[0].setCut(true)
		time.Sleep(10 * time.Minute)
		w.start()
		w.pass(reach.StartGrace - time.Second)
		if got := w.ever(); got != "" {
			t.Fatalf("in the grace: %s", got)
		}
		w.passUntil(soon, "a finding", func() bool { return w.active() == "host_unreachable@h000" })
	})
}

func TestAShortSilenceIsNoFinding(t *testing.T) {
	in(t, 4, func(w *world) {
		for _, silence := range []time.Duration{20 * time.Second, 50 * time.Second, 60 * time.Second, 65 * time.Second} {
			w.nodes[0].setCut(true)
			w.pass(silence)
			w.nodes[0].setCut(false)
			w.pass(2 * time.Minute)
		}
		w.nothingIsWrong()
	})
}

func TestManySilentHostsAreOneFindingAboutTheMonitor(t *testing.T) {
	in(t, 20, func(w *world) {
		for _, n := range w.nodes[:12] {
			n.setCut(true)
		}
		w.passUntil(reach.Quiet+beatEvery+10*time.Second+soon, "blindness", func() bool { return w.active() == "monitor_blind@reeve" })
		w.pass(reach.HeldFor - time.Minute)
		if got, n := w.ever(), w.states(); got != "monitor_blind@reeve" || n[ops.HostHeld] != 12 {
			t.Fatalf("findings: %s; hosts: %v", got, n)
		}
		for _, n := range w.nodes[:6] { // half of them come back by themselves
			n.setCut(false)
		}
		w.pass(30 * time.Second)
		if n := w.states(); n[ops.HostHeld] != 6 || n[ops.HostUnreachable] != 0 {
			t.Fatalf("hosts: %v", n)
		}
		// The other hosts answer, which proves the server's own network.
		w.passUntil(time.Minute+soon, "the others are judged", func() bool { return w.states()[ops.HostUnreachable] == 6 })
		w.passUntil(2*time.Minute, "the blindness ends", func() bool { return !strings.Contains(w.active(), "monitor_blind") })
		if got := strings.Count(w.active(), "host_unreachable"); got != 6 {
			t.Errorf("%d hosts found", got)
		}
	})
}

func TestWithoutProofSilentHostsAreHeldUntilAPersonSaysMore(t *testing.T) {
	in(t, 5, func(w *world) {
		for _, n := range w.nodes {
			n.setCut(true)
		}
		w.pass(30 * time.Minute)
		if got, n := w.ever(), w.states(); got != "monitor_blind@reeve" || n[ops.HostHeld] != 5 {
			t.Fatalf("findings: %s; hosts: %v", got, n)
		}
		if _, err := w.fleet.Release(context.Background(), "h001", admin); err != nil {
			t.Fatal(err)
		}
		w.passUntil(soon, "one is judged", func() bool { return strings.Contains(w.active(), "host_unreachable@h001") })
		if n := w.states(); n[ops.HostHeld] != 4 {
			t.Errorf("hosts: %v", n)
		}
		w.setProbe(true)
		w.passUntil(soon, "all are judged", func() bool { return w.states()[ops.HostUnreachable] == 5 })
		for _, n := range w.nodes {
			n.setCut(false)
		}
		w.passUntil(2*time.Minute, "all is well", func() bool { return w.active() == "" && w.states()[ops.HostOnline] == 6 })
	})
}

func TestBeatsWithoutAnswersAreALostControlPath(t *testing.T) {
	in(t, 3, func(w *world) {
		w.nodes[1].setDeaf(true)
		w.passUntil(3*beatEvery+beatEvery+soon, "a finding", func() bool { return w.active() == "control_path_lost@h001" })
		w.pass(5 * time.Minute)
		if got, n := w.ever(), w.states(); got != "control_path_lost@h001" || n[ops.HostDegraded] != 1 {
			t.Errorf("findings: %s; hosts: %v", got, n)
		}
		w.nodes[1].setDeaf(false)
		w.passUntil(time.Minute+soon, "it resolves", func() bool { return w.active() == "" })
	})
}

func TestADegradedHostIsNotWellBecauseTheServerStarted(t *testing.T) {
	in(t, 3, func(w *world) {
		w.nodes[1].setDeaf(true)
		w.pass(2 * time.Minute)
		w.shut()
		w.start()
		for range 50 {
			w.pass(5 * time.Second)
			if got := w.active(); got != "control_path_lost@h001" {
				t.Fatalf("active: %q", got)
			}
		}
	})
}

func TestMaintenanceSuppressesAndEnds(t *testing.T) {
	in(t, 6, func(w *world) {
		until := time.Now().Add(20 * time.Minute)
		if _, err := w.fleet.Maintain(context.Background(), "h002", until, admin); err != nil {
			t.Fatal(err)
		}
		w.nodes[2].setCut(true)
		w.pass(19 * time.Minute)
		if got := w.ever(); got != "" {
			t.Fatalf("in maintenance: %s", got)
		}
		w.passUntil(time.Minute+2*soon, "a finding", func() bool { return w.active() == "host_unreachable@h002" })
		if time.Now().Before(until) {
			t.Error("before its end")
		}
	})
}

func TestMaintenanceOfADeadHostIsNoRecovery(t *testing.T) {
	in(t, 6, func(w *world) {
		w.nodes[2].setCut(true)
		w.pass(ops.SilenceGrace + 2*soon)
		if _, err := w.fleet.Maintain(context.Background(), "h002", time.Now().Add(5*time.Minute), admin); err != nil {
			t.Fatal(err)
		}
		for range 90 { // into the maintenance and out of it
			w.pass(5 * time.Second)
			if got := w.active(); got != "host_unreachable@h002" {
				t.Fatalf("active: %q", got)
			}
		}
		if n := w.states(); n[ops.HostUnreachable] != 1 || len(w.incidents()) != 1 {
			t.Errorf("hosts: %v, incidents: %d", n, len(w.incidents()))
		}
	})
}

func TestWhatIsOnAHostInMaintenanceIsFoundAndKeptBack(t *testing.T) {
	in(t, 3, func(w *world) {
		if _, err := w.fleet.Maintain(context.Background(), "h001", time.Now().Add(time.Hour), admin); err != nil {
			t.Fatal(err)
		}
		w.nodes[0].setSick(true)
		w.nodes[1].setSick(true)
		w.passUntil(10*time.Minute, "both are found", func() bool { return w.active() == "container_unhealthy@h000 container_unhealthy@h001" })
		kept := func() (hosts []string) {
			all, _, err := w.store.Findings(context.Background(), store.FindingFilter{Active: true, All: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range all {
				if f.Suppression.Active(time.Now(), f.Severity) {
					hosts = append(hosts, f.Suppression.Host)
				}
			}
			return hosts
		}
		if got := kept(); len(got) != 1 || got[0] != "h001" {
			t.Errorf("kept back: %v", got)
		}
		if _, err := w.fleet.EndMaintenance(context.Background(), "h001", admin); err != nil {
			t.Fatal(err)
		}
		if got := kept(); len(got) != 0 {
			t.Errorf("kept back after it: %v", got)
		}
	})
}
