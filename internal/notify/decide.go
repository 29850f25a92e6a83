package notify

import (
	"cmp"
	"slices"
	"time"

	"reeve/internal/ops"
)

// A Do is what is done with a message that waits in the outbox.
type Do string

// The things that are done.
const (
	Send   Do = "send"
	Hold   Do = "hold"
	Digest Do = "digest"
	Drop   Do = "drop"
)

// The reasons of decisions about sending.
const (
	WithinCeiling  Reason = "within the ceilings"
	QuietNow       Reason = "quiet hours"
	HeldBefore     Reason = "held back until now"
	ChannelCeiling Reason = "the channel's ceiling of messages an hour is reached"
	TotalCeiling   Reason = "the ceiling of messages an hour of all channels is reached"
	DigestTooSoon  Reason = "the last digest was sent a short while ago"
	Overtaken      Reason = "overtaken by a later message about the same incident"
	AfterEarlier   Reason = "waits with an earlier message about the same incident"
)

// A Decision says what is done with one message, and why. Until is when to
// look at a held one again.
type Decision struct {
	Do     Do
	Until  time.Time
	Reason Reason
}

// A Load is how much went out lately, as Budget counts it: messages that may
// have reached someone within the last hour, and the last digest.
type Load struct {
	Channel    int
	Total      int
	LastDigest time.Time
}

// criticalShare is the part of a ceiling that only critical messages may use:
// one in six.
const criticalShare = 6

// Decide says what is done with a message now. It looks at nothing but its
// arguments; that no more than the ceilings goes out in any hour follows from
// counting every attempt before it is made.
func (p Policy) Decide(now time.Time, load Load, d ops.Delivery) Decision {
	severity := d.Message.Severity
	if until := p.quietUntil(now, d.Channel, severity); !until.IsZero() {
		return Decision{Hold, until, QuietNow}
	}
	next := load.LastDigest.Add(p.digestEvery)
	if d.Message.Event == ops.MessageDigest {
		if now.Before(next) {
			return Decision{Hold, next, DigestTooSoon}
		}
		return Decision{Send, now, WithinCeiling}
	}
	var reason Reason
	switch {
	case load.Channel >= p.share(p.perChannel, severity):
		reason = ChannelCeiling
	case load.Total >= p.share(p.total, severity):
		reason = TotalCeiling
	case held(d):
		reason = HeldBefore
	default:
		return Decision{Send, now, WithinCeiling}
	}
	if now.Before(next) {
		return Decision{Hold, next, reason}
	}
	return Decision{Digest, now, reason}
}

func (p Policy) share(ceiling int, severity ops.Severity) int {
	if severity == ops.Critical {
		return ceiling
	}
	return ceiling - ceiling/criticalShare
}

// held reports whether a message was held before and never sent.
func held(d ops.Delivery) bool { return d.Attempts == 0 && d.NextAt.After(d.CreatedAt) }

// A Plan is what is done with all that waits for one channel.
type Plan struct {
	Send   []ops.Delivery
	Hold   []Held
	Digest []ops.Delivery
	Drop   []ops.Delivery
	Reason Reason // of the digest
}

// A Held is a delivery with the decision that holds it.
type Held struct {
	Delivery ops.Delivery
	Decision Decision
}

// Plan decides about everything that is queued for one channel, critical
// incidents first, and counts in the budget what is to be sent: at most so
// many, the others have their turn when these are sent. Of one incident at
// most one message is on its way, in the order in which they were made, except
// that a critical message does not wait behind one that is held.
func (p Policy) Plan(now time.Time, channel string, budget *Budget, queued []ops.Delivery, most int) Plan {
	var plan Plan
	for _, group := range byIncident(queued) {
		if len(plan.Send) >= most {
			break
		}
		p.planIncident(now, channel, budget, group, &plan)
	}
	switch {
	case len(plan.Send) >= most:
		plan.Digest = nil // A digest is made when everything was looked at.
	case len(plan.Digest) == 1:
		p.sendAlone(now, channel, budget, &plan)
	}
	return plan
}

// sendAlone sends what would be a digest of one message as itself, where the
// ceilings allow it.
func (p Policy) sendAlone(now time.Time, channel string, budget *Budget, plan *Plan) {
	d := plan.Digest[0]
	fresh := d
	fresh.NextAt = d.CreatedAt
	if p.Decide(now, budget.Load(now, channel), fresh).Do != Send {
		return
	}
	plan.Digest, plan.Send = nil, append(plan.Send, d)
	budget.Count(now, channel, d.Message.Event)
}

func (p Policy) planIncident(now time.Time, channel string, budget *Budget, group []ops.Delivery, plan *Plan) {
	var before *Decision
	var waiting []ops.Delivery
	from := len(plan.Digest)
	for _, d := range group {
		if d.Attempts > 0 && d.NextAt.After(now) {
			return // It is to be tried again first.
		}
		decision := p.Decide(now, budget.Load(now, channel), d)
		passes := decision.Do == Send && d.Message.Severity == ops.Critical
		if before != nil && !passes {
			decision = *before
		}
		switch decision.Do {
		case Send:
			plan.Drop = append(plan.Drop, waiting...)
			plan.Digest = plan.Digest[:from]
			plan.Hold = slices.DeleteFunc(plan.Hold, func(h Held) bool { return among(waiting, h.Delivery.ID) })
			plan.Send = append(plan.Send, d)
			budget.Count(now, channel, d.Message.Event)
			return
		case Digest:
			plan.Digest, plan.Reason = append(plan.Digest, d), decision.Reason
		case Hold:
			plan.Hold = append(plan.Hold, Held{d, decision})
		}
		waiting = append(waiting, d)
		if before == nil {
			before = &decision
		}
	}
}

func among(all []ops.Delivery, id string) bool {
	return slices.ContainsFunc(all, func(d ops.Delivery) bool { return d.ID == id })
}

// byIncident groups deliveries, each group in the order in which it was made,
// critical groups first, then the oldest.
func byIncident(queued []ops.Delivery) [][]ops.Delivery {
	sorted := slices.SortedFunc(slices.Values(queued), func(a, b ops.Delivery) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	index := map[string]int{}
	var groups [][]ops.Delivery
	for _, d := range sorted {
		key := cmp.Or(d.IncidentID, d.ID)
		i, ok := index[key]
		if !ok {
			i = len(groups)
			index[key] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], d)
	}
	slices.SortStableFunc(groups, func(a, b []ops.Delivery) int { return cmp.Compare(rank(b), rank(a)) })
	return groups
}

func rank(group []ops.Delivery) int {
	best := 0
	for _, d := range group {
		best = max(best, d.Message.Severity.Rank())
	}
	return best
}
