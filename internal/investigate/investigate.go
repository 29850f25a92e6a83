// Package investigate looks into incidents: a bounded inquiry that only
// reads, by hand or by policy. It begins with the runbook of the condition of
// the incident's root, a checklist of looks through the same tools that models
// have, each judged by a closed set of pure judges; a model, where one may
// investigate, goes on from there. Whatever either says is re-checked against
// what is stored before it is kept.
//
// An investigation is a row before it is anything else, one that is active for
// each incident. It never changes the state of a finding or an incident. One
// that runs when the process ends is queued again at the next start; one whose
// incident closes is superseded.
//
// Read policy.go for what asks for one, work.go for how one goes, runbook.go
// and judges.go for what is looked at without a model, model.go for the part
// of a model, weigh.go for what is believed of either.
package investigate

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"sync"
	"time"

	"reeve/internal/detect"
	"reeve/internal/evidence"
	"reeve/internal/llm"
	"reeve/internal/loop"
	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/store"
	"reeve/internal/tool"
	"reeve/internal/turn"
)

// actor is who the transitions of investigations are from.
const actor = "investigate"

// Settings bound investigations; see package config.
type Settings struct {
	Auto         string // none, critical or all
	Turns        int
	Time         time.Duration
	AtOnce       int
	Attempts     int
	Cooldown     time.Duration
	AfterTimeout time.Duration
}

// Options are what New takes.
type Options struct {
	Log         *slog.Logger
	Store       *store.Store
	Source      evidence.Source // what claims are checked against
	Definitions []detect.Definition
	Settings    Settings
	Router      *llm.Router
	// Tools answers the tools of the profile investigation, which hand what is
	// reported to the desk. For a model what is withheld from models is left
	// out.
	Tools func(desk tool.Desk, forModel bool) tool.Toolbox
	// Before answers what is known of earlier times of a problem.
	Before func(ctx context.Context, condition, resourceID string) (Past, error)
	// Notes answers what people know of resources and of the estate.
	Notes func(ctx context.Context, resources []string) ([]ops.Note, error)
	// Suggest takes a note that a model suggests.
	Suggest func(ctx context.Context, n ops.Note, model string) (ops.Note, error)
	// Resolver answers the resource that a model names, within a scope.
	Resolver func(within func(ops.Resource) bool) func(context.Context, string) (ops.Resource, error)
	// Veil answers what hides names from models, nil when nothing does.
	Veil func(context.Context) (*turn.Veil, error)
	// Withheld chooses resources, and fields of them, that no model is shown.
	Withheld       func(ops.Resource) bool
	WithheldFields map[string]bool
}

// An Investigate accepts and carries out investigations.
type Investigate struct {
	log    *slog.Logger
	store  *store.Store
	source evidence.Source
	set    Settings
	o      Options
	loops  []*loop.Loop

	mu      sync.Mutex
	running map[string]context.CancelCauseFunc // by ID, in this process
}

// New makes an Investigate. Call Recover before its loops run.
func New(o Options) *Investigate {
	v := &Investigate{log: o.Log, store: o.Store, source: o.Source, set: o.Settings, o: o, running: map[string]context.CancelCauseFunc{}}
	v.addLoops()
	return v
}

// Ask accepts a person's wish to look into an incident. The answer names an
// investigation that exists whatever happens. One that waits begins at once
// instead; it refuses, and names it, while one is running or about to.
func (v *Investigate) Ask(ctx context.Context, incidentID, who, reason string) (i ops.Investigation, err error) {
	why := store.Why{Actor: who, Reason: redact.Line(reason, 500)}
	err = v.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		if err := tx.LockInvestigations(ctx); err != nil {
			return err
		}
		incident, err := tx.Incident(ctx, incidentID)
		if err != nil {
			return err
		}
		if incident.State == ops.IncidentClosed {
			text := "incident %s is closed; there is nothing to look into"
			if incident.MergedInto != "" {
				return ops.Errorf(ops.Conflict, "incident %s was merged into %s; look into that one", incidentID, incident.MergedInto)
			}
			return ops.Errorf(ops.Conflict, text, incidentID)
		}
		active, ok, err := tx.ActiveInvestigation(ctx, incidentID)
		switch {
		case err != nil:
			return err
		case ok && active.State == ops.InvestigationQueued && active.NotBefore.After(tx.Now()):
			i, err = tx.HastenInvestigation(ctx, active, why)
			return err
		case ok:
			return ops.Errorf(ops.Conflict, "incident %s is being investigated already: %s is %s since %s", incidentID, active.ID, active.State,
				latest(active.QueuedAt, active.StartedAt).Format(time.RFC3339))
		}
		i, err = v.queue(ctx, tx, incidentID, "manual", time.Time{}, why)
		return err
	})
	if err == nil {
		v.wake()
	}
	return i, err
}

// queue inserts the next investigation of an incident. Call it with the lock
// held.
func (v *Investigate) queue(ctx context.Context, tx *store.Tx, incidentID, trigger string, notBefore time.Time, why store.Why) (ops.Investigation, error) {
	last, _, err := tx.LastInvestigation(ctx, incidentID)
	if err != nil {
		return ops.Investigation{}, err
	}
	i := ops.Investigation{ID: ops.NewID(ops.InvestigationID), IncidentID: incidentID, Trigger: trigger, Actor: why.Actor, State: ops.InvestigationFlow.Start(),
		Attempt: last.Attempt + 1, QueuedAt: tx.Now(), NotBefore: notBefore, Version: 1}
	i.Detail.Limits = map[string]int64{"turns": int64(v.set.Turns), "time_ms": v.set.Time.Milliseconds()}
	return i, tx.QueueInvestigation(ctx, i, why)
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// maxStarts is how often one investigation is started: what ends the process
// three times is not tried again.
const maxStarts = 3

// Recover sees to investigations that ran when the process ended: they are
// queued again, or failed when that happened too often.
func (v *Investigate) Recover(ctx context.Context) error {
	return v.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		active, err := tx.ActiveInvestigations(ctx)
		if err != nil {
			return err
		}
		for _, i := range active {
			if i.State != ops.InvestigationRunning {
				continue
			}
			if err := recoverOne(ctx, tx, i); err != nil {
				return err
			}
		}
		return nil
	})
}

func recoverOne(ctx context.Context, tx *store.Tx, i ops.Investigation) error {
	if i.Starts < maxStarts {
		_, err := tx.MoveInvestigation(ctx, i, ops.InvestigationRequeue, store.Why{Actor: actor, Reason: "the process ended while it was running"}, fresh)
		return err
	}
	reason := "the process ended three times while it was running"
	_, err := tx.MoveInvestigation(ctx, i, ops.InvestigationFail, store.Why{Actor: actor, Reason: reason}, func(i *ops.Investigation) {
		i.EndedAt, i.Err = tx.Now(), reason
	})
	return err
}

// fresh forgets what a start that did not end found.
func fresh(i *ops.Investigation) {
	i.StartedAt, i.Model, i.Summary, i.Confidence, i.Err = time.Time{}, "", "", "", ""
	i.Detail = ops.InvestigationDetail{Limits: i.Detail.Limits}
}

// wake lets the loops look at once.
func (v *Investigate) wake() {
	for _, l := range v.loops {
		l.Wake()
	}
}

// Loops answers the background passes for the process to run.
func (v *Investigate) Loops() []*loop.Loop { return v.loops }

// errSuperseded ends an investigation whose incident is over.
var errSuperseded = errors.New("the incident is over")

// errTime ends an investigation that took too long.
var errTime = errors.New("the time of the investigation is over")

func sum(text []byte) [32]byte { return sha256.Sum256(text) }
