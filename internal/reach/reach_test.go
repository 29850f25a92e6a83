package reach_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reeve/internal/ops"
	"reeve/internal/reach"
)

func host(id string, state ops.HostState, beat time.Duration) reach.Host {
	return reach.Host{ID: id, State: state, Beat: beat, Proof: beat, Report: beat, Every: 15 * time.Second, Grace: 90 * time.Second, InState: time.Hour}
}

// estate has n online hosts, the first few silent for the given time.
func estate(n, silent int, quiet time.Duration) reach.Estate {
	e := reach.Estate{Uptime: time.Hour}
	for i := range n {
		beat := 5 * time.Second
		if i < silent {
			beat = quiet
		}
		e.Hosts = append(e.Hosts, host(fmt.Sprint(i), ops.HostOnline, beat))
	}
	return e
}

func TestOneHostIsUnreachableAfterItsGraceOnly(t *testing.T) {
	for _, x := range []struct {
		beat time.Duration
		want ops.HostEvent
	}{{30 * time.Second, ""}, {90 * time.Second, ""}, {91 * time.Second, ops.HostSilence}} {
		moves, blind := reach.Judge(estate(5, 1, x.beat))
		got := ops.HostEvent("")
		if len(moves) > 0 {
			got = moves[0].On
		}
		if got != x.want || blind.Tripped || len(moves) > 1 {
			t.Errorf("silent for %v: %v, want %q", x.beat, moves, x.want)
		}
	}
}

func TestNobodyIsJudgedSilentInTheStartGrace(t *testing.T) {
	e := estate(200, 200, 179*time.Second)
	e.Uptime = 179 * time.Second
	if moves, blind := reach.Judge(e); len(moves) > 0 || blind.Tripped {
		t.Fatalf("%v, %+v", moves, blind)
	}
}

func TestMassBrake(t *testing.T) {
	for _, x := range []struct {
		hosts, silent int
		trips         bool
	}{{1, 1, false}, {2, 1, false}, {2, 2, true}, {3, 2, true}, {4, 2, true}, {5, 2, false}, {9, 5, true}, {9, 4, false},
		{10, 3, false}, {10, 4, true}, {12, 4, true}, {14, 4, false}, {100, 30, false}, {100, 31, true}} {
		moves, blind := reach.Judge(estate(x.hosts, x.silent, 100*time.Second))
		if blind.Tripped != x.trips {
			t.Errorf("%d of %d: tripped %v", x.silent, x.hosts, blind.Tripped)
		}
		for _, m := range moves {
			if (m.On == ops.HostHold) != x.trips {
				t.Errorf("%d of %d: %s", x.silent, x.hosts, m.On)
			}
		}
	}
}

func TestHeldHostsLeaveByReportOrByProof(t *testing.T) {
	h := host("a", ops.HostHeld, 11*time.Minute)
	h.InState = 10 * time.Minute
	e := reach.Estate{Uptime: time.Hour, Hosts: []reach.Host{h}}
	if moves, _ := reach.Judge(e); len(moves) > 0 {
		t.Fatalf("without proof of the own network: %v", moves)
	}
	e.Proven = true
	if moves, _ := reach.Judge(e); len(moves) != 1 || moves[0].On != ops.HostSilence {
		t.Fatalf("with proof: %v", moves)
	}
	e.Hosts[0].Beat, e.Hosts[0].Report = time.Second, time.Second
	if moves, _ := reach.Judge(e); len(moves) != 1 || moves[0].On != ops.HostReturn {
		t.Fatalf("after its report: %v", moves)
	}
}

func TestABeatWithoutAReportDoesNotBringAHostBack(t *testing.T) {
	h := host("a", ops.HostUnreachable, time.Second)
	h.InState, h.Report = time.Minute, 3*time.Minute
	if moves, _ := reach.Judge(reach.Estate{Uptime: time.Hour, Hosts: []reach.Host{h}}); len(moves) > 0 {
		t.Fatal(moves)
	}
}

