package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"reeve/bench/crowd"
	"reeve/internal/reconcile"
)

const (
	crowdSeries = 200
	enrolAtOnce = 16
	// spareFiles are what either side has open beside its connections.
	spareFiles = 1000
)

// measureFleet is a thousand agents that report every ten seconds.
func measureFleet(ctx context.Context, b *bench) error {
	return b.fleet(ctx, crowding{agents: 1000, series: crowdSeries, every: 10 * time.Second, over: 30 * time.Second, bars: true})
}

// measureFleet10k is ten thousand agents of small things that report and beat
// every minute. With 200 series each they would be twice as many as a server
// takes by itself.
func measureFleet10k(ctx context.Context, b *bench) error {
	return b.fleet(ctx, crowding{agents: 10_000, series: 40, every: time.Minute, beat: time.Minute, over: 4 * time.Minute})
}

// A crowding is how large a crowd is and what it does.
type crowding struct {
	agents, series int
	every, over    time.Duration
	beat           time.Duration // between heartbeats; 0 is the server's default
	bars           bool
	past           bool // the server has run for hours
}

func (c crowding) name() string {
	name := fmt.Sprintf("%s agents x %d series every %s", grouped(fmt.Sprint(c.agents)), c.series, c.every)
	if c.past {
		name += ", after hours"
	}
	return name
}

// A hall is a server for agents, and who comes to it.
type hall struct {
	*process
	dir, secure string
	beat        time.Duration
	agents      []*crowd.Agent
	enrolment   time.Duration
}

// openHall starts a server, apart from this process, and lets agents join.
func (b *bench) openHall(ctx context.Context, dir string, agents int, beat time.Duration) (*hall, error) {
	// Go programs raise their limit to the hard one when they start.
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Max < uint64(agents+spareFiles) {
		return nil, errors.Join(err, fmt.Errorf("%d agents need more than the %d open files that are allowed: ulimit -Hn", agents, limit.Max))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &hall{dir: dir, secure: l.Addr().String(), beat: beat}
	l.Close()
	if err := h.open(ctx, b); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := h.enrol(ctx, agents); err != nil {
		return nil, errors.Join(err, h.stop())
	}
	h.enrolment = time.Since(began)
	return h, nil
}

// open starts the server, the first time or again.
func (h *hall) open(ctx context.Context, b *bench) (err error) {
	file := filepath.Join(h.dir, "bench.yaml")
	if err := os.WriteFile(file, []byte("log_level: error\n"), 0o600); err != nil {
		return err
	}
	h.process, err = launch(ctx, h.dir, apart(ctx, b.program, "up", "--data", h.dir, "--config", file, "--listen", "127.0.0.1:0", "--listen-tls", h.secure))
	return err
}

// end stops the server if it runs.
func (h *hall) end() error {
	if h.cmd.ProcessState != nil {
		return nil
	}
	return h.stop()
}

// enrol invites hosts over the API and lets an agent of each join.
func (h *hall) enrol(ctx context.Context, n int) error {
	h.agents = make([]*crowd.Agent, n)
	var next atomic.Int64
	var joining sync.WaitGroup
	errs := make([]error, enrolAtOnce)
	for w := range enrolAtOnce {
		joining.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && errs[w] == nil && ctx.Err() == nil; i = next.Add(1) - 1 {
				h.agents[i], errs[w] = h.join(ctx, fmt.Sprintf("node-%05d", i))
			}
		})
	}
	joining.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

func (h *hall) join(ctx context.Context, name string) (*crowd.Agent, error) {
	body := fmt.Sprintf(`{"name":%q}`, name)
	if h.beat > 0 {
		body = fmt.Sprintf(`{"name":%q,"heartbeat_ms":%d}`, name, h.beat.Milliseconds())
	}
	text, err := h.request(ctx, "POST", "/api/v1/hosts", strings.NewReader(body), map[string]string{"Content-Type": "application/json"})
	if err != nil {
		return nil, err
	}
	var t crowd.Ticket
	if err := json.Unmarshal(text, &t); err != nil {
		return nil, err
	}
	return crowd.Join(ctx, t)
}

