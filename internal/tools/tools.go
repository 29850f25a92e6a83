// Package tools is the catalogue of what a model may look at and report, one
// file each. All of them only look, but those that hand something to the
// Desk. None changes a host.
//
// Answers are short lines of text: what a model may claim stands in them in
// the form in which it is to be claimed (IDs, numbers in the metric's unit,
// times in RFC 3339).
package tools

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"reeve/internal/catalog"
	"reeve/internal/detect"
	"reeve/internal/evidence"
	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/store"
	"reeve/internal/tool"
	"reeve/internal/tsdb"
	"reeve/internal/turn"
)

var all = catalog.New("tool", func(d tool.Definition[Env]) string { return d.Name })

// All answers every tool of this build, sorted by name.
func All() []tool.Definition[Env] { return all.All() }

// Env is all that a tool may touch.
type Env struct {
	Now     func() time.Time
	Store   *store.Store
	Metrics *tsdb.DB
	Desk    tool.Desk
	// Logs answers live lines of a unit or a container. ErrNoLogs says that
	// they are out of reach from here; nil means that they always are.
	Logs        func(context.Context, ops.Resource, LogQuery) ([]LogLine, error)
	Definitions []detect.Definition
	// Withheld chooses resources that no model is shown; nil withholds none.
	Withheld func(ops.Resource) bool
	// WithheldFields of what is told of a resource: labels, attributes, logs,
	// processes, notes.
	WithheldFields map[string]bool
}

// ErrNoLogs says that a log cannot be read from here: it is on another
// machine, or goes where nobody can read it.
var ErrNoLogs = errors.New("the log is out of reach")

// A LogQuery asks for the last lines of a log.
type LogQuery struct {
	Since    time.Time
	Contains string // case is ignored; "" for all
	Lines    int    // at most
}

// A LogLine is one line of a log, redacted.
type LogLine struct {
	At   time.Time
	Text string
}

// The profiles that tools are for.
var (
	everyone = []tool.Profile{tool.Patrol, tool.Investigation, tool.Assistant}
	nobody   []tool.Profile
)

// find answers the resource that an ID or a name means, of those that may be
// shown.
func (e Env) find(ctx context.Context, ref string) (ops.Resource, error) {
	return turn.Resolver(e.Store, e.shows)(ctx, ref)
}

// shows reports whether a resource may be shown.
func (e Env) shows(r ops.Resource) bool { return e.Withheld == nil || !e.Withheld(r) }

// open refuses a field that is withheld.
func (e Env) open(field string) error {
	if e.WithheldFields[field] {
		return ops.Errorf(ops.Forbidden, "%s are withheld from models here", field)
	}
	return nil
}

// latest answers the newest readings of a resource, of all its metrics, and of
// those whose names begin with prefix.
func (e Env) latest(ctx context.Context, resourceID, prefix string) ([]ops.Series, error) {
	list, err := e.Metrics.Query(ctx, fmt.Sprintf(`{__name__=~"%s.*",%s=%q}`, prefix, tsdb.ResourceLabel, resourceID), e.Now())
	if err != nil {
		return nil, err
	}
	for i, s := range list {
		s.Labels = maps.Clone(s.Labels)
		delete(s.Labels, tsdb.HostLabel)
		delete(s.Labels, tsdb.ResourceLabel)
		list[i] = s
	}
	slices.SortFunc(list, func(a, b ops.Series) int { return strings.Compare(called(a), called(b)) })
	return list, nil
}

// called writes the name of a series with what tells it from its like.
func called(s ops.Series) string {
	if len(s.Labels) == 0 {
		return s.Metric
	}
	var all []string
	for _, k := range slices.Sorted(maps.Keys(s.Labels)) {
		all = append(all, k+"="+line(s.Labels[k], 60))
	}
	return s.Metric + "{" + strings.Join(all, ",") + "}"
}

// place writes what a resource is and where.
func place(r ops.Resource) string {
	if r.Kind == ops.KindHost {
		return "host " + line(r.Name, 80)
	}
	return fmt.Sprintf("%s %s on %s", r.Kind, line(r.Name, 120), line(r.HostName, 80))
}

// A places remembers the resources of a list.
type places struct {
	env  Env
	seen map[string]ops.Resource
}

// get answers a resource; ok is false for one that may not be shown or is
// gone.
func (p *places) get(ctx context.Context, id string) (r ops.Resource, ok bool, err error) {
	if p.seen == nil {
		p.seen = map[string]ops.Resource{}
	}
	r, met := p.seen[id]
	if !met {
		r, err = p.env.Store.Resource(ctx, id)
		if ops.KindOf(err) == ops.NotFound {
			r, err = ops.Resource{}, nil
		}
		p.seen[id] = r
	}
	return r, err == nil && r.ID != "" && p.env.shows(r), err
}

// line bounds a text from the estate.
func line(s string, limit int) string { return redact.Line(s, limit) }

// at writes a time as claims give it.
func at(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// number writes a reading with four digits.
func number(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'e', 3, 64), 64)
	if err != nil || math.Abs(v) >= 1e18 || math.Abs(v) < 1e-6 {
		return strconv.FormatFloat(v, 'e', 3, 64)
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

// pairs writes attributes, sorted.
func pairs(m map[string]string) string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, line(k, 60)+"="+line(m[k], 120))
	}
	return strings.Join(all, " ")
}

