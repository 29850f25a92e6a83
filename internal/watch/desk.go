package watch

import (
	"context"
	"fmt"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
	"reeve/internal/store"
)

// AckFinding records that a person takes note of a finding. When every active
// member of its incident is acknowledged, so is the incident.
func (w *Watch) AckFinding(ctx context.Context, id, who, reason string, seen ...int64) (f ops.Finding, err error) {
	err = w.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		if f, err = findingSeen(ctx, tx, id, seen); err != nil {
			return err
		}
		if f.State == ops.FindingAcknowledged {
			return nil
		}
		if f, err = ackFinding(ctx, tx, f, who, reason); err != nil {
			return err
		}
		return ackWhenAll(ctx, tx, f.IncidentID, who, reason)
	})
	return f, err
}

func ackFinding(ctx context.Context, tx *store.Tx, f ops.Finding, who, reason string) (ops.Finding, error) {
	return tx.MoveFinding(ctx, f, ops.FindingAcknowledge, store.Why{Actor: who, Reason: reason}, func(f *ops.Finding) {
		f.AckedBy, f.AckedAt = who, tx.Now()
	})
}

func ackWhenAll(ctx context.Context, tx *store.Tx, incidentID, who, reason string) error {
	if incidentID == "" {
		return nil
	}
	i, err := tx.Incident(ctx, incidentID)
	if err != nil || i.State != ops.IncidentOpen {
		return err
	}
	open, _, err := tx.Findings(ctx, store.FindingFilter{Incident: i.ID, States: []string{string(ops.FindingOpen)}, Limit: 1})
	if err != nil || len(open) > 0 {
		return err
	}
	_, err = ackIncident(ctx, tx, i, who, reason)
	return err
}

func ackIncident(ctx context.Context, tx *store.Tx, i ops.Incident, who, reason string) (ops.Incident, error) {
	return tx.MoveIncident(ctx, i, ops.IncidentAcknowledge, store.Why{Actor: who, Reason: reason}, func(i *ops.Incident) {
		i.AckedBy, i.AckedAt, i.Owner = who, tx.Now(), who
	})
}

// AckIncident acknowledges an incident and its open members.
func (w *Watch) AckIncident(ctx context.Context, id, who, reason string, seen ...int64) (i ops.Incident, err error) {
	err = w.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		if i, err = tx.Incident(ctx, id); err != nil {
			return err
		}
		if err := checkSeen(i.Version, seen); err != nil || i.State == ops.IncidentAcknowledged {
			return err
		}
		open, _, err := tx.Findings(ctx, store.FindingFilter{Incident: id, States: []string{string(ops.FindingOpen)}, All: true})
		if err != nil {
			return err
		}
		for _, f := range open {
			if _, err := ackFinding(ctx, tx, f, who, reason); err != nil {
				return err
			}
		}
		i, err = ackIncident(ctx, tx, i, who, reason)
		return err
	})
	return i, err
}

// Suppress keeps a finding from being delivered: evaluation goes on, and a
// rise above its present severity ends it. Reason and, for a snooze, an end
// are needed.
func (w *Watch) Suppress(ctx context.Context, id string, s ops.Suppression, seen ...int64) (f ops.Finding, err error) {
	if err := soundSuppression(s, time.Now()); err != nil {
		return f, err
	}
	err = w.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		if f, err = findingSeen(ctx, tx, id, seen); err != nil {
			return err
		}
		if f.State == ops.FindingClosed {
			return ops.Errorf(ops.Conflict, "finding %s is closed; there is nothing to suppress", id)
		}
		s.Severity = f.Severity
		f, err = tx.NoteFinding(ctx, f, "suppress", store.Why{Actor: s.Actor, Reason: s.Reason, Facts: map[string]string{
			"kind": string(s.Kind), "until": stamp(s.Until)}}, func(f *ops.Finding) { f.Suppression = &s })
		return err
	})
	return f, err
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func soundSuppression(s ops.Suppression, now time.Time) error {
	wrong := map[string]string{}
	if s.Reason == "" {
		wrong["reason"] = "say why, so that others understand the silence"
	}
	switch s.Kind {
	case ops.SuppressSnooze, ops.SuppressMaintenance:
		if s.Until.IsZero() {
			wrong["until"] = "a snooze and a maintenance need an end"
		}
	case ops.SuppressAccepted:
	default:
		wrong["kind"] = "use snooze, accepted or maintenance"
	}
	if !s.Until.IsZero() && !s.Until.After(now) {
		wrong["until"] = "the end lies in the past"
	}
	if len(wrong) == 0 {
		return nil
	}
	e := ops.Errorf(ops.Invalid, "the suppression is not complete")
	e.Fields = wrong
	return e
}

