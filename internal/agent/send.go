package agent

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"reeve/internal/link"
	"reeve/internal/linkpb"
	"reeve/internal/ops"
)

// send sends what waits, and what comes to wait, until it cannot. A report is
// sent as one of the past when it is older than past.
func (c *connection) send(ctx context.Context, past time.Duration) error {
	for {
		if err := c.drain(ctx, past); err != nil {
			return err
		}
		select {
		case <-c.a.more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// drain sends what waits, the oldest first.
func (c *connection) drain(ctx context.Context, past time.Duration) error {
	for {
		r, ok, err := c.a.spool.Next()
		if err != nil || !ok {
			return err
		}
		err = c.report(ctx, r, time.Since(r.At) > past)
		switch {
		case err == nil:
			c.a.failing = failing{}
		case ops.KindOf(err) == ops.Invalid || link.Failed(err) && c.a.failing.again(r.Sequence):
			// The server will never take it; it must not hold up the others.
			c.a.log.Error("the server does not take a report, which is lost", "sequence", r.Sequence, "at", r.At, "err", err)
		default:
			return err
		}
		if err := c.a.spool.Done(r.Sequence); err != nil {
			return err
		}
	}
}

// failing is the report that the server answers it fails on, while it greets the
// agent on each connection.
type failing struct {
	sequence int64
	times    int
	since    time.Time
	lost     int // before it, since one was taken
}

// A report is given up when the server failed on it so often, over such a
// time. When it fails on the next one too, it is hardly the reports' fault:
// the time doubles, so that a server that fails for a day costs a few.
const (
	failTimes   = 5
	failTime    = 10 * time.Minute
	failDoubles = 6
)

// again notes that the server failed on a report, and reports whether to give
// it up.
func (f *failing) again(sequence int64) bool {
	if f.sequence != sequence {
		f.sequence, f.times, f.since = sequence, 0, time.Now()
	}
	f.times++
	if f.times < failTimes || time.Since(f.since) < failTime<<min(f.lost, failDoubles) {
		return false
	}
	f.lost++
	return true
}

func (c *connection) report(ctx context.Context, r ops.Report, replayed bool) error {
	if c.a.o.ClockOffset != 0 {
		r = shifted(r, c.a.o.ClockOffset)
	}
	ask := &linkpb.ReportRequest{Report: link.PackReport(r), Replayed: replayed}
	ctx, cancel := context.WithTimeout(ctx, c.timeFor(proto.Size(ask)))
	defer cancel()
	_, err := c.link.Up.Report(ctx, ask)
	if err == nil {
		c.a.heard()
	}
	return link.FromWire(err)
}

// between is what may be sent of a large message before the parts of a small one
// have all had their turn.
const between = 128 << 10

// timeFor answers how long a message may take: under a cap a large one needs
// its time, and would never get through without it; and so does a small one
// beside it.
func (c *connection) timeFor(bytes int) time.Duration {
	cap := c.bytesPerS.Load()
	if cap <= 0 {
		return callTimeout
	}
	return callTimeout + 2*time.Duration(bytes+between)*time.Second/time.Duration(cap)
}

// shifted answers a report as a host with a wrong clock would make it.
func shifted(r ops.Report, by time.Duration) ops.Report {
	r.At = r.At.Add(by)
	observations := make([]ops.Observation, len(r.Observations))
	for i, o := range r.Observations {
		o.Started = o.Started.Add(by)
		samples := make([]ops.Sample, len(o.Samples))
		for j, s := range o.Samples {
			s.At = s.At.Add(by)
			samples[j] = s
		}
		events := make([]ops.Event, len(o.Events))
		for j, e := range o.Events {
			if !e.At.IsZero() {
				e.At = e.At.Add(by)
			}
			events[j] = e
		}
		o.Samples, o.Events = samples, events
		observations[i] = o
	}
	r.Observations = observations
	return r
}
