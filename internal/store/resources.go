package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"reeve/internal/ops"
)

const resourceColumns = `id, kind, name, host_id, host_name, parent_id, key_host, key_source, key_key, labels, desired, observed,
	presence, COALESCE((SELECT h.state FROM host h WHERE h.resource_id = resource.host_id AND h.state <> 'removed'), 'online'),
	first_seen_ms, observed_ms, generation, version`

// scanResource reads a row; it shares what it says with those before it.
func scanResource(row interface{ Scan(...any) error }, a *alike) (ops.Resource, error) {
	var r ops.Resource
	var labels, desired, observed string
	var first, seen int64
	err := row.Scan(&r.ID, &r.Kind, &r.Name, &r.HostID, &r.HostName, &r.ParentID, &r.Key.Host, &r.Key.Source, &r.Key.Key,
		&labels, &desired, &observed, &r.Presence, &r.Reachable, &first, &seen, &r.Generation, &r.Version)
	if err != nil {
		return r, err
	}
	a.share(&r)
	r.FirstSeen, r.ObservedAt = fromMS(first), fromMS(seen)
	r.Reachable = ops.ReachableOf(r.Kind, ops.HostState(r.Reachable))
	var errs [3]error
	r.Labels, errs[0] = a.object(labels)
	r.Desired, errs[1] = a.object(desired)
	r.Observed, errs[2] = a.object(observed)
	return r, errors.Join(errs[:]...)
}

// Resource answers one resource.
func (v view) Resource(ctx context.Context, id string) (ops.Resource, error) {
	r, err := scanResource(v.q.QueryRowContext(ctx, `SELECT `+resourceColumns+` FROM resource WHERE id = $1`, id), &alike{})
	if errors.Is(err, sql.ErrNoRows) {
		return r, ops.Errorf(ops.NotFound, "there is no resource %s", id)
	}
	return r, err
}

// ResourceByKey answers the resource of an identity, also one that was
// removed; ok is false when it was never seen. Thing is the source's own
// identity of what was last behind the key.
func (v view) ResourceByKey(ctx context.Context, key ops.ResourceKey) (r ops.Resource, thing string, ok bool, err error) {
	var id string
	err = v.q.QueryRowContext(ctx, `SELECT id, thing FROM resource WHERE key_host = $1 AND key_source = $2 AND key_key = $3`,
		key.Host, key.Source, key.Key).Scan(&id, &thing)
	if errors.Is(err, sql.ErrNoRows) {
		return r, "", false, nil
	}
	if err != nil {
		return r, "", false, fmt.Errorf("read resource by key: %w", err)
	}
	r, err = v.Resource(ctx, id)
	return r, thing, err == nil, err
}

// ResourcesSeenBy answers what a host's agent, or a part of the server in its
// name, sees and is not removed, with the sources' own identities by ID.
func (v view) ResourcesSeenBy(ctx context.Context, hostKey string) ([]ops.Resource, map[string]string, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT `+resourceColumns+`, thing FROM resource WHERE key_host = $1 AND presence <> 'removed'`, hostKey)
	if err != nil {
		return nil, nil, err
	}
	things := map[string]string{}
	var same alike
	all, err := collectRows(rows, func(r *sql.Rows) (ops.Resource, error) {
		var thing string
		x, err := scanResource(also{r, []any{&thing}}, &same)
		things[x.ID] = thing
		return x, err
	})
	return all, things, err
}

// HostsSeenBy answers the keys of the hosts with resources of a source that
// are not removed.
func (v view) HostsSeenBy(ctx context.Context, source string) ([]string, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT DISTINCT key_host FROM resource WHERE key_source = $1 AND presence <> 'removed' ORDER BY key_host`, source)
	if err != nil {
		return nil, fmt.Errorf("read the hosts of source %s: %w", source, err)
	}
	return collectRows(rows, func(r *sql.Rows) (key string, err error) { return key, r.Scan(&key) })
}

// also scans further columns behind those that a scan knows.
type also struct {
	row  interface{ Scan(...any) error }
	more []any
}

func (a also) Scan(into ...any) error { return a.row.Scan(append(into, a.more...)...) }

