package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"reeve/internal/ops"
)

const hostColumns = `h.id, h.name, h.state, h.reason, h.since_ms, h.is_local, h.resource_id, h.key_id, h.cert_ms, h.boot_id, h.boots, h.machine,
	h.agent, h.protocol, h.read_only, h.trust, h.heartbeat_every_ms, h.grace_ms, h.bytes_per_s, h.maintenance_ms, h.conflict_ms, h.conflict,
	h.created_ms, h.created_by, h.version, COALESCE(c.heartbeat_ms, 0), COALESCE(c.proof_ms, 0), COALESCE(c.report_ms, 0),
	COALESCE(c.sequence, 0), COALESCE(c.skew_ms, 0), COALESCE(c.spooled, 0), COALESCE(c.address, ''), COALESCE(c.server, '')`

const hostTables = ` FROM host h LEFT JOIN host_clock c ON c.host_id = h.id`

func scanHost(row interface{ Scan(...any) error }) (ops.Host, error) {
	var h ops.Host
	var local, readOnly int
	var boots, machine, trust string
	var since, cert, maintenance, conflict, created, beat, proof, report int64
	err := row.Scan(&h.ID, &h.Name, &h.State, &h.Reason, &since, &local, &h.ResourceID, &h.KeyID, &cert, &h.BootID, &boots, &machine,
		&h.Version, &h.Protocol, &readOnly, &trust, &h.HeartbeatMS, &h.GraceMS, &h.BytesPerS, &maintenance, &conflict, &h.Conflict,
		&created, &h.CreatedBy, &h.Row, &beat, &proof, &report, &h.Sequence, &h.SkewMS, &h.Spooled, &h.Address, &h.Server)
	h.Since, h.CertUntil, h.MaintenanceUntil, h.ConflictAt, h.CreatedAt = fromMS(since), fromMS(cert), fromMS(maintenance), fromMS(conflict), fromMS(created)
	h.HeartbeatAt, h.ProofAt, h.ReportAt = fromMS(beat), fromMS(proof), fromMS(report)
	h.Local, h.ReadOnly = local == 1, readOnly == 1
	return h, errors.Join(err, fromJSON(boots, &h.Boots), fromJSON(machine, &h.Machine), fromJSON(trust, &h.Trust))
}

// Hosts answers every host that is not removed, by name; with removed also the
// tombstones.
func (v view) Hosts(ctx context.Context, removed bool) ([]ops.Host, error) {
	query := `SELECT ` + hostColumns + hostTables
	if !removed {
		query += ` WHERE h.state <> 'removed'`
	}
	rows, err := v.q.QueryContext(ctx, query+` ORDER BY h.name, h.id`)
	if err != nil {
		return nil, fmt.Errorf("read hosts: %w", err)
	}
	return collectRows(rows, func(r *sql.Rows) (ops.Host, error) { return scanHost(r) })
}

