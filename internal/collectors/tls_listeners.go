package collectors

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/sockdiag"
)

var _ = all.Add(collect.Definition{
	Name: "tls_listeners",
	Doc: "Certificates that services of this host serve: every listening TCP port is asked once in 6 h with a TLS greeting; " +
		"one that does not speak TLS is left alone for a day. Option skip_ports: ports not to ask, such as 8443,9443.",
	Every:       time.Minute,
	Timeout:     50 * time.Second,
	Cost:        collect.Dear,
	Permissions: "none; root to name the process",
	Metrics: []collect.Metric{
		{Name: "certificate_expires_seconds", Unit: "seconds", Doc: "Time until the certificate expires; negative once it has."},
	},
	Kinds: []ops.Kind{ops.KindCertificate},
	Open: func(env collect.Env) collect.Collector {
		return &tlsListeners{env: env, known: map[netip.AddrPort]*tlsListener{}}
	},
})

const (
	tlsAgain      = 6 * time.Hour
	tlsAgainPlain = 24 * time.Hour
	// tlsSettle is how long a new listener is left to start.
	tlsSettle = time.Minute
	// tlsTimeout bounds one handshake, tlsSideBySide how many are made at a
	// time, tlsMaxListeners how many listeners are asked at all.
	tlsTimeout      = 2 * time.Second
	tlsSideBySide   = 8
	tlsMaxListeners = 50
)

// tlsNeverPorts are ports whose protocols do not begin with TLS. A greeting
// they do not understand would only fill their logs, and some count it
// against the sender.
var tlsNeverPorts = []uint16{
	20, 21, 22, 23, 25, 53, 79, 80, 109, 110, 111, 113, 119, 139, 143, 179, 389, 445, 512, 513, 514, 515, 548, 587,
	631, 873, 1433, 1521, 1723, 2049, 2375, 3306, 3310, 3389, 4369, 5432, 5672, 5900, 5901, 6000, 6379, 6667, 9092,
	11211, 27017,
}

type tlsListeners struct {
	env     collect.Env
	started bool
	known   map[netip.AddrPort]*tlsListener
}

// A tlsListener is what is known of one listening address.
type tlsListener struct {
	inode    uint64
	wildcard bool
	due      time.Time
	process  string
	leaf     *x509.Certificate
	failures int // since leaf was last served
}

func (t *tlsListeners) Collect(ctx context.Context, out *collect.Batch) error {
	// A recorded tree lists the ports of another machine.
	if !t.env.Live {
		return collect.ErrAbsent
	}
	sockets, err := t.listening()
	if err != nil {
		return err
	}
	t.follow(sockets, out.Now)
	due := t.due(out.Now)
	t.name(due)
	t.ask(ctx, due, out.Now)
	for addr, l := range t.known {
		if l.leaf != nil {
			reportCertificate(out, addr, l)
		}
	}
	if len(t.known) < tlsMaxListeners {
		out.Whole(ops.KindCertificate)
	}
	return nil
}

// listening answers the listening sockets of the host, from its files where
// the kernel does not answer.
func (t *tlsListeners) listening() ([]sockdiag.Socket, error) {
	if t.env.Proc == "/proc" { // and not that of another network namespace
		if all, err := sockdiag.Listening(); err == nil {
			return all, nil
		}
	}
	var all []sockdiag.Socket
	for _, file := range []string{"tcp", "tcp6"} {
		f, err := os.Open(t.env.ProcPath("net", file))
		if missing(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		// The kernel lists listening sockets first, so the bound cuts off
		// connections.
		b, err := io.ReadAll(io.LimitReader(f, smallLimit))
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.Name(), err)
		}
		all = append(all, parseListening(b)...)
	}
	return all, nil
}

// follow takes up new listeners and forgets those that are gone. One that was
// opened anew, by a restarted service, is asked again.
func (t *tlsListeners) follow(sockets []sockdiag.Socket, now time.Time) {
	there := t.byAddress(sockets)
	for addr, inodes := range there {
		l := t.known[addr]
		if l != nil && slices.Contains(inodes, l.inode) || l == nil && len(t.known) >= tlsMaxListeners {
			continue
		}
		if l == nil {
			l = &tlsListener{wildcard: addr.Addr().IsUnspecified()}
			t.known[addr] = l
		}
		l.inode, l.due = inodes[0], t.firstDue(now)
	}
	for addr := range t.known {
		if there[addr] == nil {
			delete(t.known, addr)
		}
	}
	t.started = true
}

