package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
)

// The made findings: years of a large estate. All but a few thousand are
// closed; one in a hundred thousand has a word of its own.
const (
	findingResources = 20_000
	activeFindings   = 2_000
	rareEvery        = 100_000
)

var findingConditions = []string{"fs_full", "host_cpu_high", "host_memory_high", "container_restart_loop", "container_unhealthy", "check_failing",
	"unit_failed", "log_errors_surging", "certificate_expiring", "disk_busy", "network_errors", "service_degraded"}

// measureFindings lists a database of a million findings every way that the
// page can.
func measureFindings(ctx context.Context, b *bench) error {
	dir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()
	began := time.Now()
	if err := makeFindings(ctx, dir, b.rows); err != nil {
		return err
	}
	made := time.Since(began)
	p, err := b.start(ctx, dir, "log_level: warn\nagent: {enabled: false}\n")
	if err != nil {
		return err
	}
	b.add(Line{What: "Findings: start to ready over the large list", Value: p.readyIn.Seconds(), Unit: "s",
		Note: fmt.Sprintf("%d findings, made in %s", b.rows, made.Round(time.Second))})
	worst := time.Duration(0)
	for _, q := range findingLists() {
		slowest, err := b.list(ctx, p, q.what, q.query)
		if err != nil {
			return err
		}
		worst = max(worst, slowest)
	}
	b.add(Line{What: "Findings: slowest page of all lists", Value: ms(worst), Unit: "ms", Bar: 20, Note: "the worst of the medians above"})
	if err := b.search(ctx, p); err != nil {
		return err
	}
	return p.stop()
}

type findingList struct{ what, query string }

func findingLists() []findingList {
	return []findingList{
		{"all", ""},
		{"active", "state=active"},
		{"open", "state=open"},
		{"acknowledged", "state=acknowledged"},
		{"resolved", "state=resolved"},
		{"closed", "state=closed"},
		{"several states", "state=open,acknowledged,resolved"},
		{"critical", "severity=critical"},
		{"active and critical", "state=active&severity=critical"},
		{"resolved and critical", "state=resolved&severity=critical"},
		{"closed and warning", "state=closed&severity=warning"},
		{"one condition", "condition=unit_failed"},
		{"one condition, active", "condition=unit_failed&state=active"},
		{"one condition, critical", "condition=unit_failed&severity=critical"},
		{"one condition, resolved, critical", "condition=unit_failed&state=resolved&severity=critical"},
		{"a condition that never was", "condition=zfs_degraded"},
		{"one resource", "resource=" + madeResource(7)},
		{"one resource, active", "state=active&resource=" + madeResource(7)},
		{"one incident", "incident=inc_none"},
		{"a common word", "q=" + url.QueryEscape("is above")},
		{"a rare word", "q=zebra"},
		{"a rare word among active", "q=zebra&state=active"},
		{"a rare word of one condition", "q=zebra&condition=unit_failed"},
		{"a word that is nowhere", "q=unobtainium"},
	}
}

// list times the first page of a list and pages deep inside it.
func (b *bench) list(ctx context.Context, p *process, what, query string) (slowest time.Duration, err error) {
	first, cursor, err := p.pages(ctx, query, "", 11)
	if err != nil {
		return 0, err
	}
	line := Line{What: "Findings, first page: " + what, Value: ms(first), Unit: "ms", Bar: 20}
	if cursor != "" {
		deep, at, err := p.deep(ctx, query, cursor)
		if err != nil {
			return 0, err
		}
		line.Note = fmt.Sprintf("%d pages deeper %.2f ms", at, ms(deep))
		first = max(first, deep)
	}
	b.add(line)
	return first, nil
}

// search follows the pages of a search to the end of the list.
func (b *bench) search(ctx context.Context, p *process) error {
	began, asked, cursor := time.Now(), 0, ""
	for ; asked == 0 || cursor != ""; asked++ {
		_, next, err := p.pages(ctx, "q=unobtainium", cursor, 1)
		if err != nil {
			return err
		}
		cursor = next
	}
	b.add(Line{What: "Findings: a word that is nowhere, to the end of the list", Value: ms(time.Since(began)), Unit: "ms", Note: fmt.Sprintf("%d requests", asked)})
	return nil
}

// pages asks for one page several times and answers the middle time and
// where the page ended.
func (p *process) pages(ctx context.Context, query, cursor string, rounds int) (time.Duration, string, error) {
	path := "/api/v1/findings?limit=50&" + query
	if cursor != "" {
		path += "&cursor=" + url.QueryEscape(cursor)
	}
	var times []time.Duration
	next := ""
	for range rounds {
		began := time.Now()
		body, err := p.get(ctx, path)
		if err != nil {
			return 0, "", err
		}
		times = append(times, time.Since(began))
		var page struct{ Next string }
		if err := json.Unmarshal(body, &page); err != nil {
			return 0, "", err
		}
		next = page.Next
		if time.Since(began) > time.Second {
			break // Slow enough to know.
		}
	}
	slices.Sort(times)
	return times[len(times)/2], next, nil
}

