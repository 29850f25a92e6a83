package patrol

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
)

const (
	cursor          = "patrol"
	configSetting   = "patrol_config"
	scheduleSetting = "patrol_schedule"

	followBatch = 500
	followPages = 20 // of one pass
	// startupAfter is when the estate is looked over after a start, unless
	// that was done within freshFor.
	startupAfter = 30 * time.Second
	freshFor     = time.Hour
	// settleFor is how long a change of the inventory waits for others: a
	// deployment replaces many containers one after the other.
	settleFor = 30 * time.Second
	// lookBack is how far before its first start a server that never followed
	// the transitions begins.
	lookBack = 10 * time.Minute
)

// Follow does one turn of what asks for runs: it attends to the one that goes
// on, keeps the schedule, and reads what was committed since.
func (p *Patrol) Follow(ctx context.Context) error {
	if err := p.attend(ctx); err != nil {
		return err
	}
	if err := p.clock(ctx, time.Now().UTC()); err != nil {
		return err
	}
	for range followPages {
		more, err := p.followPage(ctx)
		if ops.KindOf(err) == ops.Conflict {
			return nil // Another server read on; this one goes on from there.
		}
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// clock accepts what the time asks for: the look after the start, the one
// after the configuration changed, and the schedule.
func (p *Patrol) clock(ctx context.Context, now time.Time) error {
	for _, due := range []func(context.Context, time.Time) error{p.configChanged, p.startup, p.schedule} {
		if err := due(ctx, now); err != nil && ops.KindOf(err) != ops.Conflict {
			return err
		}
	}
	return nil
}

// configChanged compares the configuration with that of the last start, once.
func (p *Patrol) configChanged(ctx context.Context, _ time.Time) error {
	if p.compared {
		return nil
	}
	err := p.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		old, version, err := tx.Setting(ctx, configSetting)
		if err != nil || old == p.digest {
			return err
		}
		if old != "" && p.wants(ops.TriggerConfig) {
			_, err = accept(ctx, tx, []wish{{kind: ops.TriggerConfig, depth: depthNormal, why: store.Why{Actor: actor},
				reason: "the configuration was changed", sourceID: "version " + strconv.FormatInt(version, 10)}})
		}
		if err != nil {
			return err
		}
		return tx.SetSetting(ctx, configSetting, p.digest, version)
	})
	p.compared = err == nil
	return err
}

// startup asks for a look half a minute after the start, unless everything was
// looked at without an error within the hour.
func (p *Patrol) startup(ctx context.Context, now time.Time) error {
	if p.begun || !p.set.Startup || now.Sub(p.started) < startupAfter {
		return nil
	}
	full, err := p.store.RunsOfScope(ctx, ops.RunScope{}, 1)
	if err != nil {
		return err
	}
	if len(full) > 0 && full[0].Err == "" && now.Sub(full[0].EndedAt) < freshFor {
		p.begun = true
		return nil
	}
	_, err = p.acceptOne(ctx, wish{kind: ops.TriggerStartup, depth: depthNormal, why: store.Why{Actor: actor}, reason: "the server started",
		sourceID: p.node + " " + p.started.Format(time.RFC3339Nano)})
	p.begun = err == nil
	return err
}

// A timetable is the stored schedule: a restart does not shift it.
type timetable struct {
	EveryMS int64 `json:"every_ms"`
	NextMS  int64 `json:"next_ms"`
}

// advance answers the timetable after now, and the time that was due, zero for
// none. Another period counts from the last time; what was missed while the
// server was off is made up for once.
func (t timetable) advance(now time.Time, every time.Duration) (next timetable, due time.Time) {
	at := time.UnixMilli(t.NextMS).UTC()
	old := time.Duration(t.EveryMS) * time.Millisecond
	switch {
	case t.NextMS == 0 || old <= 0:
		at = now.Add(every)
	case old != every:
		at = at.Add(every - old)
	}
	if !now.Before(at) {
		due = at
		at = at.Add(every * (1 + now.Sub(at)/every))
	}
	return timetable{every.Milliseconds(), at.UnixMilli()}, due
}

