package show

import (
	"fmt"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/term"
)

// A HostRow is a host with its newest readings.
type HostRow struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	ObservedAt time.Time       `json:"observed_at"`
	Reachable  string          `json:"reachability"`
	CPU        *float64        `json:"cpu_busy_ratio"`
	Memory     *float64        `json:"memory_used_ratio"`
	Disk       *float64        `json:"fs_worst_used_ratio"`
	Findings   int             `json:"findings"`
	Fleet      *ops.Host       `json:"fleet"`
	Invitation *ops.Invitation `json:"invitation"`
}

// Hosts lists hosts with their newest readings, and says of those that are
// not as they should be why.
func Hosts(p *term.Page, hosts []HostRow, now time.Time) {
	if len(hosts) == 0 {
		p.Line("No host is watched. `reeve host add NAME` prints the line that lets one join.")
		return
	}
	t := p.Table("HOST", "!STATE", ">CPU", ">MEMORY", ">FULLEST DISK", ">FINDINGS", ">SEEN AGO")
	for _, h := range hosts {
		wrong := term.Of(fmt.Sprint(h.Findings))
		if h.Findings > 0 {
			wrong = term.Painted(fmt.Sprint(h.Findings), term.Yellow)
		}
		seen := "-"
		if !h.ObservedAt.IsZero() {
			seen = term.Age(now, h.ObservedAt)
		}
		t.Add(term.Of(h.Name), term.Painted(h.Reachable, term.StateStyle(h.Reachable)), term.Of(term.Ratio(h.CPU)), term.Of(term.Ratio(h.Memory)), term.Of(term.Ratio(h.Disk)), wrong, term.Of(seen))
		if why := h.why(now); why != "" {
			t.Note(why)
		}
	}
	t.Print()
}

// why says what is out of the ordinary with a host, "" for nothing.
func (h HostRow) why(now time.Time) string {
	switch {
	case h.Invitation != nil:
		return "invited by " + h.Invitation.CreatedBy + "; its line counts for " + term.Span(h.Invitation.ExpiresAt.Sub(now))
	case h.Fleet == nil:
		return ""
	}
	var parts []string
	switch h.Fleet.State {
	case ops.HostMaintenance:
		parts = append(parts, "until "+term.Stamp(h.Fleet.MaintenanceUntil))
	case ops.HostOnline:
	default:
		parts = append(parts, h.Fleet.Reason)
	}
	if h.Fleet.Conflict != "" && now.Sub(h.Fleet.ConflictAt) < ops.ConflictKept {
		parts = append(parts, h.Fleet.Conflict)
	}
	if h.Fleet.Spooled > ops.SpooledAsEver {
		parts = append(parts, term.Plural(int(h.Fleet.Spooled), "report")+" wait on its disk")
	}
	return strings.Join(parts, "; ")
}

// An Authority is the authority of the agents as the API answers it.
type Authority struct {
	Fingerprint string    `json:"fingerprint"`
	Until       time.Time `json:"until"`
	Next        string    `json:"next_fingerprint"`
	Before      string    `json:"before_fingerprint"`
	BeforeUntil time.Time `json:"before_until"`
	Waiting     []string  `json:"waiting"`
	Problem     string    `json:"problem"`
}

// AgentAuthority shows the authority between a server and its agents.
func AgentAuthority(p *term.Page, a Authority) {
	if a.Problem != "" {
		p.Line("%s", p.Paint(term.Red, "No agent of another machine can be let in: ")+term.Safe(a.Problem))
		return
	}
	rows := [][2]string{{"authority", a.Fingerprint}, {"until", term.Stamp(a.Until)}}
	if a.Before != "" {
		rows = append(rows, [2]string{"before it", a.Before + ", trusted until " + term.Stamp(a.BeforeUntil)})
	}
	if a.Next != "" {
		rows = append(rows, [2]string{"next", a.Next})
	}
	p.Fields(rows)
	switch {
	case a.Next == "":
	case len(a.Waiting) == 0:
		p.Line("Every host trusts the next one: finish with `reeve ca rotate --finish`.")
	default:
		p.Line("%s do not trust the next one yet: %s.", term.Plural(len(a.Waiting), "host"), term.Safe(strings.Join(a.Waiting, ", ")))
	}
}
