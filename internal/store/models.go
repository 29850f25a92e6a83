package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"reeve/internal/ops"
)

const callColumns = `id, at_ms, model, use_for, run_id, resource_id, attempt, latency_ms, input, cached, cache_write, output, reasoning,
	estimated, cost, request_bytes, reply_bytes, outcome, error`

func scanCall(rows *sql.Rows) (ops.ModelCall, error) {
	var c ops.ModelCall
	var at, estimated int64
	var cost sql.NullInt64
	err := rows.Scan(&c.ID, &at, &c.Model, &c.Use, &c.RunID, &c.ResourceID, &c.Attempt, &c.LatencyMS, &c.Tokens.Input, &c.Tokens.Cached,
		&c.Tokens.CacheWrite, &c.Tokens.Output, &c.Tokens.Reasoning, &estimated, &cost, &c.RequestBytes, &c.ReplyBytes, &c.Outcome, &c.Err)
	c.At, c.Estimated = fromMS(at), estimated == 1
	if cost.Valid {
		c.CostMicroUSD = &cost.Int64
	}
	return c, err
}

// AddModelCall records one attempt at a model. It is a fact and no change of
// state: it leaves no transition.
func (tx *Tx) AddModelCall(ctx context.Context, c ops.ModelCall) error {
	estimated := 0
	if c.Estimated {
		estimated = 1
	}
	_, err := tx.q.ExecContext(ctx, `INSERT INTO model_call (`+callColumns+`) VALUES `+tuples(1, 19),
		c.ID, toMS(c.At), c.Model, c.Use, c.RunID, c.ResourceID, c.Attempt, c.LatencyMS, c.Tokens.Input, c.Tokens.Cached,
		c.Tokens.CacheWrite, c.Tokens.Output, c.Tokens.Reasoning, estimated, c.CostMicroUSD, c.RequestBytes, c.ReplyBytes, c.Outcome, c.Err)
	if err != nil {
		return fmt.Errorf("record a model call: %w", err)
	}
	return nil
}

// A ModelCallFilter chooses model calls; zero fields choose all.
type ModelCallFilter struct {
	Model   string
	Use     string
	RunID   string
	Outcome string // failed chooses all but ok
	Settled bool   // without those that the caller ended
	After   Key
	Limit   int
}

// ModelCalls answers a page of model calls, the newest first, and where it
// ended when there may be more.
func (v view) ModelCalls(ctx context.Context, f ModelCallFilter) ([]ops.ModelCall, *Key, error) {
	w := where{}
	for _, c := range []struct{ column, value string }{{"model", f.Model}, {"use_for", f.Use}, {"run_id", f.RunID}, {"outcome", f.Outcome}} {
		switch {
		case c.column == "outcome" && c.value == "failed":
			w.add(`outcome <> $?`, "ok")
		case c.value != "":
			w.add(c.column+` = $?`, c.value)
		}
	}
	if f.Settled {
		w.add(`outcome <> $?`, ops.CallCancelled)
	}
	if f.After.ID != "" {
		w.add(`(at_ms, id) < ($?, $?)`, f.After.Num, f.After.ID)
	}
	limit := limitOf(f.Limit)
	rows, err := v.q.QueryContext(ctx, `SELECT `+callColumns+` FROM model_call`+w.text()+` ORDER BY at_ms DESC, id DESC LIMIT `+w.arg(limit+1), w.args...)
	if err != nil {
		return nil, nil, fmt.Errorf("read model calls: %w", err)
	}
	all, err := collectRows(rows, scanCall)
	if err != nil || len(all) <= limit {
		return all, nil, err
	}
	last := all[limit-1]
	return all[:limit], &Key{Num: toMS(last.At), ID: last.ID}, nil
}

// LastModelCalls answers of each of some models the newest call that says how
// the model is, the oldest first. Stopping Reeve ends calls; these do not.
func (v view) LastModelCalls(ctx context.Context, models []string) ([]ops.ModelCall, error) {
	var last []ops.ModelCall
	for _, m := range models {
		page, _, err := v.ModelCalls(ctx, ModelCallFilter{Model: m, Settled: true, Limit: 1})
		if err != nil {
			return nil, err
		}
		last = append(last, page...)
	}
	slices.SortFunc(last, func(a, b ops.ModelCall) int { return a.At.Compare(b.At) })
	return last, nil
}

const spendColumns = `count(*), CAST(coalesce(sum(input), 0) AS BIGINT), CAST(coalesce(sum(output), 0) AS BIGINT), CAST(coalesce(sum(cost), 0) AS BIGINT),
	CAST(coalesce(sum(CASE WHEN cost IS NULL THEN input + output ELSE 0 END), 0) AS BIGINT)`