// schedule keeps the timetable.
func (p *Patrol) schedule(ctx context.Context, now time.Time) error {
	if p.set.Every == 0 {
		return nil
	}
	if next := p.nextAt.Load(); next != 0 && now.UnixMilli() < next {
		return nil
	}
	var next timetable
	err := p.store.Tx(ctx, now, func(tx *store.Tx) error {
		text, version, err := tx.Setting(ctx, scheduleSetting)
		if err != nil {
			return err
		}
		var stored timetable
		if text != "" {
			if err := json.Unmarshal([]byte(text), &stored); err != nil {
				p.log.WarnContext(ctx, "the stored schedule of patrols cannot be read and begins anew", "err", err)
			}
		}
		var due time.Time
		if next, due = stored.advance(now, p.set.Every); next == stored {
			return nil
		}
		if !due.IsZero() {
			if _, err := accept(ctx, tx, []wish{{kind: ops.TriggerScheduled, depth: depthNormal, why: store.Why{Actor: actor},
				reason: "every " + p.set.Every.String(), sourceID: due.Format(time.RFC3339)}}); err != nil {
				return err
			}
		}
		text2, err := json.Marshal(next)
		if err != nil {
			return err
		}
		return tx.SetSetting(ctx, scheduleSetting, string(text2), version)
	})
	if err == nil {
		p.nextAt.Store(next.NextMS)
		p.work.Wake()
	}
	return err
}

// followPage accepts what a page of transitions asks for, in the transaction
// that moves the cursor over it.
func (p *Patrol) followPage(ctx context.Context) (more bool, err error) {
	from, err := p.store.Cursor(ctx, cursor)
	if err != nil {
		return false, err
	}
	if from == 0 && !p.placed {
		return p.begin(ctx)
	}
	news, err := p.store.Transitions(ctx, store.TransitionFilter{After: from, Limit: followBatch})
	if err != nil || len(news) == 0 {
		return false, err
	}
	wishes, err := p.wishes(ctx, news)
	if err != nil {
		return false, err
	}
	err = p.retry(ctx, func(tx *store.Tx) error {
		if len(wishes) > 0 {
			if _, err := accept(ctx, tx, wishes); err != nil {
				return err
			}
		}
		return tx.Advance(ctx, cursor, from, news[len(news)-1].Seq)
	})
	if err == nil && len(wishes) > 0 {
		p.work.Wake()
	}
	return err == nil && len(news) == followBatch, err
}

// begin places the cursor of a server that never followed shortly before its
// start: years of history ask for nothing.
func (p *Patrol) begin(ctx context.Context) (more bool, err error) {
	at, err := p.store.SeqAt(ctx, p.started.Add(-lookBack))
	if err == nil && at > 0 {
		err = p.store.Tx(ctx, time.Now(), func(tx *store.Tx) error { return tx.Advance(ctx, cursor, 0, at) })
	}
	p.placed = err == nil
	return err == nil, err
}

// wishes answers what transitions ask for. What they do not say is read from
// the store: whether a finding flaps, on which host something was.
func (p *Patrol) wishes(ctx context.Context, news []ops.Transition) ([]wish, error) {
	var all []wish
	var moved inventory
	for _, t := range news {
		if t.Actor == actor {
			continue // What a patrol itself wrote asks for none.
		}
		switch t.Object {
		case "finding":
			w, ok, err := p.ofFinding(ctx, t)
			if err != nil {
				return nil, err
			}
			if ok {
				all = append(all, w)
			}
		case "resource":
			if err := moved.add(ctx, p.store, t); err != nil {
				return nil, err
			}
		case "action":
			if resource := t.Facts["resource"]; resource != "" && slices.Contains(actionEnds, t.To) && p.wants(ops.TriggerAction) {
				all = append(all, of(t, ops.TriggerAction, resource, "the action "+t.ObjectID+" is "+t.To))
			}
		}
	}
	if len(moved.resources) > 0 && p.wants(ops.TriggerInventory) {
		all = append(all, moved.wish())
	}
	return all, nil
}

