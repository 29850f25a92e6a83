package notify_test

import (
	"testing"
	"time"

	"reeve/internal/notify"
	"reeve/internal/ops"
	"reeve/internal/store"
)

func TestTestsStayUnderTheCeilings(t *testing.T) {
	inBubble(t, func(t *testing.T, e *estate) {
		m := &memory{}
		rules := map[string]any{"channel_max_per_hour": 12, "total_max_per_hour": 24}
		n := newNotify(t, e.st, rules, map[string]notify.Channel{"a": m})
		var err error
		for range 30 {
			if err = n.Test(t.Context(), "a"); err != nil {
				break
			}
		}
		if ops.KindOf(err) != ops.TooMany || len(m.got) != 10 {
			t.Fatalf("%d tests, then %v", len(m.got), err)
		}
		// The count is in the store; what is kept for critical messages is left.
		n = newNotify(t, e.st, rules, map[string]notify.Channel{"a": m})
		if err := n.Test(t.Context(), "a"); ops.KindOf(err) != ops.TooMany {
			t.Errorf("after a restart: %v", err)
		}
		e.breaks(ops.Critical)
		turn(t, n)
		if len(m.got) != 11 {
			t.Errorf("%d messages", len(m.got))
		}
		time.Sleep(2 * time.Hour)
		if err := n.Test(t.Context(), "a"); err != nil {
			t.Errorf("later: %v", err)
		}
	})
}

func TestTestsThatReachNobodyAreNotCounted(t *testing.T) {
	inBubble(t, func(t *testing.T, e *estate) {
		m := &memory{fail: func(int) error {
			f := notify.Unreached(nil, "nobody is there")
			f.Nobody = true
			return f
		}}
		n := newNotify(t, e.st, map[string]any{"channel_max_per_hour": 12}, map[string]notify.Channel{"a": m})
		for range 30 {
			if err := n.Test(t.Context(), "a"); ops.KindOf(err) != ops.Unavailable {
				t.Fatal(err)
			}
		}
	})
}

func TestWhatARemovedChannelWasSendingEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, e *estate) {
		e.breaks(ops.Warning)
		n := newNotify(t, e.st, nil, map[string]notify.Channel{"old": &memory{}})
		if err := n.Route(t.Context()); err != nil {
			t.Fatal(err)
		}
		waiting, err := e.st.Outbox(t.Context(), "old", ops.DeliveryQueued, time.Now(), 10)
		if err != nil || len(waiting) != 1 {
			t.Fatalf("%v: %v", waiting, err)
		}
		e.tx(func(tx *store.Tx) error {
			_, err := tx.MoveDelivery(t.Context(), waiting[0], ops.DeliverySend, watch, func(d *ops.Delivery) { d.Attempts++ })
			return err
		})
		turn(t, newNotify(t, e.st, nil, nil))
		if c := states(t, e.st); c[ops.DeliveryDead] != 1 || c[ops.DeliverySending] != 0 {
			t.Errorf("states %v", c)
		}
	})
}

// What was held for long is tried for a day all the same.
func TestADayOfAttemptsBeginsWithTheFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, e *estate) {
		m := &memory{fail: func(int) error { return notify.Unreached(nil, "nobody is there") }}
		n := newNotify(t, e.st, nil, map[string]notify.Channel{"a": m})
		e.breaks(ops.Warning)
		if err := n.Route(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Hour)
		turns(t, n, 20*time.Hour, 10*time.Minute)
		if c := states(t, e.st); c[ops.DeliveryQueued] != 1 || c[ops.DeliveryDead] != 0 {
			t.Errorf("after 20 h of attempts: %v", c)
		}
		turns(t, n, 5*time.Hour, 10*time.Minute)
		if c := states(t, e.st); c[ops.DeliveryDead] != 1 {
			t.Errorf("after 25 h of attempts: %v", c)
		}
	})
}

func TestOpenAgainAfterAnAcknowledgementIsToldOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, e *estate) {
		m := &memory{}
		n := newNotify(t, e.st, nil, map[string]notify.Channel{"a": m})
		id := e.breaks(ops.Warning)
		turn(t, n)
		e.move(id, ops.FindingAcknowledge, ops.IncidentAcknowledge, func(f *ops.Finding) { f.AckedBy = "ann" })
		turns(t, n, time.Hour, time.Minute)
		f := e.finding(id)
		other := f
		other.ID, other.Condition, other.State, other.IncidentID = ops.NewID(ops.FindingID), "fs_readonly", ops.FindingOpen, ""
		other.AckedBy, other.AckedAt, other.OpenedAt, other.Version = "", time.Time{}, time.Now(), 0
		i, err := e.st.Incident(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		e.tx(func(tx *store.Tx) error {
			if err := tx.OpenFinding(t.Context(), other, watch); err != nil {
				return err
			}
			if err := tx.Join(t.Context(), id, ops.IncidentMember{FindingID: other.ID, Reason: "same host", JoinedAt: tx.Now()}); err != nil {
				return err
			}
			_, err := tx.MoveIncident(t.Context(), i, ops.IncidentRise, watch, func(i *ops.Incident) { i.AckedBy, i.AckedAt = "", time.Time{} })
			return err
		})
		turns(t, n, 3*time.Hour, time.Minute)
		if m.events() != "opened rose" {
			t.Errorf("told %q", m.events())
		}
		if title := m.got[len(m.got)-1].Title; title != "Open again: "+i.Title {
			t.Errorf("title %q", title)
		}
	})
}
