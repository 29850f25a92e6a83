package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
	"reeve/internal/store"
)

// attempts is how often a pass tries to write when a person changed the same
// rows meanwhile.
const attempts = 3

// settle writes all that a judgement leads to, in one transaction: signals,
// findings, evidence, tracks, incidents, and what time alone brings about.
func (w *Watch) settle(ctx context.Context, now time.Time, j *judgement) error {
	evidence := w.gatherEvidence(ctx, now, j.edges)
	var err error
	for range attempts {
		err = w.store.Tx(ctx, now, func(tx *store.Tx) error {
			for i, e := range j.edges {
				if err := w.apply(ctx, tx, e, evidence[i]); err != nil {
					return err
				}
			}
			moved, err := w.tidy(ctx, tx)
			if err != nil {
				return err
			}
			if err := tx.SaveTracks(ctx, w.trackRows(j.tracks)); err != nil {
				return err
			}
			if len(j.edges) == 0 && !moved {
				return nil
			}
			return w.group(ctx, tx)
		})
		if err == nil || ops.KindOf(err) != ops.Conflict {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("write what the pass found: %w", err)
	}
	w.remember(j.tracks)
	return nil
}

// trackRows answers the tracks that the store does not have yet, with the
// gone ones as empty.
func (w *Watch) trackRows(next map[fingerprint]detect.Track) []store.TrackRow {
	var rows []store.TrackRow
	for key, t := range next {
		if !worthStoring(w.stored[key], t) {
			continue
		}
		text, _ := json.Marshal(t) // times, texts and numbers always marshal
		rows = append(rows, store.TrackRow{ResourceID: key.resource, Condition: key.condition, State: string(text)})
	}
	for key := range w.stored {
		if _, ok := next[key]; !ok {
			rows = append(rows, store.TrackRow{ResourceID: key.resource, Condition: key.condition})
		}
	}
	return rows
}

// worthStoring tells a track that moved from one that only stood another few
// seconds in the same open finding.
func worthStoring(old, next detect.Track) bool {
	old.At, old.Last, old.NextAt = next.At, next.Last, next.NextAt
	return old != next
}

func (w *Watch) remember(next map[fingerprint]detect.Track) {
	for key, t := range next {
		if old, ok := w.stored[key]; !ok || worthStoring(old, t) {
			w.stored[key] = t
		}
	}
	for key := range w.stored {
		if _, ok := next[key]; !ok {
			delete(w.stored, key)
		}
	}
	w.tracks = next
}

// apply writes one edge: its signal and what it does to the finding.
func (w *Watch) apply(ctx context.Context, tx *store.Tx, e edge, evidence []ops.Evidence) error {
	f, alive, err := tx.LiveFinding(ctx, e.key.resource, e.key.condition)
	if err != nil {
		return err
	}
	if e.Edge != detect.Raised && !f.Active() {
		return nil // a person's word or the inventory ended it meanwhile
	}
	if e.Edge != detect.Fell {
		fresh, err := tx.AddSignal(ctx, signalOf(tx.Now(), e))
		if err != nil || !fresh {
			return err
		}
	}
	switch e.Edge {
	case detect.Raised:
		f, err = w.raise(ctx, tx, e, f, alive)
	case detect.Rose:
		f, err = rise(ctx, tx, e, f)
	case detect.Fell:
		f, err = tx.NoteFinding(ctx, f, "fall", e.why("the severity fell"), func(f *ops.Finding) { e.describe(f, tx.Now()) })
	case detect.Cleared:
		return w.clear(ctx, tx, e, f, alive)
	}
	if err != nil {
		return err
	}
	for _, x := range evidence {
		x.FindingID = f.ID
		if err := tx.AddEvidence(ctx, sealed(x)); err != nil {
			return err
		}
	}
	return nil
}

func (e edge) why(reason string) store.Why {
	return store.Why{Actor: actor, Reason: reason}
}

// describe writes what the verdict says into the finding.
func (e edge) describe(f *ops.Finding, now time.Time) {
	f.Severity, f.Peak = e.track.Severity, f.Peak.Max(e.track.Severity)
	f.Summary, f.Facts, f.LastSeen = e.verdict.Summary, e.verdict.Facts, now
}

func signalOf(now time.Time, e edge) ops.Signal {
	return ops.Signal{
		ID: ops.NewID(ops.SignalID), Source: "rule", Condition: e.key.condition, ResourceID: e.key.resource,
		SourceID: fmt.Sprintf("%s/%s/%s/%d", e.key.resource, e.key.condition, e.Edge, now.UnixMilli()),
		Edge:     ops.SignalEdge(e.Edge), Severity: e.track.Severity, Facts: e.verdict.Facts, EventAt: now, ReceivedAt: now,
	}
}

// raise opens a finding, or the next episode of one that was resolved less
// than a day ago. What only a model saw before makes no difference to it.
func (w *Watch) raise(ctx context.Context, tx *store.Tx, e edge, f ops.Finding, alive bool) (ops.Finding, error) {
	now := tx.Now()
	switch {
	case alive && f.Active() && f.Origin == ops.OriginPatrol:
		return adopt(ctx, tx, e, f)
	case alive && f.Active(): // found in another way already
		return tx.NoteFinding(ctx, f, "confirm", e.why("a detector finds it too"), func(f *ops.Finding) {
			e.describe(f, now)
			f.Count++
		})
	case alive && now.Sub(f.ResolvedAt) < ops.RegressionWindow && f.Origin != ops.OriginPatrol:
		return regress(ctx, tx, e, f)
	case alive:
		if _, err := expire(ctx, tx, f); err != nil {
			return f, err
		}
	}
	previous, err := tx.LastClosed(ctx, e.key.resource, e.key.condition)
	if err != nil {
		return f, err
	}
	f = ops.Finding{ID: ops.NewID(ops.FindingID), ResourceID: e.key.resource, Condition: e.key.condition, State: ops.FindingFlow.Start(),
		Origin: ops.OriginRule, FirstSeen: e.track.BadSince, OpenedAt: now, Count: 1, Episode: 1, PreviousID: previous, Version: 1}
	e.describe(&f, now)
	return f, tx.OpenFinding(ctx, f, e.why("the condition held for "+e.def.Hold.String()))
}

// adopt makes a finding that a model reported a detector's own, as if it had
// opened now: what people said of a model's word, and the incident of its own
// that it had, are not carried over.
func adopt(ctx context.Context, tx *store.Tx, e edge, f ops.Finding) (ops.Finding, error) {
	now := tx.Now()
	next, err := tx.MoveFinding(ctx, f, ops.FindingRise, e.why("a detector finds what a model reported"), func(f *ops.Finding) {
		f.Peak = ""
		e.describe(f, now)
		f.Origin, f.FirstSeen, f.OpenedAt, f.Count, f.Episode, f.Flapping = ops.OriginRule, e.track.BadSince, now, 1, 1, false
		f.AckedBy, f.AckedAt, f.Suppression, f.Claim, f.IncidentID = "", time.Time{}, nil, "", ""
	})
	if err != nil {
		return f, err
	}
	return next, tx.SetEpisodes(ctx, f.ID, []time.Time{now})
}

func regress(ctx context.Context, tx *store.Tx, e edge, f ops.Finding) (ops.Finding, error) {
	now := tx.Now()
	episodes, err := tx.Episodes(ctx, f.ID)
	if err != nil {
		return f, err
	}
	episodes = append(episodes, now)
	recent := 0
	for _, at := range episodes {
		if now.Sub(at) <= ops.FlapWindow {
			recent++
		}
	}
	next, err := tx.MoveFinding(ctx, f, ops.FindingRegress, e.why("the condition is true again"), func(f *ops.Finding) {
		e.describe(f, now)
		f.Episode++
		f.Count++
		f.OpenedAt, f.ResolvedAt, f.ResolvedBy = now, time.Time{}, ""
		f.AckedBy, f.AckedAt, f.Claim = "", time.Time{}, ""
		f.Flapping = recent > ops.FlapEpisodes
	})
	if err != nil {
		return f, err
	}
	return next, tx.SetEpisodes(ctx, f.ID, episodes)
}

// rise raises the severity; it ends an acknowledgement and a suppression that
// were given for less.
func rise(ctx context.Context, tx *store.Tx, e edge, f ops.Finding) (ops.Finding, error) {
	return tx.MoveFinding(ctx, f, ops.FindingRise, e.why("the severity rose"), func(f *ops.Finding) {
		e.describe(f, tx.Now())
		f.AckedBy, f.AckedAt = "", time.Time{}
		if own := f.Suppression.Own(); own != nil && !own.Active(tx.Now(), f.Severity) {
			f.Suppression = nil
		}
	})
}

func (w *Watch) clear(ctx context.Context, tx *store.Tx, e edge, f ops.Finding, alive bool) error {
	if !alive || !f.Active() {
		return nil
	}
	_, err := tx.MoveFinding(ctx, f, ops.FindingRecover, e.why("the clear condition held for "+e.def.Clear.String()), func(f *ops.Finding) {
		f.ResolvedAt, f.ResolvedBy, f.LastSeen, f.Claim = tx.Now(), "recovered", tx.Now(), ""
	})
	return err
}

func expire(ctx context.Context, tx *store.Tx, f ops.Finding) (ops.Finding, error) {
	return tx.MoveFinding(ctx, f, ops.FindingExpire, store.Why{Actor: actor, Reason: "a day passed without it"}, func(f *ops.Finding) {
		f.ClosedAt = tx.Now()
	})
}

// tidy does what time and the inventory alone bring about; moved says whether
// incidents may have changed.
func (w *Watch) tidy(ctx context.Context, tx *store.Tx) (moved bool, err error) {
	old, err := tx.DueToClose(ctx, tx.Now().Add(-ops.RegressionWindow))
	if err != nil {
		return false, err
	}
	for _, f := range old {
		if _, err := expire(ctx, tx, f); err != nil {
			return false, err
		}
	}
	active, _, err := tx.Findings(ctx, store.FindingFilter{Active: true, All: true})
	if err != nil {
		return false, err
	}
	for _, f := range active {
		changed, err := w.age(ctx, tx, f)
		if err != nil {
			return moved, err
		}
		moved = moved || changed || f.IncidentID == ""
	}
	return moved, w.closeWatched(ctx, tx)
}

// age ends a suppression whose time is over, and a finding whose resource is
// gone for good.
func (w *Watch) age(ctx context.Context, tx *store.Tx, f ops.Finding) (moved bool, err error) {
	if s := f.Suppression.Own(); s != nil && !s.Until.IsZero() && !tx.Now().Before(s.Until) {
		f, err = tx.NoteFinding(ctx, f, "unsuppress", store.Why{Actor: actor, Reason: "the suppression ended at " + s.Until.Format(time.RFC3339)},
			func(f *ops.Finding) { f.Suppression = nil })
		if err != nil {
			return false, err
		}
	}
	if f.Origin == ops.OriginPatrol && tx.Now().Sub(f.LastSeen) >= ops.AdviceLife {
		_, err := tx.MoveFinding(ctx, f, ops.FindingLapse, store.Why{Actor: actor, Reason: "no model reported it again for " + ops.AdviceLife.String()},
			func(f *ops.Finding) { f.ResolvedAt, f.ResolvedBy, f.Claim = tx.Now(), "expired", "" })
		return true, err
	}
	if _, known := w.Definition(f.Condition); !known && f.Origin == ops.OriginRule {
		return w.obsolete(ctx, tx, f, "this Reeve does not look for the condition any more")
	}
	if _, here := w.scene.byID[f.ResourceID]; here {
		return false, nil
	}
	r, err := tx.Resource(ctx, f.ResourceID)
	if err == nil && r.Presence != ops.Removed {
		return false, nil // it appeared after this pass read the scene
	}
	if err != nil && ops.KindOf(err) != ops.NotFound {
		return false, err
	}
	return w.obsolete(ctx, tx, f, "the resource is gone")
}

func (w *Watch) obsolete(ctx context.Context, tx *store.Tx, f ops.Finding, reason string) (moved bool, err error) {
	_, err = tx.MoveFinding(ctx, f, ops.FindingObsolete, store.Why{Actor: actor, Reason: reason}, func(f *ops.Finding) {
		f.ResolvedAt, f.ResolvedBy, f.Claim = tx.Now(), "obsolete", ""
	})
	return true, err
}

func (w *Watch) closeWatched(ctx context.Context, tx *store.Tx) error {
	done, err := tx.MitigatedBefore(ctx, tx.Now().Add(-ops.MitigatedWatch))
	if err != nil {
		return err
	}
	for _, i := range done {
		_, err := tx.MoveIncident(ctx, i, ops.IncidentClose, store.Why{Actor: actor, Reason: "quiet for " + ops.MitigatedWatch.String()},
			func(i *ops.Incident) { i.ClosedAt = tx.Now() })
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return nil
}
