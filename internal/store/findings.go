package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"reeve/internal/ops"
)

const findingColumns = `id, resource_id, condition, state, severity, peak, origin, summary, facts, first_ms, last_ms, opened_ms,
	resolved_ms, resolved_by, closed_ms, count, episode, flapping, suppression, acked_by, acked_ms, claim, incident_id, previous_id, version,
	CASE WHEN active = 1 THEN COALESCE((SELECT h.maintenance_ms || ' ' || h.name || ' ' || h.reason FROM resource r JOIN host h ON h.resource_id = r.host_id
		WHERE r.id = finding.resource_id AND h.state = 'maintenance'), '') ELSE '' END`

func scanFinding(row interface{ Scan(...any) error }) (ops.Finding, error) {
	var f ops.Finding
	var facts, suppression, maintenance string
	var first, last, opened, resolved, closed, acked, flapping int64
	err := row.Scan(&f.ID, &f.ResourceID, &f.Condition, &f.State, &f.Severity, &f.Peak, &f.Origin, &f.Summary, &facts, &first, &last, &opened,
		&resolved, &f.ResolvedBy, &closed, &f.Count, &f.Episode, &flapping, &suppression, &f.AckedBy, &acked, &f.Claim, &f.IncidentID,
		&f.PreviousID, &f.Version, &maintenance)
	f.FirstSeen, f.LastSeen, f.OpenedAt, f.ResolvedAt = fromMS(first), fromMS(last), fromMS(opened), fromMS(resolved)
	f.ClosedAt, f.AckedAt, f.Flapping = fromMS(closed), fromMS(acked), flapping != 0
	if suppression != "" {
		f.Suppression = &ops.Suppression{}
		err = errors.Join(err, fromJSON(suppression, f.Suppression))
	}
	if maintenance != "" {
		f.Suppression, err = maintained(maintenance, f.Suppression)
	}
	return f, errors.Join(err, fromJSON(facts, &f.Facts))
}

// maintained answers the suppression of what is on a host in maintenance.
func maintained(text string, own *ops.Suppression) (*ops.Suppression, error) {
	ms, rest, _ := strings.Cut(text, " ")
	name, reason, _ := strings.Cut(rest, " ")
	until, err := strconv.ParseInt(ms, 10, 64)
	return &ops.Suppression{Kind: ops.SuppressMaintenance, Reason: reason, Actor: "host " + name, Until: fromMS(until), Host: name, Under: own}, err
}

func scanFindings(rows *sql.Rows) (ops.Finding, error) { return scanFinding(rows) }

