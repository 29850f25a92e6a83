package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"reeve/internal/ops"
)

const deliveryColumns = `id, channel, dedupe_key, state, message, incident_id, attempts, next_ms, created_ms, delivered_ms, error, version`

func scanDelivery(row interface{ Scan(...any) error }) (ops.Delivery, error) {
	var d ops.Delivery
	var message string
	var next, created, delivered int64
	err := row.Scan(&d.ID, &d.Channel, &d.DedupeKey, &d.State, &message, &d.IncidentID, &d.Attempts, &next, &created, &delivered, &d.Err, &d.Version)
	d.NextAt, d.CreatedAt, d.DeliveredAt = fromMS(next), fromMS(created), fromMS(delivered)
	return d, errors.Join(err, fromJSON(message, &d.Message))
}

func scanDeliveries(rows *sql.Rows) (ops.Delivery, error) { return scanDelivery(rows) }

// Delivery answers one delivery.
func (v view) Delivery(ctx context.Context, id string) (ops.Delivery, error) {
	d, err := scanDelivery(v.q.QueryRowContext(ctx, `SELECT `+deliveryColumns+` FROM delivery WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return d, ops.Errorf(ops.NotFound, "there is no delivery %s", id)
	}
	return d, err
}

// A DeliveryFilter chooses deliveries; zero fields choose all.
type DeliveryFilter struct {
	States   []string
	Channel  string
	Incident string
	DueBy    time.Time // next attempt at or before
	Since    time.Time // created at or after
	After    Key
	Limit    int
}

// Deliveries answers a page of deliveries, the newest first, and where it
// ended when there may be more.
func (v view) Deliveries(ctx context.Context, f DeliveryFilter) ([]ops.Delivery, *Key, error) {
	w := f.where()
	if f.After.ID != "" {
		w.add(`(created_ms, id) < ($?, $?)`, f.After.Num, f.After.ID)
	}
	limit := limitOf(f.Limit)
	rows, err := v.q.QueryContext(ctx, `SELECT `+deliveryColumns+` FROM delivery`+w.text()+
		` ORDER BY created_ms DESC, id DESC LIMIT `+w.arg(limit+1), w.args...)
	if err != nil {
		return nil, nil, fmt.Errorf("read deliveries: %w", err)
	}
	all, err := collectRows(rows, scanDeliveries)
	if err != nil || len(all) <= limit {
		return all, nil, err
	}
	last := all[limit-1]
	return all[:limit], &Key{Num: toMS(last.CreatedAt), ID: last.ID}, nil
}

func (f DeliveryFilter) where() where {
	w := where{}
	if f.States != nil {
		w.in("state", f.States)
	}
	if f.Channel != "" {
		w.add(`channel = $?`, f.Channel)
	}
	if f.Incident != "" {
		w.add(`incident_id = $?`, f.Incident)
	}
	if !f.DueBy.IsZero() {
		w.add(`next_ms <= $?`, toMS(f.DueBy))
	}
	if !f.Since.IsZero() {
		w.add(`created_ms >= $?`, toMS(f.Since))
	}
	return w
}

// DueDeliveries answers deliveries in a state whose time has come, the one
// that waits longest first.
func (v view) DueDeliveries(ctx context.Context, state ops.DeliveryState, by time.Time, limit int) ([]ops.Delivery, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT `+deliveryColumns+` FROM delivery WHERE state = $1 AND next_ms <= $2
		ORDER BY next_ms, id LIMIT $3`, state, toMS(by), limitOf(limit))
	if err != nil {
		return nil, fmt.Errorf("read due deliveries: %w", err)
	}
	return collectRows(rows, scanDeliveries)
}

// CountDeliveries answers how many deliveries match, states and times as in
// the filter.
func (v view) CountDeliveries(ctx context.Context, f DeliveryFilter) (int64, error) {
	w := f.where()
	var n int64
	err := v.q.QueryRowContext(ctx, `SELECT count(*) FROM delivery`+w.text(), w.args...).Scan(&n)
	return n, err
}

// Enqueue adds a delivery; fresh is false when its dedupe key is there
// already, and then nothing happens.
func (tx *Tx) Enqueue(ctx context.Context, d ops.Delivery, why Why) (fresh bool, err error) {
	fresh, err = one(tx.q.ExecContext(ctx, `
		INSERT INTO delivery (id, channel, dedupe_key, state, message, incident_id, next_ms, created_ms)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8) ON CONFLICT (dedupe_key) DO NOTHING`,
		d.ID, d.Channel, d.DedupeKey, ops.DeliveryFlow.Start(), toJSON(d.Message), d.IncidentID, toMS(d.NextAt), toMS(d.CreatedAt)))
	if err != nil {
		return false, fmt.Errorf("enqueue delivery: %w", err)
	}
	if fresh {
		d.State = ops.DeliveryFlow.Start()
		tx.Record(deliveryTransition("enqueue", "", d, why))
	}
	return fresh, nil
}

// MoveDelivery applies one event of the lifecycle to a delivery as the caller
// read it. A conflict says that another sender has it.
func (tx *Tx) MoveDelivery(ctx context.Context, d ops.Delivery, on ops.DeliveryEvent, why Why, change func(*ops.Delivery)) (ops.Delivery, error) {
	to, err := ops.DeliveryFlow.Next(d.State, on)
	if err != nil {
		return d, ops.Because(ops.Conflict, err, "a delivery that is %s cannot %s", d.State, on)
	}
	next := d
	next.State = to
	change(&next)
	ok, err := one(tx.q.ExecContext(ctx, `UPDATE delivery SET state=$1, attempts=$2, next_ms=$3, delivered_ms=$4, error=$5, version=version+1
		WHERE id=$6 AND version=$7`, next.State, next.Attempts, toMS(next.NextAt), toMS(next.DeliveredAt), next.Err, d.ID, d.Version))
	if err != nil {
		return d, fmt.Errorf("move delivery %s: %w", d.ID, err)
	}
	if !ok {
		return d, ops.Errorf(ops.Conflict, "delivery %s was taken by another sender", d.ID)
	}
	next.Version++
	tx.Record(deliveryTransition(string(on), d.State, next, why))
	return next, nil
}

func deliveryTransition(verb string, from ops.DeliveryState, d ops.Delivery, why Why) ops.Transition {
	facts := map[string]string{"channel": d.Channel, "incident": d.IncidentID, "event": string(d.Message.Event)}
	for k, v := range why.Facts {
		facts[k] = v
	}
	return ops.Transition{Actor: why.Actor, OnBehalf: why.OnBehalf, Verb: verb, Object: "delivery", ObjectID: d.ID,
		From: string(from), To: string(d.State), Reason: why.Reason, Facts: facts}
}