// assemble waits until as many agents as given are connected.
func assemble(ctx context.Context, c *crowd.Crowd, n int, within time.Duration) error {
	for end := time.Now().Add(within); c.Connected() < n; {
		if time.Now().After(end) {
			return fmt.Errorf("%d of %d agents are connected after %s: %s", c.Connected(), n, within, reasons(c.Take().Errors))
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// reasons tells why connections ended, the most frequent first.
func reasons(errs map[string]int) string {
	const most = 5
	var all []string
	for _, text := range slices.SortedFunc(maps.Keys(errs), func(a, b string) int { return errs[b] - errs[a] }) {
		if len(all) == most {
			all = append(all, fmt.Sprintf("and %d other reasons", len(errs)-most))
			break
		}
		all = append(all, fmt.Sprintf("%d x %.200s", errs[text], text))
	}
	return strings.Join(all, "; ")
}

// fleet watches a server with a crowd.
func (b *bench) fleet(ctx context.Context, w crowding) error {
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
	h, err := b.openHall(ctx, dir, w.agents, w.beat)
	if err != nil {
		return err
	}
	defer h.end()
	b.add(Line{What: fmt.Sprintf("%s agents join: invited over the API, certificate signed", grouped(fmt.Sprint(w.agents))), Value: h.enrolment.Seconds(), Unit: "s",
		Note: fmt.Sprintf("%.0f a second, %d at a time", float64(w.agents)/h.enrolment.Seconds(), enrolAtOnce)})
	if w.past {
		if err := h.remember(ctx, b, w); err != nil {
			return err
		}
		b.add(Line{What: w.name() + ": start to ready", Value: h.readyIn.Seconds(), Unit: "s", Note: fmt.Sprintf("with the samples of %s to read again", past)})
	}
	c := crowd.Start(ctx, h.agents, crowd.Options{Every: w.every, Series: w.series, Over: w.over})
	defer c.Stop()
	if err := assemble(ctx, c, w.agents, w.over+time.Minute); err != nil {
		return err
	}
	// The first reports make every resource and series, the first lists every
	// workload, which happens once.
	if err := pause(ctx, w.every+reconcile.Every+10*time.Second); err != nil {
		return err
	}
	c.Take()
	ours := ownCPU()
	began := time.Now()
	s, err := h.watch(ctx, max(time.Duration(b.seconds)*time.Second, w.every))
	if err != nil {
		return err
	}
	r := c.Take()
	share := 100 * (ownCPU() - ours).Seconds() / time.Since(began).Seconds()
	if len(r.Errors) > 0 {
		return fmt.Errorf("connections ended: %s", reasons(r.Errors))
	}
	b.crowded(w, s, r, fmt.Sprintf("over %d s; server and agents on a core each; the agents took %.0f %% of theirs", int(time.Since(began).Seconds()), share))
	c.Stop()
	return h.end()
}

// crowded takes down what a crowd costs.
func (b *bench) crowded(w crowding, s spell, r crowd.Reading, note string) {
	cpu := Line{What: w.name() + ": processor of the server", Value: s.core, Unit: "% of a core", Note: note}
	memory := Line{What: w.name() + ": memory (RSS) of the server", Value: s.peak, Unit: "MB", Note: fmt.Sprintf("highest; since its start %.0f MB; highest of its own %.0f MB, the rest pages of files", s.ever, s.own)}
	slow := Line{What: w.name() + ": a report from sent to accepted, 99th of 100", Value: ms(r.P99), Unit: "ms",
		Note: fmt.Sprintf("median %.1f ms, slowest %.0f ms of %s", ms(r.P50), ms(r.Max), grouped(fmt.Sprint(r.Reports)))}
	if w.bars {
		cpu.Bar, memory.Bar, slow.Bar = 100, 1000, 50
	}
	b.add(cpu)
	b.add(memory)
	b.add(slow)
}