// Finding answers one finding.
func (v view) Finding(ctx context.Context, id string) (ops.Finding, error) {
	f, err := scanFinding(v.q.QueryRowContext(ctx, `SELECT `+findingColumns+` FROM finding WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return f, ops.Errorf(ops.NotFound, "there is no finding %s", id)
	}
	return f, err
}

// LiveFinding answers the finding of a fingerprint that is not closed; ok is
// false when there is none.
func (v view) LiveFinding(ctx context.Context, resourceID, condition string) (f ops.Finding, ok bool, err error) {
	f, err = scanFinding(v.q.QueryRowContext(ctx, `SELECT `+findingColumns+` FROM finding
		WHERE resource_id = $1 AND condition = $2 AND state <> 'closed'`, resourceID, condition))
	if errors.Is(err, sql.ErrNoRows) {
		return f, false, nil
	}
	return f, err == nil, err
}

// LastClosed answers the ID of the newest closed finding of a fingerprint, ""
// when there is none.
func (v view) LastClosed(ctx context.Context, resourceID, condition string) (string, error) {
	var id string
	err := v.q.QueryRowContext(ctx, `SELECT id FROM finding WHERE resource_id = $1 AND condition = $2 AND state = 'closed'
		ORDER BY opened_ms DESC, id DESC LIMIT 1`, resourceID, condition).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// A FindingFilter chooses findings; zero fields choose all.
type FindingFilter struct {
	Active     bool
	States     []string
	Severities []string
	Condition  string
	Resource   string
	Incident   string
	Text       string
	After      Key // of the page before: OpenedAt in milliseconds and ID
	Limit      int
	All        bool
}

// textRows is how many rows a page looks at for a text: a word that nearly
// none has must not make one request read years.
const textRows = 4_000

// Findings answers a page of findings, the newest episode first, and where it
// ended when there may be more. A page of a search for a text may hold fewer
// than asked for, even none, though there are more.
func (v view) Findings(ctx context.Context, f FindingFilter) ([]ops.Finding, *Key, error) {
	w := f.where()
	var stop *Key
	if f.Text != "" && !f.All {
		var err error
		if stop, err = v.textStop(ctx, f); err != nil {
			return nil, nil, err
		}
		if stop != nil {
			w.add(`(opened_ms, id) >= ($?, $?)`, stop.Num, stop.ID)
		}
	}
	query := `SELECT ` + findingColumns + ` FROM finding` + w.text() + ` ORDER BY opened_ms DESC, id DESC`
	limit := limitOf(f.Limit)
	if !f.All {
		query += ` LIMIT ` + w.arg(limit+1)
	}
	rows, err := v.q.QueryContext(ctx, query, w.args...)
	if err != nil {
		return nil, nil, fmt.Errorf("read findings: %w", err)
	}
	all, err := collectRows(rows, scanFindings)
	if err != nil || f.All || len(all) <= limit {
		return all, stop, err
	}
	last := all[limit-1]
	return all[:limit], &Key{Num: toMS(last.OpenedAt), ID: last.ID}, nil
}

// textStop answers the last row that a page of a search looks at, nil when
// the list ends before.
func (v view) textStop(ctx context.Context, f FindingFilter) (*Key, error) {
	f.Text = ""
	w := f.where()
	var k Key
	err := v.q.QueryRowContext(ctx, `SELECT opened_ms, id FROM finding`+w.text()+` ORDER BY opened_ms DESC, id DESC LIMIT 1 OFFSET `+w.arg(textRows-1), w.args...).Scan(&k.Num, &k.ID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read findings: %w", err)
	}
	return &k, nil
}

// where answers the conditions. SQLite keeps no statistics of them, so that
// what reads least is said here: of the columns that could lead to the rows
// the one with the fewest stays bare, and the others are made expressions,
// which no index begins with.
func (f FindingFilter) where() where {
	w := where{}
	few := f.Resource != "" || f.Incident != ""
	switch {
	case f.Active:
		w.add(`active = 1`)
	case f.States != nil && !slices.Contains(f.States, string(ops.FindingClosed)):
		w.add(`state <> 'closed'`)
	}
	few = few || len(w.parts) > 0
	if f.States != nil {
		w.in(`state || ''`, f.States)
	}
	if f.Severities != nil {
		w.in(bare("severity", !few && f.Condition == ""), f.Severities)
	}
	if f.Condition != "" {
		w.add(bare("condition", !few)+` = $?`, f.Condition)
	}
	if f.Resource != "" {
		w.add(`resource_id = $?`, f.Resource)
	}
	if f.Incident != "" {
		w.add(`incident_id = $?`, f.Incident)
	}
	if f.Text != "" {
		w.add(`(lower(summary) LIKE $? ESCAPE '!')`, "%"+likeText(f.Text)+"%")
	}
	if f.After.ID != "" {
		w.add(`(opened_ms, id) < ($?, $?)`, f.After.Num, f.After.ID)
	}
	return w
}

// bare answers a text column for a condition, as an expression unless an
// index may be chosen by it.
func bare(column string, indexed bool) string {
	if indexed {
		return column
	}
	return column + ` || ''`
}

// CountFindings answers how many findings are active, by severity.
func (v view) CountFindings(ctx context.Context) (map[ops.Severity]int64, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT max(severity), count(*) FROM finding WHERE active = 1 GROUP BY severity || ''`)
	if err != nil {
		return nil, err
	}
	counts := map[ops.Severity]int64{}
	_, err = collectRows(rows, func(r *sql.Rows) (struct{}, error) {
		var s ops.Severity
		var n int64
		err := r.Scan(&s, &n)
		counts[s] = n
		return struct{}{}, err
	})
	return counts, err
}

// A Why says who made a change and why, for its transition.
type Why struct {
	Actor    string
	OnBehalf string
	Reason   string
	Facts    map[string]string
}

// OpenFinding inserts a new finding. It answers a conflict when one of the
// same fingerprint is alive: the index allows one.
func (tx *Tx) OpenFinding(ctx context.Context, f ops.Finding, why Why) error {
	f.Version = 1
	_, err := tx.q.ExecContext(ctx, `
		INSERT INTO finding (id, resource_id, condition, state, active, severity, peak, origin, summary, facts, first_ms, last_ms, opened_ms,
			count, episode, episodes_ms, previous_id)
		VALUES ($1,$2,$3,$4,1,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16)`,
		f.ID, f.ResourceID, f.Condition, f.State, f.Severity, f.Peak, f.Origin, f.Summary, toJSON(f.Facts), toMS(f.FirstSeen),
		toMS(f.LastSeen), toMS(f.OpenedAt), f.Count, f.Episode, episodesText([]time.Time{f.OpenedAt}), f.PreviousID)
	if err != nil {
		return fmt.Errorf("open finding %s on %s: %w", f.Condition, f.ResourceID, err)
	}
	tx.Record(findingTransition("open", "", f, why))
	return nil
}

// MoveFinding applies one event of the lifecycle to a finding as the caller
// read it: change edits the fields that go with the move. It refuses an
// illegal move, and a finding that was changed since it was read.
func (tx *Tx) MoveFinding(ctx context.Context, f ops.Finding, on ops.FindingEvent, why Why, change func(*ops.Finding)) (ops.Finding, error) {
	to, err := ops.FindingFlow.Next(f.State, on)
	if err != nil {
		return f, ops.Because(ops.Conflict, err, "a finding that is %s cannot %s", f.State, on)
	}
	next := f
	next.State = to
	change(&next)
	if err := tx.saveFinding(ctx, &next, f.Version); err != nil {
		return f, err
	}
	tx.Record(findingTransition(string(on), f.State, next, why))
	return next, nil
}

// NoteFinding changes fields of a finding without moving it: suppression,
// claim, incident, severity of what is still open.
func (tx *Tx) NoteFinding(ctx context.Context, f ops.Finding, verb string, why Why, change func(*ops.Finding)) (ops.Finding, error) {
	next := f
	change(&next)
	next.State = f.State
	if err := tx.saveFinding(ctx, &next, f.Version); err != nil {
		return f, err
	}
	tx.Record(findingTransition(verb, f.State, next, why))
	return next, nil
}

func (tx *Tx) saveFinding(ctx context.Context, f *ops.Finding, seen int64) error {
	suppression := ""
	if own := f.Suppression.Own(); own != nil {
		suppression = toJSON(own)
	}
	ok, err := one(tx.q.ExecContext(ctx, `
		UPDATE finding SET state=$1, active=$2, severity=$3, peak=$4, summary=$5, facts=$6, last_ms=$7, opened_ms=$8, resolved_ms=$9,
			resolved_by=$10, closed_ms=$11, count=$12, episode=$13, flapping=$14, suppression=$15, acked_by=$16, acked_ms=$17, claim=$18,
			incident_id=$19, origin=$20, first_ms=$21, version=version+1
		WHERE id=$22 AND version=$23`,
		f.State, flag(f.Active()), f.Severity, f.Peak, f.Summary, toJSON(f.Facts), toMS(f.LastSeen), toMS(f.OpenedAt), toMS(f.ResolvedAt),
		f.ResolvedBy, toMS(f.ClosedAt), f.Count, f.Episode, flag(f.Flapping), suppression, f.AckedBy, toMS(f.AckedAt), f.Claim,
		f.IncidentID, f.Origin, toMS(f.FirstSeen), f.ID, seen))
	if err != nil {
		return fmt.Errorf("save finding %s: %w", f.ID, err)
	}
	if !ok {
		return ops.Errorf(ops.Conflict, "finding %s was changed meanwhile; read it again", f.ID)
	}
	f.Version = seen + 1
	return nil
}

func findingTransition(verb string, from ops.FindingState, f ops.Finding, why Why) ops.Transition {
	facts := map[string]string{"severity": string(f.Severity), "condition": f.Condition, "resource": f.ResourceID, "incident": f.IncidentID}
	for k, v := range why.Facts {
		facts[k] = v
	}
	return ops.Transition{Actor: why.Actor, OnBehalf: why.OnBehalf, Verb: verb, Object: "finding", ObjectID: f.ID,
		From: string(from), To: string(f.State), Reason: why.Reason, Facts: facts}
}

// Episodes answers when the last episodes of a finding opened, oldest first;
// no more than flapping needs.
func (v view) Episodes(ctx context.Context, id string) ([]time.Time, error) {
	var text string
	if err := v.q.QueryRowContext(ctx, `SELECT episodes_ms FROM finding WHERE id = $1`, id).Scan(&text); err != nil {
		return nil, fmt.Errorf("read episodes of %s: %w", id, err)
	}
	var ms []int64
	if err := json.Unmarshal([]byte(text), &ms); err != nil {
		return nil, err
	}
	times := make([]time.Time, len(ms))
	for i, m := range ms {
		times[i] = fromMS(m)
	}
	return times, nil
}

// SetEpisodes stores when the last episodes opened.
func (tx *Tx) SetEpisodes(ctx context.Context, id string, times []time.Time) error {
	const keep = ops.FlapEpisodes + 1
	times = times[max(0, len(times)-keep):]
	_, err := tx.q.ExecContext(ctx, `UPDATE finding SET episodes_ms = $1 WHERE id = $2`, episodesText(times), id)
	return err
}

func episodesText(times []time.Time) string {
	ms := make([]int64, len(times))
	for i, t := range times {
		ms[i] = toMS(t)
	}
	return toJSON(ms)
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// DueToClose answers resolved findings that were resolved before a time.
func (v view) DueToClose(ctx context.Context, before time.Time) ([]ops.Finding, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT `+findingColumns+` FROM finding WHERE state <> 'closed' AND state = 'resolved' AND resolved_ms < $1
		ORDER BY opened_ms, id LIMIT 500`, toMS(before))
	if err != nil {
		return nil, err
	}
	return collectRows(rows, scanFindings)
}
