package notify

import (
	"testing"
	"time"

	"reeve/internal/ops"
)

// What opens although it was acknowledged is told once; what joins an incident
// that nobody has acknowledged is not told.
func TestTellAfterAnAcknowledgementEnded(t *testing.T) {
	acked, joined := member(ops.Critical, ops.FindingAcknowledged), member(ops.Warning, ops.FindingOpen)
	joined.Finding.ID, joined.Finding.OpenedAt = "fnd_2", t0.Add(time.Hour)
	risen := member(ops.Critical, ops.FindingOpen)
	flaps := joined
	flaps.Finding.Flapping = true
	hidden := joined
	hidden.Finding.Suppression = &ops.Suppression{Kind: ops.SuppressSnooze, Severity: ops.Warning}
	opened := past(ops.MessageOpened, ops.Critical, ops.DeliveryDelivered, t0)
	at := t0.Add(time.Hour)
	again := past(ops.MessageRose, ops.Warning, ops.DeliveryQueued, at)
	dead := past(ops.MessageRose, ops.Warning, ops.DeliveryDead, at)
	flapped := past(ops.MessageFlapping, ops.Warning, ops.DeliveryDelivered, t0.Add(time.Minute))
	open, never := ops.IncidentOpen, time.Time{}
	cases := []struct {
		name     string
		c        Case
		reopened time.Time
		past     []ops.Delivery
		want     ops.MessageEvent
		severity ops.Severity
		why      Reason
	}{
		{"joined", caseOf(open, acked, joined), at, []ops.Delivery{opened}, ops.MessageRose, ops.Warning, BecauseReopened},
		{"joined, told", caseOf(open, acked, joined), at, []ops.Delivery{opened, again}, "", "", NotAgain},
		{"joined a second time", caseOf(open, acked, joined), at.Add(time.Minute), []ops.Delivery{opened, again}, ops.MessageRose, ops.Warning, BecauseReopened},
		{"a member rose", caseOf(open, risen, acked), at, []ops.Delivery{opened}, ops.MessageRose, ops.Critical, BecauseReopened},
		{"joined one that is not acknowledged", caseOf(open, risen, joined), never, []ops.Delivery{opened}, "", "", NotAgain},
		{"acknowledged again meanwhile", caseOf(ops.IncidentAcknowledged, acked), at, []ops.Delivery{opened}, "", "", NotAgain},
		{"what joined is suppressed", caseOf(open, acked, hidden), at, []ops.Delivery{opened}, "", "", NotAgain},
		{"flapping", caseOf(open, acked, flaps), at, []ops.Delivery{opened}, ops.MessageFlapping, ops.Warning, BecauseFlapping},
		{"flapping, told", caseOf(open, acked, flaps), at, []ops.Delivery{opened, flapped}, "", "", NotWhileFlapping},
		{"the channel did not take it", caseOf(open, acked, joined), at, []ops.Delivery{opened, dead}, "", "", NotWhileDead},
		{"nobody was told", caseOf(open, acked, joined), at, nil, ops.MessageOpened, ops.Critical, BecauseNew},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			x.c.Past, x.c.Reopened = x.past, x.reopened
			got := policy(t, nil, "a").Tell(at.Add(time.Minute), x.c)
			if len(got) != 1 || got[0].Event != x.want || got[0].Severity != x.severity || got[0].Reason != x.why {
				t.Errorf("%+v, want %q (%s) because %q", got, x.want, x.severity, x.why)
			}
		})
	}
}
