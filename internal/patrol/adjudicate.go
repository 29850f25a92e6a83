package patrol

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"reeve/internal/evidence"
	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/store"
)

// byRule is whose verdict it is when no model gave one.
const byRule = "rule"

// assess takes the verdict of a model on one open finding. It is advice: the
// finding stays as it is.
func (d *desk) assess(ctx context.Context, a ops.Assessment) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if id, ok := d.aliases[a.FindingID]; ok {
		a.FindingID = id
	}
	what := redact.Line(fmt.Sprintf("verdict %s on %s", a.Verdict, a.FindingID), 120)
	f, ok := d.open[a.FindingID]
	switch {
	case !ok:
		return "", d.refuse(what, ops.Errorf(ops.NotFound, "%s is no open finding of this run; open are %s", redact.Line(a.FindingID, 60), d.names()))
	case d.assessed[f.ID].FindingID != "":
		return "", d.refuse(what, ops.Errorf(ops.Conflict, "%s has its verdict already; each gets exactly one", d.nameOf(f.ID)))
	case !slices.Contains([]ops.AssessVerdict{ops.AssessPresent, ops.AssessResolved, ops.AssessUncertain}, a.Verdict):
		return "", d.refuse(what, ops.Errorf(ops.Invalid, "a verdict is present, resolved or uncertain; not %q", redact.Line(string(a.Verdict), 40)))
	}
	before := len(d.rejected)
	held, found, err := d.claims(ctx, a.Claims)
	if err != nil {
		return "", d.refuse(what, err)
	}
	r := d.scope[f.ResourceID]
	if a.Verdict == ops.AssessResolved && !d.proves(r, held) {
		return "", d.refuse(what, ops.Errorf(ops.Invalid, "no claim that it is over holds%s; prove it, or say present or uncertain", d.lastWhy(before)))
	}
	note := d.prose(r, held, found, strings.TrimSpace(a.Note))
	done := ops.Assessment{FindingID: f.ID, Verdict: a.Verdict, Note: note, Claims: held, By: d.model()}
	d.assessed[f.ID] = done
	d.enrich(f.ID, note)
	d.say(saying{"verdict", f.ID, f.ResourceID, string(a.Verdict)})
	text := "noted"
	if a.Verdict == ops.AssessResolved {
		text += ": the finding stays open until its detector finds it over"
	}
	return text, nil
}

// nameOf answers the short name of a finding.
func (d *desk) nameOf(id string) string {
	for alias, of := range d.aliases {
		if of == id && strings.HasPrefix(alias, "F") {
			return alias
		}
	}
	return id
}

// names answers the short names of the findings that need a verdict.
func (d *desk) names() string {
	if len(d.open) == 0 {
		return "none"
	}
	var names []string
	for id := range d.open {
		if _, done := d.assessed[id]; !done {
			names = append(names, d.nameOf(id))
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	if len(names) > 40 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:40], " "), len(names)-40)
	}
	return strings.Join(names, " ")
}

// verdicts answers one assessment of each finding that needed one, by rule
// where no model gave it.
func (d *desk) verdicts(why string) []ops.Assessment {
	for _, id := range d.missing() {
		d.mu.Lock()
		d.assessed[id] = ops.Assessment{FindingID: id, Verdict: ops.AssessUncertain, By: byRule, Note: why}
		d.mu.Unlock()
	}
	all := make([]ops.Assessment, 0, len(d.assessed))
	for _, id := range slices.Sorted(maps.Keys(d.assessed)) {
		all = append(all, d.assessed[id])
	}
	return all
}

// open opens a finding that only a model saw, or notes that one was reported
// again. Its claims are stored with it, ready to be checked again.
func (s filed) open(ctx context.Context, f ops.Finding, proof []ops.Evidence) (ops.Finding, error) {
	why := store.Why{Actor: actor, OnBehalf: f.Facts["model"], Reason: "reported by a model in run " + s.run}
	var err error
	for range attempts {
		done := f
		err = s.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
			done, err = put(ctx, tx, f, why)
			if err != nil {
				return err
			}
			for _, x := range proof {
				x.ID, x.FindingID = ops.NewID(ops.EvidenceID), done.ID
				x.Hash = evidence.Hash(x)
				if err := tx.AddEvidence(ctx, x); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			return done, nil
		}
		if ops.KindOf(err) != ops.Conflict {
			break
		}
	}
	return f, err
}

// put writes one report into the finding of its fingerprint. A detector may
// have opened it meanwhile: then it is left as it is.
func put(ctx context.Context, tx *store.Tx, f ops.Finding, why store.Why) (ops.Finding, error) {
	live, alive, err := tx.LiveFinding(ctx, f.ResourceID, f.Condition)
	again := func(x *ops.Finding) {
		x.LastSeen, x.Summary, x.Facts = tx.Now(), f.Summary, f.Facts
		x.Count++
	}
	switch {
	case err != nil:
		return f, err
	case !alive:
		if f.PreviousID, err = tx.LastClosed(ctx, f.ResourceID, f.Condition); err != nil {
			return f, err
		}
		f.FirstSeen, f.LastSeen, f.OpenedAt = tx.Now(), tx.Now(), tx.Now()
		return f, tx.OpenFinding(ctx, f, why)
	case live.Origin != ops.OriginPatrol:
		return live, nil
	case live.Active():
		return tx.NoteFinding(ctx, live, "report", why, again)
	case live.ResolvedBy == "accepted":
		return live, nil // A person said that it is none.
	}
	return tx.MoveFinding(ctx, live, ops.FindingRegress, why, func(x *ops.Finding) {
		again(x)
		x.Episode++
		x.OpenedAt, x.ResolvedAt, x.ResolvedBy = tx.Now(), time.Time{}, ""
		x.AckedBy, x.AckedAt, x.Claim = "", time.Time{}, ""
	})
}
