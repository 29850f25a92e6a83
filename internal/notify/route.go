package notify

import (
	"slices"
	"strings"
	"time"

	"reeve/internal/ops"
)

// A Case is an incident with all that is needed to say who is to be told
// what.
type Case struct {
	Incident ops.Incident
	Members  []Member       // the root first
	Past     []ops.Delivery // of the incident, oldest first
	// Reopened is when the incident was opened last although somebody had
	// acknowledged it: a member joined or rose that nobody has acknowledged.
	Reopened time.Time
}

// A Member is a finding of the incident and what it is about.
type Member struct {
	Finding  ops.Finding
	Resource ops.Resource
}

// A Reason says why a channel is told something, or nothing.
type Reason string

// The reasons to tell and not to tell.
const (
	BecauseNew       Reason = "new"
	BecauseRose      Reason = "rose"
	BecauseReopened  Reason = "open again after it was acknowledged"
	BecauseReminder  Reason = "reminder"
	BecauseFlapping  Reason = "flapping"
	BecauseResolved  Reason = "resolved"
	NotAgain         Reason = "already told"
	NotAcknowledged  Reason = "acknowledged before anybody was told"
	NotSuppressed    Reason = "suppressed"
	NotActive        Reason = "nothing is active"
	NotRouted        Reason = "no route leads to the channel"
	NotToldOfOpening Reason = "the channel was not told of the opening"
	NotWhileFlapping Reason = "flapping: the next message comes when it is quiet"
	NotAboutItself   Reason = "it is about the channel itself"
	NotWhileDead     Reason = "the channel did not take the last message; it is told again after a while"
)

// A Verdict says what one channel is to be told of an incident now; Event is
// empty for nothing.
type Verdict struct {
	Channel  string
	Event    ops.MessageEvent
	Severity ops.Severity
	Reason   Reason
}

// Tell answers a verdict for every channel. It compares what is true of the
// incident with what the channel was told, so looking once after many changes
// gives the same as looking after each, and looking twice gives nothing new.
func (p Policy) Tell(now time.Time, c Case) []Verdict {
	all := make([]Verdict, 0, len(p.channels))
	for _, channel := range p.channels {
		v := p.tellOne(now, channel, c, toldOf(c.Past, channel))
		v.Channel = channel
		all = append(all, v)
	}
	return all
}

func (p Policy) tellOne(now time.Time, channel string, c Case, told told) Verdict {
	switch c.Incident.State {
	case ops.IncidentMitigated, ops.IncidentClosed:
		return tellResolved(c.Incident, told)
	}
	all, why := p.tellable(now, channel, c)
	severity, flapping := all.severity, all.flaps
	if told.open {
		v := p.tellMore(now, c, told, all)
		if v.Event != "" && v.Severity.Rank() <= told.dead.Rank() && !told.deadAt.Before(told.at) && now.Sub(told.deadAt) < deadPause {
			return Verdict{Reason: NotWhileDead}
		}
		return v
	}
	switch {
	case severity == "":
		return Verdict{Reason: why}
	case c.Incident.State == ops.IncidentAcknowledged:
		return Verdict{Reason: NotAcknowledged}
	case severity.Rank() <= told.dead.Rank() && now.Sub(told.deadAt) < deadPause:
		return Verdict{Reason: NotWhileDead}
	case flapping:
		return Verdict{Event: ops.MessageFlapping, Severity: severity, Reason: BecauseFlapping}
	}
	return Verdict{Event: ops.MessageOpened, Severity: severity, Reason: BecauseNew}
}

func tellResolved(i ops.Incident, told told) Verdict {
	switch {
	case !told.open:
		return Verdict{Reason: NotToldOfOpening}
	case told.flapping && i.State == ops.IncidentMitigated:
		return Verdict{Reason: NotWhileFlapping}
	}
	return Verdict{Event: ops.MessageResolved, Severity: told.severity, Reason: BecauseResolved}
}

