package evidence

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"reeve/internal/ops"
)

// Known is what free text may say because something backs it.
type Known struct {
	Numbers   []Number
	Texts     []string // may be quoted in whole or in part; what numbers and times stand in them may be said
	Times     []time.Time
	Durations []time.Duration
	Names     []string // of resources, metrics, conditions, attributes: no facts even with digits in them
}

// KnownResource answers what is known of a resource: its names, IDs, labels
// and attributes.
func KnownResource(r ops.Resource) Known {
	k := Known{Names: []string{r.ID, r.Name, r.HostName, r.HostID, r.ParentID, string(r.Kind), r.Key.Key}}
	for _, attrs := range []map[string]string{r.Labels, r.Observed, r.Desired} {
		for name, value := range attrs {
			k.Names = append(k.Names, name, value)
			k.Texts = append(k.Texts, name+" "+value)
			if v, err := strconv.ParseFloat(value, 64); err == nil {
				k.Numbers = append(k.Numbers, Number{v, UnitOf(name)})
			}
		}
	}
	return k
}

// KnownFinding answers what a finding says itself.
func KnownFinding(f ops.Finding, now time.Time) Known {
	k := Known{Names: []string{f.ID, f.Condition, f.ResourceID, f.IncidentID, f.PreviousID}, Texts: []string{f.Summary},
		Numbers: []Number{{float64(f.Count), ""}, {float64(f.Episode), ""}}}
	for name, value := range f.Facts {
		k.Names = append(k.Names, name)
		k.Texts = append(k.Texts, name+" "+value)
	}
	for _, at := range []time.Time{f.FirstSeen, f.LastSeen, f.OpenedAt, f.ResolvedAt, f.ClosedAt, f.AckedAt} {
		if !at.IsZero() {
			k.Times, k.Durations = append(k.Times, at), append(k.Durations, now.Sub(at))
		}
	}
	return k
}

// KnownClaim answers what an accepted claim and what was found for it say.
func KnownClaim(c ops.Claim, found ops.Evidence) Known {
	k := Known{Names: []string{c.ResourceID, c.Metric}, Texts: append([]string{found.What}, found.Quotes...)}
	switch c.Kind {
	case "metric":
		k.Durations = append(k.Durations, time.Duration(minutes(c))*time.Minute)
		if c.Value != nil {
			k.Numbers = append(k.Numbers, Number{*c.Value, UnitOf(c.Metric)})
			if UnitOf(c.Metric) == "ratio" && *c.Value > 1 {
				k.Numbers = append(k.Numbers, Number{*c.Value, "percent"})
			}
		}
		for _, s := range found.Series {
			for _, v := range s.Labels {
				k.Names = append(k.Names, v)
			}
			if p, ok := s.Last(); ok {
				k.Times = append(k.Times, p.At)
			}
		}
	case "state":
		k.Names = append(k.Names, c.Name, c.Text)
		k.Texts = append(k.Texts, c.Text)
	case "time":
		k.Times = append(k.Times, c.At, found.From)
	}
	if !found.TakenAt.IsZero() && !found.From.IsZero() {
		k.Durations = append(k.Durations, found.TakenAt.Sub(found.From))
		if c.Kind != "metric" {
			k.Times = append(k.Times, found.From)
		}
	}
	return k
}

// KnownText answers what a text that was shown says: its words, and the
// numbers and times in them.
func KnownText(text string) Known { return Known{Texts: []string{text}} }

// backing is all that is known, made ready for many questions.
type backing struct {
	names     []string // lower case, the longest first
	texts     []string // folded, lower case
	numbers   []Number
	said      []said // numbers of the texts
	times     []moment
	durations []time.Duration
	years     map[int]bool
}

func back(facts []Known) *backing {
	b := &backing{years: map[int]bool{}}
	for _, k := range facts {
		for _, n := range k.Names {
			if n = strings.ToLower(fold(n)); n != "" {
				b.names = append(b.names, n)
			}
		}
		b.numbers = append(b.numbers, k.Numbers...)
		b.durations = append(b.durations, k.Durations...)
		for _, t := range k.Times {
			b.addTime(moment{at: t.UTC(), date: true, clock: true})
		}
		for _, t := range k.Texts {
			if t = strings.ToLower(fold(t)); t != "" {
				b.texts = append(b.texts, t)
			}
		}
	}
	slices.SortFunc(b.names, func(x, y string) int { return len(y) - len(x) })
	b.names = slices.Compact(b.names)
	b.names = slices.DeleteFunc(b.names, func(n string) bool { return !nameLike(n) })
	for _, t := range b.texts {
		b.readText(t)
	}
	return b
}

