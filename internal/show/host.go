package show

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/term"
)

// A HostAnswer is one host as the API answers it.
type HostAnswer struct {
	HostRow
	Labels    map[string]string `json:"labels"`
	Resources map[string]int64  `json:"resources_by_kind"`
}

// Host shows one host: its state, its agent, and what is on it in counts.
func Host(p *term.Page, h HostAnswer, now time.Time) {
	p.Line("host %s: %s", p.Paint(term.Bold, term.Safe(h.Name)), p.Paint(term.StateStyle(h.Reachable), term.Safe(h.Reachable)))
	rows := [][2]string{{"id", h.ID}}
	if why := h.why(now); why != "" {
		rows = append(rows, [2]string{"note", why})
	}
	if h.Fleet != nil {
		rows = append(rows, agentFields(*h.Fleet, now)...)
	}
	rows = append(rows, [2]string{"readings", readings(h.HostRow)}, [2]string{"findings", fmt.Sprintf("%d open", h.Findings)}, [2]string{"on it", cmp.Or(kindsText(h.Resources), "nothing is known yet")})
	if len(h.Labels) > 0 {
		var labels []string
		for _, name := range slices.Sorted(maps.Keys(h.Labels)) {
			labels = append(labels, name+"="+h.Labels[name])
		}
		rows = append(rows, [2]string{"labels", strings.Join(labels, ", ")})
	}
	p.Fields(rows)
}

// readings are those that are current, "" for none.
func readings(h HostRow) string {
	var parts []string
	for _, r := range []struct {
		name  string
		value *float64
	}{{"CPU", h.CPU}, {"memory", h.Memory}, {"fullest disk", h.Disk}} {
		if r.value != nil {
			parts = append(parts, r.name+" "+term.Ratio(r.value))
		}
	}
	return strings.Join(parts, ", ")
}

// agentFields tells of the agent of a host.
func agentFields(h ops.Host, now time.Time) [][2]string {
	agent := cmp.Or(h.Version, "of an unknown version")
	if h.Protocol > 0 {
		agent += fmt.Sprintf(", protocol %d", h.Protocol)
	}
	if h.ReadOnly {
		agent += ", cannot change anything"
	}
	rows := [][2]string{{"since", term.Stamp(h.Since)}, {"agent", agent}, {"connection", connection(h)},
		{"last heartbeat", ago(h.HeartbeatAt, now)}, {"last report", ago(h.ReportAt, now)}}
	if !h.Local {
		rows = append(rows, [2]string{"last answer", ago(h.ProofAt, now) + ", on the direction in which it is commanded"}, [2]string{"certificate", certificate(h.CertUntil, now)},
			[2]string{"its clock", skew(time.Duration(h.SkewMS) * time.Millisecond)}, [2]string{"waiting", term.Plural(int(h.Spooled), "report") + " on its disk"})
	}
	return append(rows, [2]string{"pace", pace(h)})
}

func ago(at, now time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return term.Age(now, at) + " ago"
}

func connection(h ops.Host) string {
	switch {
	case h.Local:
		return "inside the server"
	case h.Server == "" && h.Address == "":
		return "none yet"
	case h.Server == "":
		return "none, last from " + h.Address
	}
	return "to " + h.Server + " from " + h.Address
}

func certificate(until, now time.Time) string {
	switch {
	case until.IsZero():
		return "none"
	case !until.After(now):
		return "ended " + term.Stamp(until) + "; it has to join again"
	}
	return "until " + term.Stamp(until) + ", for " + term.Span(until.Sub(now))
}

// rightClock is how far off a clock may be and still be called right.
const rightClock = 100 * time.Millisecond

func skew(ahead time.Duration) string {
	switch {
	case ahead.Abs() < rightClock:
		return "right"
	case ahead < 0:
		return term.Span(-ahead) + " behind the server's"
	}
	return term.Span(ahead) + " ahead of the server's"
}

func pace(h ops.Host) string {
	text := fmt.Sprintf("a heartbeat every %s, unreachable after %s", h.Beat(), h.Grace())
	if h.BytesPerS > 0 {
		text += ", at most " + term.Bytes(float64(h.BytesPerS)) + "/s"
	}
	return text
}