// told answers the attributes that tell something: not those that are empty
// or only name a machine or a part of it.
func told(attrs ops.Attrs) map[string]string {
	kept := map[string]string{}
	for name, v := range attrs {
		if v != "" && !strings.HasSuffix(name, "_id") && !strings.Contains(name, "uuid") && !strings.Contains(name, "serial") {
			kept[name] = v
		}
	}
	return kept
}

// said writes one finding in a line.
func said(f ops.Finding, where string) string {
	text := fmt.Sprintf("%s %s %s %s, %s, since %s", f.ID, f.State, f.Severity, f.Condition, where, at(f.FirstSeen))
	if f.Episode > 1 {
		text += fmt.Sprintf(", episode %d", f.Episode)
	}
	if f.State == ops.FindingResolved || f.State == ops.FindingClosed {
		text += ", " + f.ResolvedBy + " " + at(f.ResolvedAt)
	}
	return text + ": " + line(f.Summary, 240)
}

// moved writes one transition in a line.
func moved(t ops.Transition) string {
	text := at(t.At) + " " + t.Verb
	if len(t.Facts) > 0 && t.Verb != "appear" { // those name the resource again
		text += " " + pairs(t.Facts)
	}
	if t.Reason != "" {
		text += " (" + line(t.Actor, 60) + ": " + line(t.Reason, 160) + ")"
	}
	return text
}

const (
	page     = 20
	largest  = 100
	maxHours = 7 * 24
)

// rows bounds how many rows a model may ask for.
func rows(n int64) int {
	if n <= 0 {
		return page
	}
	return int(min(n, largest))
}

// since answers the beginning of a window of minutes until now.
func (e Env) since(minutes, usual int64) (time.Time, error) {
	if minutes == 0 {
		minutes = usual
	}
	if minutes < 0 || minutes > maxHours*60 {
		return time.Time{}, ops.Errorf(ops.Invalid, "minutes are from 1 to %d", maxHours*60)
	}
	return e.Now().Add(-time.Duration(minutes) * time.Minute), nil
}

// cursor writes where a page ended.
func cursor(k *store.Key) string {
	if k == nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s %s", k.Num, k.ID, k.Value))
}

// after reads a cursor.
func after(text string) (store.Key, error) {
	wrong := ops.Errorf(ops.Invalid, "the cursor is not one that was answered; leave it out to begin anew")
	if text == "" {
		return store.Key{}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	parts := strings.SplitN(string(raw), " ", 3)
	if err != nil || len(parts) != 3 || parts[1] == "" {
		return store.Key{}, wrong
	}
	num, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return store.Key{}, wrong
	}
	return store.Key{Num: num, ID: parts[1], Value: parts[2]}, nil
}

// list writes the lines of a page and how to go on.
func list(lines []string, what string, next *store.Key) string {
	switch {
	case len(lines) == 0 && next == nil:
		return "no " + what
	case next != nil:
		lines = append(lines, fmt.Sprintf("[%d shown, there are more: cursor %s]", len(lines), cursor(next)))
	}
	return strings.Join(lines, "\n")
}

// A claim is a fact as a model gives it.
type claim struct {
	Kind     string    `json:"kind" enum:"metric,quote,state,time"`
	Resource string    `json:"resource,omitempty"`
	Metric   string    `json:"metric,omitempty"`
	Stat     string    `json:"stat,omitempty" enum:"last,avg,min,max,delta"`
	Minutes  int64     `json:"minutes,omitempty"`
	Value    *float64  `json:"value,omitempty"`
	Name     string    `json:"name,omitempty" doc:"of state or time"`
	Text     string    `json:"text,omitempty" doc:"quote verbatim, or state"`
	At       time.Time `json:"at,omitzero"`
}

// maxClaims bounds one report.
const maxClaims = 12

// claims makes claims about resources by ID; one without a resource is about
// the given one. A resource that is not known stays as it was given: the check
// refuses the claim and says so.
func (e Env) claims(ctx context.Context, given []claim, about string) ([]ops.Claim, error) {
	if len(given) > maxClaims {
		return nil, ops.Errorf(ops.Invalid, "give at most %d claims", maxClaims)
	}
	all := make([]ops.Claim, len(given))
	for i, c := range given {
		id := about
		if c.Resource != "" {
			id = line(c.Resource, 80)
			if r, err := e.resolve(ctx, c.Resource); err == nil {
				id = r.ID
			}
		}
		all[i] = ops.Claim{Kind: c.Kind, ResourceID: id, Metric: line(c.Metric, 120), Stat: c.Stat, Minutes: c.Minutes, Value: c.Value,
			Name: line(c.Name, 120), Text: redact.Text(redact.Cut(c.Text, 2_000)), At: c.At}
	}
	return all, nil
}

// resolve answers a resource of the Desk's scope.
func (e Env) resolve(ctx context.Context, ref string) (ops.Resource, error) {
	if e.Desk.Resolve == nil {
		return e.find(ctx, ref)
	}
	return e.Desk.Resolve(ctx, ref)
}

// source answers what claims and readings are looked up in.
func (e Env) source() evidence.Source { return turn.NewSource(e.Store, e.Metrics) }

// closed refuses what no one takes here.
func closed(what string) error {
	return ops.Errorf(ops.Unavailable, "%s cannot be taken here", what)
}
