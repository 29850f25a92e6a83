package evidence

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A moment is a time as a text says it: with a date, a clock, or both.
type moment struct {
	at          time.Time // UTC
	date, clock bool
	year        bool // the date has one
}

var months = map[string]time.Month{"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12}

const (
	monthForm = `(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)`
	clockForm = `([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:[.,]\d+)?)?(?: ?([ap])\.?m\.?\b)?(?: ?(utc|gmt|z\b|[+-]\d{2}:?\d{2}\b))?`
)

// In the forms the parts of a clock are the last five groups, where there is
// one.
var (
	isoForm   = regexp.MustCompile(`\b(\d{4})[-/](\d{2})[-/](\d{2})(?:(?:t|,? (?:at )?)` + clockForm + `)?`)
	monthDay  = regexp.MustCompile(`\b` + monthForm + `\.? (\d{1,2})(?:st|nd|rd|th)?\b(?:,? (\d{4})\b)?(?:,? (?:at )?` + clockForm + `)?`)
	dayMonth  = regexp.MustCompile(`\b(\d{1,2})(?:st|nd|rd|th)? (?:of )?` + monthForm + `\b\.?(?:,? (\d{4})\b)?(?:,? (?:at )?` + clockForm + `)?`)
	clockOnly = regexp.MustCompile(`\b` + clockForm)
	hourOnly  = regexp.MustCompile(`\b(1[0-2]|[1-9]) ?([ap])\.?m\b\.?`)
)

// cutTimes blanks the times out of a text in lower case and answers them.
func cutTimes(text string) (rest string, times []moment) {
	cut := func(form *regexp.Regexp, read func(m []string) (moment, bool)) {
		text = form.ReplaceAllStringFunc(text, func(s string) string {
			m, ok := read(form.FindStringSubmatch(s))
			if !ok {
				return s
			}
			times = append(times, m)
			return " "
		})
	}
	if !strings.ContainsAny(text, "0123456789") {
		return text, nil
	}
	cut(isoForm, func(m []string) (moment, bool) { return momentOf(m[1], m[2], m[3], m[4:]) })
	cut(dayMonth, func(m []string) (moment, bool) { return momentOf(m[3], month(m[2]), m[1], m[4:]) })
	cut(monthDay, func(m []string) (moment, bool) { return momentOf(m[3], month(m[1]), m[2], m[4:]) })
	cut(clockOnly, func(m []string) (moment, bool) { return momentOf("", "", "", m[1:]) })
	cut(hourOnly, func(m []string) (moment, bool) { return momentOf("", "", "", []string{m[1], "00", "", m[2], ""}) })
	return text, times
}

func month(name string) string { return strconv.Itoa(int(months[name[:3]])) }

// number reads digits that a form let through; no digits are 0.
func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

func momentOf(year, month, day string, clock []string) (m moment, ok bool) {
	y, mo, d := number(year), number(month), number(day)
	m.date, m.year = day != "", year != ""
	if m.date && (mo < 1 || mo > 12 || d < 1 || d > 31) {
		return m, false
	}
	m.clock = clock[0] != ""
	h := number(clock[0])
	switch {
	case clock[3] == "p" && h < 12:
		h += 12
	case clock[3] == "a" && h == 12:
		h = 0
	}
	m.at = time.Date(y, time.Month(max(mo, 1)), max(d, 1), h, number(clock[1]), number(clock[2]), 0, time.UTC).Add(-offset(clock[4]))
	return m, true
}

func offset(zone string) time.Duration {
	if len(zone) < 5 {
		return 0
	}
	digits := strings.ReplaceAll(zone[1:], ":", "")
	d := time.Duration(number(digits[:2]))*time.Hour + time.Duration(number(digits[2:]))*time.Minute
	if zone[0] == '-' {
		return -d
	}
	return d
}

const day = 24 * time.Hour

// same reports whether a time in a text is a known one, within a minute.
func (m moment) same(k moment) bool {
	if m.date {
		if !k.date || m.at.Month() != k.at.Month() || m.at.Day() != k.at.Day() || m.year && k.at.Year() != m.at.Year() && (k.year || k.clock) {
			return false
		}
	}
	if !m.clock {
		return true
	}
	if !k.clock {
		return false
	}
	apart := (ofDay(m.at) - ofDay(k.at)).Abs()
	return min(apart, day-apart) <= time.Minute
}

func ofDay(t time.Time) time.Duration { return t.Sub(t.Truncate(day)) }