// actionEnds are the states in which an action has done what it will do.
var actionEnds = []string{"succeeded", "failed", "verified", "contradicted", "inconclusive"}

func of(t ops.Transition, kind ops.TriggerKind, resource, reason string) wish {
	return wish{kind: kind, scope: ops.RunScope{Resources: []string{resource}}, depth: depthNormal, reason: reason,
		why: store.Why{Actor: actor}, sourceID: "transition " + strconv.FormatInt(t.Seq, 10)}
}

// ofFinding answers what a move of a finding asks for.
func (p *Patrol) ofFinding(ctx context.Context, t ops.Transition) (w wish, ok bool, err error) {
	resource, condition, sev := t.Facts["resource"], t.Facts["condition"], ops.Severity(t.Facts["severity"])
	if resource == "" || sev.Rank() < p.set.MinSeverity.Rank() {
		return w, false, nil
	}
	switch ops.FindingEvent(t.Verb) {
	case "open":
		w = of(t, ops.TriggerOpened, resource, fmt.Sprintf("%s opened (%s)", condition, sev))
	case ops.FindingRegress:
		f, err := p.store.Finding(ctx, t.ObjectID)
		if err != nil && ops.KindOf(err) != ops.NotFound {
			return w, false, err
		}
		w = of(t, ops.TriggerOpened, resource, fmt.Sprintf("%s is back (%s)", condition, sev))
		if f.Flapping {
			w = of(t, ops.TriggerFlapping, resource, condition+" comes and goes")
			w.sourceID = t.ObjectID + " " + t.At.UTC().Truncate(ops.FlapWindow).Format(time.RFC3339) // Once for all of its turns.
		}
	case ops.FindingRise:
		w = of(t, ops.TriggerRose, resource, fmt.Sprintf("%s rose to %s", condition, sev))
	case ops.FindingRecover, ops.FindingRemediate, ops.FindingAccept:
		w = of(t, ops.TriggerCleared, resource, condition+" is over; is everything well now?")
	default:
		return w, false, nil
	}
	return w, p.wants(w.kind), nil
}

// An inventory is the hosts and containers that came and went in a page of
// transitions: one wish for all of them.
type inventory struct {
	resources []string
	seq       int64
	came      int
	went      int
}

// add takes in what happened to a resource. Of what went its host is looked
// at.
func (m *inventory) add(ctx context.Context, st *store.Store, t ops.Transition) error {
	if t.Verb != "appear" && t.Verb != "remove" || t.Facts["kind"] != string(ops.KindHost) && t.Facts["kind"] != string(ops.KindContainer) {
		return nil
	}
	id := t.ObjectID
	if t.Verb == "remove" {
		r, err := st.Resource(ctx, id)
		if ops.KindOf(err) == ops.NotFound || err == nil && r.HostID == id {
			return nil // A host that is gone leaves nothing to look at.
		}
		if err != nil {
			return err
		}
		id = r.HostID
		m.went++
	} else {
		m.came++
	}
	m.resources, m.seq = append(m.resources, id), t.Seq
	return nil
}

func (m inventory) wish() wish {
	scope := canonical(ops.RunScope{Resources: m.resources})
	if len(scope.Resources) > maxResources {
		scope = ops.RunScope{}
	}
	return wish{kind: ops.TriggerInventory, scope: scope, depth: depthNormal, why: store.Why{Actor: actor}, delay: settleFor,
		reason: fmt.Sprintf("hosts or containers came (%d) or went (%d)", m.came, m.went), sourceID: "transition " + strconv.FormatInt(m.seq, 10)}
}
