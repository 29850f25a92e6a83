package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"reeve/internal/ops"
)

const incidentColumns = `id, title, state, severity, peak, root_id, owner, acked_by, acked_ms, opened_ms, mitigated_ms, closed_ms, merged_into, version,
	(SELECT count(*) FROM incident_member m WHERE m.incident_id = incident.id),
	(SELECT count(*) FROM finding f WHERE f.incident_id = incident.id AND f.active = 1)`

func scanIncident(row interface{ Scan(...any) error }) (ops.Incident, error) {
	var i ops.Incident
	var acked, opened, mitigated, closed int64
	err := row.Scan(&i.ID, &i.Title, &i.State, &i.Severity, &i.Peak, &i.RootID, &i.Owner, &i.AckedBy, &acked, &opened, &mitigated, &closed,
		&i.MergedInto, &i.Version, &i.MemberCount, &i.ActiveCount)
	i.AckedAt, i.OpenedAt, i.MitigatedAt, i.ClosedAt = fromMS(acked), fromMS(opened), fromMS(mitigated), fromMS(closed)
	return i, err
}

func scanIncidents(rows *sql.Rows) (ops.Incident, error) { return scanIncident(rows) }

// Incident answers one incident with its members.
func (v view) Incident(ctx context.Context, id string) (ops.Incident, error) {
	i, err := scanIncident(v.q.QueryRowContext(ctx, `SELECT `+incidentColumns+` FROM incident WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return i, ops.Errorf(ops.NotFound, "there is no incident %s", id)
	}
	if err != nil {
		return i, fmt.Errorf("read incident %s: %w", id, err)
	}
	i.Members, err = v.Members(ctx, id)
	return i, err
}

// Members answers the members of an incident, in the order in which they
// joined.
func (v view) Members(ctx context.Context, incidentID string) ([]ops.IncidentMember, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT finding_id, reason, joined_ms FROM incident_member WHERE incident_id = $1 ORDER BY joined_ms, finding_id`, incidentID)
	if err != nil {
		return nil, fmt.Errorf("read members of %s: %w", incidentID, err)
	}
	return collectRows(rows, func(r *sql.Rows) (ops.IncidentMember, error) {
		var m ops.IncidentMember
		var joined int64
		err := r.Scan(&m.FindingID, &m.Reason, &joined)
		m.JoinedAt = fromMS(joined)
		return m, err
	})
}

// An IncidentFilter chooses incidents; zero fields choose all.
type IncidentFilter struct {
	States []string
	After  Key
	Limit  int
	All    bool
}

// Incidents answers a page of incidents without their members, the newest
// first, and where it ended when there may be more.
func (v view) Incidents(ctx context.Context, f IncidentFilter) ([]ops.Incident, *Key, error) {
	w := where{}
	if f.States != nil {
		w.in("state", f.States)
	}
	if f.After.ID != "" {
		w.add(`(opened_ms, id) < ($?, $?)`, f.After.Num, f.After.ID)
	}
	query := `SELECT ` + incidentColumns + ` FROM incident` + w.text() + ` ORDER BY opened_ms DESC, id DESC`
	limit := limitOf(f.Limit)
	if !f.All {
		query += ` LIMIT ` + w.arg(limit+1)
	}
	rows, err := v.q.QueryContext(ctx, query, w.args...)
	if err != nil {
		return nil, nil, fmt.Errorf("read incidents: %w", err)
	}
	all, err := collectRows(rows, scanIncidents)
	if err != nil || f.All || len(all) <= limit {
		return all, nil, err
	}
	last := all[limit-1]
	return all[:limit], &Key{Num: toMS(last.OpenedAt), ID: last.ID}, nil
}

// CountIncidents answers how many incidents are not closed, by state.
func (v view) CountIncidents(ctx context.Context) (map[ops.IncidentState]int64, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT state, count(*) FROM incident WHERE state <> 'closed' GROUP BY state`)
	if err != nil {
		return nil, err
	}
	counts := map[ops.IncidentState]int64{}
	_, err = collectRows(rows, func(r *sql.Rows) (struct{}, error) {
		var s ops.IncidentState
		var n int64
		err := r.Scan(&s, &n)
		counts[s] = n
		return struct{}{}, err
	})
	return counts, err
}

// OpenIncident inserts a new incident; members join with Join.
func (tx *Tx) OpenIncident(ctx context.Context, i ops.Incident, why Why) error {
	_, err := tx.q.ExecContext(ctx, `INSERT INTO incident (id, title, state, severity, peak, root_id, opened_ms) VALUES ($1,$2,$3,$4,$5,$6,$7)`,
		i.ID, i.Title, i.State, i.Severity, i.Peak, i.RootID, toMS(i.OpenedAt))
	if err != nil {
		return fmt.Errorf("open incident: %w", err)
	}
	tx.Record(incidentTransition("open", "", i, why))
	return nil
}

// MoveIncident applies one event of the lifecycle to an incident as the
// caller read it.
func (tx *Tx) MoveIncident(ctx context.Context, i ops.Incident, on ops.IncidentEvent, why Why, change func(*ops.Incident)) (ops.Incident, error) {
	to, err := ops.IncidentFlow.Next(i.State, on)
	if err != nil {
		return i, ops.Because(ops.Conflict, err, "an incident that is %s cannot %s", i.State, on)
	}
	next := i
	next.State = to
	change(&next)
	if err := tx.saveIncident(ctx, &next, i.Version); err != nil {
		return i, err
	}
	tx.Record(incidentTransition(string(on), i.State, next, why))
	return next, nil
}

// NoteIncident changes fields of an incident without moving it.
func (tx *Tx) NoteIncident(ctx context.Context, i ops.Incident, verb string, why Why, change func(*ops.Incident)) (ops.Incident, error) {
	next := i
	change(&next)
	next.State = i.State
	if err := tx.saveIncident(ctx, &next, i.Version); err != nil {
		return i, err
	}
	tx.Record(incidentTransition(verb, i.State, next, why))
	return next, nil
}

func (tx *Tx) saveIncident(ctx context.Context, i *ops.Incident, seen int64) error {
	ok, err := one(tx.q.ExecContext(ctx, `
		UPDATE incident SET title=$1, state=$2, severity=$3, peak=$4, root_id=$5, owner=$6, acked_by=$7, acked_ms=$8, mitigated_ms=$9,
			closed_ms=$10, merged_into=$11, opened_ms=$12, version=version+1
		WHERE id=$13 AND version=$14`,
		i.Title, i.State, i.Severity, i.Peak, i.RootID, i.Owner, i.AckedBy, toMS(i.AckedAt), toMS(i.MitigatedAt),
		toMS(i.ClosedAt), i.MergedInto, toMS(i.OpenedAt), i.ID, seen))
	if err != nil {
		return fmt.Errorf("save incident %s: %w", i.ID, err)
	}
	if !ok {
		return ops.Errorf(ops.Conflict, "incident %s was changed meanwhile; read it again", i.ID)
	}
	i.Version = seen + 1
	return nil
}

func incidentTransition(verb string, from ops.IncidentState, i ops.Incident, why Why) ops.Transition {
	facts := map[string]string{"severity": string(i.Severity), "root": i.RootID, "title": i.Title}
	for k, v := range why.Facts {
		facts[k] = v
	}
	return ops.Transition{Actor: why.Actor, OnBehalf: why.OnBehalf, Verb: verb, Object: "incident", ObjectID: i.ID,
		From: string(from), To: string(i.State), Reason: why.Reason, Facts: facts}
}

// Join makes a finding a member of an incident, or moves it there from
// another. Callers set the finding's own incident with NoteFinding or in the
// move that opened it; both happen in one transaction.
func (tx *Tx) Join(ctx context.Context, incidentID string, m ops.IncidentMember) error {
	_, err := tx.q.ExecContext(ctx, `INSERT INTO incident_member (finding_id, incident_id, reason, joined_ms) VALUES ($1,$2,$3,$4)
		ON CONFLICT (finding_id) DO UPDATE SET incident_id = excluded.incident_id, reason = excluded.reason`,
		m.FindingID, incidentID, m.Reason, toMS(m.JoinedAt))
	if err != nil {
		return fmt.Errorf("join incident %s: %w", incidentID, err)
	}
	_, err = tx.q.ExecContext(ctx, `UPDATE finding SET incident_id = $1, version = version + 1 WHERE id = $2`, incidentID, m.FindingID)
	if err != nil {
		return fmt.Errorf("join incident %s: %w", incidentID, err)
	}
	tx.Record(ops.Transition{Actor: "watch", Verb: "join", Object: "incident", ObjectID: incidentID, Reason: m.Reason,
		Facts: map[string]string{"finding": m.FindingID}})
	return nil
}

// OpenIncidents answers every incident that is not closed, without members.
func (v view) OpenIncidents(ctx context.Context) ([]ops.Incident, error) {
	all, _, err := v.Incidents(ctx, IncidentFilter{All: true, States: []string{
		string(ops.IncidentOpen), string(ops.IncidentAcknowledged), string(ops.IncidentMitigated)}})
	return all, err
}

// FindingsOfOpenIncidents answers every finding that belongs to an incident
// that is not closed, and every active finding: one that came back after its
// incident closed needs another.
func (v view) FindingsOfOpenIncidents(ctx context.Context) ([]ops.Finding, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT `+findingColumns+` FROM finding
		WHERE incident_id IN (SELECT id FROM incident WHERE state IN ('open', 'acknowledged', 'mitigated'))
		   OR active = 1
		ORDER BY opened_ms, id`)
	if err != nil {
		return nil, fmt.Errorf("read findings of open incidents: %w", err)
	}
	return collectRows(rows, scanFindings)
}

// MitigatedBefore answers incidents whose watch is over.
func (v view) MitigatedBefore(ctx context.Context, before time.Time) ([]ops.Incident, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT `+incidentColumns+` FROM incident WHERE state = 'mitigated' AND mitigated_ms <= $1
		ORDER BY opened_ms, id LIMIT 500`, toMS(before))
	if err != nil {
		return nil, err
	}
	return collectRows(rows, scanIncidents)
}
