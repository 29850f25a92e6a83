package agent

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"reeve/internal/command"
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
	// bytesPerS is the cap that the server set; 0 for none. A later hello sets
	// it while reports are sent.
	bytesPerS atomic.Int64
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
		wait = waits.After(err, took, len(a.joined.server.Others))
		switch {
		case err == nil || took > most:
			a.log.Warn("the connection to the server ended", "why", reasonOf(err))
		case unwanted(err):
			a.log.Error("the server does not let this host in", "err", err, "again_in", wait.Round(time.Second))
		default:
			a.log.Warn("the server cannot be reached", "err", err, "again_in", wait.Round(time.Second))
		}
		a.note(err)
	}
}

// next answers the address to try: the one that was good, then the others in
// turn.
func (a *Agent) next() string {
	all := a.joined.server.all()
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
	return a.speak(ctx, conn, where)
}

// speak uses a connection until it ends.
func (a *Agent) speak(ctx context.Context, conn *link.Conn, where string) error {
	defer conn.Close()
	c := &connection{a: a, link: conn}
	if err := c.hello(ctx); err != nil {
		return err
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
	ctx, cancel := context.WithTimeout(ctx, c.timeFor(0))
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
	c.bytesPerS.Store(answer.GetBytesPerS())
	c.link.Cap(answer.GetBytesPerS())
	if err := a.counter.AtLeast(answer.GetSequence()); err != nil {
		return false, err
	}
	trustChanged = a.takeTrust(answer.GetTrust())
	a.takeSettings(answer.GetSettings())
	a.takeAddresses(answer.GetAddresses())
	a.heard()
	a.passTrial()
	return trustChanged, nil
}

// serve beats and renews the certificate until the connection ends. What waits
// is sent beside that: a backlog must hold up neither the heartbeats nor the
// renewal without which the host never gets in again.
func (c *connection) serve(ctx context.Context) error {
	// Connections may all end before the first look of their own.
	if err := c.renew(ctx); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	past := 2 * c.beat
	var sending sync.WaitGroup
	sending.Go(func() { stop(c.send(ctx, past)) })
	err := c.watch(ctx)
	if ctx.Err() != nil {
		err = context.Cause(ctx) // why sending ended
	}
	stop(nil)
	sending.Wait()
	return err
}

// watch is the part of serve that beats and renews.
func (c *connection) watch(ctx context.Context) error {
	beat := time.NewTicker(c.beat)
	defer beat.Stop()
	renew := time.NewTicker(renewLook)
	defer renew.Stop()
	for err := c.heartbeat(ctx); ; {
		if err != nil {
			return err
		}
		select {
		case <-beat.C:
			err = c.heartbeat(ctx)
		case <-renew.C:
			err = c.renew(ctx)
		case <-c.link.Done():
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *connection) heartbeat(ctx context.Context) error {
	a := c.a
	ctx, cancel := context.WithTimeout(ctx, c.timeFor(0))
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
	ctx, cancel := context.WithTimeout(ctx, c.timeFor(0))
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

// reasonOf says why a connection ended.
func reasonOf(err error) string {
	if err == nil {
		return "it was closed"
	}
	return err.Error()
}