// byAddress answers the sockets of each address: several processes may share
// one. What listens on every address of both families is one.
func (t *tlsListeners) byAddress(sockets []sockdiag.Socket) map[netip.AddrPort][]uint64 {
	skip := t.skipped()
	there := map[netip.AddrPort][]uint64{}
	for _, s := range sockets {
		if slices.Contains(skip, s.Addr.Port()) {
			continue
		}
		addr := s.Addr
		if addr.Addr().IsUnspecified() {
			addr = netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())
		}
		there[addr] = append(there[addr], s.Inode)
	}
	return there
}

// firstDue answers when a listener is asked first: what was there before the
// agent has started already.
func (t *tlsListeners) firstDue(now time.Time) time.Time {
	if !t.started {
		return now
	}
	return now.Add(tlsSettle)
}

func (t *tlsListeners) skipped() []uint16 {
	skip := slices.Clone(tlsNeverPorts)
	for _, w := range collect.Words(t.env.Option("skip_ports")) {
		if p, err := strconv.ParseUint(w, 10, 16); err == nil {
			skip = append(skip, uint16(p))
		}
	}
	return skip
}

// A tlsDue is a listener to ask now.
type tlsDue struct {
	addr netip.AddrPort
	*tlsListener
}

func (t *tlsListeners) due(now time.Time) []tlsDue {
	var due []tlsDue
	for addr, l := range t.known {
		if !now.Before(l.due) {
			due = append(due, tlsDue{addr, l})
		}
	}
	return due
}

// ask greets the listeners that are due and waits for all answers.
func (t *tlsListeners) ask(ctx context.Context, due []tlsDue, now time.Time) {
	turn := make(chan struct{}, tlsSideBySide)
	var wait sync.WaitGroup
	for _, d := range due {
		if d.process == "reeve" || d.process == "reeve-agent" {
			d.due = now.Add(tlsAgainPlain)
			continue
		}
		turn <- struct{}{}
		wait.Go(func() {
			defer func() { <-turn }()
			leaf, plain := greet(ctx, t.env, d.reachable())
			d.answered(leaf, plain, now)
		})
	}
	wait.Wait()
}

// reachable answers the addresses at which the host itself reaches the
// listener.
func (d tlsDue) reachable() []string {
	port := strconv.Itoa(int(d.addr.Port()))
	if d.wildcard {
		return []string{net.JoinHostPort("127.0.0.1", port), net.JoinHostPort("::1", port)}
	}
	return []string{d.addr.String()}
}

// tlsForget is how many times in a row a listener may fail to show its
// certificate before the one it showed last counts no longer.
const tlsForget = 3

// answered takes in how a listener answered and says when it is asked next.
func (l *tlsListener) answered(leaf *x509.Certificate, plain bool, now time.Time) {
	switch {
	case leaf != nil:
		l.leaf, l.failures, l.due = leaf, 0, now.Add(tlsAgain)
	case l.leaf != nil && l.failures+1 < tlsForget:
		l.failures, l.due = l.failures+1, now.Add(tlsSettle)
	case plain:
		l.leaf, l.due = nil, now.Add(tlsAgainPlain)
	default:
		l.leaf, l.due = nil, now.Add(tlsAgain)
	}
}

// greet makes a TLS handshake without naming a server and answers the
// certificate that was served. The certificate counts even when the handshake
// fails after it, as it does where a certificate is asked for in return.
// Plain says that what listens there does not speak TLS.
func greet(ctx context.Context, env collect.Env, addrs []string) (leaf *x509.Certificate, plain bool) {
	ctx, cancel := context.WithTimeout(ctx, tlsTimeout)
	defer cancel()
	conn, err := env.Dial(ctx, "tcp", addrs[0])
	if err != nil && len(addrs) > 1 {
		conn, err = env.Dial(ctx, "tcp", addrs[1])
	}
	if err != nil {
		return nil, false
	}
	defer conn.Close()
	client := tls.Client(conn, &tls.Config{
		// The certificate is looked at, not trusted: nothing is sent.
		InsecureSkipVerify: true,
		MinVersion:         tls.VersionTLS10,
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			if len(raw) > 0 {
				leaf, _ = x509.ParseCertificate(raw[0])
			}
			return nil
		},
	})
	err = client.HandshakeContext(ctx)
	if leaf != nil {
		return leaf, false
	}
	// A server that wants a name, or newer ciphers, refuses in TLS.
	refused, ok := errors.AsType[*net.OpError](err)
	return nil, !ok || refused.Op != "remote error"
}

