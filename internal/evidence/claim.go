package evidence

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"reeve/internal/ops"
	"reeve/internal/redact"
)

// A Source answers what is stored of a resource, for the checks of claims. An
// error of a func means that the claim cannot be proven now.
type Source struct {
	// Series answers the raw readings of one metric of one resource.
	Series func(ctx context.Context, resourceID, metric string, from, to time.Time) ([]ops.Series, error)
	// Resource answers a resource as it is now.
	Resource func(ctx context.Context, id string) (ops.Resource, error)
	// Texts answers what can be quoted of a resource: events, summaries of
	// findings, quotes of evidence, log lines that were shown in this run.
	Texts func(ctx context.Context, resourceID string) ([]Text, error)
	// Times answers when what happened to a resource.
	Times func(ctx context.Context, resourceID string) ([]Moment, error)
}

// A Text is words that can be quoted.
type Text struct {
	Text  string
	At    time.Time
	Where string // "event log_error", "finding fnd_...", "log"
}

// A Moment is when something happened: opened, changed, or an event's type.
type Moment struct {
	Name string
	At   time.Time
}

// A Result is what came of a check. Evidence holds what was found, ready to be
// stored: it has no IDs and no hash yet.
type Result struct {
	OK       bool
	Reason   string // why not
	Evidence ops.Evidence
}

// Check re-checks one claim against what is stored, as of now. Give the now of
// the run, so that windows are those that the model was shown.
func Check(ctx context.Context, src Source, now time.Time, c ops.Claim) Result {
	if c.ResourceID == "" {
		return refuse("the claim names no resource")
	}
	var r Result
	switch c.Kind {
	case "metric":
		r = checkMetric(ctx, src, now, c)
	case "quote":
		r = checkQuote(ctx, src, now, c)
	case "state":
		r = checkState(ctx, src, now, c)
	case "time":
		r = checkTime(ctx, src, now, c)
	default:
		return refuse("a claim is of kind metric, quote, state or time, not %q", redact.Line(c.Kind, 40))
	}
	r.Evidence.TakenAt = now
	return r
}

// Sift checks claims and answers those that hold, what was found for each, and
// what was struck.
func Sift(ctx context.Context, src Source, now time.Time, claims []ops.Claim) (held []ops.Claim, found []ops.Evidence, struck []ops.RunRejection) {
	for _, c := range claims {
		if r := Check(ctx, src, now, c); r.OK {
			held, found = append(held, c), append(found, r.Evidence)
		} else {
			struck = append(struck, ops.RunRejection{What: Say(c), Reason: r.Reason})
		}
	}
	return held, found, struck
}

// Say writes a claim for people.
func Say(c ops.Claim) string {
	switch c.Kind {
	case "metric":
		value := "nothing"
		if c.Value != nil {
			value = strconv.FormatFloat(*c.Value, 'g', -1, 64)
		}
		return redact.Line(fmt.Sprintf("%s of %s over %d min is %s%s", stat(c), c.Metric, minutes(c), value, blank(c.Text)), 300)
	case "quote":
		return redact.Line(strconv.Quote(c.Text), 300)
	case "state":
		return redact.Line(c.Name+" is "+c.Text, 300)
	case "time":
		return redact.Line(c.Name+" at "+clock(c.At), 300)
	}
	return redact.Line("claim of kind "+c.Kind, 80)
}

