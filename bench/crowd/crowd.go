// Package crowd is many agents in one process, as a server sees them: each
// joins with a key of its own, keeps a connection with mutual TLS, beats,
// reports, answers pings and lists workloads. What they report is made up;
// everything between them and the server is real. When they lose the server
// they wait as agents do, and what they had to say meanwhile comes late.
package crowd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"reeve/internal/agent"
	"reeve/internal/link"
	"reeve/internal/linkpb"
	"reeve/internal/linkpb/linkpbconnect"
	"reeve/internal/ops"
	"reeve/internal/pki"
)

// callTimeout is that of an agent's calls.
const callTimeout = 30 * time.Second

// A Ticket is what a server answers for a host that shall join.
type Ticket struct {
	Address     string `json:"address"`
	Token       string `json:"token"`
	Fingerprint string `json:"fingerprint"`
}

// An Agent is one of the crowd.
type Agent struct {
	address link.Address
	id      ops.HostIdentity
	cert    *tls.Certificate
	trust   []*x509.Certificate

	sequence int64
	lists    atomic.Int64
	waiting  []*linkpb.Report // what could not be handed over, the oldest first
	values   []float64        // what its series said last
}

// Join lets one agent join with a key that it makes.
func Join(ctx context.Context, t Ticket) (*Agent, error) {
	address, err := link.ParseAddress(t.Address)
	if err != nil {
		return nil, err
	}
	a := &Agent{address: address, id: ops.HostIdentity{Key: ops.NewID(ops.HostID), BootID: ops.NewID("boot")}}
	key, err := pki.NewHostKey()
	if err != nil {
		return nil, err
	}
	request, err := pki.Request(key, a.id.Key)
	if err != nil {
		return nil, err
	}
	d := link.Dialer{Address: address, Now: time.Now}
	answer, err := d.Enrol(ctx, t.Fingerprint, &linkpb.EnrolRequest{Token: t.Token, Request: request, Host: a.host(), Version: "crowd"})
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(answer.GetCertificate())
	if err != nil {
		return nil, err
	}
	a.id.Name = answer.GetName()
	a.cert = &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
	a.trust, err = pki.ParseTrust(answer.GetTrust())
	return a, err
}

func (a *Agent) host() *linkpb.Host {
	h := link.PackHost(a.id)
	h.Machine = []string{"board:" + a.id.Key}
	return h
}

// Options say what the crowd does.
type Options struct {
	Every  time.Duration // between reports of one agent
	Series int           // of each agent
	// Over is the time over which the first connections are spread.
	Over time.Duration
}

// A Crowd is agents that have joined.
type Crowd struct {
	Tally
	agents []*Agent
	shape  *shape
	o      Options
	wg     sync.WaitGroup
	stop   context.CancelFunc
}

// Start lets agents connect and report until Stop.
func Start(ctx context.Context, agents []*Agent, o Options) *Crowd {
	ctx, stop := context.WithCancel(ctx)
	c := &Crowd{agents: agents, shape: newShape(o.Series, o.Every), o: o, stop: stop}
	for i, a := range agents {
		c.wg.Go(func() { c.live(ctx, a, o.Over*time.Duration(i)/time.Duration(len(agents))) })
	}
	return c
}

// Stop ends the crowd and waits for it.
func (c *Crowd) Stop() {
	c.stop()
	c.wg.Wait()
}

// live is the life of one agent.
func (c *Crowd) live(ctx context.Context, a *Agent, wait time.Duration) {
	var waits agent.Waits
	due := time.Now().Add(wait + rand.N(c.o.Every))
	for {
		// What falls due while there is no server waits.
		if err := c.whileAway(ctx, a, &due, wait); err != nil {
			return
		}
		began := time.Now()
		err := c.connect(ctx, a, &due)
		if ctx.Err() != nil {
			return
		}
		c.failed(err)
		wait = waits.After(err, time.Since(began), 0)
	}
}

// whileAway waits and makes the reports that fall due.
func (c *Crowd) whileAway(ctx context.Context, a *Agent, due *time.Time, wait time.Duration) error {
	end := time.NewTimer(wait)
	defer end.Stop()
	report := time.NewTimer(time.Until(*due))
	defer report.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			return nil
		case <-report.C:
			a.waiting = append(a.waiting, c.next(a, due))
			report.Reset(time.Until(*due))
		}
	}
}

// next makes the report that is due.
func (c *Crowd) next(a *Agent, due *time.Time) *linkpb.Report {
	at := *due
	for *due = due.Add(c.o.Every); time.Until(*due) <= 0; {
		*due = due.Add(c.o.Every)
	}
	a.sequence++
	return c.shape.report(a, at)
}