// HostKeys answers, by its ID, which key each host may speak with now: its
// fingerprint, "" for none.
func (v view) HostKeys(ctx context.Context) (map[string]string, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT id, CASE WHEN state IN ('pending', 'removed') THEN '' ELSE key_id END FROM host`)
	if err != nil {
		return nil, fmt.Errorf("read keys of hosts: %w", err)
	}
	keys := map[string]string{}
	_, err = collectRows(rows, func(r *sql.Rows) (struct{}, error) {
		var id, key string
		err := r.Scan(&id, &key)
		keys[id] = key
		return struct{}{}, err
	})
	return keys, err
}

// HostsToJudge answers what a judgement of their reachability needs to know of
// all hosts that are not removed, in any order: identity, state, paces and
// clocks; and whether each is noted as quiet.
func (v view) HostsToJudge(ctx context.Context) (hosts []ops.Host, quiet []bool, err error) {
	rows, err := v.q.QueryContext(ctx, `SELECT h.id, h.state, h.since_ms, h.is_local, h.heartbeat_every_ms, h.grace_ms, h.maintenance_ms, h.quiet,
		COALESCE(c.heartbeat_ms, 0), COALESCE(c.proof_ms, 0), COALESCE(c.report_ms, 0)`+hostTables+` WHERE h.state <> 'removed'`)
	if err != nil {
		return nil, nil, fmt.Errorf("read hosts: %w", err)
	}
	defer rows.Close()
	var h ops.Host
	var local, silent int
	var since, maintenance, beat, proof, report int64
	into := []any{&h.ID, &h.State, &since, &local, &h.HeartbeatMS, &h.GraceMS, &maintenance, &silent, &beat, &proof, &report}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, nil, fmt.Errorf("read hosts: %w", err)
		}
		h.Local, h.Since, h.MaintenanceUntil = local == 1, fromMS(since), fromMS(maintenance)
		h.HeartbeatAt, h.ProofAt, h.ReportAt = fromMS(beat), fromMS(proof), fromMS(report)
		hosts, quiet = append(hosts, h), append(quiet, silent == 1)
	}
	return hosts, quiet, rows.Err()
}

// Host answers one host by its ID.
func (v view) Host(ctx context.Context, id string) (ops.Host, error) {
	h, err := scanHost(v.q.QueryRowContext(ctx, `SELECT `+hostColumns+hostTables+` WHERE h.id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return h, ops.Errorf(ops.NotFound, "there is no host %s", id)
	}
	return h, err
}

// FindHost answers a host by its ID, its name or its resource; tombstones only
// by their ID.
func (v view) FindHost(ctx context.Context, what string) (ops.Host, error) {
	h, err := scanHost(v.q.QueryRowContext(ctx, `SELECT `+hostColumns+hostTables+`
		WHERE h.id = $1 OR (h.state <> 'removed' AND (h.name = $1 OR h.resource_id = $1)) ORDER BY h.created_ms DESC LIMIT 1`, what))
	if errors.Is(err, sql.ErrNoRows) {
		return h, ops.Errorf(ops.NotFound, "there is no host %q; `reeve hosts` lists them", what)
	}
	return h, err
}

// A Heard says whether what is known of a host and what runs on it is
// current.
type Heard struct {
	State  ops.HostState
	Reason string
	Quiet  bool // it was not heard of for a moment, or sends what is past
	// Conflict is what last came with its key and was not it.
	Conflict   string
	ConflictAt time.Time
}

