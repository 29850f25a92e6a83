package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"reeve/bench/crowd"
	"reeve/internal/journal"
	"reeve/internal/link"
	"reeve/internal/ops"
)

const (
	outageReports = 240
	outageEvery   = 15 * time.Second // an hour in all
	outageEvents  = 3                // of each report
)

// measureSpool puts an hour of reports into a spool, opens it again as after a
// crash of the agent, and replays it to a real server.
func measureSpool(ctx context.Context, b *bench) error {
	dir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()
	h, err := b.openHall(ctx, dir, 1, 0)
	if err != nil {
		return err
	}
	defer h.end()
	reports, err := crowd.Outage(h.agents[0], crowdSeries, outageReports, outageEvents, outageEvery)
	if err != nil {
		return err
	}
	open := func() (*journal.Spool, error) {
		return journal.OpenSpool(filepath.Join(dir, "spool"), journal.SpoolOptions{Log: quiet, Codec: journal.Codec{Encode: link.EncodeReport, Decode: link.DecodeReport}})
	}
	put, disk, err := fillSpool(open, reports)
	if err != nil {
		return err
	}
	spool, err := open()
	if err != nil {
		return err
	}
	defer spool.Close()
	began := time.Now()
	if err := crowd.Replay(ctx, h.agents[0], spool.Next, spool.Done); err != nil {
		return err
	}
	replay := time.Since(began)
	kept, err := h.events(ctx)
	if err != nil {
		return err
	}
	const events = outageReports * outageEvents
	b.add(Line{What: "An hour without a server, 200 series every 15 s: events lost", Value: float64(events - kept), Unit: "events", Bar: 1, Note: fmt.Sprintf("of %d; counted in the server's database", events)})
	b.add(Line{What: "An hour without a server: replay to the server", Value: replay.Seconds(), Unit: "s", Note: fmt.Sprintf("%d reports over one connection", outageReports)})
	b.add(Line{What: "An hour without a server: on the agent's disk", Value: float64(disk) / 1e6, Unit: "MB"})
	b.add(Line{What: "An hour without a server: a report put durably", Value: ms(put) / outageReports, Unit: "ms", Note: "mean, with its sync"})
	return h.end()
}

// fillSpool puts reports, each durable before the next, and closes the spool.
func fillSpool(open func() (*journal.Spool, error), reports []ops.Report) (took time.Duration, disk int64, err error) {
	spool, err := open()
	if err != nil {
		return 0, 0, err
	}
	defer spool.Close()
	began := time.Now()
	for _, r := range reports {
		if err := spool.Put(r); err != nil {
			return 0, 0, err
		}
	}
	_, disk, _ = spool.Depth()
	return time.Since(began), disk, nil
}

// events counts those of the outage in the server's database.
func (h *hall) events(ctx context.Context) (n int, err error) {
	db, err := raw("sqlite:" + filepath.Join(h.dir, "reeve.db"))
	if err != nil {
		return 0, err
	}
	defer db.Close()
	err = db.QueryRowContext(ctx, `SELECT count(*) FROM event WHERE source_id LIKE 'outage-%'`).Scan(&n)
	return n, err
}
