package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/workload"
)

// The sources of what is desired of a workload.
const (
	FromConfig = "config"
	FromPerson = "person" // who declared it
	FromOrder  = "action" // of a person, such as to stop it
)

// A WorkloadRow is a workload as it is stored: the row that is judged, and
// what goes with it.
type WorkloadRow struct {
	workload.Row
	Source     string
	Configured string    // what the configuration last said of it, "" for nothing
	SettlesAt  time.Time // until then another state than the desired one is no problem
	Problems   map[string]string
	Reason     string
	UpSince    time.Time
	ChangedAt  time.Time
	ResourceID string
}

const workloadColumns = `w.id, w.host_id, w.driver, w.name, w.desired, w.desired_by, w.source, w.observed, w.raw_label, w.lease, w.tombstone, w.missing_ms,
	w.missing_reports, w.transit_ms, w.generation, w.sequence, w.removals, w.removal_ms, w.problems, w.reason, w.up_ms, w.changed_ms, w.resource_id, w.configured, w.settles_ms, w.version`

func scanWorkload(row interface{ Scan(...any) error }, more ...any) (WorkloadRow, error) {
	var w WorkloadRow
	var lease, problems string
	var tombstone int
	var missing, transit, removal, up, changed, settles int64
	into := []any{&w.ID, &w.HostID, &w.Driver, &w.Name, &w.Desired, &w.DesiredBy, &w.Source, &w.Observed, &w.RawLabel, &lease, &tombstone, &missing,
		&w.MissingReports, &transit, &w.Generation, &w.Sequence, &w.Removals, &removal, &problems, &w.Reason, &up, &changed, &w.ResourceID, &w.Configured, &settles, &w.Version}
	err := row.Scan(append(into, more...)...)
	w.Tombstone, w.SettlesAt = tombstone == 1, fromMS(settles)
	w.MissingSince, w.TransitSince, w.LastRemoval, w.UpSince, w.ChangedAt = fromMS(missing), fromMS(transit), fromMS(removal), fromMS(up), fromMS(changed)
	if lease != "" {
		w.Lease = &workload.Lease{}
		err = errors.Join(err, json.Unmarshal([]byte(lease), w.Lease))
	}
	return w, errors.Join(err, fromJSON(problems, &w.Problems))
}

// WorkloadsOf answers the workloads of a host.
func (v view) WorkloadsOf(ctx context.Context, hostID string) ([]WorkloadRow, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT `+workloadColumns+` FROM workload w WHERE w.host_id = $1 ORDER BY w.driver, w.name`, hostID)
	if err != nil {
		return nil, fmt.Errorf("read workloads: %w", err)
	}
	return collectRows(rows, func(r *sql.Rows) (WorkloadRow, error) { return scanWorkload(r) })
}

// WorkloadRow answers one workload by its ID.
func (v view) WorkloadRow(ctx context.Context, id string) (WorkloadRow, error) {
	w, err := scanWorkload(v.q.QueryRowContext(ctx, `SELECT `+workloadColumns+` FROM workload w WHERE w.id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return w, ops.Errorf(ops.NotFound, "there is no workload %s", id)
	}
	return w, err
}

// WorkloadByKey answers a workload by its place; ok is false when there is no
// row.
func (v view) WorkloadByKey(ctx context.Context, host, driver, name string) (w WorkloadRow, ok bool, err error) {
	w, err = scanWorkload(v.q.QueryRowContext(ctx, `SELECT `+workloadColumns+` FROM workload w WHERE w.host_id = $1 AND w.driver = $2 AND w.name = $3`, host, driver, name))
	if errors.Is(err, sql.ErrNoRows) {
		return w, false, nil
	}
	return w, err == nil, err
}

// A WorkloadFilter chooses workloads; zero fields choose all.
type WorkloadFilter struct {
	Host     string // ID or name
	Driver   string
	Text     string // in the name
	Declared bool
	Problem  bool
	After    Key
	Limit    int
}

// Workloads answers workloads as people see them, by name, and the key of the
// next page.
func (v view) Workloads(ctx context.Context, f WorkloadFilter) ([]ops.Workload, *Key, error) {
	w := where{}
	if f.Host != "" {
		w.add(`(w.host_id = $? OR h.name = $?)`, f.Host, f.Host)
	}
	if f.Driver != "" {
		w.add(`w.driver = $?`, f.Driver)
	}
	if f.Text != "" {
		w.add(`(lower(w.name) LIKE $? ESCAPE '!' OR w.id = $?)`, "%"+likeText(f.Text)+"%", f.Text)
	}
	if f.Declared {
		w.parts = append(w.parts, `w.desired <> ''`)
	}
	if f.Problem {
		w.parts = append(w.parts, `w.problems <> '{}'`)
	}
	if f.After.ID != "" {
		w.add(`(w.name, w.id) > ($?, $?)`, f.After.Value, f.After.ID)
	}
	limit := limitOf(f.Limit)
	rows, err := v.q.QueryContext(ctx, `SELECT `+workloadColumns+`, COALESCE(h.name, ''), COALESCE(h.state, 'online') FROM workload w LEFT JOIN host h ON h.id = w.host_id`+
		w.text()+` ORDER BY w.name, w.id LIMIT `+w.arg(limit+1), w.args...)
	if err != nil {
		return nil, nil, fmt.Errorf("read workloads: %w", err)
	}
	all, err := collectRows(rows, func(r *sql.Rows) (ops.Workload, error) {
		var host, state string
		row, err := scanWorkload(r, &host, &state)
		return shownWorkload(row, host, state), err
	})
	if err != nil || len(all) <= limit {
		return all, nil, err
	}
	last := all[limit-1]
	return all[:limit], &Key{ID: last.ID, Value: last.Name}, nil
}