// HostsHeard answers how current each host is, by the ID of its resource.
func (v view) HostsHeard(ctx context.Context) (map[string]Heard, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT resource_id, state, reason, quiet, conflict, conflict_ms FROM host WHERE resource_id <> '' AND state <> 'removed'`)
	if err != nil {
		return nil, fmt.Errorf("read how hosts are heard: %w", err)
	}
	all := map[string]Heard{}
	_, err = collectRows(rows, func(r *sql.Rows) (struct{}, error) {
		var id string
		var h Heard
		var quiet int
		var conflict int64
		err := r.Scan(&id, &h.State, &h.Reason, &quiet, &h.Conflict, &conflict)
		h.Quiet, h.ConflictAt = quiet == 1, fromMS(conflict)
		all[id] = h
		return struct{}{}, err
	})
	return all, err
}

// AddHost inserts a host that joined.
func (tx *Tx) AddHost(ctx context.Context, h ops.Host, why Why) error {
	_, err := tx.q.ExecContext(ctx, `INSERT INTO host (id, name, state, reason, since_ms, is_local, key_id, cert_ms, boot_id, boots, machine, agent,
			protocol, read_only, trust, heartbeat_every_ms, grace_ms, bytes_per_s, created_ms, created_by)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20)`,
		h.ID, h.Name, h.State, h.Reason, toMS(tx.now), flag(h.Local), h.KeyID, toMS(h.CertUntil), h.BootID, toJSON(h.Boots), toJSON(h.Machine), h.Version,
		h.Protocol, flag(h.ReadOnly), toJSON(h.Trust), h.HeartbeatMS, h.GraceMS, h.BytesPerS, toMS(tx.now), why.Actor)
	if err != nil {
		return fmt.Errorf("add host %s: %w", h.Name, err)
	}
	tx.Record(hostTransition(string(ops.HostEnrol), ops.HostPending, h, why))
	return nil
}

// cannot says for people what a state has to do with what was asked for.
func cannot(s ops.HostState, on ops.HostEvent) string {
	switch {
	case s == ops.HostRemoved:
		return ": it can join as a new one"
	case on == ops.HostEnd:
		return ": it has no maintenance to end"
	case s == ops.HostPending && on == ops.HostRevoke:
		return ": it has no certificate that counts"
	case s == ops.HostPending:
		return ": it has not joined since its certificate was revoked"
	}
	return ": it cannot " + string(on)
}

// MoveHost applies one event of the lifecycle to a host as the caller read it.
func (tx *Tx) MoveHost(ctx context.Context, h ops.Host, on ops.HostEvent, why Why, change func(*ops.Host)) (ops.Host, error) {
	to, err := ops.HostFlow.Next(h.State, on)
	if err != nil {
		return h, ops.Because(ops.Conflict, err, "the host %s is %s%s", h.Name, h.State, cannot(h.State, on))
	}
	next := h
	if to != h.State {
		next.Since = tx.now
	}
	next.State, next.Reason = to, why.Reason
	if change != nil {
		change(&next)
	}
	if err := tx.saveHost(ctx, &next); err != nil {
		return h, err
	}
	tx.Record(hostTransition(string(on), h.State, next, why))
	return next, nil
}

// NoteHost changes what is known of a host without moving it; with an empty
// verb it leaves no transition.
func (tx *Tx) NoteHost(ctx context.Context, h ops.Host, verb string, why Why, change func(*ops.Host)) (ops.Host, error) {
	next := h
	change(&next)
	next.State = h.State
	if err := tx.saveHost(ctx, &next); err != nil {
		return h, err
	}
	if verb != "" {
		tx.Record(hostTransition(verb, h.State, next, why))
	}
	return next, nil
}

func (tx *Tx) saveHost(ctx context.Context, h *ops.Host) error {
	h.Boots = h.Boots[max(0, len(h.Boots)-ops.BootsKept):]
	ok, err := one(tx.q.ExecContext(ctx, `UPDATE host SET name=$1, state=$2, reason=$3, since_ms=$4, resource_id=$5, key_id=$6, cert_ms=$7, boot_id=$8,
			boots=$9, machine=$10, agent=$11, protocol=$12, read_only=$13, trust=$14, heartbeat_every_ms=$15, grace_ms=$16, bytes_per_s=$17,
			maintenance_ms=$18, conflict_ms=$19, conflict=$20, version=version+1
		WHERE id=$21 AND version=$22`,
		h.Name, h.State, h.Reason, toMS(h.Since), h.ResourceID, h.KeyID, toMS(h.CertUntil), h.BootID,
		toJSON(h.Boots), toJSON(h.Machine), h.Version, h.Protocol, flag(h.ReadOnly), toJSON(h.Trust), h.HeartbeatMS, h.GraceMS, h.BytesPerS,
		toMS(h.MaintenanceUntil), toMS(h.ConflictAt), h.Conflict, h.ID, h.Row))
	if err != nil {
		return fmt.Errorf("save host %s: %w", h.Name, err)
	}
	if !ok {
		return ops.Errorf(ops.Conflict, "the host %s was changed meanwhile; try again", h.Name)
	}
	h.Row++
	return nil
}

func hostTransition(verb string, from ops.HostState, h ops.Host, why Why) ops.Transition {
	facts := map[string]string{"name": h.Name, "resource": h.ResourceID}
	for k, v := range why.Facts {
		facts[k] = v
	}
	return ops.Transition{Actor: why.Actor, OnBehalf: why.OnBehalf, Verb: verb, Object: "host", ObjectID: h.ID, From: string(from), To: string(h.State),
		Reason: why.Reason, Facts: facts}
}

// SetQuiet writes which hosts are not heard of for a moment, without a
// transition.
func (tx *Tx) SetQuiet(ctx context.Context, ids []string, quiet bool) error {
	for part := range slices.Chunk(ids, 500) {
		w := where{}
		set := w.arg(flag(quiet))
		w.in("id", part)
		if _, err := tx.q.ExecContext(ctx, `UPDATE host SET quiet = `+set+w.text(), w.args...); err != nil {
			return fmt.Errorf("note quiet hosts: %w", err)
		}
	}
	return nil
}

// A Clock is when one host was last heard of in each way.
type Clock struct {
	HostID                    string
	Heartbeat, Proof, Report  time.Time
	Sequence, SkewMS, Spooled int64
	Address, Server           string
}

// SaveClocks writes clocks, many to a statement and without transitions. A
// clock never goes back, and what came with an older heartbeat counts for
// nothing: another server may have heard of the host later.
func (tx *Tx) SaveClocks(ctx context.Context, clocks []Clock) error {
	const newer = `WHEN excluded.heartbeat_ms >= host_clock.heartbeat_ms`
	return tx.insertMany(ctx, `INSERT INTO host_clock (host_id, heartbeat_ms, proof_ms, report_ms, sequence, skew_ms, spooled, address, server) VALUES `,
		` ON CONFLICT (host_id) DO UPDATE SET
			heartbeat_ms = CASE WHEN excluded.heartbeat_ms > host_clock.heartbeat_ms THEN excluded.heartbeat_ms ELSE host_clock.heartbeat_ms END,
			proof_ms = CASE WHEN excluded.proof_ms > host_clock.proof_ms THEN excluded.proof_ms ELSE host_clock.proof_ms END,
			report_ms = CASE WHEN excluded.report_ms > host_clock.report_ms THEN excluded.report_ms ELSE host_clock.report_ms END,
			sequence = CASE WHEN excluded.sequence > host_clock.sequence THEN excluded.sequence ELSE host_clock.sequence END,
			skew_ms = CASE `+newer+` THEN excluded.skew_ms ELSE host_clock.skew_ms END,
			spooled = CASE `+newer+` THEN excluded.spooled ELSE host_clock.spooled END,
			address = CASE `+newer+` THEN excluded.address ELSE host_clock.address END,
			server = CASE `+newer+` THEN excluded.server ELSE host_clock.server END`,
		len(clocks), func(i int) []any {
			c := clocks[i]
			return []any{c.HostID, toMS(c.Heartbeat), toMS(c.Proof), toMS(c.Report), c.Sequence, c.SkewMS, c.Spooled, c.Address, c.Server}
		})
}

// RemoveResourcesOf marks what a source saw on a host as removed, of all
// sources when it is "".
func (tx *Tx) RemoveResourcesOf(ctx context.Context, hostKey, source string, why Why) error {
	rows, err := tx.q.QueryContext(ctx, `UPDATE resource SET presence = 'removed', version = version + 1
		WHERE key_host = $1 AND ($2 = '' OR key_source = $2) AND presence <> 'removed'
		RETURNING id, kind, name, host_name`, hostKey, source)
	if err != nil {
		return fmt.Errorf("remove the resources of %s: %w", hostKey, err)
	}
	_, err = collectRows(rows, func(r *sql.Rows) (struct{}, error) {
		t := ops.Transition{Actor: why.Actor, OnBehalf: why.OnBehalf, Verb: "remove", Object: "resource", To: string(ops.Removed), Reason: why.Reason, Facts: map[string]string{}}
		var kind, name, host string
		err := r.Scan(&t.ObjectID, &kind, &name, &host)
		t.Facts["kind"], t.Facts["name"], t.Facts["host"] = kind, name, host
		tx.Record(t)
		return struct{}{}, err
	})
	return err
}