// ModelSpend answers what calls of models took since a time, or what those of
// one run did.
func (v view) ModelSpend(ctx context.Context, runID string, since time.Time) (ops.Spend, error) {
	w := where{}
	w.add(`at_ms >= $?`, toMS(since))
	if runID != "" {
		w.add(`run_id = $?`, runID)
	}
	var s ops.Spend
	err := v.q.QueryRowContext(ctx, `SELECT `+spendColumns+` FROM model_call`+w.text(), w.args...).Scan(&s.Calls, &s.Input, &s.Output, &s.MicroUSD, &s.Unpriced)
	if err != nil {
		return s, fmt.Errorf("read what models took: %w", err)
	}
	return s, nil
}

// ModelSpendCourse answers what calls of models took since a time in steps
// with any, the oldest first.
func (v view) ModelSpendCourse(ctx context.Context, since time.Time, step time.Duration) ([]ops.SpendAt, error) {
	ms := max(step.Milliseconds(), 1)
	rows, err := v.q.QueryContext(ctx, `SELECT at_ms / CAST($1 AS BIGINT), `+spendColumns+` FROM model_call WHERE at_ms >= $2 GROUP BY 1 ORDER BY 1`, ms, toMS(since))
	if err != nil {
		return nil, fmt.Errorf("read what models took: %w", err)
	}
	return collectRows(rows, func(r *sql.Rows) (ops.SpendAt, error) {
		var s ops.SpendAt
		var n int64
		err := r.Scan(&n, &s.Calls, &s.Input, &s.Output, &s.MicroUSD, &s.Unpriced)
		s.From = fromMS(n * ms)
		return s, err
	})
}

const dayMS = 24 * 60 * 60 * 1000

// usageKeys are what usage is grouped by; the provider is the beginning of
// the model.
var usageKeys = map[string]string{
	"model": "model", "provider": "model", "use": "use_for", "resource": "resource_id", "day": "at_ms / " + strconv.Itoa(dayMS),
}

// UsageBy lists what ModelUsage groups by.
var UsageBy = []string{"provider", "model", "use", "resource", "day"}

// ModelUsage answers what was spent since a time by provider, model, use,
// resource or day: the most first, days in their order.
func (v view) ModelUsage(ctx context.Context, by string, since time.Time) ([]ops.Usage, error) {
	key, ok := usageKeys[by]
	if !ok {
		return nil, ops.Errorf(ops.Invalid, "usage is told by %s; not by %q", strings.Join(UsageBy, ", "), by)
	}
	rows, err := v.q.QueryContext(ctx, `SELECT CAST(`+key+` AS TEXT), `+spendColumns+`,
			CAST(sum(CASE WHEN outcome = 'ok' THEN 0 ELSE 1 END) AS BIGINT), CAST(sum(cached) AS BIGINT), CAST(sum(reasoning) AS BIGINT), CAST(sum(latency_ms) AS BIGINT)
		FROM model_call WHERE at_ms >= $1 GROUP BY `+key+` ORDER BY `+key, toMS(since))
	if err != nil {
		return nil, fmt.Errorf("read usage: %w", err)
	}
	all, err := collectRows(rows, func(r *sql.Rows) (ops.Usage, error) {
		var u ops.Usage
		err := r.Scan(&u.Key, &u.Calls, &u.Input, &u.Output, &u.MicroUSD, &u.Unpriced, &u.Failed, &u.Cached, &u.Reasoning, &u.LatencyMS)
		return u, err
	})
	if err != nil {
		return nil, err
	}
	return inOrder(by, merged(all, usageName(by))), nil
}

// usageName answers how a group is called for people.
func usageName(by string) func(string) string {
	return func(key string) string {
		switch by {
		case "provider":
			key, _, _ = strings.Cut(key, ":")
		case "day":
			if n, err := strconv.ParseInt(key, 10, 64); err == nil {
				return fromMS(n * dayMS).Format(time.DateOnly)
			}
		}
		return key
	}
}

// merged adds up groups of one name and turns sums of latency into means.
func merged(all []ops.Usage, name func(string) string) []ops.Usage {
	at := map[string]int{}
	sums := []ops.Usage{}
	for _, u := range all {
		u.Key = name(u.Key)
		i, ok := at[u.Key]
		if !ok {
			at[u.Key] = len(sums)
			sums = append(sums, u)
			continue
		}
		s := &sums[i]
		s.Spend = s.Plus(u.Spend)
		s.Failed, s.Cached, s.Reasoning, s.LatencyMS = s.Failed+u.Failed, s.Cached+u.Cached, s.Reasoning+u.Reasoning, s.LatencyMS+u.LatencyMS
	}
	for i := range sums {
		sums[i].LatencyMS /= max(sums[i].Calls, 1)
	}
	return sums
}

