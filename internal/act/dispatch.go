package act

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"reeve/internal/authority"
	"reeve/internal/journal"
	"reeve/internal/linkpb"
	"reeve/internal/loop"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/workload"
)

// pass moves every action that can be moved by this server.
func (a *Act) pass(ctx context.Context) error {
	actions, err := a.Store.ActionsUnderWay(ctx)
	if err != nil {
		return err
	}
	a.tidy(actions)
	byHost := map[string][]ops.Action{}
	for _, x := range actions {
		byHost[x.HostID] = append(byHost[x.HostID], x)
	}
	var mu sync.Mutex
	var failed error
	// A host that does not answer holds up no other.
	loop.Spread(ctx, slices.Collect(maps.Keys(byHost)), 0, atOnce, func(host string) {
		for _, x := range byHost[host] {
			if err := a.step(ctx, x); err != nil && ops.KindOf(err) != ops.Conflict {
				mu.Lock()
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		}
	})
	return failed
}

// tidy forgets what was said of actions that have ended, and agents that may
// be asked again.
func (a *Act) tidy(actions []ops.Action) {
	a.mu.Lock()
	defer a.mu.Unlock()
	under := map[string]bool{}
	for _, x := range actions {
		under[x.ID] = true
	}
	maps.DeleteFunc(a.said, func(id, _ string) bool { return !under[id] })
	maps.DeleteFunc(a.mute, func(_ string, until time.Time) bool { return time.Now().After(until) })
}

// agent answers the agent of a host that is here and has answered lately.
func (a *Act) agent(host string) (agent Agent, here bool) {
	a.mu.Lock()
	_, mute := a.mute[host]
	a.mu.Unlock()
	if mute {
		return nil, false
	}
	return a.Agent(host)
}

// heard notes how a call of an agent ended.
func (a *Act) heard(x ops.Action, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		delete(a.said, x.ID)
		return
	}
	said := reasonOf(err)
	if errors.Is(err, context.DeadlineExceeded) {
		a.mute[x.HostID] = time.Now().Add(muteFor)
		said = "the agent did not answer in time"
	}
	if a.said[x.ID] != said {
		a.Log.Warn("an agent did not take an order", "action", x.ID, "host", x.HostID, "err", err)
	}
	a.said[x.ID] = said
}

func (a *Act) step(ctx context.Context, x ops.Action) error {
	now, err := a.Store.Now(ctx)
	if err != nil {
		return err
	}
	waits := x.State == ops.ActionAwaiting || x.State == ops.ActionApproved
	if waits && !now.Before(x.ExpiresAt) {
		return a.move(ctx, x, ops.ActionExpire, "nothing came of it in time", nil)
	}
	agent, here := a.agent(x.HostID)
	switch {
	case x.State == ops.ActionApproved && here:
		return a.dispatch(ctx, now, x, agent)
	case x.State == ops.ActionAwaiting || x.State == ops.ActionApproved:
		return nil
	case !here:
		return a.overdue(ctx, now, x)
	case x.State == ops.ActionDispatching:
		return a.again(ctx, now, x, agent)
	}
	return a.ask(ctx, now, x, agent)
}

func (a *Act) move(ctx context.Context, x ops.Action, on ops.ActionEvent, reason string, change func(*ops.Action)) error {
	return a.Store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		_, err := tx.MoveAction(ctx, x, on, store.Why{Actor: actor, Reason: reason}, change)
		return err
	})
}

// dispatch takes the lease, records the attempt, and only then tells the
// agent.
func (a *Act) dispatch(ctx context.Context, now time.Time, x ops.Action, agent Agent) error {
	var plan authority.Plan
	if err := json.Unmarshal(x.Plan, &plan); err != nil {
		return err
	}
	var approval authority.Approval
	if err := json.Unmarshal(x.Approval, &approval); err != nil {
		return err
	}
	set, err := a.newest(ctx)
	if err != nil {
		return err
	}
	op, _ := workload.OfVerb(plan.Verb) // what is none is refused below as senseless
	refused := ""
	err = a.Store.Tx(ctx, now, func(tx *store.Tx) error {
		before, err := tx.WorkloadRow(ctx, x.WorkloadID)
		if err != nil && ops.KindOf(err) != ops.NotFound {
			return err
		}
		host, failed := tx.Host(ctx, x.HostID)
		if failed != nil {
			return failed
		}
		if err == nil {
			err = errors.Join(changed(plan, before), a.sensible(now, before, host, op), counts(now, plan, approval, set))
		}
		if err != nil {
			refused = reasonOf(err)
		}
		if refused != "" {
			x, err = tx.MoveAction(ctx, x, ops.ActionSupersede, store.Why{Actor: actor, Reason: refused}, nil)
			return err
		}
		fence, err := tx.NextFence(ctx)
		if err != nil {
			return err
		}
		after := before
		if after.Row, err = workload.Begin(now, before.Row, op, x.ID, fence); err != nil {
			return err
		}
		if after.Desired != before.Desired {
			after.Source, after.DesiredBy = store.FromOrder, x.ProposedBy
		}
		after.Lease.Was = workload.Wish{Desired: before.Desired, By: before.DesiredBy, Source: before.Source}
		after.Reason = string(op) + " was ordered by " + x.ProposedBy
		saved, err := tx.SaveWorkload(ctx, &after, "begin", before, store.Why{Actor: actor, OnBehalf: x.ProposedBy, Reason: after.Reason, Facts: map[string]string{"action": x.ID}})
		if err != nil || !saved {
			return errors.Join(err, ops.Errorf(ops.Conflict, "the workload was changed meanwhile"))
		}
		x, err = tx.MoveAction(ctx, x, ops.ActionDispatch, store.Why{Actor: actor, Reason: "sent to the agent"}, func(y *ops.Action) {
			y.Fence, y.Server, y.Deadline = fence, a.Server, after.Lease.Deadline
		})
		return err
	})
	if err != nil || refused != "" {
		return err
	}
	return a.send(ctx, x, agent)
}

