// Package act takes an action from its proposal to its outcome: it plans,
// keeps the signed approval, dispatches to the agent with a fence, and asks
// for the receipt. Everything is recorded before it happens; what a crash cut
// off is asked for, never sent again blindly. A host that is connected to
// another server is served by that one: all there is to know stands in the
// database.
package act

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"reeve/internal/authority"
	"reeve/internal/linkpb"
	"reeve/internal/loop"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/workload"
)

const (
	// planLife is how long a proposal waits for its approval and then for its
	// host.
	planLife = 30 * time.Minute
	// every is how often actions under way are looked at.
	every = 2 * time.Second
	// askAfter is how long after its deadline a receipt is still asked for.
	askAfter    = 24 * time.Hour
	callTimeout = 20 * time.Second
	maxSkew     = 5 * time.Second
	// muteFor is how long an agent that did not answer in time is left alone,
	// and atOnce how many hosts are commanded at a time.
	muteFor = 30 * time.Second
	atOnce  = 32
	// spare is left between the end of an attempt and that of its lease.
	spare = 10 * time.Second
)

// actor is who the transitions of passes are from.
const actor = "act"

// An Agent takes tickets and answers receipts.
type Agent interface {
	Perform(context.Context, *linkpb.PerformRequest) (*linkpb.PerformResponse, error)
	Receipt(context.Context, *linkpb.ReceiptRequest) (*linkpb.ReceiptResponse, error)
}

// Options are what an Act is made of.
type Options struct {
	Log   *slog.Logger
	Store *store.Store
	// Agent answers the agent of a host that is connected to this server.
	Agent func(host string) (Agent, bool)
	// Refuse answers why a driver never does an operation with a thing, nil
	// where it may be done.
	Refuse func(driver, name string, op workload.Operation) error
	Server string
	// Ended is called after an operation on a host ended.
	Ended func(host string)
}

// An Act moves actions.
type Act struct {
	Options
	loop *loop.Loop

	mu   sync.Mutex
	said map[string]string    // by action: why its agent last did not take it
	mute map[string]time.Time // by host: until when its agent is left alone, because it did not answer in time
}

// New makes an Act.
func New(o Options) *Act {
	return &Act{Options: o, said: map[string]string{}, mute: map[string]time.Time{}}
}

// Loops answers its passes.
func (a *Act) Loops() []*loop.Loop {
	a.loop = &loop.Loop{Name: "act", Doc: "Dispatches approved actions and asks for their receipts.", Every: every, Timeout: 2 * time.Minute, Pass: a.pass}
	return []*loop.Loop{a.loop}
}

// Propose plans one operation on one workload.
func (a *Act) Propose(ctx context.Context, workloadID string, op workload.Operation, why store.Why) (ops.Action, error) {
	now, err := a.Store.Now(ctx)
	if err != nil {
		return ops.Action{}, err
	}
	row, err := a.Store.WorkloadRow(ctx, workloadID)
	if err != nil {
		return ops.Action{}, err
	}
	host, err := a.Store.Host(ctx, row.HostID)
	if err != nil {
		return ops.Action{}, err
	}
	if err := a.sensible(now, row, host, op); err != nil {
		return ops.Action{}, err
	}
	proposer := why.Actor
	if why.OnBehalf != "" {
		proposer = why.OnBehalf
	}
	id := ops.NewID(ops.ActionID)
	plan := authority.Plan{ID: id, Verb: op.Verb(), Adapter: row.Driver, TargetHost: row.HostID, Target: row.Name, Generation: row.Generation,
		Expiry: now.Add(planLife).Truncate(time.Millisecond), IdempotencyKey: id, Reason: why.Reason, Proposer: proposer}
	if row.Observed == workload.Running || row.Observed == workload.Paused || row.Observed == workload.Stopped {
		plan.Preconditions = map[string]string{"observed": string(row.Observed)}
	}
	text, err := json.Marshal(plan)
	if err != nil {
		return ops.Action{}, err
	}
	action := ops.Action{ID: id, State: ops.ActionFlow.Start(), Verb: plan.Verb, HostID: row.HostID, HostName: host.Name, WorkloadID: row.ID, Plan: text, PlanHash: authority.Hash(plan),
		Reason: why.Reason, ProposedBy: proposer, ProposedAt: now, ExpiresAt: plan.Expiry, Version: 1}
	return action, a.Store.Tx(ctx, now, func(tx *store.Tx) error { return tx.ProposeAction(ctx, action, why) })
}