func shownWorkload(w WorkloadRow, host, state string) ops.Workload {
	x := ops.Workload{ID: w.ID, HostID: w.HostID, Host: host, Driver: w.Driver, Name: w.Name, Desired: string(w.Desired), DesiredBy: w.DesiredBy, Source: w.Source, Configured: w.Configured,
		Observed: string(w.Observed), Label: w.RawLabel, Tombstone: w.Tombstone, Problems: w.Problems, Reason: w.Reason, UpSince: w.UpSince, ChangedAt: w.ChangedAt,
		Generation: w.Generation, ResourceID: w.ResourceID, Version: w.Version, Reachable: ops.ReachableOf(ops.KindWorkload, ops.HostState(state))}
	if w.Lease != nil {
		x.Operation, x.ActionID, x.Deadline = string(w.Lease.Op), w.Lease.ActionID, w.Lease.Deadline
	}
	if x.Problems == nil {
		x.Problems = map[string]string{}
	}
	return x
}

// Workload answers one workload as people see it: by its ID, or by a name
// that one alone has, or HOST/NAME.
func (v view) Workload(ctx context.Context, what string) (ops.Workload, error) {
	host, name, both := strings.Cut(what, "/")
	query := `w.id = $1 OR w.name = $1`
	args := []any{what}
	if both {
		query, args = `(w.id = $1 OR w.name = $1) OR (h.name = $2 AND w.name = $3)`, append(args, host, name)
	}
	rows, err := v.q.QueryContext(ctx, `SELECT `+workloadColumns+`, COALESCE(h.name, ''), COALESCE(h.state, 'online') FROM workload w LEFT JOIN host h ON h.id = w.host_id
		WHERE `+query+` ORDER BY w.name, w.id LIMIT 5`, args...)
	if err != nil {
		return ops.Workload{}, fmt.Errorf("read a workload: %w", err)
	}
	all, err := collectRows(rows, func(r *sql.Rows) (ops.Workload, error) {
		var host, state string
		row, err := scanWorkload(r, &host, &state)
		return shownWorkload(row, host, state), err
	})
	switch {
	case err != nil:
		return ops.Workload{}, err
	case len(all) == 0:
		return ops.Workload{}, ops.Errorf(ops.NotFound, "there is no workload %q; `reeve workloads` lists them", what)
	case len(all) > 1:
		var places []string
		for _, x := range all {
			places = append(places, x.Host+"/"+x.Name+" ("+x.Driver+", "+x.ID+")")
		}
		return ops.Workload{}, ops.Errorf(ops.Conflict, "%q is several workloads: %s; say which by its ID", what, strings.Join(places, ", "))
	}
	return all[0], nil
}

// SaveWorkload inserts a workload, or writes one that is still of the version
// that was read; saved is false when it is not, and then nothing is written.
// With a reason it leaves a transition.
func (tx *Tx) SaveWorkload(ctx context.Context, w *WorkloadRow, verb string, before WorkloadRow, why Why) (saved bool, err error) {
	lease := ""
	if w.Lease != nil {
		lease = toJSON(w.Lease)
	}
	problems := "{}"
	if len(w.Problems) > 0 {
		problems = toJSON(w.Problems)
	}
	values := []any{w.Desired, w.DesiredBy, w.Source, w.Observed, w.RawLabel, lease, flag(w.Tombstone), toMS(w.MissingSince), w.MissingReports, toMS(w.TransitSince),
		w.Generation, w.Sequence, w.Removals, toMS(w.LastRemoval), problems, w.Reason, toMS(w.UpSince), toMS(tx.now), w.ResourceID, w.Configured, toMS(w.SettlesAt), w.ID}
	if w.Version == 0 {
		saved, err = one(tx.q.ExecContext(ctx, `INSERT INTO workload (desired, desired_by, source, observed, raw_label, lease, tombstone, missing_ms, missing_reports, transit_ms,
				generation, sequence, removals, removal_ms, problems, reason, up_ms, changed_ms, resource_id, configured, settles_ms, id, host_id, driver, name)
			VALUES (`+marks(25)+`) ON CONFLICT (host_id, driver, name) DO NOTHING`, append(values, w.HostID, w.Driver, w.Name)...))
	} else {
		saved, err = one(tx.q.ExecContext(ctx, `UPDATE workload SET desired=$1, desired_by=$2, source=$3, observed=$4, raw_label=$5, lease=$6, tombstone=$7, missing_ms=$8,
				missing_reports=$9, transit_ms=$10, generation=$11, sequence=$12, removals=$13, removal_ms=$14, problems=$15, reason=$16, up_ms=$17, changed_ms=$18,
				resource_id=$19, configured=$20, settles_ms=$21, version=version+1 WHERE id=$22 AND version=$23`, append(values, w.Version)...))
	}
	if err != nil {
		return false, fmt.Errorf("save workload %s: %w", w.Name, err)
	}
	if !saved {
		return false, nil
	}
	w.Version++
	if verb != "" {
		tx.Record(workloadTransition(verb, before, *w, why))
	}
	return true, nil
}

