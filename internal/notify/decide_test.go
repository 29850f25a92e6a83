package notify

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reeve/internal/ops"
)

var t0 = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func policy(t testing.TB, raw map[string]any, channels ...string) Policy {
	t.Helper()
	if raw == nil {
		raw = map[string]any{}
	}
	if raw["time_zone"] == nil {
		raw["time_zone"] = "UTC"
	}
	p, err := NewPolicy(raw, channels)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func queuedAt(n int, at time.Time, incident string, severity ops.Severity, event ops.MessageEvent) ops.Delivery {
	return ops.Delivery{
		ID: fmt.Sprintf("dlv_%09d", n), Channel: "a", State: ops.DeliveryQueued, IncidentID: incident, CreatedAt: at, NextAt: at,
		Message: ops.Message{Event: event, Severity: severity, Title: "x", At: at},
	}
}

// outbox plays what the sender does with plans, without a database.
type outbox struct {
	policy Policy
	budget *Budget
	queued []ops.Delivery
	n      int
	sent   map[string][]time.Time
	digest map[string][]time.Time
	told   map[string]bool // IDs that went out themselves or in a digest
}

func (o *outbox) add(now time.Time, channel, incident string, severity ops.Severity, event ops.MessageEvent) {
	o.n++
	d := queuedAt(o.n, now, incident, severity, event)
	d.Channel = channel
	o.queued = append(o.queued, d)
}

// work sends until nothing more is to be sent; fail says what becomes of an
// attempt: 0 taken, 1 failed in doubt, 2 failed and known to have reached
// nobody.
func (o *outbox) work(now time.Time, channel string, fail func() int) {
	for range 200 {
		var mine []ops.Delivery
		for _, d := range o.queued {
			if d.Channel == channel {
				mine = append(mine, d)
			}
		}
		plan := o.policy.Plan(now, channel, o.budget, mine, 1)
		o.apply(now, channel, plan)
		if len(plan.Send) == 0 {
			return
		}
		d := plan.Send[0]
		switch outcome := fail(); outcome {
		case 0, 1:
			o.went(now, d)
			if outcome == 0 {
				o.remove(d.ID)
				continue
			}
			o.retry(d.ID, now.Add(time.Minute))
		case 2:
			o.budget.Refund(now, channel, d.Message.Event)
			o.retry(d.ID, now.Add(time.Minute))
		}
	}
}

func (o *outbox) went(now time.Time, d ops.Delivery) {
	if d.Message.Event == ops.MessageDigest {
		o.digest[d.Channel] = append(o.digest[d.Channel], now)
		return
	}
	o.sent[d.Channel] = append(o.sent[d.Channel], now)
	o.told[d.ID] = true
}

func (o *outbox) apply(now time.Time, channel string, p Plan) {
	for _, h := range p.Hold {
		for i := range o.queued {
			if o.queued[i].ID == h.Delivery.ID {
				o.queued[i].NextAt = h.Decision.Until
			}
		}
	}
	for _, d := range p.Drop {
		o.remove(d.ID)
		o.told[d.ID] = true
	}
	for _, d := range p.Digest {
		o.remove(d.ID)
		o.told[d.ID] = true
	}
	if len(p.Digest) > 0 {
		o.add(now, channel, "", ops.Warning, ops.MessageDigest)
	}
}

func (o *outbox) remove(id string) {
	for i, d := range o.queued {
		if d.ID == id {
			o.queued = append(o.queued[:i:i], o.queued[i+1:]...)
			return
		}
	}
}

func (o *outbox) retry(id string, at time.Time) {
	for i := range o.queued {
		if o.queued[i].ID == id {
			o.queued[i].Attempts++
			o.queued[i].NextAt = at
		}
	}
}

func mostIn(times []time.Time, window time.Duration) int {
	most, from := 0, 0
	for i, t := range times {
		for t.Sub(times[from]) >= window {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

// Whatever happens to incidents, however attempts end and however often the
// count is written and read again, no hour sees more than the ceilings.
func TestNoStreamOfEventsExceedsTheCeilings(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		channels := []string{"a", "b", "c"}
		perChannel, total := rapid.IntRange(1, 30).Draw(r, "per channel"), rapid.IntRange(1, 50).Draw(r, "total")
		digestEvery := time.Duration(rapid.IntRange(1, 40).Draw(r, "digest minutes")) * time.Minute
		p := policy(t, map[string]any{
			"channel_max_per_hour": perChannel, "total_max_per_hour": total, "digest_every": digestEvery.String(),
			"quiet_hours": []any{map[string]any{"from": "22:00", "to": "07:00"}},
		}, channels...)
		o := &outbox{policy: p, budget: &Budget{Channels: map[string]*Spent{}}, sent: map[string][]time.Time{}, digest: map[string][]time.Time{}, told: map[string]bool{}}
		now := t0.Add(time.Duration(rapid.IntRange(0, 23).Draw(r, "hour")) * time.Hour)
		events := []ops.MessageEvent{ops.MessageOpened, ops.MessageRose, ops.MessageResolved, ops.MessageReminder, ops.MessageFlapping}
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 1200).Draw(r, "seconds")) * time.Second)
			for range rapid.IntRange(0, 40).Draw(r, "burst") {
				o.add(now, rapid.SampledFrom(channels).Draw(r, "channel"), fmt.Sprintf("inc_%d", rapid.IntRange(0, 30).Draw(r, "incident")),
					rapid.SampledFrom([]ops.Severity{ops.Warning, ops.Critical}).Draw(r, "severity"), rapid.SampledFrom(events).Draw(r, "event"))
			}
			for _, c := range channels {
				o.work(now, c, func() int { return rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(r, "outcome") })
			}
			stored, err := ReadBudget(o.budget.String(now))
			if err != nil {
				r.Fatal(err)
			}
			o.budget = stored
		}
		var all []time.Time
		for _, c := range channels {
			if n := mostIn(o.sent[c], time.Hour); n > perChannel {
				r.Fatalf("channel %s got %d messages in an hour, ceiling %d", c, n, perChannel)
			}
			if n := mostIn(o.digest[c], digestEvery); n > 1 {
				r.Fatalf("channel %s got %d digests in %v", c, n, digestEvery)
			}
			all = append(all, o.sent[c]...)
		}
		sortTimes(all)
		if n := mostIn(all, time.Hour); n > total {
			r.Fatalf("%d messages in an hour, ceiling %d", n, total)
		}
	})
}

