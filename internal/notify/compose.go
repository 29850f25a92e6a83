package notify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/redact"
)

// An Advice is what is known about a condition without looking: its title,
// likely causes and what to check.
type Advice struct {
	Title  string
	Causes []string
	Checks []string
}

// Bounds of a message.
const (
	titleLimitBytes   = 200
	lineLimitBytes    = 400
	findingsInMessage = 20
	linesOfMembers    = 10
	linesOfFacts      = 8
	linesOfAdvice     = 4
	incidentsInDigest = 30
	labelsInMessage   = 20
	labelLimitBytes   = 200
	timeInMessage     = "2006-01-02 15:04 MST"
	memberMargin      = "  "
)

// A Composer writes messages. It is pure: the same case at the same time
// gives the same message.
type Composer struct {
	PublicURL string
	Zone      *time.Location
	Advice    func(condition string) Advice
}

// Compose writes what a verdict says about an incident. The ID is left to
// the delivery.
func (c Composer) Compose(now time.Time, of Case, v Verdict) ops.Message {
	m := ops.Message{
		Event: v.Event, Severity: v.Severity, IncidentID: of.Incident.ID, At: now.UTC(),
		Title: c.title(of, v), URL: c.url(of.Incident.ID),
	}
	m.Findings, m.More = messageFindings(of.Members)
	var lines []string
	switch v.Event {
	case ops.MessageResolved:
		lines = c.resolvedLines(now, of)
	default:
		lines = c.openLines(now, of, v)
	}
	m.Text = strings.Join(lines, "\n")
	return m
}

func (c Composer) url(incident string) string {
	if c.PublicURL == "" {
		return ""
	}
	return strings.TrimRight(c.PublicURL, "/") + "/incidents/" + incident
}

func (c Composer) title(of Case, v Verdict) string {
	title := redact.Line(of.Incident.Title, titleLimitBytes-20)
	if title == "" && len(of.Members) > 0 {
		title = redact.Line(of.Members[0].Finding.Summary, titleLimitBytes-20)
	}
	switch v.Event {
	case ops.MessageRose:
		if v.Reason == BecauseReopened {
			return "Open again: " + title
		}
		return "Now " + string(v.Severity) + ": " + title
	case ops.MessageReminder:
		return "Still open: " + title
	case ops.MessageFlapping:
		return "Flapping: " + title
	case ops.MessageResolved:
		return "Resolved: " + title
	}
	return title
}

func (c Composer) openLines(now time.Time, of Case, v Verdict) []string {
	var lines []string
	if len(of.Members) > 0 {
		root := of.Members[0]
		lines = append(lines, redact.Line(root.Finding.Summary, lineLimitBytes), c.where(root.Resource))
		lines = append(lines, "Since "+c.since(now, root.Finding.FirstSeen)+".")
		lines = append(lines, facts(root.Finding)...)
	}
	switch v.Event {
	case ops.MessageRose:
		if v.Reason == BecauseReopened {
			lines = append(lines, "It was acknowledged; since then something joined it or became worse that nobody has acknowledged.")
		}
	case ops.MessageReminder:
		lines = append(lines, "Nobody has acknowledged it yet.")
	case ops.MessageFlapping:
		lines = append(lines, "It comes and goes: the next message comes when it has been quiet for "+spell(ops.MitigatedWatch)+".")
	}
	lines = append(lines, c.memberLines(of.Members)...)
	if len(of.Members) > 0 && c.Advice != nil {
		advice := c.Advice(of.Members[0].Finding.Condition)
		lines = append(lines, list("Likely causes:", advice.Causes)...)
		lines = append(lines, list("What to check:", advice.Checks)...)
	}
	return lines
}

func (c Composer) resolvedLines(now time.Time, of Case) []string {
	var lines []string
	if of.Incident.MergedInto != "" {
		lines = append(lines, "It was found to be part of another incident: "+of.Incident.MergedInto+".")
	}
	if len(of.Members) > 0 {
		root := of.Members[0]
		lines = append(lines, "It was: "+redact.Line(root.Finding.Summary, lineLimitBytes), c.where(root.Resource))
	}
	if ended := cmp.Or(of.Incident.MitigatedAt, of.Incident.ClosedAt, now); !of.Incident.OpenedAt.IsZero() {
		lines = append(lines, fmt.Sprintf("Open for %s, from %s to %s.", spell(ended.Sub(of.Incident.OpenedAt)), c.clock(of.Incident.OpenedAt), c.clock(ended)))
	}
	return append(lines, c.memberLines(of.Members)...)
}