// reasonOf answers the first reason of a refusal, for people.
func reasonOf(err error) string {
	message, _ := ops.Shown(err)
	return cmp.Or(message, err.Error())
}

// changed says in which way a target is not what was planned for.
func changed(plan authority.Plan, row store.WorkloadRow) error {
	if row.Generation != plan.Generation {
		return ops.Errorf(ops.Conflict, "another thing has the name of %s now", row.Name)
	}
	if want, ok := plan.Preconditions["observed"]; ok && string(row.Observed) != want {
		return ops.Errorf(ops.Conflict, "%s was %s when it was planned and is %s now", row.Name, want, row.Observed)
	}
	return nil
}

// send tells the agent. Without an answer the action stays as it is: the next
// pass asks.
func (a *Act) send(ctx context.Context, x ops.Action, agent Agent) error {
	ticket, sets, err := a.ticket(ctx, x)
	if err != nil {
		return err
	}
	calling, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := agent.Perform(calling, &linkpb.PerformRequest{Ticket: ticket, Approvers: sets})
	a.heard(x, err)
	if err != nil {
		kind := ops.KindOf(err)
		if kind == ops.Forbidden || kind == ops.Conflict || kind == ops.Invalid {
			message, _ := ops.Shown(err)
			return a.end(ctx, x, journal.Receipt{Key: x.ID, Fence: x.Fence, State: journal.Refused, Err: message, EndedAt: time.Now()})
		}
		return nil
	}
	return a.take(ctx, x, answer.GetReceipt())
}

// ticket answers what the agent gets. The attempt must begin, and end, before
// the lease does.
func (a *Act) ticket(ctx context.Context, x ops.Action) (text []byte, chain [][]byte, err error) {
	t := authority.Ticket{Fence: x.Fence, Deadline: x.Deadline.Add(-spare)}
	if err := errors.Join(json.Unmarshal(x.Plan, &t.Plan), json.Unmarshal(x.Approval, &t.Approval)); err != nil {
		return nil, nil, err
	}
	for _, end := range []time.Time{t.Plan.Expiry, t.Approval.Expiry} {
		if t.Deadline.After(end) {
			t.Deadline = end
		}
	}
	bodies, err := a.Store.ApproverSets(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, b := range bodies {
		chain = append(chain, []byte(b))
	}
	text, err = json.Marshal(t)
	return text, chain, err
}

// again finds out about an order that was sent without an answer: the agent
// has a record of it, or never heard of it and gets it once more, under the
// same key and fence.
func (a *Act) again(ctx context.Context, now time.Time, x ops.Action, agent Agent) error {
	answer, err := a.receipt(ctx, x, agent)
	switch {
	case err != nil:
		return a.overdue(ctx, now, x)
	case len(answer) > 0:
		return a.take(ctx, x, answer)
	case now.Before(x.Deadline.Add(-spare - 2*maxSkew)): // later the agent would refuse to begin
		return a.send(ctx, x, agent)
	case now.Before(x.Deadline):
		return nil // what was sent may still be on its way
	}
	return a.giveUp(ctx, x)
}

// giveUp ends an order that its agent has no record of after its deadline:
// nothing begins any more.
func (a *Act) giveUp(ctx context.Context, x ops.Action) error {
	reason := "the agent never heard of it by its deadline"
	if said := a.saidOf(x); said != "" {
		reason = "it was not begun by its deadline: " + said
	}
	return a.close(ctx, x, journal.Receipt{State: journal.Refused}, ops.ActionExpire, reason, nil)
}

// saidOf answers why the agent last did not take an order, "" for nothing.
func (a *Act) saidOf(x ops.Action) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.said[x.ID]
}

