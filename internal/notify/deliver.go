package notify

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"reeve/internal/loop"
	"reeve/internal/ops"
	"reeve/internal/store"
)

const (
	sendsInPass  = 20
	outboxInPlan = 1000
	firstRetry   = 10 * time.Second
	longestRetry = time.Hour
	longestPause = 5 * time.Minute
	giveUpAfter  = 24 * time.Hour // from the first attempt
	// deliveryHistory covers every hold before a first attempt.
	deliveryHistory = 1000
	budgetSetting   = "notify.budget"
	countTries      = 5
	stopGrace       = 3 * time.Second
)

// A sender sends what waits for one channel, one message at a time.
type sender struct {
	notify  *Notify
	channel Configured
	loop    *loop.Loop

	mu       sync.Mutex // one pass at a time
	failures int        // in a row
	paused   time.Time  // until when the channel is left alone
}

// pass sends what is due, until the channel fails.
func (s *sender) pass(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	due, err := s.notify.store.HasDue(ctx, s.channel.Name, now)
	if err != nil || !due || now.Before(s.paused) {
		return err
	}
	if err := s.recover(ctx); err != nil {
		return fmt.Errorf("take back what was being sent: %w", err)
	}
	for range sendsInPass {
		d, ok, err := s.claim(ctx)
		if err != nil {
			return fmt.Errorf("claim a delivery for %s: %w", s.channel.Name, err)
		}
		if !ok {
			return nil
		}
		taken, err := s.send(ctx, d)
		if err != nil {
			return fmt.Errorf("keep the outcome of %s: %w", d.ID, err)
		}
		if !taken || ctx.Err() != nil {
			return nil
		}
	}
	s.loop.Wake()
	return nil
}

