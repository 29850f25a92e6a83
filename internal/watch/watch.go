// Package watch looks at the estate every few seconds: it hands each resource
// to the detectors of its kind, keeps their hold and clear times, opens and
// resolves findings and groups them into incidents. It also answers for
// people: why a finding is open or is not, and what they say about one.
//
// A pass reads stored state and recent samples, judges with pure code and
// writes everything that follows in one transaction, so that dying at any
// statement loses nothing and repeats nothing.
package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tsdb"
)

// Every is the period of passes while nothing asks for one sooner.
const Every = 10 * time.Second

// actor is who the transitions of passes are from.
const actor = "watch"

// A Watch holds what the passes remember between them; the store has all of
// it that matters.
type Watch struct {
	log     *slog.Logger
	store   *store.Store
	metrics *tsdb.DB
	defs    []detect.Definition
	rules   []Rule
	started time.Time

	mu      sync.Mutex // one pass, or one question, at a time
	scene   scene
	tracks  map[fingerprint]detect.Track
	stored  map[fingerprint]detect.Track // as the store has them
	loaded  bool
	windows map[string]window
	// silentUntil is until when a metrics store that did not answer is not
	// asked again.
	silentUntil time.Time

	statusMu sync.Mutex
	status   Status
	nextAt   time.Time
}

type fingerprint struct{ resource, condition string }

// A Status says what the last pass did.
type Status struct {
	At          time.Time      `json:"at"`
	TookMS      int64          `json:"took_ms"`
	Resources   int            `json:"resources"`
	Judged      int            `json:"judged" doc:"Detector verdicts in the pass."`
	Unknown     int            `json:"unknown" doc:"Verdicts without the data to judge."`
	Holding     int            `json:"holding" doc:"Conditions that are true but not yet for their hold time."`
	Edges       int            `json:"edges"`
	ByCondition map[string]int `json:"-"`
}

// New makes a Watch with the detectors that are on and the rules of the
// configuration.
func New(log *slog.Logger, st *store.Store, metrics *tsdb.DB, defs []detect.Definition, rules []Rule) *Watch {
	return &Watch{log: log, store: st, metrics: metrics, defs: defs, rules: rules, started: time.Now().UTC(), windows: map[string]window{}}
}

// Status answers what the last pass did.
func (w *Watch) Status() Status {
	w.statusMu.Lock()
	defer w.statusMu.Unlock()
	return w.status
}

// NextAt answers when the next hold or clear time ends, zero for none: a
// caller wakes the pass then, so that nobody waits for the period to end.
func (w *Watch) NextAt() time.Time {
	w.statusMu.Lock()
	defer w.statusMu.Unlock()
	return w.nextAt
}

// Forget lets the next pass begin with what is stored: another server judged
// meanwhile.
func (w *Watch) Forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loaded, w.scene, w.windows = false, scene{}, map[string]window{}
}

// Pass judges everything once.
func (w *Watch) Pass(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now().UTC()
	if err := w.prepare(ctx); err != nil {
		return err
	}
	j, err := w.judgeAll(ctx, now)
	if err != nil {
		return err
	}
	if err := w.settle(ctx, now, j); err != nil {
		w.loaded = false // what is remembered may not be what is stored
		return err
	}
	w.note(now, j)
	return nil
}

// prepare brings the scene and the tracks up to the store.
func (w *Watch) prepare(ctx context.Context) error {
	if err := w.scene.refresh(ctx, w.store); err != nil {
		return fmt.Errorf("read resources: %w", err)
	}
	if w.loaded {
		return nil
	}
	rows, err := w.store.Tracks(ctx)
	if err != nil {
		return fmt.Errorf("read tracks: %w", err)
	}
	w.tracks = make(map[fingerprint]detect.Track, len(rows))
	for _, r := range rows {
		var t detect.Track
		if err := json.Unmarshal([]byte(r.State), &t); err != nil {
			w.log.Error("a stored track cannot be read and starts anew", "resource", r.ResourceID, "condition", r.Condition, "err", err)
			continue
		}
		w.tracks[fingerprint{r.ResourceID, r.Condition}] = t
	}
	w.stored = maps.Clone(w.tracks)
	if err := w.adopt(ctx); err != nil {
		return err
	}
	w.loaded = true
	return nil
}

// adopt gives every active finding of a rule a track, so that it can resolve
// even when its own was lost.
func (w *Watch) adopt(ctx context.Context) error {
	active, _, err := w.store.Findings(ctx, store.FindingFilter{Active: true, All: true})
	if err != nil {
		return fmt.Errorf("read active findings: %w", err)
	}
	for _, f := range active {
		key := fingerprint{f.ResourceID, f.Condition}
		if t := w.tracks[key]; f.Origin == "rule" && !t.Active() {
			w.tracks[key] = detect.Track{Phase: detect.Open, Since: f.OpenedAt, BadSince: f.FirstSeen, OpenedAt: f.OpenedAt, Severity: f.Severity}
		}
	}
	return nil
}

func (w *Watch) note(now time.Time, j *judgement) {
	s := Status{At: now, TookMS: time.Since(now).Milliseconds(), Resources: len(w.scene.byID), Judged: j.judged, Unknown: j.unknown, Edges: len(j.edges)}
	var next time.Time
	for _, t := range w.tracks {
		if t.Phase == detect.Holding {
			s.Holding++
		}
		if !t.NextAt.IsZero() && (next.IsZero() || t.NextAt.Before(next)) {
			next = t.NextAt
		}
	}
	w.statusMu.Lock()
	defer w.statusMu.Unlock()
	w.status, w.nextAt = s, next
}

// Definition answers the detector of a condition.
func (w *Watch) Definition(condition string) (detect.Definition, bool) {
	for _, d := range w.defs {
		if d.Name == condition {
			return d, true
		}
	}
	return detect.Definition{}, false
}

// resourceOf answers a resource that a finding is about, also one that is
// gone from the scene.
func (w *Watch) resourceOf(ctx context.Context, id string) (ops.Resource, error) {
	return w.store.Resource(ctx, id)
}
