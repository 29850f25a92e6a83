package agent

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"reeve/internal/link"
	"reeve/internal/linkpb"
	"reeve/internal/ops"
	"reeve/internal/pki"
)

const (
	callTimeout = 30 * time.Second
	// renewLook is how often the certificate's age is looked at.
	renewLook = time.Minute
)

// A connection is one session with the server.
type connection struct {
	a    *Agent
	link *link.Conn
	beat time.Duration
}

// keepConnected opens a connection again whenever it ends.
func (a *Agent) keepConnected(ctx context.Context) {
	var waits Waits
	for wait := time.Duration(0); sleep(ctx, wait); {
		began := time.Now()
		err := a.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		took := time.Since(began)
		wait = waits.After(err, took)
		switch {
		case err == nil || took > most:
			a.log.Warn("the connection to the server ended", "err", err)
		case unwanted(err):
			a.log.Error("the server does not let this host in", "err", err, "again_in", wait.Round(time.Second))
		default:
			a.log.Warn("the server cannot be reached", "err", err, "again_in", wait.Round(time.Second))
		}
		a.note(err)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// connect runs one connection until it ends.
func (a *Agent) connect(ctx context.Context) error {
	address, err := link.ParseAddress(a.joined.server.Address)
	if err != nil {
		return err
	}
	if until := a.joined.cert.Leaf.NotAfter; time.Now().After(until) {
		return ops.Errorf(ops.Forbidden, "the certificate of this agent ended at %s while it could not renew it; let it join again: `reeve host add %s` on the server",
			until.Format(time.RFC3339), a.joined.server.Name)
	}
	d := link.Dialer{Address: address, Cert: a.joined.cert, Trust: a.joined.trust, Now: time.Now}
	conn, err := d.Dial(ctx, down{a})
	if err != nil {
		return err
	}
	defer conn.Close()
	c := &connection{a: a, link: conn}
	if err := c.hello(ctx); err != nil {
		return err
	}
	a.log.Info("connected to the server", "address", a.joined.server.Address)
	a.mu.Lock()
	a.conn = c
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.conn = nil
	}()
	return c.serve(ctx)
}

func (c *connection) hello(ctx context.Context) error {
	a := c.a
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	host := link.PackHost(a.id)
	host.Machine = a.machine
	ask := &linkpb.HelloRequest{Protocols: link.Protocols, Version: a.o.Version, ReadOnly: readOnly, Host: host, NowMs: a.clock().UnixMilli()}
	for _, t := range a.joined.trust {
		ask.Trust = append(ask.Trust, pki.Fingerprint(t))
	}
	answer, err := c.link.Up.Hello(ctx, ask)
	if err != nil {
		return link.FromWire(err)
	}
	if c.beat = time.Duration(answer.GetHeartbeatMs()) * time.Millisecond; c.beat < time.Second {
		c.beat = ops.HeartbeatEvery
	}
	c.link.Cap(answer.GetBytesPerS())
	if err := a.counter.AtLeast(answer.GetSequence()); err != nil {
		return err
	}
	a.takeTrust(answer.GetTrust())
	a.takeSettings(answer.GetSettings())
	a.heard()
	return nil
}

// serve beats, sends what waits and renews the certificate, until the
// connection ends.
func (c *connection) serve(ctx context.Context) error {
	beat := time.NewTicker(c.beat)
	defer beat.Stop()
	renew := time.NewTicker(renewLook)
	defer renew.Stop()
	if err := c.heartbeat(ctx); err != nil {
		return err
	}
	for {
		if err := c.drain(ctx); err != nil {
			return err
		}
		var err error
		select {
		case <-beat.C:
			err = c.heartbeat(ctx)
		case <-c.a.more:
		case <-renew.C:
			err = c.renew(ctx)
		case <-c.link.Done():
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

func (c *connection) heartbeat(ctx context.Context) error {
	a := c.a
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	reports, bytes, thinned := a.spool.Depth()
	answer, err := c.link.Up.Heartbeat(ctx, &linkpb.HeartbeatRequest{NowMs: a.clock().UnixMilli(), SpoolReports: int64(reports), SpoolBytes: bytes, ThinnedSamples: thinned})
	if err != nil {
		return link.FromWire(err)
	}
	a.takeTrust(answer.GetTrust())
	a.takeSettings(answer.GetSettings())
	a.heard()
	return nil
}

// drain sends what waits, the oldest first. Heartbeats go on in between.
func (c *connection) drain(ctx context.Context) error {
	last := time.Now()
	for {
		r, ok, err := c.a.spool.Next()
		if err != nil || !ok {
			return err
		}
		past := time.Since(r.At) > 2*c.beat
		if err := c.report(ctx, r, past); err != nil {
			if ops.KindOf(err) != ops.Invalid {
				return err
			}
			// The server will never take it; it must not hold up the others.
			c.a.log.Error("the server does not take a report, which is lost", "sequence", r.Sequence, "err", err)
		}
		if err := c.a.spool.Done(r.Sequence); err != nil {
			return err
		}
		if time.Since(last) > c.beat {
			last = time.Now()
			if err := c.heartbeat(ctx); err != nil {
				return err
			}
		}
	}
}

func (c *connection) report(ctx context.Context, r ops.Report, replayed bool) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if c.a.o.ClockOffset != 0 {
		r = shifted(r, c.a.o.ClockOffset)
	}
	_, err := c.link.Up.Report(ctx, &linkpb.ReportRequest{Report: link.PackReport(r), Replayed: replayed})
	if err == nil {
		c.a.heard()
	}
	return link.FromWire(err)
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
		o.Samples = samples
		observations[i] = o
	}
	r.Observations = observations
	return r
}

// renew asks for a new certificate after two thirds of the life of this one.
func (c *connection) renew(ctx context.Context) error {
	a := c.a
	leaf := a.joined.cert.Leaf
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	if time.Until(leaf.NotAfter) > life/3 {
		return nil
	}
	request, err := pki.Request(a.joined.key, a.id.Key)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := c.link.Up.Renew(ctx, &linkpb.RenewRequest{Request: request})
	if err != nil {
		a.log.Warn("the certificate was not renewed", "err", link.FromWire(err))
		return nil // the connection is good; it is tried again in a minute
	}
	if err := fits(a.joined.key, answer.GetCertificate()); err != nil {
		return err
	}
	if err := keepCert(a.o.Data, answer.GetCertificate(), answer.GetTrust()); err != nil {
		a.log.Error("the new certificate cannot be kept", "err", err)
		return nil
	}
	next, err := readJoined(a.o.Data)
	if err != nil {
		return err
	}
	a.joined.cert, a.joined.trust = next.cert, next.trust
	a.log.Info("the certificate was renewed", "until", a.joined.cert.Leaf.NotAfter)
	return nil // the server ends the connection when the old one ends; the next one begins with the new
}

// takeTrust keeps authorities that the server names: it came over a
// connection that the ones before vouch for.
func (a *Agent) takeTrust(trust [][]byte) {
	if len(trust) == 0 || sameTrust(trust, a.joined) {
		return
	}
	parsed, err := pki.ParseTrust(trust)
	if err == nil {
		err = keepTrust(a.o.Data, trust)
	}
	if err != nil {
		a.log.Error("the server's authorities cannot be kept", "err", err)
		return
	}
	a.joined.trust = parsed
	a.log.Info("the authorities to trust changed", "count", len(parsed))
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.conn != nil { // say hello again, so that the server knows
		a.conn.link.Close()
	}
}

func sameTrust(trust [][]byte, j joined) bool {
	if len(trust) != len(j.trust) {
		return false
	}
	known := map[string]bool{}
	for _, c := range j.trust {
		known[string(c.Raw)] = true
	}
	for _, der := range trust {
		if !known[string(der)] {
			return false
		}
	}
	return true
}

// takeSettings keeps what the server says shall be collected.
func (a *Agent) takeSettings(text []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(text) == 0 || digest(text) == digest(a.settings) {
		return
	}
	a.settings = text
	if err := os.WriteFile(filepath.Join(a.o.Data, settingsFile), text, 0o600); err != nil {
		a.log.Warn("the server's settings cannot be kept for the next start", "err", err)
	}
	select {
	case a.changed <- struct{}{}:
	default:
	}
}
