package agent

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"reeve/internal/command"
	"reeve/internal/link"
	"reeve/internal/linkpb"
	"reeve/internal/ops"
	"reeve/internal/pki"
)

const (
	callTimeout = 30 * time.Second
	// spread is over how long agents that lost a server together come back.
	spread = 10 * time.Second
	// least and most are the waits between tries that fail.
	least = 2 * time.Second
	most  = time.Minute
	// refused is how long an agent waits that the server does not want.
	refused = 5 * time.Minute
	// renewLook is how often the certificate's age is looked at.
	renewLook = time.Minute
)

// A connection is one session with the server.
type connection struct {
	a    *Agent
	link *link.Conn
	beat time.Duration
	// bytesPerS is the cap that the server set; 0 for none.
	bytesPerS int64
}

// keepConnected opens a connection again whenever it ends. Waits are drawn, so
// that a thousand agents that lost their server do not come back as one.
func (a *Agent) keepConnected(ctx context.Context) {
	wait := time.Duration(0)
	for fails := 0; ctx.Err() == nil; {
		if !sleep(ctx, wait) {
			return
		}
		began := time.Now()
		err := a.connect(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil || time.Since(began) > most:
			fails = 0
			if wait = rand.N(spread); len(a.joined.server.Others) > 0 {
				wait /= 3 // the others share the load
			}
			a.log.Warn("the connection to the server ended", "err", err)
		case ops.KindOf(err) == ops.Forbidden, ops.KindOf(err) == ops.Conflict:
			wait = refused/2 + rand.N(refused/2)
			a.log.Error("the server does not let this host in", "err", err, "again_in", wait.Round(time.Second))
		default:
			fails++
			backoff := min(least<<min(fails, 6), most)
			wait = backoff/2 + rand.N(backoff)
			if fails <= len(a.joined.server.Others) {
				wait = rand.N(least) // another server may answer
			}
			a.log.Warn("the server cannot be reached", "err", err, "again_in", wait.Round(time.Second))
		}
		a.note(err)
	}
}

// next answers the address to try: the one that was good, then the others in
// turn.
func (a *Agent) next() string {
	all := append([]string{a.joined.server.Address}, a.joined.server.Others...)
	if a.tries == 0 && slices.Contains(all, a.good) {
		a.tries++
		return a.good
	}
	where := all[a.turn%len(all)]
	a.turn++
	a.tries++
	a.good = where
	return where
}

// takeAddresses keeps where the other servers are.
func (a *Agent) takeAddresses(all []string) {
	others := slices.DeleteFunc(slices.Clone(all), func(x string) bool {
		_, err := link.ParseAddress(x)
		return err != nil || x == a.joined.server.Address
	})
	slices.Sort(others)
	if len(all) == 0 || slices.Equal(others, a.joined.server.Others) || len(others) > maxServers {
		return
	}
	a.joined.server.Others = others
	if err := keepServer(a.o.Data, a.joined.server); err != nil {
		a.log.Warn("the addresses of the other servers cannot be kept", "err", err)
	}
}

// maxServers bounds the addresses that are kept.
const maxServers = 32

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
	where := a.next()
	address, err := link.ParseAddress(where)
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
		return conn.Why(err)
	}
	a.log.Info("connected to the server", "address", where)
	a.tries = 0
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

// hello says who this is. An agent that learns of other authorities by the
// answer says so at once: the server waits for that before it changes to them.
func (c *connection) hello(ctx context.Context) error {
	changed, err := c.sayHello(ctx)
	if err == nil && changed {
		_, err = c.sayHello(ctx)
	}
	return err
}

func (c *connection) sayHello(ctx context.Context) (trustChanged bool, err error) {
	a := c.a
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	host := link.PackHost(a.id)
	host.Machine = a.machine
	ask := &linkpb.HelloRequest{Protocols: link.Protocols, Version: a.o.Version, ReadOnly: command.ReadOnly, Host: host, NowMs: a.clock().UnixMilli()}
	for _, t := range a.joined.trust {
		ask.Trust = append(ask.Trust, pki.Fingerprint(t))
	}
	answer, err := c.link.Up.Hello(ctx, ask)
	if err != nil {
		return false, link.FromWire(err)
	}
	if c.beat = time.Duration(answer.GetHeartbeatMs()) * time.Millisecond; c.beat < time.Second {
		c.beat = ops.HeartbeatEvery
	}
	c.bytesPerS = answer.GetBytesPerS()
	c.link.Cap(c.bytesPerS)
	if err := a.counter.AtLeast(answer.GetSequence()); err != nil {
		return false, err
	}
	trustChanged = a.takeTrust(answer.GetTrust())
	a.takeSettings(answer.GetSettings())
	a.takeAddresses(answer.GetAddresses())
	a.heard()
	return trustChanged, nil
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
	changed := a.takeTrust(answer.GetTrust())
	a.takeSettings(answer.GetSettings())
	a.heard()
	if changed {
		return c.hello(ctx)
	}
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

// timeFor answers how long a message may take: under a cap a large one needs
// its time, and would never get through without it.
func (c *connection) timeFor(bytes int) time.Duration {
	if c.bytesPerS <= 0 {
		return callTimeout
	}
	return callTimeout + 2*time.Duration(bytes)*time.Second/time.Duration(c.bytesPerS)
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

// takeTrust keeps authorities that the server names, and reports whether they
// are others than before: they came over a connection that those vouch for.
func (a *Agent) takeTrust(trust [][]byte) (changed bool) {
	if len(trust) == 0 || sameTrust(trust, a.joined) {
		return false
	}
	parsed, err := pki.ParseTrust(trust)
	if err == nil {
		err = keepTrust(a.o.Data, trust)
	}
	if err != nil {
		a.log.Error("the server's authorities cannot be kept", "err", err)
		return false
	}
	a.joined.trust = parsed
	a.log.Info("the authorities to trust changed", "count", len(parsed))
	return true
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
