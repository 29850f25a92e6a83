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
	h, err := b.openHall(ctx, dir, stampedeAgents)
	if err != nil {
		return err
	}
	defer func() { h.end() }()
	c := crowd.Start(ctx, h.agents, crowd.Options{Every: stampedeEvery, Series: crowdSeries, Over: 3 * stampedeEvery})
	defer c.Stop()
	if err := gather(ctx, c, stampedeAgents, 2*time.Minute); err != nil {
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
	if err := h.open(ctx, b); err != nil {
		return err
	}
	ready := time.Now()
	peak, all, err := h.rush(ctx, c)
	if err != nil {
		return err
	}
	r := c.Take()
	last := slices.MaxFunc(r.Arrivals, time.Time.Compare).Sub(ready)
	slices.SortFunc(r.Arrivals, time.Time.Compare)
	b.add(Line{What: "Stampede: 1,000 agents after the server was killed, from its start to the last one back", Value: last.Seconds(), Unit: "s", Bar: lastBack,
		Note: fmt.Sprintf("half after %.1f s; counted from ready, which took %.1f s", r.Arrivals[len(r.Arrivals)/2].Sub(ready).Seconds(), h.readyIn.Seconds())})
	b.add(Line{What: "Stampede: highest processor of the server in a second", Value: peak, Unit: "% of a core", Note: fmt.Sprintf("%.1f s of processor until all were back", all.Seconds())})
	b.add(Line{What: "Stampede: a report from sent to accepted, 99th of 100", Value: ms(r.P99), Unit: "ms",
		Note: fmt.Sprintf("until all were back; median %.1f ms, slowest %.0f ms of %d", ms(r.P50), ms(r.Max), r.Reports)})
	c.Stop()
	return h.end()
}

// rush watches the server until all agents are back.
func (h *hall) rush(ctx context.Context, c *crowd.Crowd) (peak float64, all time.Duration, err error) {
	first, err := h.cpu()
	if err != nil {
		return 0, 0, err
	}
	last, at := first, time.Now()
	for end := at.Add(2 * time.Minute); c.Connected() < len(h.agents); {
		if time.Now().After(end) {
			return 0, 0, fmt.Errorf("%d of %d agents are back: %s", c.Connected(), len(h.agents), reasons(c.Take().Errors))
		}
		if err := pause(ctx, time.Second); err != nil {
			return 0, 0, err
		}
		now, err := h.cpu()
		if err != nil {
			return 0, 0, err
		}
		peak = max(peak, 100*(now-last).Seconds()/time.Since(at).Seconds())
		last, at = now, time.Now()
	}
	return peak, last - first, nil
}