// deep follows large pages for a while, then times one.
func (p *process) deep(ctx context.Context, query, cursor string) (time.Duration, int, error) {
	at := 0
	for began := time.Now(); at < 1000 && time.Since(began) < 2*time.Second; at++ {
		body, err := p.get(ctx, "/api/v1/findings?limit=1000&"+query+"&cursor="+url.QueryEscape(cursor))
		if err != nil {
			return 0, 0, err
		}
		var page struct{ Next string }
		if err := json.Unmarshal(body, &page); err != nil {
			return 0, 0, err
		}
		if page.Next == "" {
			break
		}
		cursor = page.Next
	}
	took, _, err := p.pages(ctx, query, cursor, 11)
	return took, 1 + at*20, err
}

func madeResource(i int) string { return fmt.Sprintf("res_%023d", i) }

// makeFindings writes the list straight into the tables that the store made.
func makeFindings(ctx context.Context, dir string, rows int) error {
	file := filepath.Join(dir, "reeve.db")
	s, err := store.Open(ctx, quiet, store.Options{URL: "sqlite:" + file})
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=synchronous(off)&_pragma=journal_mode(wal)&_pragma=cache_size(-64000)")
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	err = insertFindings(ctx, tx, rows)
	if err == nil {
		err = tx.Commit()
	} else {
		tx.Rollback()
	}
	return errors.Join(err, db.Close())
}

const findingInsert = `INSERT INTO finding (id, resource_id, condition, state, active, severity, peak, origin, summary, facts,
	first_ms, last_ms, opened_ms, resolved_ms, resolved_by, closed_ms, count) VALUES `

func insertFindings(ctx context.Context, tx *sql.Tx, rows int) error {
	const batch = 100
	one := "(?,?,?,?,?,?,?,'rule',?,?,?,?,?,?,?,?,1)"
	insert, err := tx.PrepareContext(ctx, findingInsert+strings.TrimSuffix(strings.Repeat(one+",", batch), ","))
	if err != nil {
		return err
	}
	defer insert.Close()
	end := time.Now().UnixMilli()
	for i := range findingResources { // Without its resource a finding would be obsolete.
		if _, err := tx.ExecContext(ctx, `INSERT INTO resource (id, kind, name, host_id, host_name, key_host, key_source, key_key, first_seen_ms, observed_ms)
			VALUES (?, 'interface', ?, 'res_host', 'made', 'made', 'made', ?, ?, ?)`, madeResource(i), fmt.Sprintf("thing-%d", i), i, end, end); err != nil {
			return fmt.Errorf("insert resource %d: %w", i, err)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := 0; i < rows; i += batch {
		var args []any
		for n := i; n < i+batch; n++ {
			args = append(args, madeFinding(n, rows, end, random)...)
		}
		if _, err := insert.ExecContext(ctx, args...); err != nil {
			return fmt.Errorf("insert findings from %d: %w", i, err)
		}
	}
	return nil
}

// madeFinding answers the columns of the n-th oldest finding: three years,
// the newest ones active, those before them resolved.
func madeFinding(n, rows int, end int64, random *rand.Rand) []any {
	left := rows - n
	opened := end - int64(left)*95_000
	resource, condition := n%findingResources, findingConditions[(n/findingResources)%len(findingConditions)]
	state, active, resolved, by, closed := ops.FindingClosed, 0, opened+600_000, "recovered", opened+87_000_000
	switch {
	case left <= activeFindings && n%3 == 0:
		state, active, resolved, by, closed = ops.FindingAcknowledged, 1, int64(0), "", int64(0)
	case left <= activeFindings:
		state, active, resolved, by, closed = ops.FindingOpen, 1, int64(0), "", int64(0)
	case left <= 2*activeFindings:
		state, closed, resolved = ops.FindingResolved, 0, end-60_000
	}
	severity := ops.Warning
	if random.IntN(5) == 0 {
		severity = ops.Critical
	}
	summary := fmt.Sprintf("%s of thing-%d is above its limit: %d.%d %%", condition, resource, 80+random.IntN(20), random.IntN(10))
	if n%rareEvery == rareEvery/2 {
		summary += " because of a zebra"
	}
	return []any{fmt.Sprintf("fnd_%023d", n), madeResource(resource), condition, string(state), active, string(severity), string(severity), summary,
		fmt.Sprintf(`{"used":"%d %%","limit":"80 %%"}`, 80+random.IntN(20)), opened - 60_000, opened + 500_000, opened, resolved, by, closed}
}