// recover queues deliveries again that were being sent when the process
// ended: nobody else sends for this channel, and this pass has not begun.
func (s *sender) recover(ctx context.Context) error {
	st := s.notify.store
	now := time.Now()
	left, err := st.Outbox(ctx, s.channel.Name, ops.DeliverySending, now, outboxInPlan)
	if err != nil || len(left) == 0 {
		return err
	}
	return st.Tx(ctx, now, func(tx *store.Tx) error {
		for _, d := range left {
			why := store.Why{Actor: actor, Reason: "the process ended while it was sent; it is sent again under the same ID"}
			_, err := tx.MoveDelivery(ctx, d, ops.DeliveryRetry, why, func(d *ops.Delivery) { d.NextAt = tx.Now() })
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// counted runs a transaction that changes the count of attempts, which every
// channel does: one after the other here, and again when another process was
// faster.
func (n *Notify) counted(ctx context.Context, f func(*store.Tx) error) error {
	n.countMu.Lock()
	defer n.countMu.Unlock()
	var err error
	for range countTries {
		err = n.store.Tx(ctx, time.Now(), f)
		if ops.KindOf(err) != ops.Conflict {
			return err
		}
	}
	return err
}

// claim plans what is done with the channel's outbox, writes it together with
// the count of the attempt, and answers the delivery to send.
func (s *sender) claim(ctx context.Context) (d ops.Delivery, ok bool, err error) {
	err = s.notify.counted(ctx, func(tx *store.Tx) error {
		d, ok = ops.Delivery{}, false
		queued, err := tx.Outbox(ctx, s.channel.Name, ops.DeliveryQueued, tx.Now(), outboxInPlan)
		if err != nil || len(queued) == 0 {
			return err
		}
		text, version, err := tx.Setting(ctx, budgetSetting)
		if err != nil {
			return err
		}
		budget, err := ReadBudget(text)
		if err != nil {
			return err
		}
		plan := s.notify.policy.Plan(tx.Now(), s.channel.Name, budget, queued, 1)
		if err := s.apply(ctx, tx, plan); err != nil || len(plan.Send) == 0 {
			return err
		}
		d, err = tx.MoveDelivery(ctx, plan.Send[0], ops.DeliverySend, store.Why{Actor: actor}, func(d *ops.Delivery) {
			d.Attempts++
			d.NextAt = tx.Now()
		})
		if err != nil {
			return err
		}
		ok = true
		return tx.SetSetting(ctx, budgetSetting, budget.String(tx.Now()), version)
	})
	return d, ok && err == nil, err
}

// apply writes what a plan does besides sending.
func (s *sender) apply(ctx context.Context, tx *store.Tx, p Plan) error {
	for _, h := range p.Hold {
		if h.Delivery.NextAt.Equal(h.Decision.Until.Truncate(time.Millisecond)) {
			continue // It is held until then already.
		}
		why := store.Why{Actor: actor, Reason: string(h.Decision.Reason), Facts: map[string]string{"until": h.Decision.Until.UTC().Format(time.RFC3339)}}
		_, err := tx.MoveDelivery(ctx, h.Delivery, ops.DeliveryHold, why, func(d *ops.Delivery) { d.NextAt = h.Decision.Until })
		if err != nil {
			return err
		}
	}
	if err := drop(ctx, tx, p.Drop, string(Overtaken)); err != nil {
		return err
	}
	if len(p.Digest) == 0 {
		return nil
	}
	d := ops.Delivery{ID: ops.NewID(ops.DeliveryID), Channel: s.channel.Name, NextAt: tx.Now(), CreatedAt: tx.Now()}
	d.DedupeKey = "digest/" + d.ID
	d.Message = s.notify.composer.Digest(tx.Now(), p.Digest, p.Reason)
	d.Message.ID = d.ID
	if _, err := tx.Enqueue(ctx, d, store.Why{Actor: actor, Reason: string(p.Reason)}); err != nil {
		return err
	}
	s.loop.Wake()
	return drop(ctx, tx, p.Digest, inDigest+d.ID)
}

// send hands a delivery to the channel and keeps the outcome; taken is false
// when the channel is to be left alone for a while.
func (s *sender) send(ctx context.Context, d ops.Delivery) (taken bool, err error) {
	began := time.Now()
	sendCtx, done := outlasting(ctx, stopGrace)
	defer done()
	sendErr := s.hand(sendCtx, d.Message)
	// The outcome is kept also when the process is stopping.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if sendErr == nil {
		s.failures, s.paused = 0, time.Time{}
		return true, s.accepted(ctx, d)
	}
	f := AsFailure(sendErr)
	s.notify.log.Warn("delivery failed", "channel", s.channel.Name, "delivery", d.ID, "attempt", d.Attempts, "permanent", f.Permanent, "err", sendErr, "cause", f.Err)
	if !f.Permanent {
		s.failures++
		s.paused = time.Now().Add(max(min(backoff(s.failures), longestPause), f.RetryAfter))
	}
	return f.Permanent, s.failed(ctx, d, f, began)
}

// outlasting answers a context that ends a while after ctx does, so that a
// message that is being taken when the process stops need not be sent twice.
func outlasting(ctx context.Context, grace time.Duration) (context.Context, func()) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return longer, func() { stop(); cancel() }
}

// hand sends one message within the time that one may take.
func (s *sender) hand(ctx context.Context, m ops.Message) error {
	if s.channel.Err != nil {
		message, _ := ops.Shown(s.channel.Err)
		f := Unreached(s.channel.Err, "the channel is not set up rightly: "+message)
		f.Nobody = true
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	return s.channel.Channel.Send(ctx, m)
}

func (s *sender) accepted(ctx context.Context, d ops.Delivery) error {
	return s.notify.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		_, err := tx.MoveDelivery(ctx, d, ops.DeliveryAccept, store.Why{Actor: actor}, func(d *ops.Delivery) {
			d.DeliveredAt, d.Err = tx.Now(), ""
		})
		return err
	})
}

// failed queues a delivery again, or gives it up when no attempt will help or
// a day has passed.
func (s *sender) failed(ctx context.Context, d ops.Delivery, f *Failure, began time.Time) error {
	wait := max(jitter(backoff(int(d.Attempts))), f.RetryAfter)
	return s.notify.counted(ctx, func(tx *store.Tx) error {
		on, next := ops.DeliveryRetry, tx.Now().Add(wait)
		first, err := firstAttempt(ctx, tx, d, next)
		if err != nil {
			return err
		}
		if f.Permanent || next.Sub(first) > giveUpAfter {
			on, next = ops.DeliveryGiveUp, tx.Now()
		}
		_, err = tx.MoveDelivery(ctx, d, on, store.Why{Actor: actor, Reason: f.Message}, func(d *ops.Delivery) {
			d.NextAt, d.Err = next, f.Message
		})
		if err != nil {
			return err
		}
		if on == ops.DeliveryGiveUp {
			if err := s.dropAfter(ctx, tx, d); err != nil {
				return err
			}
		}
		if f.Nobody {
			return refund(ctx, tx, d, began)
		}
		return nil
	})
}

// firstAttempt answers when a delivery was tried first, which may be long
// after it was made when it was held. That is read from its history, and only
// where it can matter at the time next.
func firstAttempt(ctx context.Context, tx *store.Tx, d ops.Delivery, next time.Time) (time.Time, error) {
	if next.Sub(d.CreatedAt) <= giveUpAfter {
		return d.CreatedAt, nil
	}
	history, err := tx.Transitions(ctx, store.TransitionFilter{Object: "delivery", ObjectID: d.ID, Limit: deliveryHistory})
	if err != nil {
		return time.Time{}, err
	}
	for _, t := range history {
		if t.To == string(ops.DeliverySending) {
			return t.At, nil
		}
	}
	return d.CreatedAt, nil
}

// dropAfter drops a notice of resolution whose opening is given up: who does
// not know of it need not know that it is over.
func (s *sender) dropAfter(ctx context.Context, tx *store.Tx, dead ops.Delivery) error {
	if dead.IncidentID == "" {
		return nil
	}
	past, _, err := tx.Deliveries(ctx, store.DeliveryFilter{Incident: dead.IncidentID, Channel: s.channel.Name, Limit: casePastLimit})
	if err != nil {
		return err
	}
	var waiting []ops.Delivery
	for _, d := range past {
		switch {
		case d.State == ops.DeliveryDelivered:
			return nil // It knows of it from another message.
		case d.State == ops.DeliveryQueued && d.Message.Event == ops.MessageResolved:
			waiting = append(waiting, d)
		}
	}
	return drop(ctx, tx, waiting, string(NotToldOfOpening))
}

func refund(ctx context.Context, tx *store.Tx, d ops.Delivery, made time.Time) error {
	text, version, err := tx.Setting(ctx, budgetSetting)
	if err != nil {
		return err
	}
	budget, err := ReadBudget(text)
	if err != nil {
		return err
	}
	budget.Refund(made, d.Channel, d.Message.Event)
	return tx.SetSetting(ctx, budgetSetting, budget.String(tx.Now()), version)
}

// backoff answers how long to wait after so many failures: 10 s, doubled for
// each up to an hour.
func backoff(failures int) time.Duration {
	return min(firstRetry<<min(max(failures-1, 0), 10), longestRetry)
}

// jitter adds up to a tenth, so that what failed together is not tried
// together.
func jitter(d time.Duration) time.Duration { return d + rand.N(d/10+1) }