// ask asks for the receipt of an order that runs, or whose outcome is not
// known.
func (a *Act) ask(ctx context.Context, now time.Time, x ops.Action, agent Agent) error {
	if x.State == ops.ActionUnknown && now.After(x.Deadline.Add(askAfter)) {
		return nil
	}
	answer, err := a.receipt(ctx, x, agent)
	if err != nil || len(answer) == 0 {
		return a.overdue(ctx, now, x)
	}
	return a.take(ctx, x, answer)
}

func (a *Act) receipt(ctx context.Context, x ops.Action, agent Agent) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := agent.Receipt(ctx, &linkpb.ReceiptRequest{Key: x.ID})
	if err != nil {
		a.heard(x, err)
		return nil, err
	}
	return answer.GetReceipt(), nil
}

// overdue says of an order without a receipt by its deadline that its outcome
// is not known.
func (a *Act) overdue(ctx context.Context, now time.Time, x ops.Action) error {
	if x.State == ops.ActionUnknown || now.Before(x.Deadline) {
		return nil
	}
	reason := "no receipt came by its deadline; the agent is asked for it"
	if said := a.saidOf(x); said != "" {
		reason += "; it last said: " + said
	}
	return a.move(ctx, x, ops.ActionLose, reason, nil)
}

// take takes an agent's record in.
func (a *Act) take(ctx context.Context, x ops.Action, text []byte) error {
	var r journal.Receipt
	if err := json.Unmarshal(text, &r); err != nil || r.Key != x.ID {
		a.Log.Warn("an agent answered with a receipt that cannot be read or is of another action", "action", x.ID, "err", err)
		return nil
	}
	if r.State == journal.Running {
		if x.State != ops.ActionDispatching {
			return a.overdue(ctx, time.Now(), x)
		}
		return a.move(ctx, x, ops.ActionClaim, "the agent has begun", func(y *ops.Action) { y.Receipt = text })
	}
	if r.State == journal.Unknown && x.State == ops.ActionUnknown {
		return nil
	}
	return a.end(ctx, x, r)
}

// end writes an outcome: of the action, and of the lease.
func (a *Act) end(ctx context.Context, x ops.Action, r journal.Receipt) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	on, reason := ops.ActionFail, r.Err
	switch r.State {
	case journal.Succeeded:
		on, reason = ops.ActionSucceed, "the agent did it"
	case journal.Unknown:
		on = ops.ActionLose
	}
	return a.close(ctx, x, r, on, reason, func(y *ops.Action) { y.Receipt = text })
}

// close moves an action to its outcome and ends its lease, unless the outcome
// is not known. The workload may be forgotten meanwhile.
func (a *Act) close(ctx context.Context, x ops.Action, r journal.Receipt, on ops.ActionEvent, reason string, change func(*ops.Action)) error {
	err := a.Store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		before, err := tx.WorkloadRow(ctx, x.WorkloadID)
		if err != nil && ops.KindOf(err) != ops.NotFound {
			return err
		}
		if r.State != journal.Unknown && err == nil {
			if err := a.giveBack(ctx, tx, before, x, r); err != nil {
				return err
			}
		}
		_, err = tx.MoveAction(ctx, x, on, store.Why{Actor: actor, Reason: reason}, change)
		return err
	})
	if err == nil {
		a.Ended(x.HostID)
	}
	return err
}

// giveBack ends the lease of an operation that has its receipt.
func (a *Act) giveBack(ctx context.Context, tx *store.Tx, before store.WorkloadRow, x ops.Action, r journal.Receipt) error {
	outcome := workload.Failed
	if r.State == journal.Succeeded {
		outcome = workload.Succeeded
	}
	sequence, _ := strconv.ParseInt(r.After["sequence"], 10, 64) // 0 when it does not say
	after := before
	op, _ := workload.OfVerb(x.Verb)
	next, err := workload.End(before.Row, workload.Receipt{Op: op, ActionID: x.ID, Fence: x.Fence, Outcome: outcome,
		Observed: workload.State(r.After["observed"]), RawLabel: r.After["raw_label"], Sequence: sequence})
	if err != nil {
		return nil // the lease has ended otherwise
	}
	after.Row, after.Reason = next, string(op)+" "+string(outcome)
	was := before.Lease.Was
	if r.State == journal.Refused && before.Source == store.FromOrder && before.Desired == workload.DesiredAfter(op, was.Desired) {
		after.Desired, after.DesiredBy, after.Source = was.Desired, was.By, was.Source // it was never begun
	}
	saved, err := tx.SaveWorkload(ctx, &after, "end", before, store.Why{Actor: actor, OnBehalf: x.ProposedBy, Reason: after.Reason, Facts: map[string]string{"action": x.ID}})
	if err == nil && !saved {
		err = ops.Errorf(ops.Conflict, "the workload was changed meanwhile") // the next pass tries again
	}
	return err
}