// PruneResources deletes resources that were removed before a time and of
// which no finding tells.
func (tx *Tx) PruneResources(ctx context.Context, before time.Time) (int64, error) {
	res, err := tx.q.ExecContext(ctx, `DELETE FROM resource WHERE presence = 'removed' AND observed_ms < $1
		AND NOT EXISTS (SELECT 1 FROM finding f WHERE f.resource_id = resource.id)`, toMS(before))
	if err != nil {
		return 0, fmt.Errorf("prune resources: %w", err)
	}
	return res.RowsAffected()
}

// A ResourceFilter chooses resources; zero fields choose all.
type ResourceFilter struct {
	Kinds    []string
	Host     string // ID or name
	Agent    string // key of the host whose agent sees them
	Parent   string
	Text     string // part of the name, or a whole ID
	Labels   map[string]string
	Presence []string
	Sort     string // name, kind, observed_at; a leading - reverses
	After    Key    // the last row of the page before
	Limit    int
	All      bool // no limit: for the process itself, never for an API page
}

// A Key is where a page of a list ended: the sort column's value and the ID.
type Key struct {
	Value string
	Num   int64
	ID    string
}

// resourceSorts maps the sort names of the API to columns; numeric ones page
// by number.
var resourceSorts = map[string]struct {
	column  string
	numeric bool
}{"": {"name", false}, "name": {"name", false}, "kind": {"kind", false}, "host": {"host_name", false}, "observed_at": {"observed_ms", true}}

// Resources answers a page of resources and, when there may be more, where it
// ended. Rows share what they say alike: nobody writes to their maps.
func (v view) Resources(ctx context.Context, f ResourceFilter) ([]ops.Resource, *Key, error) {
	name, desc := strings.CutPrefix(f.Sort, "-")
	by, ok := resourceSorts[name]
	if !ok {
		return nil, nil, ops.Errorf(ops.Invalid, "resources cannot be sorted by %q; use name, kind, host or observed_at, with a leading - to reverse", name)
	}
	w := f.where()
	op, dir := ">", ""
	if desc {
		op, dir = "<", " DESC"
	}
	if f.After.ID != "" {
		var value any = f.After.Value
		if by.numeric {
			value = f.After.Num
		}
		w.add(`(`+by.column+`, id) `+op+` ($?, $?)`, value, f.After.ID)
	}
	query := `SELECT ` + resourceColumns + ` FROM resource` + w.text() + ` ORDER BY ` + by.column + dir + `, id` + dir
	limit := limitOf(f.Limit)
	if !f.All {
		query += ` LIMIT ` + w.arg(limit+1)
	}
	rows, err := v.q.QueryContext(ctx, query, w.args...)
	if err != nil {
		return nil, nil, fmt.Errorf("read resources: %w", err)
	}
	var same alike
	all, err := collectRows(rows, func(r *sql.Rows) (ops.Resource, error) { return scanResource(r, &same) })
	if err != nil || f.All || len(all) <= limit {
		return all, nil, err
	}
	last := all[limit-1]
	key := &Key{ID: last.ID, Num: toMS(last.ObservedAt), Value: map[string]string{
		"name": last.Name, "kind": string(last.Kind), "host_name": last.HostName}[by.column]}
	return all[:limit], key, nil
}

func (f ResourceFilter) where() where {
	w := where{}
	if f.Kinds != nil {
		w.in("kind", f.Kinds)
	}
	if f.Presence != nil {
		w.in("presence", f.Presence)
	}
	if f.Host != "" {
		w.add(`(host_id = $? OR host_name = $?)`, f.Host, f.Host)
	}
	if f.Agent != "" {
		w.add(`key_host = $?`, f.Agent)
	}
	if f.Parent != "" {
		w.add(`parent_id = $?`, f.Parent)
	}
	if f.Text != "" {
		w.add(`(lower(name) LIKE $? ESCAPE '!' OR id = $?)`, "%"+likeText(f.Text)+"%", f.Text)
	}
	for name, value := range f.Labels {
		w.add(`EXISTS (SELECT 1 FROM resource_label l WHERE l.resource_id = resource.id AND l.name = $? AND l.value = $?)`, name, value)
	}
	return w
}

