package fleet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
	"time"

	"reeve/internal/link"
	"reeve/internal/linkpb"
	"reeve/internal/linkpb/linkpbconnect"
	"reeve/internal/ops"
	"reeve/internal/pki"
	"reeve/internal/store"
)

// heard is when a host was last heard of, on this process's clock.
type heard struct {
	beat, proof, report time.Time
	sequence            int64
	skew                time.Duration
	spooled             int64
	since               time.Time // of its connection
	address             string
	connected           bool
}

// A session is one connection of an agent, from its hello on.
type session struct {
	f      *Fleet
	peer   *link.Peer
	id     string // of the host
	keyID  string // of its certificate
	down   link.Commander
	number *number
	opened int64 // which connection it is, of those to this server
	over   bool  // under the lock of the fleet

	mu       sync.Mutex
	greeted  bool
	host     ops.Host
	settings [32]byte
	trust    [32]byte // of the authorities that were told
	heard    heard
	asked    time.Time // when the command direction was last asked
}

// Open takes a connection in; it counts from its hello on.
func (k keeper) Open(p *link.Peer) (linkpbconnect.UplinkHandler, func()) {
	s := &session{f: k.f, peer: p, id: p.Cert.Subject.CommonName, keyID: pki.Fingerprint(p.Cert), down: link.Readable(p.Down)}
	s.number, s.opened = k.f.numberOf(s.id), k.f.opened.Add(1)
	return s, func() { k.f.ended(s) }
}

// A number is that of the last report that was accepted of a host, whatever
// connection it came over.
type number struct {
	mu   sync.Mutex // held while a report is taken in
	last int64
}

func (n *number) get() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last
}

func (n *number) atLeast(last int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last = max(n.last, last)
}

func (f *Fleet) numberOf(host string) *number {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.numbers[host] == nil {
		f.numbers[host] = &number{}
	}
	return f.numbers[host]
}

// heardBefore answers when the host was heard of over earlier connections to
// this server, as far as that is not written yet.
func (f *Fleet) heardBefore(host string) heard {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.sessions[host]
	if old == nil {
		return f.heard[host]
	}
	old.mu.Lock()
	defer old.mu.Unlock()
	return old.heard
}

// Hello says who the agent is and answers how to go on.
func (s *session) Hello(ctx context.Context, r *linkpb.HelloRequest) (*linkpb.HelloResponse, error) {
	answer, err := s.hello(ctx, r)
	if err != nil {
		s.f.log.Warn("an agent was refused", "from", s.peer.From, "host", s.id, "err", err)
	}
	return answer, link.Wire(err)
}

func (s *session) hello(ctx context.Context, r *linkpb.HelloRequest) (*linkpb.HelloResponse, error) {
	protocol := link.Speaks(r.GetProtocols())
	if protocol == 0 {
		return nil, ops.Errorf(ops.Invalid, "this server speaks the versions %v of the protocol and the agent %v: bring the older of the two up to date", link.Protocols, r.GetProtocols())
	}
	h, moved, err := s.noted(ctx, r, protocol)
	if moved { // the pass that judges came between
		h, _, err = s.noted(ctx, r, protocol)
	}
	if err != nil {
		return nil, err
	}
	if err := s.f.Begun(ctx, s.id); err != nil {
		return nil, err
	}
	now := time.Now()
	settings := s.f.Settings(h)
	s.number.atLeast(h.Sequence)
	before, last := s.f.heardBefore(s.id), s.number.get()
	s.mu.Lock()
	s.greeted, s.host, s.settings = true, h, digest(settings)
	s.heard = heard{beat: now, since: now, address: s.peer.From, sequence: last, skew: skewOf(r.GetNowMs(), now), connected: true,
		proof: before.proof, report: before.report}
	trust := s.f.roots.trusted()
	s.trust = digest(trust...)
	s.mu.Unlock()
	if err := s.f.begin(s); err != nil {
		return nil, err
	}
	// From here on the session is found by who ends it; what a person said
	// before is seen now.
	if _, err := s.known(ctx); err != nil {
		s.peer.Close()
		return nil, err
	}
	return &linkpb.HelloResponse{Protocol: protocol, NowMs: now.UnixMilli(), HeartbeatMs: h.Beat().Milliseconds(), BytesPerS: h.BytesPerS,
		Trust: trust, Settings: settings, Sequence: last, Name: h.Name, Addresses: s.f.Addresses(ctx)}, nil
}

// noted answers the host of the certificate, if it may speak, with what it says
// of itself written; moved says that its row was changed meanwhile.
func (s *session) noted(ctx context.Context, r *linkpb.HelloRequest, protocol uint32) (h ops.Host, moved bool, err error) {
	if h, err = s.known(ctx); err != nil {
		return h, false, err
	}
	if err := s.f.sameMachine(ctx, h, r.GetHost()); err != nil {
		return h, false, err
	}
	h, err = s.note(ctx, h, r, protocol)
	return h, ops.KindOf(err) == ops.Conflict, err
}