func sortTimes(all []time.Time) {
	for i := range all {
		for j := i; j > 0 && all[j].Before(all[j-1]); j-- {
			all[j], all[j-1] = all[j-1], all[j]
		}
	}
}

// Three thousand problems in one night make neither three thousand messages
// nor silence: everything is told, in itself or in a digest.
func TestFloodOverNightBecomesDigests(t *testing.T) {
	p := policy(t, nil, "a")
	o := &outbox{policy: p, budget: &Budget{Channels: map[string]*Spent{}}, sent: map[string][]time.Time{}, digest: map[string][]time.Time{}, told: map[string]bool{}}
	now := t0
	for i := range 3000 {
		now = now.Add(10 * time.Second)
		o.add(now, "a", fmt.Sprintf("inc_%d", i), ops.Critical, ops.MessageOpened)
		o.work(now, "a", func() int { return 0 })
	}
	for range 200 {
		now = now.Add(time.Minute)
		o.work(now, "a", func() int { return 0 })
	}
	if hours, n := 9, len(o.sent["a"])+len(o.digest["a"]); n > hours*(60+4)+64 {
		t.Errorf("%d messages in a night", n)
	}
	if len(o.told) < 3000 || len(o.queued) != 0 {
		t.Errorf("%d told of 3000, %d left", len(o.told), len(o.queued))
	}
}

func TestQuietHoursHoldWarningsUntilTheyEnd(t *testing.T) {
	p := policy(t, map[string]any{"quiet_hours": []any{map[string]any{"from": "22:00", "to": "07:00"}}}, "a")
	night, morning := time.Date(2026, 3, 4, 23, 0, 0, 0, time.UTC), time.Date(2026, 3, 5, 7, 0, 0, 0, time.UTC)
	b := &Budget{Channels: map[string]*Spent{}}
	warn := []ops.Delivery{
		queuedAt(1, night, "inc_1", ops.Warning, ops.MessageOpened),
		queuedAt(2, night, "inc_2", ops.Warning, ops.MessageOpened),
		queuedAt(3, night, "inc_1", ops.Warning, ops.MessageResolved),
	}
	plan := p.Plan(night, "a", b, warn, 10)
	if len(plan.Hold) != 3 || !plan.Hold[0].Decision.Until.Equal(morning) || plan.Hold[0].Decision.Reason != QuietNow {
		t.Fatalf("at night %+v", plan)
	}
	for i := range warn {
		warn[i].NextAt = morning
	}
	if plan = p.Plan(morning, "a", b, warn, 10); len(plan.Digest) != 3 || len(plan.Send) != 0 {
		t.Errorf("in the morning %+v", plan)
	}
	if plan = p.Plan(morning, "a", b, warn[1:2], 10); len(plan.Send) != 1 || len(plan.Digest) != 0 {
		t.Errorf("one message is no digest: %+v", plan)
	}
	critical := append(warn[:2:2], queuedAt(4, night.Add(time.Minute), "inc_1", ops.Critical, ops.MessageRose))
	plan = p.Plan(night.Add(time.Minute), "a", b, critical, 10)
	if len(plan.Send) != 1 || plan.Send[0].ID != critical[2].ID || len(plan.Drop) != 1 || plan.Drop[0].ID != warn[0].ID || len(plan.Hold) != 1 {
		t.Errorf("a critical one does not wait: %+v", plan)
	}
}