func blank(s string) string {
	if s == "" {
		return ""
	}
	return " " + s
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// After reports whether a cause comes before its effect, give or take what
// clocks of hosts differ by.
func After(cause, effect Moment) (ok bool, reason string) {
	if cause.At.IsZero() || effect.At.IsZero() {
		return false, "the time of the cause or of the effect is not known"
	}
	if late := cause.At.Sub(effect.At); late > ahead {
		return false, fmt.Sprintf("%s at %s is %v after %s, which it cannot have caused", cause.Name, clock(cause.At), late.Round(time.Second), effect.Name)
	}
	return true, ""
}

const (
	minQuote = 8
	maxQuote = 2_000
)

func checkQuote(ctx context.Context, src Source, now time.Time, c ops.Claim) Result {
	want := fold(strings.Trim(strings.TrimSpace(c.Text), "\"'`“”"))
	switch {
	case len(want) < minQuote:
		return refuse("a quote has at least %d characters", minQuote)
	case len(want) > maxQuote:
		return refuse("a quote has at most %d characters", maxQuote)
	case !telling(want):
		return refuse("the quote holds nothing but masked words")
	}
	texts, err := src.Texts(ctx, c.ResourceID)
	if err != nil {
		return refuse("what was logged cannot be read now")
	}
	for _, t := range texts {
		if strings.Contains(fold(t.Text), want) {
			at := t.At
			if at.IsZero() {
				at = now
			}
			return Result{OK: true, Evidence: ops.Evidence{What: "words in " + t.Where, From: at, To: at, Quotes: []string{redact.Line(t.Text, maxQuote)}}}
		}
	}
	return refuse("these words stand in none of %d texts about the resource", len(texts))
}

// fold makes one blank of all white space.
func fold(s string) string { return strings.Join(strings.Fields(s), " ") }

// telling reports whether something is left of a text without its masks and
// the placeholders of templates.
func telling(s string) bool {
	letters := 0
	for word := range strings.FieldsSeq(s) {
		if strings.Contains(word, redact.Mask) || strings.HasPrefix(word, "<") && strings.HasSuffix(word, ">") || word == "*" || word == "<*>" {
			continue
		}
		for _, r := range word {
			if unicode.IsLetter(r) {
				letters++
			}
		}
	}
	return letters >= 4
}

func checkState(ctx context.Context, src Source, now time.Time, c ops.Claim) Result {
	if c.Name == "" || strings.TrimSpace(c.Text) == "" {
		return refuse("a claim about a state has the name of an attribute and its value as text")
	}
	r, err := src.Resource(ctx, c.ResourceID)
	if err != nil {
		return refuse("the resource cannot be read: there may be none of this ID")
	}
	actual, ok := attribute(r, c.Name)
	if !ok {
		return refuse("the resource has no attribute %s", redact.Line(c.Name, 60))
	}
	if !sameValue(actual, strings.TrimSpace(c.Text)) {
		return refuse("%s is %s", redact.Line(c.Name, 60), redact.Line(actual, 120))
	}
	at := r.ObservedAt
	if at.IsZero() || at.After(now) {
		at = now
	}
	return Result{OK: true, Evidence: ops.Evidence{What: redact.Line(c.Name+" is "+actual, 300), From: at, To: at}}
}

// attribute answers what was observed of a resource, and what every resource
// has.
func attribute(r ops.Resource, name string) (string, bool) {
	if v, ok := r.Observed.Text(name); ok {
		return v, true
	}
	switch name {
	case "presence":
		return string(r.Presence), true
	case "reachability":
		return r.Reachable, true
	case "kind", "name", "host":
		return r.Label(name), true
	}
	v, ok := r.Labels[name]
	return v, ok
}

func sameValue(actual, want string) bool {
	if actual == want {
		return true
	}
	a, errA := strconv.ParseFloat(actual, 64)
	w, errW := strconv.ParseFloat(want, 64)
	if errA == nil && errW == nil {
		return a == w
	}
	x, errA := strconv.ParseBool(strings.ToLower(actual))
	y, errW := strconv.ParseBool(strings.ToLower(want))
	return errA == nil && errW == nil && x == y
}

func checkTime(ctx context.Context, src Source, now time.Time, c ops.Claim) Result {
	if c.At.IsZero() {
		return refuse("a claim about a time says when")
	}
	if c.At.After(now.Add(ahead)) {
		return refuse("the time is still to come")
	}
	moments, err := src.Times(ctx, c.ResourceID)
	if err != nil {
		return refuse("what happened cannot be read now")
	}
	var nearest *Moment
	for _, m := range moments {
		if c.Name != "" && !strings.EqualFold(m.Name, c.Name) {
			continue
		}
		if nearest == nil || apart(m.At, c.At) < apart(nearest.At, c.At) {
			nearest = &m
		}
	}
	switch {
	case nearest == nil:
		return refuse("nothing is stored of when it was %s", redact.Line(c.Name, 60))
	case apart(nearest.At, c.At) > time.Minute:
		return refuse("the nearest that is stored is %s at %s", nearest.Name, clock(nearest.At))
	}
	return Result{OK: true, Evidence: ops.Evidence{What: nearest.Name + " at " + clock(nearest.At), From: nearest.At, To: nearest.At}}
}

func apart(a, b time.Time) time.Duration { return a.Sub(b).Abs() }

func refuse(format string, args ...any) Result { return Result{Reason: fmt.Sprintf(format, args...)} }