// connect is one connection, until it ends.
func (c *Crowd) connect(ctx context.Context, a *Agent, due *time.Time) error {
	d := link.Dialer{Address: a.address, Cert: a.cert, Trust: a.trust, Now: time.Now}
	conn, err := d.Dial(ctx, down{a: a})
	if err != nil {
		return err
	}
	defer conn.Close()
	hello, err := c.hello(ctx, a, conn)
	if err != nil {
		return err
	}
	c.came()
	defer c.went()
	beat := time.NewTicker(time.Duration(hello.GetHeartbeatMs()) * time.Millisecond)
	defer beat.Stop()
	report := time.NewTimer(time.Until(*due))
	defer report.Stop()
	err = c.heartbeat(ctx, a, conn)
	for err == nil {
		if err = c.drain(ctx, a, conn); err != nil {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-conn.Done():
			return nil
		case <-beat.C:
			err = c.heartbeat(ctx, a, conn)
		case <-report.C:
			a.waiting = append(a.waiting, c.next(a, due))
			report.Reset(time.Until(*due))
		}
	}
	return err
}

func (c *Crowd) hello(ctx context.Context, a *Agent, conn *link.Conn) (*linkpb.HelloResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ask := &linkpb.HelloRequest{Protocols: link.Protocols, Version: "crowd", Host: a.host(), NowMs: time.Now().UnixMilli()}
	for _, t := range a.trust {
		ask.Trust = append(ask.Trust, pki.Fingerprint(t))
	}
	answer, err := conn.Up.Hello(ctx, ask)
	if err != nil {
		return nil, link.FromWire(err)
	}
	a.sequence = max(a.sequence, answer.GetSequence())
	return answer, nil
}

func (c *Crowd) heartbeat(ctx context.Context, a *Agent, conn *link.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := conn.Up.Heartbeat(ctx, &linkpb.HeartbeatRequest{NowMs: time.Now().UnixMilli(), SpoolReports: int64(len(a.waiting))})
	return link.FromWire(err)
}

// drain hands over what waits; how long each took is the measure.
func (c *Crowd) drain(ctx context.Context, a *Agent, conn *link.Conn) error {
	for len(a.waiting) > 0 {
		r := a.waiting[0]
		late := time.Since(time.UnixMilli(r.GetAtMs())) > 2*ops.HeartbeatEvery
		began := time.Now()
		calling, cancel := context.WithTimeout(ctx, callTimeout)
		_, err := conn.Up.Report(calling, &linkpb.ReportRequest{Report: r, Replayed: late})
		cancel()
		if err != nil {
			return link.FromWire(err)
		}
		c.took(time.Since(began))
		a.waiting = a.waiting[1:]
	}
	return nil
}

// down is an agent on the command direction.
type down struct {
	linkpbconnect.UnimplementedDownlinkHandler
	a *Agent
}

func (d down) Ping(_ context.Context, r *linkpb.PingRequest) (*linkpb.PingResponse, error) {
	return &linkpb.PingResponse{Nonce: r.GetNonce(), BootId: d.a.id.BootID, NowMs: time.Now().UnixMilli()}, nil
}

// workloads are on every host of the crowd.
const workloads = 10

func (d down) Workloads(context.Context, *linkpb.WorkloadsRequest) (*linkpb.WorkloadsResponse, error) {
	list := &linkpb.DriverList{Driver: "docker", Complete: true}
	for i := range workloads {
		name := "web-" + strconv.Itoa(i)
		list.Workloads = append(list.Workloads, &linkpb.Workload{Key: name, Name: name, Label: "running", Generation: "1"})
	}
	return &linkpb.WorkloadsResponse{Sequence: time.Now().UnixNano() + d.a.lists.Add(1), AtMs: time.Now().UnixMilli(), Drivers: []*linkpb.DriverList{list}}, nil
}

// Replay connects one agent and hands over what next answers until it answers
// none, as one that was away does; done is called for what was accepted.
func Replay(ctx context.Context, a *Agent, next func() (ops.Report, bool, error), done func(sequence int64) error) error {
	d := link.Dialer{Address: a.address, Cert: a.cert, Trust: a.trust, Now: time.Now}
	conn, err := d.Dial(ctx, down{a: a})
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := (&Crowd{}).hello(ctx, a, conn); err != nil {
		return err
	}
	for {
		r, ok, err := next()
		if err != nil || !ok {
			return err
		}
		if _, err := conn.Up.Report(ctx, &linkpb.ReportRequest{Report: link.PackReport(r), Replayed: true}); err != nil {
			return link.FromWire(err)
		}
		if err := done(r.Sequence); err != nil {
			return err
		}
	}
}

// Outage answers the reports that an agent makes while its server is away, as
// many as given and every long after the other, up to now. Each has events.
func Outage(a *Agent, series, reports, events int, every time.Duration) ([]ops.Report, error) {
	s := newShape(series, every)
	all, end := make([]ops.Report, reports), time.Now()
	for i := range all {
		at := end.Add(-every * time.Duration(reports-i))
		a.sequence++
		r, err := link.UnpackReport(s.report(a, at))
		if err != nil {
			return nil, err
		}
		for e := range events {
			id := strconv.Itoa(i) + "-" + strconv.Itoa(e)
			r.Observations[0].Events = append(r.Observations[0].Events, ops.Event{Resource: r.Host.HostResource(), Type: ops.EventContainerExit, At: at,
				Text: "something ended with exit code 1, number " + id, SourceID: "outage-" + id, Count: 1})
		}
		all[i] = r
	}
	return all, nil
}