func inOrder(by string, all []ops.Usage) []ops.Usage {
	slices.SortStableFunc(all, func(a, b ops.Usage) int {
		if by == "day" {
			return strings.Compare(a.Key, b.Key)
		}
		return int(b.Input + b.Output - a.Input - a.Output)
	})
	return all
}

const usageReset = "usage_reset_ms"

// UsageReset answers when the counters of usage were last set to zero; the
// zero time for never.
func (v view) UsageReset(ctx context.Context) (time.Time, error) {
	text, _, err := v.Setting(ctx, usageReset)
	if err != nil || text == "" {
		return time.Time{}, err
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	return fromMS(ms), err
}

// ResetUsage starts the counters of usage, and with them the ceilings of a
// day and a month, at zero from now on. The calls stay; the transition says
// what had been counted.
func (tx *Tx) ResetUsage(ctx context.Context, why Why) error {
	text, version, err := tx.Setting(ctx, usageReset)
	if err != nil {
		return err
	}
	before, err := tx.UsageReset(ctx)
	if err != nil {
		return err
	}
	spent, err := tx.ModelSpend(ctx, "", before)
	if err != nil {
		return err
	}
	now := strconv.FormatInt(toMS(tx.now), 10)
	if err := tx.SetSetting(ctx, usageReset, now, version); err != nil {
		return err
	}
	tx.Record(ops.Transition{Actor: why.Actor, OnBehalf: why.OnBehalf, Verb: "reset", Object: "settings", ObjectID: usageReset, From: text, To: now, Reason: why.Reason,
		Facts: map[string]string{"calls": strconv.FormatInt(spent.Calls, 10), "tokens": strconv.FormatInt(spent.Input+spent.Output, 10), "cost_micro_usd": strconv.FormatInt(spent.MicroUSD, 10)}})
	return nil
}

// PruneModelCalls deletes calls of models from before a time.
func (tx *Tx) PruneModelCalls(ctx context.Context, before time.Time) (int64, error) {
	res, err := tx.q.ExecContext(ctx, `DELETE FROM model_call WHERE at_ms < $1`, toMS(before))
	if err != nil {
		return 0, fmt.Errorf("prune model calls: %w", err)
	}
	return res.RowsAffected()
}

// A StoredExam is the last exam of a model; Result is all of it as JSON.
type StoredExam struct {
	Model    string
	At       time.Time
	Grade    string
	Identity string
	Result   string
}

// SaveExam replaces the exam of a model.
func (tx *Tx) SaveExam(ctx context.Context, e StoredExam, why Why) error {
	var before string
	err := tx.q.QueryRowContext(ctx, `SELECT grade FROM model_exam WHERE model = $1`, e.Model).Scan(&before)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read the exam of %s: %w", e.Model, err)
	}
	_, err = tx.q.ExecContext(ctx, `INSERT INTO model_exam (model, at_ms, grade, identity, result) VALUES ($1,$2,$3,$4,$5)
		ON CONFLICT (model) DO UPDATE SET at_ms = excluded.at_ms, grade = excluded.grade, identity = excluded.identity, result = excluded.result`,
		e.Model, toMS(e.At), e.Grade, e.Identity, e.Result)
	if err != nil {
		return fmt.Errorf("save the exam of %s: %w", e.Model, err)
	}
	tx.Record(ops.Transition{Actor: why.Actor, OnBehalf: why.OnBehalf, Verb: "examine", Object: "model", ObjectID: e.Model, From: before, To: e.Grade, Reason: why.Reason,
		Facts: map[string]string{"identity": e.Identity}})
	return nil
}

// DropExam forgets the exam of a model that is another one now.
func (tx *Tx) DropExam(ctx context.Context, model string, why Why) error {
	var grade string
	err := tx.q.QueryRowContext(ctx, `DELETE FROM model_exam WHERE model = $1 RETURNING grade`, model).Scan(&grade)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("drop the exam of %s: %w", model, err)
	}
	tx.Record(ops.Transition{Actor: why.Actor, Verb: "void", Object: "model", ObjectID: model, From: grade, Reason: why.Reason})
	return nil
}

// Exams answers the last exam of every model.
func (v view) Exams(ctx context.Context) ([]StoredExam, error) {
	rows, err := v.q.QueryContext(ctx, `SELECT model, at_ms, grade, identity, result FROM model_exam ORDER BY model`)
	if err != nil {
		return nil, fmt.Errorf("read exams: %w", err)
	}
	return collectRows(rows, func(r *sql.Rows) (StoredExam, error) {
		var e StoredExam
		var at int64
		err := r.Scan(&e.Model, &at, &e.Grade, &e.Identity, &e.Result)
		e.At = fromMS(at)
		return e, err
	})
}