// sensible refuses what cannot be done now, before anybody is asked to
// approve it.
func (a *Act) sensible(now time.Time, row store.WorkloadRow, host ops.Host, op workload.Operation) error {
	if err := a.Refuse(row.Driver, row.Name, op); err != nil {
		return err
	}
	switch {
	case strings.HasPrefix(row.Reason, workload.NoDriver):
		return ops.Errorf(ops.Conflict, "%s", row.Reason)
	case host.ReadOnly:
		return ops.Errorf(ops.Forbidden, "the agent of %s was built without the ability to change anything", host.Name)
	case host.State == ops.HostDegraded:
		return ops.Errorf(ops.Conflict, "%s does not answer commands: %s", host.Name, host.Reason)
	case host.State != ops.HostOnline && host.State != ops.HostMaintenance:
		return ops.Errorf(ops.Conflict, "%s is %s", host.Name, host.State)
	}
	fence := int64(1)
	if row.Lease != nil {
		fence = row.Lease.Fence + 1
	}
	_, err := workload.Begin(now, row.Row, op, "plan", fence)
	return err
}

// Sets answers the chain of approvers, the root first.
func (a *Act) Sets(ctx context.Context) ([]authority.ApproverSet, error) {
	bodies, err := a.Store.ApproverSets(ctx)
	if err != nil {
		return nil, err
	}
	sets := make([]authority.ApproverSet, len(bodies))
	for i, b := range bodies {
		if err := json.Unmarshal([]byte(b), &sets[i]); err != nil {
			return nil, ops.Because(ops.Internal, err, "the approvers in the database are damaged")
		}
	}
	return sets, nil
}

// newest answers the set of approvers that counts.
func (a *Act) newest(ctx context.Context) (authority.ApproverSet, error) {
	sets, err := a.Sets(ctx)
	if err != nil || len(sets) == 0 {
		if err == nil {
			err = ops.Errorf(ops.Conflict, "nobody may approve yet: `reeve approver init` makes the first key")
		}
		return authority.ApproverSet{}, err
	}
	return authority.Chain(sets[0].Hash(), sets)
}

// Approve takes a person's signed decision on an action.
func (a *Act) Approve(ctx context.Context, id string, approval authority.Approval, why store.Why) (ops.Action, error) {
	now, err := a.Store.Now(ctx)
	if err != nil {
		return ops.Action{}, err
	}
	set, err := a.newest(ctx)
	if err != nil {
		return ops.Action{}, err
	}
	var moved ops.Action
	err = a.Store.Tx(ctx, now, func(tx *store.Tx) error {
		action, err := tx.Action(ctx, id)
		if err != nil {
			return err
		}
		var plan authority.Plan
		if err := json.Unmarshal(action.Plan, &plan); err != nil {
			return err
		}
		if err := counts(now, plan, approval, set); err != nil {
			return err
		}
		text, err := json.Marshal(approval)
		if err != nil {
			return err
		}
		name := approval.Approver
		for _, k := range set.Keys {
			if k.ID == approval.Approver {
				name = k.Name
			}
		}
		why.Reason = "approved by " + name + reasonText(approval.Reason)
		why.Facts = map[string]string{"approver": approval.Approver}
		moved, err = tx.MoveAction(ctx, action, ops.ActionApprove, why, func(x *ops.Action) {
			x.Approval, x.ApprovedBy, x.ApprovedAt = text, name, tx.Now()
		})
		return err
	})
	if err == nil && a.loop != nil {
		a.loop.Wake()
	}
	return moved, err
}

// counts answers why an approval does not count now, as the agent will check
// it with an attempt that begins now.
func counts(now time.Time, plan authority.Plan, approval authority.Approval, set authority.ApproverSet) error {
	trial := authority.Ticket{Plan: plan, Approval: approval, Fence: 1, Deadline: now.Add(2 * maxSkew)}
	return authority.Check(trial, set, now, plan.TargetHost, maxSkew)
}

func reasonText(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// Withdraw ends an action that was not dispatched; reject says that it was an
// approver's no.
func (a *Act) Withdraw(ctx context.Context, id string, reject bool, why store.Why) (moved ops.Action, err error) {
	now, err := a.Store.Now(ctx)
	if err != nil {
		return moved, err
	}
	err = a.Store.Tx(ctx, now, func(tx *store.Tx) error {
		action, err := tx.Action(ctx, id)
		if err != nil {
			return err
		}
		on := ops.ActionWithdraw
		if reject {
			on = ops.ActionReject
		}
		if why.Reason == "" {
			why.Reason = fmt.Sprintf("%s by %s", on, why.Actor)
		}
		moved, err = tx.MoveAction(ctx, action, on, why, nil)
		return err
	})
	return moved, err
}

// Follow stores the set of approvers that follows the newest.
func (a *Act) Follow(ctx context.Context, next authority.ApproverSet, why store.Why) error {
	now, err := a.Store.Now(ctx)
	if err != nil {
		return err
	}
	sets, err := a.Sets(ctx)
	if err != nil {
		return err
	}
	if len(sets) == 0 {
		err = authority.Root(next, next.Hash())
	} else {
		err = authority.Follows(sets[len(sets)-1], next)
	}
	if err != nil {
		return err
	}
	text, err := json.Marshal(next)
	if err != nil {
		return err
	}
	return a.Store.Tx(ctx, now, func(tx *store.Tx) error { return tx.AddApproverSet(ctx, next.Version, string(text), why) })
}
