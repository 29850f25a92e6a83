package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"reeve/bench/crowd"
	"reeve/internal/ops"
	"reeve/internal/tsdb"
)

// past is how far back the samples of a server of many hours go: as far as it
// takes until every part of it does what it does every few hours.
const past = 3 * time.Hour

// settling is how long the store is left to write and merge its blocks, which
// it begins with once a minute, before the server takes it over.
const settling = 2 * time.Minute

// measureFleetHours is measureFleet for a server that has run for hours. It
// makes the roll-ups of two of them while it is measured.
func measureFleetHours(ctx context.Context, b *bench) error {
	return b.fleet(ctx, crowding{agents: 1000, series: crowdSeries, every: 10 * time.Second, over: 30 * time.Second, past: true})
}

// remember lets the server know all resources and series, and have samples of
// the hours before.
func (h *hall) remember(ctx context.Context, b *bench, w crowding) error {
	c := crowd.Start(ctx, h.agents, crowd.Options{Every: w.every, Series: w.series, Over: w.over})
	err := assemble(ctx, c, w.agents, w.over+time.Minute)
	if err == nil {
		err = pause(ctx, 2*w.every)
	}
	c.Stop()
	if err := errors.Join(err, h.stop()); err != nil {
		return err
	}
	text, err := selfOutput(ctx, h.dir, "past")
	if err != nil {
		return fmt.Errorf("make samples of %s: %w", past, err)
	}
	fmt.Printf("  %s\n", text)
	return h.open(ctx, b)
}

// makePast is the child: it replaces the samples of a metrics store by those of
// the hours before, of the same series.
func makePast(ctx context.Context, dir string) (err error) {
	dir = filepath.Join(dir, "metrics")
	hosts, err := seriesOf(ctx, dir)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	db, err := tsdb.Open(ctx, quiet, tsdb.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	began, n := time.Now(), 0
	var batches [][]tsdb.Sample
	var moves [][]func(was float64) float64 // of the samples of each batch
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		var batch []tsdb.Sample
		var move []func(float64) float64
		for _, s := range hosts[host] {
			own := maps.Clone(s.Labels)
			delete(own, tsdb.HostLabel)
			delete(own, tsdb.ResourceLabel)
			move = append(move, crowd.Next(s.Metric))
			batch = append(batch, tsdb.Sample{Ref: db.Ref(host, s.Labels[tsdb.ResourceLabel], s.Metric, own), Value: s.Points[0].Value})
		}
		batches, moves = append(batches, batch), append(moves, move)
	}
	const every = 10 * time.Second
	for at := began.Add(-past).Truncate(time.Millisecond); at.Before(began); at = at.Add(every) {
		for i, batch := range batches {
			for j := range batch {
				batch[j].At = at.Add(every * time.Duration(i) / time.Duration(len(batches)))
				batch[j].Value = moves[i][j](batch[j].Value)
			}
			if err := db.Append(ctx, batch); err != nil {
				return err
			}
			n += len(batch)
		}
	}
	fmt.Printf("%s of samples made, %s of %d hosts, in %s", past, grouped(fmt.Sprint(n)), len(batches), time.Since(began).Round(time.Second))
	return pause(ctx, settling)
}

// seriesOf answers what a metrics store has of every host.
func seriesOf(ctx context.Context, dir string) (map[string][]ops.Series, error) {
	db, err := tsdb.Open(ctx, quiet, tsdb.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	all, err := db.Query(ctx, `{`+tsdb.ResourceLabel+`!=""}`, time.Now())
	hosts := map[string][]ops.Series{}
	for _, s := range all {
		hosts[s.Labels[tsdb.HostLabel]] = append(hosts[s.Labels[tsdb.HostLabel]], s)
	}
	return hosts, errors.Join(err, db.Close())
}
