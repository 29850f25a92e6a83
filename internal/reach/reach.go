// Package reach judges from three clocks whether hosts are reachable: their
// heartbeats, the proofs of the command direction, and complete reports. It
// is pure: ages come in, moves go out. Ages are measured on the clock of the
// process that judges, and none is older than that process, so that a server
// that was away takes nobody's silence for its own.
package reach

import (
	"fmt"
	"time"

	"reeve/internal/ops"
)

// The rules' times and counts.
const (
	StartGrace = 180 * time.Second // after a start nobody is judged silent
	Quiet      = 30 * time.Second  // silence that counts for the mass brake
	HeldFor    = 10 * time.Minute  // how long held hosts wait for proof
	Missed     = 3                 // intervals without proof or report make degraded
	small      = 10                // hosts below which half of them trip the brake
)

// A Host is one host as the pass sees it.
type Host struct {
	ID    string
	State ops.HostState
	// Beat, Proof and Report are the ages of the last heartbeat, answer on the
	// command direction and complete report.
	Beat, Proof, Report time.Duration
	// Every is its period of heartbeats and reports, Grace its patience.
	Every, Grace time.Duration
	InState      time.Duration
	// Local says that its agent is inside a server: it has no command
	// direction of its own.
	Local bool
	// Settling says that its connection is so new that neither proof nor
	// report of it can be missed yet.
	Settling bool
	// Unstarted says that it has joined and was not heard of since: a person is
	// about to start its agent, or forgot to.
	Unstarted bool
	// Ends says that its maintenance is over.
	Ends bool
}

// An Estate is what a pass judges.
type Estate struct {
	Hosts  []Host
	Uptime time.Duration // of the process that judges
	// Proven says that the server's own network was seen to work.
	Proven bool
}

// A Move is a change of one host with its reason for people.
type Move struct {
	ID     string
	On     ops.HostEvent
	Reason string
}

// A Blindness tells of the mass brake: so many hosts are silent at once that
// the fault is likely here.
type Blindness struct {
	Tripped          bool
	Silent, Expected int
}

// Judge answers what changes. It is the same for any order of hosts.
func Judge(e Estate) ([]Move, Blindness) {
	blind := brake(e)
	var moves []Move
	for _, h := range e.Hosts {
		if on, why := h.judge(e, blind); on != "" {
			moves = append(moves, Move{h.ID, on, why})
		}
	}
	return moves, blind
}

// Brake counts the silent. Hosts that are unreachable already are no news.
func brake(e Estate) Blindness {
	var b Blindness
	if e.Uptime < StartGrace {
		return b
	}
	for _, h := range e.Hosts {
		if h.Unstarted || h.State != ops.HostOnline && h.State != ops.HostDegraded && h.State != ops.HostHeld {
			continue
		}
		b.Expected++
		if h.quiet() {
			b.Silent++
		}
	}
	if b.Expected < small {
		b.Tripped = b.Silent >= 2 && 2*b.Silent >= b.Expected
	} else {
		b.Tripped = b.Silent > 3 && 10*b.Silent > 3*b.Expected
	}
	return b
}

func (h Host) quiet() bool { return h.Beat > max(Quiet, 2*h.Every) }

func (h Host) judge(e Estate, blind Blindness) (ops.HostEvent, string) {
	switch h.State {
	case ops.HostOnline, ops.HostDegraded:
		return h.judgeHeard(e, blind)
	case ops.HostHeld:
		switch {
		case h.back(e.Uptime):
			return ops.HostReturn, "it reported again"
		case h.InState >= HeldFor && e.Proven && e.Uptime >= StartGrace:
			return ops.HostSilence, fmt.Sprintf("silent for %s while the server's own network works", age(h.Beat))
		}
	case ops.HostUnreachable:
		if h.back(e.Uptime) {
			return ops.HostReturn, "it beats and its report was accepted"
		}
	case ops.HostMaintenance:
		if h.Ends {
			return ops.HostEnd, "the maintenance is over"
		}
	}
	return "", ""
}

func (h Host) judgeHeard(e Estate, blind Blindness) (ops.HostEvent, string) {
	switch why := h.lame(); {
	case e.Uptime < StartGrace && h.State == ops.HostOnline:
		return "", ""
	case h.Unstarted && h.Beat > h.Grace && e.Uptime >= StartGrace:
		return ops.HostSilence, fmt.Sprintf("it joined %s ago and its agent was not heard of since: start it there, `systemctl start reeve-agent`", age(h.Beat))
	case h.Unstarted:
		return "", ""
	case blind.Tripped && h.quiet():
		return ops.HostHold, fmt.Sprintf("silent for %s together with %d of %d hosts", age(h.Beat), blind.Silent, blind.Expected)
	case h.Beat > h.Grace && e.Uptime >= StartGrace:
		return ops.HostSilence, fmt.Sprintf("no heartbeat for %s", age(h.Beat))
	case h.quiet():
		return "", "" // silence is judged alone
	case why != "" && h.State == ops.HostOnline && !h.Settling:
		return ops.HostDegrade, why
	case why == "" && h.State == ops.HostDegraded && h.proven(e.Uptime):
		return ops.HostRecover, "it answers commands and reports"
	}
	return "", ""
}

// Lame says what a host that beats does not do, "" when all is well.
func (h Host) lame() string {
	limit := Missed * h.Every
	switch {
	case !h.Local && h.Proof > limit:
		return fmt.Sprintf("it beats, but has not answered on the command direction for %s", age(h.Proof))
	case h.Report > limit:
		return fmt.Sprintf("it beats, but sent no complete report for %s", age(h.Report))
	}
	return ""
}

// Back reports whether a host that was given up is heard of in full again:
// by a heartbeat and a complete report that came after it was. No age is above
// the uptime, so that one which reaches it was not heard of since the start.
func (h Host) back(uptime time.Duration) bool {
	return !h.quiet() && h.Beat < uptime && h.Report < min(h.InState, uptime)
}

// Proven reports whether all that a host owes came since the start.
func (h Host) proven(uptime time.Duration) bool {
	return h.Report < uptime && (h.Local || h.Proof < uptime)
}

func age(d time.Duration) string { return d.Truncate(time.Second).String() }
