package app

import (
	"context"
	"slices"
	"time"

	"reeve/internal/loop"
	"reeve/internal/store"
	"reeve/internal/watch"
)

const (
	selfEvery     = 10 * time.Second
	eventsKept    = 30 * 24 * time.Hour
	removedKept   = 30 * 24 * time.Hour
	checkpointing = 30 * time.Second
)

// addLoops lists every background pass of the process.
func (s *Server) addLoops() {
	g := loop.NewGroup(s.log)
	s.loops = g
	if s.duty.shared {
		g.Add(&loop.Loop{Name: "duty", Doc: "Says that this server lives, and takes the duty of judging and telling when nobody has it.", Every: dutyEvery, Steady: true, Pass: s.takeDuty})
		g.Add(s.single(&loop.Loop{Name: "parts", Doc: "Takes away the parts of servers that are gone.", Every: time.Minute, Pass: s.leaveGone}))
	}
	s.woken.watch = g.Add(s.single(&loop.Loop{Name: "watch", Doc: "Judges every resource, opens and resolves findings, groups incidents.",
		Every: watch.Every, Timeout: time.Minute, Rest: 4, Pass: s.watchPass}))
	s.woken.checks = g.Add(&loop.Loop{Name: "checks", Doc: "Reads the declared checks and heartbeats for the agent.", Every: 5 * time.Second, Pass: s.readChecks})
	g.Add(&loop.Loop{Name: "self", Doc: "Reports the parts of Reeve as resources.", Every: selfEvery, Pass: s.reportSelf})
	g.Add(&loop.Loop{Name: "metrics_space", Doc: "Watches the room on the disk of the metrics store.", Every: 10 * time.Second, Pass: s.metrics.Check})
	g.Add(&loop.Loop{Name: "metrics_rollup", Doc: "Writes five-minute roll-ups.", Every: time.Minute, Timeout: 10 * time.Minute, Pass: s.metrics.Rollup})
	if s.config.Metrics.URL != "" {
		g.Add(&loop.Loop{Name: "metrics_ship", Doc: "Sends samples to the external metrics store.", Every: 5 * time.Second, Timeout: time.Minute, Pass: s.metrics.Ship})
	}
	g.Add(&loop.Loop{Name: "checkpoint", Doc: "Moves the database's log into the database.", Every: checkpointing, Pass: s.store.Checkpoint})
	g.Add(s.single(&loop.Loop{Name: "prune", Doc: "Deletes events, and resources that nothing tells of, a month after.", Every: time.Hour, Pass: s.prune}))
	s.woken.declare = g.Add(s.single(&loop.Loop{Name: "declare", Doc: "Declares the workloads of the configuration: windows of time, compose files, hosts that have joined.",
		Every: declareEvery, Pass: s.declareWorkloads}))
	if s.config.Deadman != "" {
		s.woken.deadman = g.Add(&loop.Loop{Name: "deadman", Doc: "Tells a service outside that Reeve lives.", Every: deadmanEvery, Steady: true, Pass: s.pingDeadman})
	}
	for _, l := range slices.Concat(s.notifier.Loops(), s.patrol.Loops(), s.investigate.Loops()) {
		g.Add(s.single(l))
	}
	for _, l := range slices.Concat(s.api.Loops(), s.modelLoops(), s.fleet.Loops(), s.reconcile.Loops(), s.act.Loops()) {
		g.Add(l)
	}
	if s.worker != nil {
		for _, l := range s.worker.Loops() {
			g.Add(l)
		}
	}
}

// watchPass judges, then sees to it that the next hold or clear time that
// ends is not waited for longer than it must be.
func (s *Server) watchPass(ctx context.Context) error {
	first := s.watch.Status().At.IsZero()
	if err := s.watch.Pass(ctx); err != nil {
		return err
	}
	if first && s.woken.deadman != nil {
		s.woken.deadman.Wake()
	}
	s.notifier.Wake()
	s.patrol.Wake()
	next := s.watch.NextAt()
	if wait := time.Until(next); !next.IsZero() && wait < watch.Every {
		time.AfterFunc(max(wait, 50*time.Millisecond), s.woken.watch.Wake)
	}
	return nil
}

func (s *Server) prune(ctx context.Context) error {
	return s.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		if _, err := tx.PruneEvents(ctx, tx.Now().Add(-eventsKept)); err != nil {
			return err
		}
		if err := tx.PruneServers(ctx, tx.Now().Add(-serverKept)); err != nil {
			return err
		}
		_, err := tx.PruneResources(ctx, tx.Now().Add(-removedKept))
		return err
	})
}