// CountResources answers how many resources are present, by kind.
func (v view) CountResources(ctx context.Context) (map[ops.Kind]int64, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT kind, count(*) FROM resource WHERE presence <> 'removed' GROUP BY kind`)
	if err != nil {
		return nil, err
	}
	counts := map[ops.Kind]int64{}
	_, err = collectRows(rows, func(r *sql.Rows) (struct{}, error) {
		var k ops.Kind
		var n int64
		err := r.Scan(&k, &n)
		counts[k] = n
		return struct{}{}, err
	})
	return counts, err
}

// EachVersion tells of every resource that is not removed its version, and
// when it was seen last, which changes no version; for whoever keeps a copy.
func (v view) EachVersion(ctx context.Context, tell func(id string, version int64, observed time.Time)) error {
	rows, err := v.q.QueryContext(ctx, `SELECT id, version, observed_ms FROM resource WHERE presence <> 'removed'`)
	if err != nil {
		return fmt.Errorf("read versions of resources: %w", err)
	}
	_, err = collectRows(rows, func(r *sql.Rows) (struct{}, error) {
		var id string
		var version, observed int64
		err := r.Scan(&id, &version, &observed)
		if err == nil {
			tell(id, version, fromMS(observed))
		}
		return struct{}{}, err
	})
	return err
}

// SaveResource inserts a resource or writes what was seen of it: name, kind,
// parent, labels, observed, presence, generation. Desired state is never
// touched by it. The version is compared: 0 inserts.
func (tx *Tx) SaveResource(ctx context.Context, r ops.Resource, thing string) error {
	if r.Version == 0 {
		_, err := tx.q.ExecContext(ctx, `
			INSERT INTO resource (id, kind, name, host_id, host_name, parent_id, key_host, key_source, key_key, labels, observed,
				presence, thing, first_seen_ms, observed_ms)
			VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15)`,
			r.ID, r.Kind, r.Name, r.HostID, r.HostName, r.ParentID, r.Key.Host, r.Key.Source, r.Key.Key, toJSON(r.Labels),
			toJSON(r.Observed), r.Presence, thing, toMS(r.FirstSeen), toMS(r.ObservedAt))
		if err != nil {
			return fmt.Errorf("insert resource %s: %w", r.ID, err)
		}
		return tx.saveLabels(ctx, r.ID, r.Labels)
	}
	ok, err := one(tx.q.ExecContext(ctx, `
		UPDATE resource SET kind = $1, name = $2, host_name = $3, parent_id = $4, labels = $5, observed = $6, presence = $7,
			thing = $8, observed_ms = $9, generation = $10, version = version + 1
		WHERE id = $11 AND version = $12`,
		r.Kind, r.Name, r.HostName, r.ParentID, toJSON(r.Labels), toJSON(r.Observed), r.Presence,
		thing, toMS(r.ObservedAt), r.Generation, r.ID, r.Version))
	if err != nil {
		return fmt.Errorf("update resource %s: %w", r.ID, err)
	}
	if !ok {
		return ops.Errorf(ops.Conflict, "resource %s was changed meanwhile", r.ID)
	}
	return tx.saveLabels(ctx, r.ID, r.Labels)
}

func (tx *Tx) saveLabels(ctx context.Context, id string, labels map[string]string) error {
	if _, err := tx.q.ExecContext(ctx, `DELETE FROM resource_label WHERE resource_id = $1`, id); err != nil {
		return err
	}
	for name, value := range maps.All(labels) {
		if _, err := tx.q.ExecContext(ctx, `INSERT INTO resource_label (resource_id, name, value) VALUES ($1, $2, $3)`, id, name, value); err != nil {
			return err
		}
	}
	return nil
}

// TouchResources writes when resources were last seen, without a transition:
// nothing about them changed.
func (tx *Tx) TouchResources(ctx context.Context, ids []string, at time.Time) error {
	const batch = 500
	for len(ids) > 0 {
		now := ids[:min(batch, len(ids))]
		ids = ids[len(now):]
		w := where{}
		set := w.arg(toMS(at))
		w.in("id", now)
		if _, err := tx.q.ExecContext(ctx, `UPDATE resource SET observed_ms = `+set+w.text(), w.args...); err != nil {
			return fmt.Errorf("touch resources: %w", err)
		}
	}
	return nil
}

// ResourceThings answers, per resource ID, the source's own identity of the
// thing behind the key, to notice when it was replaced.
func (v view) ResourceThings(ctx context.Context) (map[string]string, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT id, thing FROM resource WHERE thing <> ''`)
	if err != nil {
		return nil, err
	}
	things := map[string]string{}
	_, err = collectRows(rows, func(r *sql.Rows) (struct{}, error) {
		var id, thing string
		err := r.Scan(&id, &thing)
		things[id] = thing
		return struct{}{}, err
	})
	return things, err
}
