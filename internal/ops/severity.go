package ops

// A Severity says how much a person should care. What is not worth anyone's
// attention is not a finding, so there are two.
type Severity string

// The severities. The zero value means none.
const (
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// Rank orders severities: none 0, warning 1, critical 2.
func (s Severity) Rank() int {
	switch s {
	case Critical:
		return 2
	case Warning:
		return 1
	}
	return 0
}

// Max answers the higher of two severities.
func (s Severity) Max(t Severity) Severity {
	if t.Rank() > s.Rank() {
		return t
	}
	return s
}

// Valid reports whether s is a severity.
func (s Severity) Valid() bool { return s.Rank() > 0 }