// tlsMaxNames bounds the names of a certificate that are reported.
const tlsMaxNames = 20

func reportCertificate(out *collect.Batch, addr netip.AddrPort, l *tlsListener) {
	ref := out.Ref("tls", addr.String())
	name := addr.String()
	if l.wildcard {
		name = net.JoinHostPort(out.Host.Name, strconv.Itoa(int(addr.Port())))
	}
	names := slices.Clone(l.leaf.DNSNames)
	for _, ip := range l.leaf.IPAddresses {
		names = append(names, ip.String())
	}
	attrs := ops.Attrs{
		"subject": redact.Line(l.leaf.Subject.String(), 200), "issuer": redact.Line(l.leaf.Issuer.String(), 200),
		"not_after":   l.leaf.NotAfter.UTC().Format(time.RFC3339),
		"names":       redact.Line(strings.Join(names[:min(len(names), tlsMaxNames)], ","), 500),
		"self_signed": truth(bytes.Equal(l.leaf.RawSubject, l.leaf.RawIssuer)),
	}
	if l.process != "" {
		attrs["process"] = l.process
	}
	out.See(ops.Sighting{Key: ref, Kind: ops.KindCertificate, Name: name, Observed: attrs})
	out.Add(ref, "certificate_expires_seconds", l.leaf.NotAfter.Sub(out.Now).Seconds())
}

// name finds the processes of listeners that are about to be asked. It walks
// the open files of all processes, so only then.
func (t *tlsListeners) name(due []tlsDue) {
	want := map[string]*tlsListener{}
	for _, d := range due {
		want["socket:["+strconv.FormatUint(d.inode, 10)+"]"] = d.tlsListener
	}
	if len(want) == 0 {
		return
	}
	processes, _ := os.ReadDir(t.env.Proc)
	for _, p := range processes {
		if _, err := strconv.Atoi(p.Name()); err != nil {
			continue
		}
		files, _ := os.ReadDir(t.env.ProcPath(p.Name(), "fd"))
		for _, f := range files {
			target, err := os.Readlink(t.env.ProcPath(p.Name(), "fd", f.Name()))
			if l := want[target]; err == nil && l != nil {
				comm, _ := readWord(t.env.ProcPath(p.Name(), "comm"))
				l.process = redact.Line(comm, 64)
				delete(want, target)
			}
		}
	}
}

// parseListening reads /proc/net/tcp or tcp6 and answers the sockets in state
// 0A. Lines of another form, such as the head and a cut-off end, are passed
// over.
func parseListening(b []byte) []sockdiag.Socket {
	var sockets []sockdiag.Socket
	for line := range bytes.Lines(b) {
		f := bytes.Fields(line)
		if len(f) < 10 || string(f[3]) != "0A" {
			continue
		}
		addr, ok := parseHexAddr(string(f[1]))
		inode, known := parseUint(f[9])
		if ok && known && addr.Port() != 0 {
			sockets = append(sockets, sockdiag.Socket{Addr: addr, Inode: inode})
		}
	}
	return sockets
}

// parseHexAddr reads an address such as 0100007F:1F90: words of the machine's
// byte order, each printed as one number.
func parseHexAddr(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	if !ok || len(host) != 8 && len(host) != 32 || len(port) != 4 {
		return netip.AddrPort{}, false
	}
	var raw []byte
	for i := 0; i < len(host); i += 8 {
		word, err := strconv.ParseUint(host[i:i+8], 16, 32)
		if err != nil {
			return netip.AddrPort{}, false
		}
		raw = binary.NativeEndian.AppendUint32(raw, uint32(word))
	}
	p, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	ip, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(ip.Unmap(), uint16(p)), true
}