// TestNoAgeIsProofOfLifeThatReachesTheUptime: ages are cut off at the start of
// the process that judges.
func TestNoAgeIsProofOfLifeThatReachesTheUptime(t *testing.T) {
	const up = 20 * time.Second
	for _, state := range []ops.HostState{ops.HostUnreachable, ops.HostHeld, ops.HostDegraded} {
		h := host("a", state, up)
		e := reach.Estate{Uptime: up, Proven: true, Hosts: []reach.Host{h}}
		if moves, _ := reach.Judge(e); len(moves) > 0 {
			t.Errorf("%s and nothing heard since the start: %v", state, moves)
		}
		e.Hosts[0].Beat, e.Hosts[0].Proof, e.Hosts[0].Report = time.Second, time.Second, time.Second
		if moves, _ := reach.Judge(e); len(moves) != 1 {
			t.Errorf("%s and heard of: %v", state, moves)
		}
	}
}

func TestANewConnectionHasTimeToProveAndToReport(t *testing.T) {
	h := host("a", ops.HostOnline, time.Second)
	h.Proof, h.Report, h.Settling = time.Minute, time.Minute, true
	e := reach.Estate{Uptime: time.Hour, Hosts: []reach.Host{h}}
	if moves, _ := reach.Judge(e); len(moves) > 0 {
		t.Error(moves)
	}
	e.Hosts[0].State = ops.HostDegraded
	if moves, _ := reach.Judge(e); len(moves) > 0 {
		t.Errorf("well before it proved anything: %v", moves)
	}
}

func TestBeatsWithoutProofOrReportDegrade(t *testing.T) {
	for _, x := range []struct {
		proof, report time.Duration
		local         bool
		want          ops.HostEvent
	}{
		{45 * time.Second, 45 * time.Second, false, ""}, {46 * time.Second, 0, false, ops.HostDegrade},
		{0, 46 * time.Second, false, ops.HostDegrade}, {time.Hour, 0, true, ""},
	} {
		h := host("a", ops.HostOnline, time.Second)
		h.Proof, h.Report, h.Local = x.proof, x.report, x.local
		moves, _ := reach.Judge(reach.Estate{Uptime: time.Hour, Hosts: []reach.Host{h}})
		if got := len(moves) == 1 && moves[0].On == x.want; got != (x.want != "") {
			t.Errorf("%+v: %v", x, moves)
		}
	}
}

// TestJudgementIsLegalAndNeverBlames draws estates and checks what holds for
// all: moves are in the lifecycle, and while the brake is tripped no host is
// found silent but one that was held long enough with proof.
func TestJudgementIsLegalAndNeverBlames(t *testing.T) {
	states := ops.HostFlow.States()
	rapid.Check(t, func(t *rapid.T) {
		span := rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.IntRange(0, 1200).Draw(t, "s")) * time.Second
		})
		e := reach.Estate{Uptime: span.Draw(t, "uptime"), Proven: rapid.Bool().Draw(t, "proven")}
		byID := map[string]reach.Host{}
		for i := range rapid.IntRange(0, 30).Draw(t, "hosts") {
			h := reach.Host{ID: fmt.Sprint(i), State: rapid.SampledFrom(states).Draw(t, "state"), Every: 15 * time.Second, Grace: 90 * time.Second,
				Beat: span.Draw(t, "beat"), Proof: span.Draw(t, "proof"), Report: span.Draw(t, "report"), InState: span.Draw(t, "in"), Ends: rapid.Bool().Draw(t, "ends")}
			e.Hosts = append(e.Hosts, h)
			byID[h.ID] = h
		}
		moves, blind := reach.Judge(e)
		for _, m := range moves {
			h := byID[m.ID]
			to, err := ops.HostFlow.Next(h.State, m.On)
			if err != nil || m.Reason == "" {
				t.Fatalf("%s of a host that is %s: %v", m.On, h.State, err)
			}
			if to != ops.HostUnreachable {
				continue
			}
			if h.State == ops.HostHeld && (!e.Proven || h.InState < reach.HeldFor) {
				t.Fatal("a held host was found silent without proof")
			}
			if h.State != ops.HostHeld && (blind.Tripped || e.Uptime < reach.StartGrace || h.Beat <= h.Grace) {
				t.Fatalf("a host was found silent: %+v, %+v", h, blind)
			}
		}
	})
}