func TestOrderWithinAnIncidentIsKept(t *testing.T) {
	p := policy(t, nil, "a")
	b := &Budget{Channels: map[string]*Spent{}}
	first := queuedAt(1, t0, "inc_1", ops.Critical, ops.MessageOpened)
	first.Attempts, first.NextAt = 2, t0.Add(time.Minute)
	later := queuedAt(2, t0.Add(time.Second), "inc_1", ops.Critical, ops.MessageResolved)
	other := queuedAt(3, t0.Add(2*time.Second), "inc_2", ops.Warning, ops.MessageOpened)
	queue := []ops.Delivery{later, first, other}
	if plan := p.Plan(t0.Add(3*time.Second), "a", b, queue, 10); len(plan.Send) != 1 || plan.Send[0].ID != other.ID {
		t.Errorf("%+v", plan)
	}
	plan := p.Plan(t0.Add(time.Minute), "a", b, queue, 10)
	if len(plan.Send) != 2 || plan.Send[0].ID != first.ID {
		t.Errorf("%+v", plan)
	}
}

func TestCriticalMessagesHaveAShareOfTheirOwn(t *testing.T) {
	p := policy(t, map[string]any{"channel_max_per_hour": 12}, "a")
	b := &Budget{Channels: map[string]*Spent{}}
	var queue []ops.Delivery
	for i := range 30 {
		queue = append(queue, queuedAt(i, t0, fmt.Sprint("inc_", i), ops.Warning, ops.MessageOpened))
	}
	if plan := p.Plan(t0, "a", b, queue, 100); len(plan.Send) != 10 || len(plan.Digest) != 20 {
		t.Fatalf("%d sent, %d in the digest", len(plan.Send), len(plan.Digest))
	}
	queue = []ops.Delivery{queuedAt(50, t0, "inc_50", ops.Warning, ops.MessageOpened), queuedAt(51, t0, "inc_51", ops.Critical, ops.MessageOpened)}
	if plan := p.Plan(t0, "a", b, queue, 100); len(plan.Send) != 1 || plan.Send[0].ID != queue[1].ID {
		t.Errorf("%+v", plan)
	}
}

func TestBudgetForgetsAndSurvives(t *testing.T) {
	b := &Budget{Channels: map[string]*Spent{}}
	b.Count(t0, "a", ops.MessageOpened)
	b.Count(t0, "b", ops.MessageOpened)
	b.Count(t0, "a", ops.MessageDigest)
	again, err := ReadBudget(b.String(t0))
	if err != nil {
		t.Fatal(err)
	}
	if l := again.Load(t0.Add(59*time.Minute+59*time.Second), "a"); l.Channel != 1 || l.Total != 2 || !l.LastDigest.Equal(t0) {
		t.Errorf("%+v", l)
	}
	if l := again.Load(t0.Add(62*time.Minute), "a"); l.Channel != 0 || l.Total != 0 {
		t.Errorf("%+v", l)
	}
	if l := again.Load(t0.Add(-10*time.Minute), "a"); l.Channel != 1 {
		t.Errorf("a clock that is set back opened the ceiling: %+v", l)
	}
	if l := again.Load(t0.Add(-100*24*time.Hour), "a"); l.Channel != 0 || !l.LastDigest.IsZero() {
		t.Errorf("a clock that was wrong blocks for ever: %+v", l)
	}
	again.Refund(t0, "a", ops.MessageOpened)
	again.Refund(t0, "a", ops.MessageOpened)
	if l := again.Load(t0, "a"); l.Channel != 0 || l.Total != 1 {
		t.Errorf("%+v", l)
	}
	if _, err := ReadBudget("{"); err == nil {
		t.Error("a broken count was taken")
	}
}
