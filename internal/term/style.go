package term

import (
	"reeve/internal/ops"
)

// A Style is how a text looks on a terminal; every style says nothing that the
// text does not say too.
type Style string

// The styles, as the parameters of the terminal's sequence.
const (
	Plain   Style = ""
	Bold    Style = "1"
	Faint   Style = "2"
	Red     Style = "1;31"
	Green   Style = "32"
	Yellow  Style = "33"
	blue    Style = "34"
	Magenta Style = "35"
	cyan    Style = "36"
)

// SeverityStyle marks a severity beside its word.
func SeverityStyle(s ops.Severity) Style {
	switch s {
	case ops.Critical:
		return Red
	case ops.Warning:
		return Yellow
	}
	return Plain
}

// StateStyle marks the states of parts.
func StateStyle(state string) Style {
	switch state {
	case "ok", "online", "present", "resolved", "closed", "delivered", "yes":
		return Green
	case "failing", "stuck", "dead", "removed", "broken":
		return Red
	case "degraded", "gap", "unproven", "absent", "unknown", "queued", "sending":
		return Yellow
	}
	return Plain
}
