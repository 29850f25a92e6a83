package notify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
)

const (
	cursor     = "notify"
	routeBatch = 500
	// sweepEvery is how often every incident that is not closed is looked at,
	// for what time alone brings about: reminders.
	sweepEvery = time.Minute
	// outboxForgotten is how many deliveries of a channel that is no longer
	// configured are dropped in one pass.
	outboxForgotten = 500
)

// Route reads what happened since the last time and writes deliveries for
// whoever is to be told, in the transaction that moves the cursor.
func (n *Notify) Route(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		more, err := n.routeBatch(ctx)
		if err != nil {
			return fmt.Errorf("route: %w", err)
		}
		if !more {
			break
		}
	}
	if now := time.Now(); now.Sub(n.lastSweep) >= sweepEvery {
		if err := n.sweep(ctx); err != nil {
			return fmt.Errorf("look for reminders: %w", err)
		}
		n.lastSweep = now
	}
	return nil
}

func (n *Notify) routeBatch(ctx context.Context) (more bool, err error) {
	from, err := n.store.Cursor(ctx, cursor)
	if err != nil {
		return false, err
	}
	news, err := n.store.Transitions(ctx, store.TransitionFilter{After: from, Limit: routeBatch})
	if err != nil || len(news) == 0 {
		return false, err
	}
	touched, err := n.touched(ctx, news)
	if err != nil {
		return false, err
	}
	to := news[len(news)-1].Seq
	err = n.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		if err := n.tell(ctx, tx, touched); err != nil {
			return err
		}
		return tx.Advance(ctx, cursor, from, to)
	})
	if err != nil {
		return false, err
	}
	n.wakeSenders()
	return len(news) == routeBatch, nil
}

// touched answers the incidents that transitions are about, directly or
// through a finding.
func (n *Notify) touched(ctx context.Context, news []ops.Transition) ([]string, error) {
	ids := map[string]bool{}
	for _, t := range news {
		switch t.Object {
		case "incident":
			ids[t.ObjectID] = true
		case "host":
			if t.From == string(ops.HostMaintenance) && t.To != t.From { // what it kept back may be told
				n.lastSweep = time.Time{}
			}
		case "finding":
			f, err := n.store.Finding(ctx, t.ObjectID)
			if err != nil && ops.KindOf(err) != ops.NotFound {
				return nil, err
			}
			if f.IncidentID != "" {
				ids[f.IncidentID] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(ids)), nil
}

// sweep looks at every incident that is not closed, and drops what waits for
// channels that are gone.
func (n *Notify) sweep(ctx context.Context) error {
	open, err := n.store.OpenIncidents(ctx)
	if err != nil {
		return err
	}
	ids := make([]string, len(open))
	for i, x := range open {
		ids[i] = x.ID
	}
	for batch := range slices.Chunk(ids, 50) {
		err := n.store.Tx(ctx, time.Now(), func(tx *store.Tx) error { return n.tell(ctx, tx, batch) })
		if err != nil {
			return err
		}
	}
	n.wakeSenders()
	return n.forget(ctx)
}

// tell writes the deliveries that the incidents call for.
func (n *Notify) tell(ctx context.Context, tx *store.Tx, incidents []string) error {
	for _, id := range incidents {
		c, err := readCase(ctx, tx, id)
		if ops.KindOf(err) == ops.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		for _, v := range n.policy.Tell(tx.Now(), c) {
			if v.Event == "" {
				continue
			}
			if err := n.enqueue(ctx, tx, c, v); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *Notify) enqueue(ctx context.Context, tx *store.Tx, c Case, v Verdict) error {
	// The messages about one incident keep their order also when a clock does
	// not move or goes back.
	at := tx.Now()
	if last := len(c.Past) - 1; last >= 0 && !at.After(c.Past[last].CreatedAt) {
		at = c.Past[last].CreatedAt.Add(time.Millisecond)
	}
	d := ops.Delivery{
		ID: ops.NewID(ops.DeliveryID), Channel: v.Channel, IncidentID: c.Incident.ID, NextAt: tx.Now(), CreatedAt: at,
		DedupeKey: dedupeKey(tx.Now(), c, v), Message: n.composer.Compose(tx.Now(), c, v),
	}
	d.Message.ID = d.ID
	_, err := tx.Enqueue(ctx, d, store.Why{Actor: actor, Reason: string(v.Reason)})
	return err
}

// wakeSenders asks every sender to look; only after a commit is there
// anything to see.
func (n *Notify) wakeSenders() {
	for _, s := range n.senders {
		s.loop.Wake()
	}
}

// dedupeKey answers the key that makes a message unique. That a finding flaps
// is said once in some hours, whatever incidents it makes meanwhile.
func dedupeKey(now time.Time, c Case, v Verdict) string {
	if v.Event == ops.MessageFlapping && len(c.Members) > 0 {
		return fmt.Sprintf("flapping/%s/%s/%d", c.Members[0].Finding.ID, v.Channel, now.Unix()/int64(deadPause.Seconds()))
	}
	last := "none"
	for _, d := range c.Past {
		if d.Channel == v.Channel {
			last = d.ID
		}
	}
	return c.Incident.ID + "/" + v.Channel + "/" + string(v.Event) + "/after/" + last
}

// forget drops what waits for channels that are no longer configured, and
// gives up what was being sent to them.
func (n *Notify) forget(ctx context.Context) error {
	counts, err := n.store.CountOutbox(ctx, time.Now())
	if err != nil {
		return err
	}
	for _, c := range counts {
		if _, ok := n.senders[c.Channel]; ok {
			continue
		}
		end := drop
		switch c.State {
		case ops.DeliveryQueued:
		case ops.DeliverySending: // The process ended meanwhile; nobody will say what became of it.
			end = giveUp
		default:
			continue
		}
		err := n.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
			left, err := tx.Outbox(ctx, c.Channel, c.State, tx.Now(), outboxForgotten)
			if err != nil {
				return err
			}
			return end(ctx, tx, left, "the channel is no longer configured")
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func drop(ctx context.Context, tx *store.Tx, all []ops.Delivery, why string) error {
	for _, d := range all {
		_, err := tx.MoveDelivery(ctx, d, ops.DeliveryDrop, store.Why{Actor: actor, Reason: why}, func(d *ops.Delivery) { d.Err = why })
		if err != nil {
			return err
		}
	}
	return nil
}

func giveUp(ctx context.Context, tx *store.Tx, all []ops.Delivery, why string) error {
	for _, d := range all {
		_, err := tx.MoveDelivery(ctx, d, ops.DeliveryGiveUp, store.Why{Actor: actor, Reason: why}, func(d *ops.Delivery) { d.NextAt, d.Err = tx.Now(), why })
		if err != nil {
			return err
		}
	}
	return nil
}