// known answers the host of the certificate, if it may speak.
func (s *session) known(ctx context.Context) (ops.Host, error) {
	h, err := s.f.store.Host(ctx, s.id)
	switch {
	case ops.KindOf(err) == ops.NotFound:
		return h, ops.Errorf(ops.Forbidden, "this server does not know the host; ask for a line to join with: `reeve host add NAME`")
	case err != nil:
		return h, err
	case h.State == ops.HostRemoved:
		return h, ops.Errorf(ops.Forbidden, "the host was removed from Reeve; to have it back, ask for a line: `reeve host add %s`", h.Name)
	case h.State == ops.HostPending, h.KeyID != s.keyID:
		return h, ops.Errorf(ops.Forbidden, "the certificate of the host was revoked; ask for a line to join again: `reeve host add %s`", h.Name)
	}
	return h, nil
}

// note writes what is new of the host.
func (s *session) note(ctx context.Context, h ops.Host, r *linkpb.HelloRequest, protocol uint32) (ops.Host, error) {
	next := h
	boot := clean(r.GetHost().GetBootId())
	if boot != h.BootID && boot != "" {
		next.BootID, next.Boots = boot, append(slices.Clone(h.Boots), boot)
	}
	next.Version, next.Protocol, next.ReadOnly = clean(r.GetVersion()), int(protocol), r.GetReadOnly()
	if m := machineOf(r.GetHost()); len(m) > 0 {
		next.Machine = m
	}
	next.Trust = nil
	for _, t := range r.GetTrust() {
		next.Trust = append(next.Trust, clean(t))
	}
	verb := ""
	switch {
	case next.BootID != h.BootID:
		verb = "boot"
	case next.Version != h.Version:
		verb = "agent_version"
	case slices.Equal(next.Machine, h.Machine) && slices.Equal(next.Trust, h.Trust) && next.Protocol == h.Protocol && next.ReadOnly == h.ReadOnly:
		return h, nil
	}
	why := store.Why{Actor: actor, Reason: "its agent said so when it connected", Facts: map[string]string{"agent": next.Version, "boot_id": next.BootID}}
	err := s.f.store.Tx(ctx, time.Now(), func(tx *store.Tx) (err error) {
		next, err = tx.NoteHost(ctx, h, verb, why, func(x *ops.Host) { row := x.Row; *x = next; x.Row = row })
		return err
	})
	return next, err
}

// sameMachine refuses a copy: the same key on another machine, or a boot that
// had ended before another began.
func (f *Fleet) sameMachine(ctx context.Context, h ops.Host, says *linkpb.Host) error {
	boot, machine := clean(says.GetBootId()), machineOf(says)
	// A copy that was made while the machine ran has the same boot.
	other := len(machine) > 0 && len(h.Machine) > 0 && !slices.ContainsFunc(machine, func(m string) bool { return slices.Contains(h.Machine, m) })
	if !other && (boot == h.BootID || boot == "") {
		return nil
	}
	what := ""
	switch {
	case other:
		what = "another machine came with the key: nothing of its hardware is that of " + h.Name
	case slices.Contains(h.Boots, boot):
		what = "a boot came back that another had followed: two machines take turns with one key"
	case f.answers(ctx, h.ID):
		what = "a second machine came with the key while the first was connected and answered"
	default:
		return nil
	}
	why := store.Why{Actor: actor, Reason: what, Facts: map[string]string{"boot_id": boot, "machine": strings.Join(machine, " ")}}
	err := f.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		_, err := tx.NoteHost(ctx, h, "conflict", why, func(x *ops.Host) { x.ConflictAt, x.Conflict = tx.Now(), what })
		return err
	})
	if err != nil && ops.KindOf(err) != ops.Conflict {
		return err
	}
	f.Moved()
	return ops.Errorf(ops.Conflict, "another machine has the identity of this one (%s): %s. If this is a copy of its disk, run `reeve-agent forget` here and join as a new host; if the machine was replaced, run `reeve host accept %s`", h.Name, what, h.Name)
}

// answers asks the connection that a host has, if any, whether it lives.
func (f *Fleet) answers(ctx context.Context, host string) bool {
	f.mu.Lock()
	old := f.sessions[host]
	f.mu.Unlock()
	return old != nil && old.prove(ctx)
}

// begin makes a session the one of its host; the one before ends. One that
// ended meanwhile, or that a newer connection follows, comes too late.
func (f *Fleet) begin(s *session) error {
	f.mu.Lock()
	old := f.sessions[s.id]
	if s.over || s.peer.Over() || old != nil && old.opened > s.opened {
		f.mu.Unlock()
		s.peer.Close()
		return ops.Errorf(ops.Unavailable, "the connection ended while the agent said hello")
	}
	f.sessions[s.id] = s
	delete(f.heard, s.id)
	f.mu.Unlock()
	if old != nil && old != s {
		old.peer.Close()
	}
	if f.pinging != nil {
		f.pinging.Wake()
	}
	return nil
}