func marks(n int) string {
	return strings.TrimSuffix(strings.TrimPrefix(tuples(1, n), "("), ")")
}

func workloadTransition(verb string, before, w WorkloadRow, why Why) ops.Transition {
	facts := map[string]string{"name": w.Name, "driver": w.Driver, "host": w.HostID}
	note := func(what string, from, to string) {
		if from != to {
			facts[what] = from + " -> " + to
		}
	}
	note("desired", string(before.Desired), string(w.Desired))
	note("observed", string(before.Observed), string(w.Observed))
	note("problems", strings.Join(slices.Sorted(maps.Keys(before.Problems)), " "), strings.Join(slices.Sorted(maps.Keys(w.Problems)), " "))
	maps.Copy(facts, why.Facts)
	return ops.Transition{Actor: why.Actor, OnBehalf: why.OnBehalf, Verb: verb, Object: "workload", ObjectID: w.ID, From: string(before.Observed), To: string(w.Observed),
		Reason: why.Reason, Facts: facts}
}

// DeleteWorkload forgets a workload that is still of the version that was
// read.
func (tx *Tx) DeleteWorkload(ctx context.Context, w WorkloadRow, why Why) (bool, error) {
	deleted, err := one(tx.q.ExecContext(ctx, `DELETE FROM workload WHERE id = $1 AND version = $2`, w.ID, w.Version))
	if deleted && err == nil {
		t := workloadTransition("forget", w, w, why)
		t.To = ""
		tx.Record(t)
	}
	return deleted, err
}

// DeleteWorkloadsOf forgets all workloads of a host.
func (tx *Tx) DeleteWorkloadsOf(ctx context.Context, hostID string, why Why) error {
	all, err := tx.WorkloadsOf(ctx, hostID)
	for _, w := range all {
		if _, err := tx.DeleteWorkload(ctx, w, why); err != nil {
			return err
		}
	}
	return err
}

// PutResource writes a resource that its caller alone writes, whatever stood
// there, and answers its ID.
func (tx *Tx) PutResource(ctx context.Context, r ops.Resource) (id string, err error) {
	err = tx.q.QueryRowContext(ctx, `
		INSERT INTO resource (id, kind, name, host_id, host_name, parent_id, key_host, key_source, key_key, labels, observed, presence, first_seen_ms, observed_ms)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14)
		ON CONFLICT (key_host, key_source, key_key) DO UPDATE SET name = excluded.name, host_id = excluded.host_id, host_name = excluded.host_name,
			parent_id = excluded.parent_id, observed = excluded.observed, presence = excluded.presence, observed_ms = excluded.observed_ms, version = resource.version + 1
		RETURNING id`,
		r.ID, r.Kind, r.Name, r.HostID, r.HostName, r.ParentID, r.Key.Host, r.Key.Source, r.Key.Key, toJSON(r.Labels), toJSON(r.Observed), r.Presence,
		toMS(tx.now), toMS(tx.now)).Scan(&id)
	if err != nil {
		return "", fmt.Errorf("put resource %s: %w", r.Name, err)
	}
	return id, nil
}

// NextFence answers a number above every one before it. It follows the clock,
// so that a database that was put back from a backup does not give out again
// what hosts have seen.
func (tx *Tx) NextFence(ctx context.Context) (n int64, err error) {
	err = tx.q.QueryRowContext(ctx, `UPDATE fence SET last = CASE WHEN last < $1 THEN $1 ELSE last + 1 END WHERE id = 1 RETURNING last`, toMS(tx.now)).Scan(&n)
	return n, err
}

// BeginAgain lets a host that joined anew count from its beginning: the lists
// of its agent may, and it was not heard of since.
func (tx *Tx) BeginAgain(ctx context.Context, hostID string) error {
	_, err := tx.q.ExecContext(ctx, `UPDATE workload SET sequence = 0, version = version + 1 WHERE host_id = $1`, hostID)
	if err == nil {
		_, err = tx.q.ExecContext(ctx, `UPDATE host_clock SET heartbeat_ms = 0, proof_ms = 0, report_ms = 0 WHERE host_id = $1`, hostID)
	}
	return err
}