func (c Composer) where(r ops.Resource) string {
	if r.Kind == ops.KindHost || r.HostName == "" {
		return redact.Line(fmt.Sprintf("On %s %s.", r.Kind, r.Name), lineLimitBytes)
	}
	return redact.Line(fmt.Sprintf("On %s %s of host %s.", r.Kind, r.Name, r.HostName), lineLimitBytes)
}

func (c Composer) clock(t time.Time) string { return t.In(c.zone()).Format(timeInMessage) }

func (c Composer) zone() *time.Location {
	if c.Zone == nil {
		return time.UTC
	}
	return c.Zone
}

func (c Composer) since(now, t time.Time) string {
	return fmt.Sprintf("%s (%s ago)", c.clock(t), spell(now.Sub(t)))
}

// memberLines lists what else belongs to the incident.
func (c Composer) memberLines(members []Member) []string {
	if len(members) < 2 {
		return nil
	}
	lines := []string{"Also part of it:"}
	for i, m := range members[1:] {
		if i == linesOfMembers {
			return append(lines, fmt.Sprintf("%sand %d more", memberMargin, len(members)-1-linesOfMembers))
		}
		state := ""
		if !m.Finding.Active() {
			state = ", resolved"
		}
		lines = append(lines, redact.Line(fmt.Sprintf("- %s (%s%s)", m.Finding.Summary, m.Finding.Severity, state), lineLimitBytes))
	}
	return lines
}

func facts(f ops.Finding) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(f.Facts)) {
		if len(lines) == linesOfFacts {
			break
		}
		lines = append(lines, redact.Line(strings.ReplaceAll(name, "_", " ")+": "+f.Facts[name], lineLimitBytes))
	}
	return lines
}

func list(head string, items []string) []string {
	if len(items) == 0 {
		return nil
	}
	lines := []string{head}
	for _, item := range items[:min(len(items), linesOfAdvice)] {
		lines = append(lines, redact.Line("- "+item, lineLimitBytes))
	}
	return lines
}

func messageFindings(members []Member) (all []ops.MessageFinding, more int) {
	for _, m := range members[:min(len(members), findingsInMessage)] {
		all = append(all, ops.MessageFinding{
			ID: m.Finding.ID, Condition: m.Finding.Condition, Severity: m.Finding.Severity, State: m.Finding.State,
			Resource: redact.Line(m.Resource.Name, lineLimitBytes), Kind: m.Resource.Kind, Host: redact.Line(m.Resource.HostName, lineLimitBytes),
			Summary: redact.Line(m.Finding.Summary, lineLimitBytes), Since: m.Finding.FirstSeen, Labels: boundedLabels(m.Resource.Labels),
		})
	}
	return all, max(0, len(members)-findingsInMessage)
}

func boundedLabels(labels map[string]string) map[string]string {
	if len(labels) == 0 {
		return nil
	}
	bounded := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if len(bounded) == labelsInMessage {
			break
		}
		bounded[redact.Line(name, labelLimitBytes)] = redact.Line(labels[name], labelLimitBytes)
	}
	return bounded
}

// Digest writes one message for many, each incident in one line that says
// what became of it.
func (c Composer) Digest(now time.Time, of []ops.Delivery, reason Reason) ops.Message {
	m := ops.Message{Event: ops.MessageDigest, At: now.UTC()}
	if c.PublicURL != "" {
		m.URL = strings.TrimRight(c.PublicURL, "/") + "/"
	}
	groups := byIncident(of)
	m.Title = fmt.Sprintf("%d messages about %d incidents", len(of), len(groups))
	if len(of) == 1 {
		m.Title = "1 message"
	}
	m.Title += " held back"
	lines := []string{fmt.Sprintf("Held back since %s: %s.", c.clock(oldest(of)), reason)}
	for i, group := range groups {
		m.Severity = m.Severity.Max(group[0].Message.Severity)
		if i == incidentsInDigest {
			lines = append(lines, fmt.Sprintf("and %d more incidents", len(groups)-incidentsInDigest))
		}
		if i < incidentsInDigest {
			lines = append(lines, c.digestLine(group))
		}
	}
	m.Text = strings.Join(lines, "\n")
	return m
}

func (c Composer) digestLine(group []ops.Delivery) string {
	last := group[len(group)-1].Message
	state := string(last.Severity)
	if last.Event == ops.MessageResolved {
		state = "resolved"
	}
	return redact.Line(fmt.Sprintf("- [%s] %s (%s)", state, last.Title, c.clock(last.At)), lineLimitBytes)
}

func oldest(of []ops.Delivery) time.Time {
	first := of[0].CreatedAt
	for _, d := range of {
		if d.CreatedAt.Before(first) {
			first = d.CreatedAt
		}
	}
	return first
}

// spell answers a span of time as people say it.
func spell(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