// ended keeps the clocks of a connection that is over.
func (f *Fleet) ended(s *session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.over = true
	if f.sessions[s.id] != s {
		return
	}
	delete(f.sessions, s.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard.connected = false
	f.heard[s.id] = s.heard
}

// drop ends the connection of a host at once.
func (f *Fleet) drop(host string) {
	f.mu.Lock()
	s := f.sessions[host]
	f.mu.Unlock()
	if s != nil {
		s.peer.Close()
	}
}

// Heartbeat counts.
func (s *session) Heartbeat(_ context.Context, r *linkpb.HeartbeatRequest) (*linkpb.HeartbeatResponse, error) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.greeted {
		return nil, link.Wire(ops.Errorf(ops.Forbidden, "the agent has not said hello"))
	}
	s.heard.beat, s.heard.skew, s.heard.spooled = now, skewOf(r.GetNowMs(), now), r.GetSpoolReports()
	answer := &linkpb.HeartbeatResponse{NowMs: now.UnixMilli()}
	if settings := s.f.Settings(s.host); digest(settings) != s.settings {
		s.settings, answer.Settings = digest(settings), settings
	}
	if trust := s.f.roots.trusted(); digest(trust...) != s.trust {
		s.trust, answer.Trust = digest(trust...), trust
	}
	return answer, nil
}

// Report takes a report in.
func (s *session) Report(ctx context.Context, r *linkpb.ReportRequest) (*linkpb.ReportResponse, error) {
	duplicate, err := s.report(ctx, r)
	return &linkpb.ReportResponse{Duplicate: duplicate}, link.Wire(err)
}

func (s *session) report(ctx context.Context, r *linkpb.ReportRequest) (duplicate bool, err error) {
	s.mu.Lock()
	host, h, greeted := s.host, s.heard, s.greeted
	s.mu.Unlock()
	switch {
	case !greeted:
		return false, ops.Errorf(ops.Forbidden, "the agent has not said hello")
	case r.GetReport().GetHost().GetKey() != s.id:
		return false, ops.Errorf(ops.Forbidden, "an agent speaks of its own host only")
	}
	// One at a time: a report that comes again, on this or on a newer
	// connection, waits for what becomes of it.
	s.number.mu.Lock()
	defer s.number.mu.Unlock()
	if r.GetReport().GetSequence() <= s.number.last {
		return true, nil
	}
	report, err := link.UnpackReport(r.GetReport())
	if err != nil {
		return false, err
	}
	report.Host.Name = host.Name
	setRight(&report, h.skew, time.Now())
	if !r.GetReplayed() {
		report.Observations = append(report.Observations, s.f.remark(host, h))
	}
	if err := s.f.Accept(ctx, report); err != nil {
		return false, err
	}
	s.number.last = report.Sequence
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard.sequence = max(s.heard.sequence, report.Sequence)
	s.heard.beat = now
	if !r.GetReplayed() && slices.ContainsFunc(report.Observations, func(o ops.Observation) bool { return o.Err == "" && o.Collector != remarks }) {
		first := s.heard.report.IsZero()
		s.heard.report = now
		if first && s.f.flushing != nil {
			s.f.flushing.Wake()
		}
	}
	return false, nil
}

// Renew answers a new certificate for the key that the connection has proven,
// or for one that shall follow it.
func (s *session) Renew(ctx context.Context, r *linkpb.RenewRequest) (*linkpb.RenewResponse, error) {
	answer, err := s.renew(ctx, r)
	return answer, link.Wire(err)
}

func (s *session) renew(ctx context.Context, r *linkpb.RenewRequest) (*linkpb.RenewResponse, error) {
	h, err := s.known(ctx)
	if err != nil {
		return nil, err
	}
	now, err := s.f.now(ctx)
	if err != nil {
		return nil, err
	}
	cert, err := s.f.roots.sign(r.GetRequest(), s.id, s.f.CertLife, now)
	if err != nil {
		return nil, err
	}
	if pki.Fingerprint(cert) != h.KeyID {
		return nil, ops.Errorf(ops.Forbidden, "a certificate is renewed for the key that the host joined with")
	}
	why := store.Why{Actor: actor, Reason: "two thirds of its life were over", Facts: map[string]string{"until": cert.NotAfter.Format(time.RFC3339)}}
	err = s.f.store.Tx(ctx, now, func(tx *store.Tx) error {
		h, err = tx.NoteHost(ctx, h, "renew", why, func(x *ops.Host) { x.CertUntil = cert.NotAfter })
		return err
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.host = h
	s.mu.Unlock()
	return &linkpb.RenewResponse{Certificate: cert.Raw, Trust: s.f.roots.trusted()}, nil
}

// prove asks on the command direction and notes the answer.
func (s *session) prove(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	nonce := time.Now().UnixNano()
	pong, err := s.peer.Down.Ping(ctx, &linkpb.PingRequest{Nonce: nonce})
	if err != nil || pong.GetNonce() != nonce {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard.proof = time.Now()
	return true
}

func skewOf(theirsMS int64, now time.Time) time.Duration {
	return time.Duration(theirsMS-now.UnixMilli()) * time.Millisecond
}

func digest(parts ...[]byte) [32]byte { return sha256.Sum256(bytes.Join(parts, []byte{0})) }
