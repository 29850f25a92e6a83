package notify

import (
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // quiet hours must work on machines without zone files

	"reeve/internal/ops"
)

// QuietHours are hours of the day in which people are left alone.
type QuietHours struct {
	From     string   `json:"from" doc:"When they begin, such as 22:00."`
	To       string   `json:"to" doc:"When they end, such as 07:00; the next day when it is not later than from."`
	Days     []string `json:"days,omitempty" doc:"Days on which they begin: mon, tue, wed, thu, fri, sat, sun; default all."`
	TimeZone string   `json:"time_zone,omitempty" doc:"IANA name of their zone."`
	Channels []string `json:"channels,omitempty" doc:"Channels that are quiet; default all."`
	Hold     string   `json:"hold,omitempty" default:"warnings" enum:"warnings,all" doc:"warnings lets critical messages pass, all holds every message."`
}

type quiet struct {
	from, to time.Duration // since midnight on the wall
	days     [7]bool
	zone     *time.Location
	channels []string
	holdAll  bool
}

func loadZone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, ops.Because(ops.Invalid, err, "setting time_zone: %q is not the IANA name of a time zone, such as Europe/Berlin", name)
	}
	return zone, nil
}

func (q QuietHours) parse(zone *time.Location) (quiet, error) {
	out := quiet{zone: zone, channels: q.Channels, holdAll: q.Hold == "all"}
	var err error
	if q.TimeZone != "" {
		if out.zone, err = loadZone(q.TimeZone); err != nil {
			return out, err
		}
	}
	for text, into := range map[string]*time.Duration{q.From: &out.from, q.To: &out.to} {
		at, err := time.Parse("15:04", text)
		if err != nil {
			return out, ops.Errorf(ops.Invalid, "setting quiet_hours: %q is not a time of day such as 22:00", text)
		}
		*into = time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
	}
	if q.From == q.To {
		return out, ops.Errorf(ops.Invalid, "setting quiet_hours: they begin and end at %s", q.From)
	}
	names := []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
	for _, day := range q.Days {
		i := slices.Index(names, strings.ToLower(day))
		if i < 0 {
			return out, ops.Errorf(ops.Invalid, "setting quiet_hours: a day is one of %s", strings.Join(names, ", "))
		}
		out.days[i] = true
	}
	if len(q.Days) == 0 {
		out.days = [7]bool{true, true, true, true, true, true, true}
	}
	return out, nil
}

// until answers when the quiet hours that hold at a time end; ok is false
// outside them. Days and hours are those on the wall in their zone, so they
// stay where people expect them when clocks change.
func (q quiet) until(now time.Time) (end time.Time, ok bool) {
	local := now.In(q.zone)
	for _, ago := range []int{0, 1} {
		begin := q.at(local, -ago, q.from)
		end := q.at(local, -ago, q.to)
		if q.to <= q.from {
			end = q.at(local, 1-ago, q.to)
		}
		if q.days[begin.Weekday()] && !now.Before(begin) && now.Before(end) {
			return end, true
		}
	}
	return time.Time{}, false
}

func (q quiet) at(local time.Time, days int, clock time.Duration) time.Time {
	return time.Date(local.Year(), local.Month(), local.Day()+days, int(clock/time.Hour), int(clock%time.Hour/time.Minute), 0, 0, q.zone)
}

// quietUntil answers when a message of a severity may go to a channel, zero
// for now. Quiet hours that follow each other are one.
func (p Policy) quietUntil(now time.Time, channel string, severity ops.Severity) time.Time {
	var until time.Time
	for range 8 {
		at := now
		if !until.IsZero() {
			at = until
		}
		next := p.quietOnce(at, channel, severity)
		if next.IsZero() {
			return until
		}
		until = next
	}
	return until
}

func (p Policy) quietOnce(now time.Time, channel string, severity ops.Severity) time.Time {
	var until time.Time
	for _, q := range p.quiet {
		if severity == ops.Critical && !q.holdAll {
			continue
		}
		if len(q.channels) > 0 && !slices.Contains(q.channels, channel) {
			continue
		}
		if end, ok := q.until(now); ok && end.After(until) {
			until = end
		}
	}
	return until
}