func (b *backing) addTime(m moment) {
	b.times = append(b.times, m)
	if m.date {
		b.years[m.at.Year()] = true
	}
}

// readText takes in the numbers and times that stand in a text.
func (b *backing) readText(text string) {
	rest, times := cutTimes(text)
	for _, m := range times {
		b.addTime(m)
	}
	numbers, _ := cutNumbers(b.withoutNames(rest))
	b.said = append(b.said, numbers...)
	numbers, _ = cutNumbers(rest)
	b.said = append(b.said, numbers...)
}

// nameLike reports whether a name is one: a resource that is called "97" or
// "97percent" must not let that number pass.
func nameLike(n string) bool {
	if !strings.ContainsFunc(n, unicode.IsLetter) || utf8.RuneCountInString(n) < 2 {
		return false
	}
	if m, rest, ok := parseNumber(n); ok {
		if _, isUnit := unitNamed(strings.TrimSpace(rest)); isUnit && m.value != 0 {
			return false
		}
	}
	left, times := cutTimes(n)
	return len(times) == 0 || strings.TrimSpace(left) != ""
}

// withoutNames blanks out every known name that stands alone in a text in
// lower case.
func (b *backing) withoutNames(text string) string {
	for _, n := range b.names {
		text = blankOut(text, n)
	}
	return text
}

func blankOut(text, name string) string {
	from := 0
	for {
		at := strings.Index(text[from:], name)
		if at < 0 {
			return text
		}
		at += from
		end := at + len(name)
		if standsAlone(text, at, end) {
			text = text[:at] + " " + text[end:]
			from = at + 1
			continue
		}
		from = at + 1
	}
}

// standsAlone reports whether the part of a text from at to end is no part of
// a longer word or number.
func standsAlone(text string, at, end int) bool {
	joins := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }
	before, _ := utf8.DecodeLastRuneInString(text[:at])
	after, size := utf8.DecodeRuneInString(text[end:])
	first, _ := utf8.DecodeRuneInString(text[at:end])
	last, _ := utf8.DecodeLastRuneInString(text[at:end])
	if at > 0 && joins(before) && joins(first) || end < len(text) && joins(after) && joins(last) {
		return false
	}
	// web-1 does not stand alone in web-1-old nor in my-web-1, nor in
	// web-1.example.
	if end < len(text) && (after == '-' || after == '.') && end+size < len(text) {
		if next, _ := utf8.DecodeRuneInString(text[end+size:]); joins(next) {
			return false
		}
	}
	if at > 0 && (before == '-' || before == '.') {
		if prev, _ := utf8.DecodeLastRuneInString(text[:at-1]); joins(prev) {
			return false
		}
	}
	return true
}

// number reports whether something backs a number.
func (b *backing) number(n said) bool {
	for _, k := range b.numbers {
		if n.fits(k) {
			return true
		}
	}
	for _, d := range b.durations {
		if n.lasts(d) {
			return true
		}
	}
	if n.unit.kind == "" && n.digit == 1 && b.years[int(n.value)] {
		return true
	}
	return slices.ContainsFunc(b.said, n.like)
}

// like reports whether a number repeats one that stands in a text, maybe
// rounded or in another unit of the same kind.
func (n said) like(k said) bool {
	switch {
	case n.unit.kind != k.unit.kind:
		return false
	case n.unit.kind == "time":
		return n.lasts(time.Duration(k.value * k.unit.worth[0] * float64(time.Second)))
	case n.unit.kind != "bytes":
		return near(n.value, n.digit, k.value)
	}
	return slices.ContainsFunc(k.unit.worth, func(w float64) bool { return n.worth(k.value * w) })
}

// quote reports whether words stand in a text or are a name.
func (b *backing) quote(words string) bool {
	words = strings.ToLower(fold(words))
	words = strings.Trim(words, " .,;:!?…")
	if words == "" || slices.Contains(b.names, words) {
		return true
	}
	return slices.ContainsFunc(b.texts, func(t string) bool {
		at := strings.Index(t, words)
		return at >= 0 && (len(words) >= minQuote || standsAlone(t, at, at+len(words)))
	})
}

// word reports whether a word with digits or the form of a name stands in a
// text.
func (b *backing) word(w string) bool {
	for _, t := range b.texts {
		for from := 0; ; {
			at := strings.Index(t[from:], w)
			if at < 0 {
				break
			}
			if at += from; standsAlone(t, at, at+len(w)) {
				return true
			}
			from = at + 1
		}
	}
	return false
}

// time reports whether something backs a time.
func (b *backing) time(m moment) bool {
	return slices.ContainsFunc(b.times, func(k moment) bool { return m.same(k) })
}
