package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"reeve/bench/crowd"
)

const (
	stampedeAgents = 1000
	stampedeEvery  = 10 * time.Second
	// lastBack is what the last agent may need: the time over which they
	// spread, and a few seconds for one try that fails.
	lastBack = 16
)

// measureStampede kills a server that a thousand agents are connected to and
// starts it again.
func measureStampede(ctx context.Context, b *bench) error {
	back, err := stepAside()
	if err != nil {
		return err
	}
	defer back()
	dir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()
	h, err := b.openHall(ctx, dir, stampedeAgents, 0)
	if err != nil {
		return err
	}
	defer func() { h.end() }()
	c := crowd.Start(ctx, h.agents, crowd.Options{Every: stampedeEvery, Series: crowdSeries, Over: 3 * stampedeEvery})
	defer c.Stop()
	if err := assemble(ctx, c, stampedeAgents, 2*time.Minute); err != nil {
		return err
	}
	if err := pause(ctx, 2*stampedeEvery); err != nil {
		return err
	}
	if err := h.cmd.Process.Kill(); err != nil {
		return err
	}
	h.cmd.Wait()
	c.Take()
	began := time.Now()
	if err := h.open(ctx, b); err != nil {
		return err
	}
	all, err := h.rush(ctx, c)
	if err != nil {
		return err
	}
	r := c.Take()
	slices.SortFunc(r.Arrivals, time.Time.Compare)
	since := func(at time.Time) float64 { return at.Sub(began).Seconds() }
	b.add(Line{What: "Stampede: 1,000 agents after the server was killed, from its start to the last one back", Value: since(r.Arrivals[len(r.Arrivals)-1]), Unit: "s", Bar: lastBack,
		Note: fmt.Sprintf("half after %.1f s; the server was ready, with the estate judged, after %.1f s, and took %.1f s of processor until both", since(r.Arrivals[len(r.Arrivals)/2]), h.readyIn.Seconds(), all.Seconds())})
	b.add(Line{What: "Stampede: a report from sent to accepted, 99th of 100", Value: ms(r.P99), Unit: "ms",
		Note: fmt.Sprintf("until all were back; median %.1f ms, slowest %.0f ms of %d", ms(r.P50), ms(r.Max), r.Reports)})
	c.Stop()
	return h.end()
}

// rush waits until all agents are back, and answers what the server took since
// its start.
func (h *hall) rush(ctx context.Context, c *crowd.Crowd) (time.Duration, error) {
	for end := time.Now().Add(2 * time.Minute); c.Connected() < len(h.agents); {
		if time.Now().After(end) {
			return 0, fmt.Errorf("%d of %d agents are back: %s", c.Connected(), len(h.agents), reasons(c.Take().Errors))
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return 0, err
		}
	}
	return h.cpu()
}