// Unsuppress ends a suppression before its time.
func (w *Watch) Unsuppress(ctx context.Context, id, who, reason string, seen ...int64) (f ops.Finding, err error) {
	err = w.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		if f, err = findingSeen(ctx, tx, id, seen); err != nil {
			return err
		}
		switch own := f.Suppression.Own(); {
		case own == nil && f.Suppression != nil:
			return ops.Errorf(ops.Conflict, "finding %s is suppressed by the maintenance of %s; end that with `reeve host maintenance %s --end`", id, f.Suppression.Host, f.Suppression.Host)
		case own == nil:
			return ops.Errorf(ops.Conflict, "finding %s is not suppressed", id)
		}
		f, err = tx.NoteFinding(ctx, f, "unsuppress", store.Why{Actor: who, Reason: reason}, func(f *ops.Finding) { f.Suppression = nil })
		return err
	})
	return f, err
}

// Resolve takes a person's word that a finding is solved. It is a claim that
// is checked: while a detector sees the condition the finding stays open, with
// a note; where none can say any more it resolves at once.
func (w *Watch) Resolve(ctx context.Context, id, who, reason string, seen ...int64) (f ops.Finding, err error) {
	w.mu.Lock() // before the transaction, as a pass does
	defer w.mu.Unlock()
	if err := w.prepare(ctx); err != nil {
		return f, err
	}
	var key fingerprint
	accepted := false
	err = w.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		if f, err = findingSeen(ctx, tx, id, seen); err != nil {
			return err
		}
		if !f.Active() {
			return ops.Errorf(ops.Conflict, "finding %s is %s already", id, f.State)
		}
		key = fingerprint{f.ResourceID, f.Condition}
		if accepted = !w.canTell(key); accepted {
			f, err = w.accept(ctx, tx, f, store.Why{Actor: who, Reason: reason})
			return err
		}
		claim := fmt.Sprintf("%s said on %s that it is solved: %s", who, stamp(tx.Now()), reason)
		f, err = tx.NoteFinding(ctx, f, "claim", store.Why{Actor: who, Reason: reason}, func(f *ops.Finding) { f.Claim = claim })
		return err
	})
	if err == nil && accepted {
		delete(w.tracks, key)
		delete(w.stored, key)
	}
	return f, err
}

// canTell reports whether a detector knows whether the condition holds.
func (w *Watch) canTell(key fingerprint) bool {
	t, ok := w.tracks[key]
	return ok && t.Active() && t.Last != detect.Unknown && t.Last != ""
}

func (w *Watch) accept(ctx context.Context, tx *store.Tx, f ops.Finding, why store.Why) (ops.Finding, error) {
	f, err := tx.MoveFinding(ctx, f, ops.FindingAccept, why, func(f *ops.Finding) {
		f.ResolvedAt, f.ResolvedBy, f.Claim = tx.Now(), "accepted", ""
	})
	if err != nil {
		return f, err
	}
	if err := tx.SaveTracks(ctx, []store.TrackRow{{ResourceID: f.ResourceID, Condition: f.Condition}}); err != nil {
		return f, err
	}
	return f, w.group(ctx, tx)
}

// thresholdsOf lists the limits of a condition for a resource in a fixed
// order.
func thresholdsOf(s settings) []string {
	var lines []string
	for _, t := range s.def.Thresholds {
		lines = append(lines, fmt.Sprintf("%s = %g %s", t.Name, s.limits[t.Name], t.Unit))
	}
	return lines
}
