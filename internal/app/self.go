package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"reeve/internal/api"
	"reeve/internal/loop"
	"reeve/internal/ops"
)

// reportSelf is the pass that reports the parts of Reeve as resources, so
// that a failing loop, store or channel is a finding like any other. What
// several servers have between them is reported by the one on duty.
func (s *Server) reportSelf(ctx context.Context) error {
	here := s.partsHost()
	parts := s.ownParts(ctx, here)
	if s.duty.shared {
		return errors.Join(s.report(ctx, here, parts), s.onDuty(s.reportCommon)(ctx))
	}
	common, err := s.commonParts(ctx, here)
	if err != nil {
		return err
	}
	return s.report(ctx, here, append(parts, common...))
}

// reportCommon reports what several servers have between them.
func (s *Server) reportCommon(ctx context.Context) error {
	servers, err := s.servers(ctx)
	if err != nil {
		return err
	}
	common, err := s.commonParts(ctx, unwatched)
	if err != nil {
		return err
	}
	for _, x := range servers {
		common = append(common, serverSighting(x))
	}
	return s.report(ctx, unwatched, common)
}

// ownParts are those that each server has.
func (s *Server) ownParts(ctx context.Context, host ops.HostIdentity) (parts []ops.Sighting) {
	for _, l := range s.loops.Statuses() {
		parts = append(parts, component(host, "loop", l.Name, loopState(l), l.Err, int64(l.Failures)))
	}
	for _, x := range s.storeStatuses(ctx) {
		parts = append(parts, component(host, "store", x.Name, x.State, x.Detail, 0))
	}
	return append(parts, s.modelSightings(host)...)
}

// commonParts are those that all servers have between them.
func (s *Server) commonParts(ctx context.Context, host ops.HostIdentity) ([]ops.Sighting, error) {
	patrols, err := s.patrolSighting(ctx, host)
	if err != nil {
		return nil, err
	}
	channels, err := s.notifier.Sightings(ctx, host)
	if err != nil {
		return nil, err
	}
	parts := []ops.Sighting{s.monitorSighting(host), patrols}
	for _, c := range channels {
		c.Key.Source = selfSource
		parts = append(parts, c)
	}
	return parts, nil
}

func (s *Server) report(ctx context.Context, host ops.HostIdentity, parts []ops.Sighting) error {
	if host.Key != s.host.Key && s.duty.shared { // another server may have written there meanwhile
		if err := s.ingest.Reload(ctx, host.Key); err != nil {
			return err
		}
	}
	now := time.Now().UTC()
	return s.ingest.Accept(ctx, ops.Report{Host: host, At: now, Observations: []ops.Observation{
		{Collector: selfSource, Started: now, EveryMS: selfEvery.Milliseconds(), Complete: []ops.Kind{ops.KindComponent}, Sightings: parts}}})
}

// serverSighting reports one of several servers as a part of Reeve.
func serverSighting(x ops.Server) ops.Sighting {
	c := component(unwatched, "server", x.ID, "ok", "", 0)
	c.Name = "server " + cmp.Or(x.Name, x.ID)
	if x.Away {
		c.Observed["state"], c.Observed["seen_at"] = "away", x.SeenAt.Format(time.RFC3339)
	}
	return c
}

// selfSource is the source of the server's own parts: its list is complete,
// so that a channel that was taken out of the configuration is gone.
const selfSource = "self"

func component(host ops.HostIdentity, what, name, state, detail string, failures int64) ops.Sighting {
	attrs := ops.Attrs{"state": state, "failures": strconv.FormatInt(failures, 10), "every_ms": strconv.FormatInt(selfEvery.Milliseconds(), 10)}
	if detail != "" {
		attrs["error"] = detail
	}
	return ops.Sighting{Key: ops.ResourceKey{Host: host.Key, Source: selfSource, Key: what + ":" + name}, Kind: ops.KindComponent, Name: what + " " + name, Observed: attrs}
}

func loopState(l loop.Status) string {
	if l.Failures >= loop.FailuresToReport {
		return "failing"
	}
	return "ok"
}

// storeStatuses asks the stores how they are.
func (s *Server) storeStatuses(ctx context.Context) []api.StoreStatus {
	db := api.StoreStatus{Name: "database", State: "ok", Facts: map[string]any{"engine": s.store.Dialect()}}
	size, err := s.store.Size(ctx)
	db.Size = size
	if err != nil {
		db.State, db.Detail = "failing", "the database does not answer"
		s.log.Error("database does not answer", "err", err)
	}
	m := s.metrics.Stats()
	ts := api.StoreStatus{Name: "metrics", State: "ok", Size: m.Bytes, Detail: m.Reason, Facts: map[string]any{
		"external": m.External, "series": m.Series, "appended": m.Appended, "rejected": m.Rejected, "dropped": m.Dropped,
		"queued": m.Queued, "wal_bytes": m.WALBytes, "free_bytes": m.FreeBytes}}
	if !m.Oldest.IsZero() {
		ts.Facts["oldest"] = m.Oldest.Format(time.RFC3339)
	}
	if m.Degraded {
		ts.State = "degraded"
	}
	return []api.StoreStatus{db, ts}
}

// coverage says how much of what should be watched is.
func (s *Server) coverage() map[string]any {
	m, in, w := s.metrics.Stats(), s.ingest.Stats(), s.watch.Status()
	up := max(time.Since(s.started).Seconds(), 1)
	return map[string]any{
		"metrics_series": m.Series, "samples_per_s": fmt.Sprintf("%.1f", float64(in.Samples)/up), "samples": in.Samples,
		"samples_dropped": in.Dropped, "reports": in.Reports, "last_pass_at": w.At, "last_pass_ms": w.TookMS,
		"resources_judged": w.Resources, "verdicts": w.Judged, "verdicts_unknown": w.Unknown, "holding": w.Holding,
	}
}
