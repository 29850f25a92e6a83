package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"reeve/internal/ops"
)

const actionColumns = `id, state, verb, host_id, workload_id, plan, plan_hash, reason, proposed_by, proposed_ms, expires_ms, approval, approved_by, approved_ms,
	fence, server, deadline_ms, receipt, why, ended_ms, version, COALESCE((SELECT name FROM host WHERE host.id = action.host_id), '')`

func scanAction(row interface{ Scan(...any) error }) (ops.Action, error) {
	var a ops.Action
	var plan, approval, receipt string
	var proposed, expires, approved, deadline, ended int64
	err := row.Scan(&a.ID, &a.State, &a.Verb, &a.HostID, &a.WorkloadID, &plan, &a.PlanHash, &a.Reason, &a.ProposedBy, &proposed, &expires, &approval, &a.ApprovedBy, &approved,
		&a.Fence, &a.Server, &deadline, &receipt, &a.Why, &ended, &a.Version, &a.HostName)
	a.Plan, a.Approval, a.Receipt = raw(plan), raw(approval), raw(receipt)
	a.ProposedAt, a.ExpiresAt, a.ApprovedAt, a.Deadline, a.EndedAt = fromMS(proposed), fromMS(expires), fromMS(approved), fromMS(deadline), fromMS(ended)
	return a, err
}

func raw(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

func scanActions(rows *sql.Rows) (ops.Action, error) { return scanAction(rows) }

// Action answers one action.
func (v view) Action(ctx context.Context, id string) (ops.Action, error) {
	a, err := scanAction(v.q.QueryRowContext(ctx, `SELECT `+actionColumns+` FROM action WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return a, ops.Errorf(ops.NotFound, "there is no action %s", id)
	}
	return a, err
}

// An ActionFilter chooses actions; zero fields choose all.
type ActionFilter struct {
	States   []string
	Host     string
	Workload string
	After    Key
	Limit    int
}

// Actions answers actions, the newest first, and the key of the next page.
func (v view) Actions(ctx context.Context, f ActionFilter) ([]ops.Action, *Key, error) {
	w := where{}
	if f.States != nil {
		w.in("state", f.States)
	}
	if f.Host != "" {
		w.add(`host_id = $?`, f.Host)
	}
	if f.Workload != "" {
		w.add(`workload_id = $?`, f.Workload)
	}
	if f.After.ID != "" {
		w.add(`id < $?`, f.After.ID)
	}
	limit := limitOf(f.Limit)
	rows, err := v.q.QueryContext(ctx, `SELECT `+actionColumns+` FROM action`+w.text()+` ORDER BY id DESC LIMIT `+w.arg(limit+1), w.args...)
	if err != nil {
		return nil, nil, fmt.Errorf("read actions: %w", err)
	}
	all, err := collectRows(rows, scanActions)
	if err != nil || len(all) <= limit {
		return all, nil, err
	}
	return all[:limit], &Key{ID: all[limit-1].ID}, nil
}

// ActionsUnderWay answers every action that somebody or something must still
// move, the oldest first.
func (v view) ActionsUnderWay(ctx context.Context) ([]ops.Action, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT `+actionColumns+` FROM action
		WHERE state IN ('awaiting_approval', 'approved', 'dispatching', 'running', 'unknown') ORDER BY id LIMIT 1000`)
	if err != nil {
		return nil, fmt.Errorf("read actions under way: %w", err)
	}
	return collectRows(rows, scanActions)
}

// ProposeAction inserts an action.
func (tx *Tx) ProposeAction(ctx context.Context, a ops.Action, why Why) error {
	_, err := tx.q.ExecContext(ctx, `INSERT INTO action (id, state, verb, host_id, workload_id, plan, plan_hash, reason, proposed_by, proposed_ms, expires_ms)
		VALUES (`+marks(11)+`)`, a.ID, a.State, a.Verb, a.HostID, a.WorkloadID, string(a.Plan), a.PlanHash, a.Reason, a.ProposedBy, toMS(tx.now), toMS(a.ExpiresAt))
	if err != nil {
		return fmt.Errorf("propose action: %w", err)
	}
	tx.Record(actionTransition("propose", "", a, why))
	return nil
}

// MoveAction applies one event of the lifecycle to an action as the caller
// read it.
func (tx *Tx) MoveAction(ctx context.Context, a ops.Action, on ops.ActionEvent, why Why, change func(*ops.Action)) (ops.Action, error) {
	to, err := ops.ActionFlow.Next(a.State, on)
	if err != nil {
		return a, ops.Because(ops.Conflict, err, "the action %s is %s: it cannot %s", a.ID, a.State, on)
	}
	next := a
	next.State, next.Why = to, why.Reason
	if ops.ActionFlow.Final(to) {
		next.EndedAt = tx.now
	}
	if change != nil {
		change(&next)
	}
	ok, err := one(tx.q.ExecContext(ctx, `UPDATE action SET state=$1, approval=$2, approved_by=$3, approved_ms=$4, fence=$5, server=$6, deadline_ms=$7, receipt=$8, why=$9,
			ended_ms=$10, version=version+1 WHERE id=$11 AND version=$12`,
		next.State, string(next.Approval), next.ApprovedBy, toMS(next.ApprovedAt), next.Fence, next.Server, toMS(next.Deadline), string(next.Receipt), next.Why,
		toMS(next.EndedAt), next.ID, next.Version))
	if err != nil {
		return a, fmt.Errorf("move action %s: %w", a.ID, err)
	}
	if !ok {
		return a, ops.Errorf(ops.Conflict, "the action %s was changed meanwhile; read it again", a.ID)
	}
	next.Version++
	tx.Record(actionTransition(string(on), a.State, next, why))
	return next, nil
}

func actionTransition(verb string, from ops.ActionState, a ops.Action, why Why) ops.Transition {
	facts := map[string]string{"verb": a.Verb, "host": a.HostID, "workload": a.WorkloadID, "plan_hash": a.PlanHash}
	for k, v := range why.Facts {
		facts[k] = v
	}
	return ops.Transition{Actor: why.Actor, OnBehalf: why.OnBehalf, Verb: verb, Object: "action", ObjectID: a.ID, From: string(from), To: string(a.State), Reason: why.Reason, Facts: facts}
}

// ApproverSets answers the sets of approvers, the root first, as they were
// signed.
func (v view) ApproverSets(ctx context.Context) ([]string, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT body FROM approver_set ORDER BY version`)
	if err != nil {
		return nil, fmt.Errorf("read approvers: %w", err)
	}
	return collectRows(rows, func(r *sql.Rows) (string, error) {
		var body string
		err := r.Scan(&body)
		return body, err
	})
}

// AddApproverSet stores the next set of approvers.
func (tx *Tx) AddApproverSet(ctx context.Context, version int, body string, why Why) error {
	ok, err := one(tx.q.ExecContext(ctx, `INSERT INTO approver_set (version, body, created_ms) VALUES ($1, $2, $3) ON CONFLICT (version) DO NOTHING`, version, body, toMS(tx.now)))
	if err != nil {
		return fmt.Errorf("add approvers: %w", err)
	}
	if !ok {
		return ops.Errorf(ops.Conflict, "the approvers were changed meanwhile; try again")
	}
	tx.Record(ops.Transition{Actor: why.Actor, OnBehalf: why.OnBehalf, Verb: "change", Object: "approvers", ObjectID: fmt.Sprint(version), Reason: why.Reason})
	return nil
}
