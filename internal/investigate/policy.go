package investigate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"reeve/internal/loop"
	"reeve/internal/ops"
	"reeve/internal/store"
)

const (
	// reader is the durable cursor of the policy.
	reader      = "investigate"
	policyEvery = 5 * time.Second
	workEvery   = 5 * time.Second
	// gathering is how long after an incident opened it is looked into by
	// itself: what belongs to it joins within that time.
	gathering = 30 * time.Second
)

func (v *Investigate) addLoops() {
	v.loops = append(v.loops, &loop.Loop{Name: "investigate", Doc: "Queues investigations of incidents by policy and ends those whose incident is over.",
		Every: policyEvery, Pass: v.policyPass})
	for n := range max(1, v.set.AtOnce) {
		v.loops = append(v.loops, &loop.Loop{Name: fmt.Sprintf("investigate_%d", n+1), Doc: "Carries out investigations.",
			Every: workEvery, Timeout: v.set.Time + 2*time.Minute, Pass: v.workPass})
	}
}

// policyPass follows what happened to incidents and queues the investigations
// that the policy wants, in the transaction that advances its cursor.
func (v *Investigate) policyPass(ctx context.Context) error {
	if err := v.supersede(ctx); err != nil {
		return err
	}
	for {
		more, err := v.follow(ctx)
		if err != nil || !more {
			return err
		}
	}
}

const followed = 500

func (v *Investigate) follow(ctx context.Context) (more bool, err error) {
	queued := 0
	err = v.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		queued, more = 0, false
		from, err := tx.Cursor(ctx, reader)
		if err != nil {
			return err
		}
		incidents, to, err := v.stirred(ctx, tx, from)
		if err != nil || to == from {
			return err
		}
		more = to-from >= followed && from > 0
		if len(incidents) > 0 {
			if err := tx.LockInvestigations(ctx); err != nil {
				return err
			}
		}
		for _, id := range incidents {
			done, err := v.want(ctx, tx, id)
			if err != nil {
				return err
			}
			if done {
				queued++
			}
		}
		return tx.Advance(ctx, reader, from, to)
	})
	if queued > 0 && err == nil {
		v.wake()
	}
	return more, err
}

// stirred answers the incidents that opened, rose or came back after a
// sequence number, and the last one read. The first time these are all that
// are open: what happened long ago is not followed.
func (v *Investigate) stirred(ctx context.Context, tx *store.Tx, from int64) (ids []string, to int64, err error) {
	if from == 0 {
		open, err := tx.OpenIncidents(ctx)
		if err != nil {
			return nil, 0, err
		}
		for _, i := range open {
			ids = append(ids, i.ID)
		}
		to, _, err = tx.Head(ctx)
		return ids, to, err
	}
	moves, err := tx.Transitions(ctx, store.TransitionFilter{After: from, Limit: followed})
	to = from
	for _, m := range moves {
		to = m.Seq
		stirs := slices.Contains([]string{"open", string(ops.IncidentRise), string(ops.IncidentReopen)}, m.Verb)
		if m.Object == "incident" && stirs && !slices.Contains(ids, m.ObjectID) {
			ids = append(ids, m.ObjectID)
		}
	}
	return ids, to, err
}

// want queues an investigation of an incident where the policy says so; done
// says that it did.
func (v *Investigate) want(ctx context.Context, tx *store.Tx, incidentID string) (done bool, err error) {
	i, err := tx.Incident(ctx, incidentID)
	if err != nil || !v.wanted(i) {
		return false, err
	}
	root, err := tx.Finding(ctx, i.RootID)
	if err != nil || root.Suppression.Active(tx.Now(), root.Severity) {
		return false, err
	}
	if _, active, err := tx.ActiveInvestigation(ctx, i.ID); active || err != nil {
		return false, err
	}
	at := i.OpenedAt.Add(gathering)
	last, again, err := tx.LastInvestigation(ctx, i.ID)
	if err != nil {
		return false, err
	}
	if again {
		if last.Attempt >= int64(v.set.Attempts) {
			v.log.Info("an incident is not looked into again by itself", "incident", i.ID, "attempts", last.Attempt)
			return false, nil
		}
		at = latest(at, last.EndedAt.Add(v.pause(last.State)))
	}
	_, err = v.queue(ctx, tx, i.ID, "policy", at, store.Why{Actor: actor, Reason: "the policy looks into incidents that are " + v.set.Auto})
	return err == nil, err
}

// wanted says whether the policy looks into an incident by itself.
func (v *Investigate) wanted(i ops.Incident) bool {
	if i.State == ops.IncidentClosed || i.State == ops.IncidentMitigated {
		return false
	}
	switch v.set.Auto {
	case "all":
		return true
	case "critical":
		return i.Severity == ops.Critical
	}
	return false
}

// pause answers how long after an investigation the next one of the same
// incident waits.
func (v *Investigate) pause(state ops.InvestigationState) time.Duration {
	if state == ops.InvestigationTimedOut {
		return v.set.AfterTimeout
	}
	return v.set.Cooldown
}

// again queues the next attempt after one that came to nothing.
func (v *Investigate) again(ctx context.Context, tx *store.Tx, ended ops.Investigation, incident ops.Incident) error {
	came := ended.State == ops.InvestigationTimedOut || ended.State == ops.InvestigationFailed
	if !came || ended.Attempt >= int64(v.set.Attempts) || !v.wanted(incident) {
		return nil
	}
	_, err := v.queue(ctx, tx, ended.IncidentID, "policy", tx.Now().Add(v.pause(ended.State)), store.Why{Actor: actor,
		Reason: fmt.Sprintf("%s was %s", ended.ID, ended.State)})
	return err
}

// supersede ends investigations whose incident closed or was merged.
func (v *Investigate) supersede(ctx context.Context) error {
	active, err := v.store.ActiveInvestigations(ctx)
	if err != nil {
		return err
	}
	for _, a := range active {
		i, err := v.store.Incident(ctx, a.IncidentID)
		if err != nil {
			return err
		}
		if i.State != ops.IncidentClosed {
			continue
		}
		if v.cancel(a.ID, errSuperseded) {
			continue // whoever runs it ends it
		}
		err = v.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
			_, err := tx.MoveInvestigation(ctx, a, ops.InvestigationSupersede, overWhy(i), func(a *ops.Investigation) { a.EndedAt = tx.Now() })
			return err
		})
		if err != nil && ops.KindOf(err) != ops.Conflict {
			return err
		}
	}
	return nil
}

func overWhy(i ops.Incident) store.Why {
	if i.MergedInto != "" {
		return store.Why{Actor: actor, Reason: "the incident was merged into " + i.MergedInto}
	}
	return store.Why{Actor: actor, Reason: "the incident is closed"}
}

// cancel ends an investigation that runs in this process.
func (v *Investigate) cancel(id string, cause error) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	stop, ok := v.running[id]
	if ok {
		stop(cause)
	}
	return ok
}