func (p Policy) tellMore(now time.Time, c Case, told told, all tellable) Verdict {
	i, severity := c.Incident, all.severity
	reopened := i.State == ops.IncidentOpen && c.Reopened.After(told.at) && all.fresh != ""
	switch {
	case severity.Rank() > told.severity.Rank():
		return Verdict{Event: ops.MessageRose, Severity: severity, Reason: BecauseRose}
	case reopened && all.freshFlaps && !told.flapping:
		return Verdict{Event: ops.MessageFlapping, Severity: all.fresh, Reason: BecauseFlapping}
	case reopened && all.freshFlaps:
		return Verdict{Reason: NotWhileFlapping}
	case reopened:
		return Verdict{Event: ops.MessageRose, Severity: all.fresh, Reason: BecauseReopened}
	case p.remindEvery > 0 && i.State == ops.IncidentOpen && severity == ops.Critical && now.Sub(told.at) >= p.remindEvery:
		return Verdict{Event: ops.MessageReminder, Severity: severity, Reason: BecauseReminder}
	}
	return Verdict{Reason: NotAgain}
}

// tellable is what a channel may be told of: the highest severity of the
// members, "" for no member, and whether all of them flap. The same is said of
// the fresh ones, which nobody has acknowledged.
type tellable struct {
	severity, fresh   ops.Severity
	flaps, freshFlaps bool
}

// tellable answers what a channel may be told of, and the reason when that is
// nothing.
func (p Policy) tellable(now time.Time, channel string, c Case) (all tellable, why Reason) {
	all, why = tellable{flaps: true, freshFlaps: true}, NotActive
	for _, m := range c.Members {
		f := m.Finding
		switch {
		case !f.Active():
			continue
		case f.Suppression.Active(now, f.Severity):
			why = NotSuppressed
			continue
		case m.Resource.Kind == ops.KindComponent && m.Resource.Key.Key == "channel:"+channel:
			why = NotAboutItself // A channel that fails cannot say so.
			continue
		case !slices.Contains(p.Channels(f, m.Resource), channel):
			if why == NotActive {
				why = NotRouted
			}
			continue
		}
		// What has been open without a break for a while no longer flaps.
		flaps := f.Flapping && now.Sub(f.OpenedAt) < ops.FlapWindow
		all.severity, all.flaps = all.severity.Max(f.Severity), all.flaps && flaps
		if f.State == ops.FindingOpen {
			all.fresh, all.freshFlaps = all.fresh.Max(f.Severity), all.freshFlaps && flaps
		}
	}
	return all, why
}

// deadPause is how long a channel that did not take a message about an
// incident is left alone with that incident.
const deadPause = 4 * time.Hour

// told is what a channel knows of an incident.
type told struct {
	open     bool
	flapping bool
	severity ops.Severity
	at       time.Time
	dead     ops.Severity // of the last message that it did not take
	deadAt   time.Time
}

// inDigest begins the note of a delivery that was dropped because a digest
// says it.
const inDigest = "said in digest "

// toldOf reads what a channel was told, or will be by what waits in the
// outbox. What never arrived, or was overtaken before it was sent, was not
// told.
func toldOf(past []ops.Delivery, channel string) told {
	var t told
	for _, d := range past {
		if d.Channel != channel || d.State == ops.DeliveryDropped && !strings.HasPrefix(d.Err, inDigest) {
			continue
		}
		if d.Message.Event == ops.MessageResolved {
			t = told{at: d.CreatedAt} // also when it is dead: it is not said twice
			continue
		}
		if d.State == ops.DeliveryDead {
			t.dead, t.deadAt = d.Message.Severity, d.CreatedAt
			continue
		}
		t.open, t.at = true, d.CreatedAt
		t.severity = t.severity.Max(d.Message.Severity)
		t.flapping = d.Message.Event == ops.MessageFlapping
	}
	return t
}
