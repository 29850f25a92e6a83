package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"reeve/internal/collect"
	"reeve/internal/redact"
)

// echoes is how many requests one probe sends within its timeout: one lost
// packet is not an outage.
const echoes = 3

// runICMP sends echo requests until one is answered.
func runICMP(ctx context.Context, c collect.Check, _ Dial) (Result, error) {
	var resolver net.Resolver
	addrs, err := resolver.LookupIPAddr(ctx, c.Target)
	if err != nil {
		return Result{}, err
	}
	if len(addrs) == 0 {
		return Result{}, fmt.Errorf("no address for %s", redact.Line(c.Target, 100))
	}
	to := addrs[0]
	for _, a := range addrs {
		if a.IP.To4() != nil {
			to = a
			break
		}
	}
	p, err := listen(to)
	if err != nil {
		return Result{}, err
	}
	defer p.conn.Close()
	stop := context.AfterFunc(ctx, func() { p.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	for n := range echoes {
		if err := p.send(n); err != nil {
			return Result{}, err
		}
		answered, err := p.await(time.Now().Add(c.Timeout / echoes))
		if answered || err != nil {
			return Result{Up: answered}, err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return Result{}, context.DeadlineExceeded
}

// A pinger is a socket for echo requests to one address.
type pinger struct {
	conn  *icmp.PacketConn
	to    net.Addr
	ip    net.IP
	v6    bool
	id    int
	token [8]byte
}

// listen opens the kernel's ping socket, which needs no right but that of a
// group, or else a raw one.
func listen(to net.IPAddr) (*pinger, error) {
	p := &pinger{ip: to.IP, v6: to.IP.To4() == nil, id: int(rand.Uint32N(1 << 16))}
	binary.BigEndian.PutUint64(p.token[:], rand.Uint64())
	ping, raw, any := "udp4", "ip4:icmp", "0.0.0.0"
	if p.v6 {
		ping, raw, any = "udp6", "ip6:ipv6-icmp", "::"
	}
	var err error
	if p.conn, err = icmp.ListenPacket(ping, any); err == nil {
		p.to = &net.UDPAddr{IP: to.IP, Zone: to.Zone}
		return p, nil
	}
	if p.conn, err = icmp.ListenPacket(raw, any); err == nil {
		p.to = &net.IPAddr{IP: to.IP, Zone: to.Zone}
		return p, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, &Unable{"checks of type icmp", "this process may not send echo requests",
			"sysctl -w net.ipv4.ping_group_range='0 2147483647', or give the agent CAP_NET_RAW"}
	}
	return nil, err
}

func (p *pinger) send(n int) error {
	m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: p.id, Seq: n, Data: p.token[:]}}
	if p.v6 {
		m.Type = ipv6.ICMPTypeEchoRequest
	}
	b, err := m.Marshal(nil)
	if err != nil {
		return err
	}
	_, err = p.conn.WriteTo(b, p.to)
	return err
}

// await waits for an answer to any of our requests until a time.
func (p *pinger) await(until time.Time) (answered bool, err error) {
	p.conn.SetReadDeadline(until)
	buf := make([]byte, 1500)
	for {
		n, from, err := p.conn.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if p.ours(buf[:n], from) {
			return true, nil
		}
	}
}

// ours reports whether a packet answers one of our requests. A ping socket
// writes its own identifier into requests, so the token is what counts.
func (p *pinger) ours(b []byte, from net.Addr) bool {
	protocol := 1
	if p.v6 {
		protocol = 58
	}
	m, err := icmp.ParseMessage(protocol, b)
	if err != nil || m.Type != ipv4.ICMPTypeEchoReply && m.Type != ipv6.ICMPTypeEchoReply {
		return false
	}
	echo, ok := m.Body.(*icmp.Echo)
	if !ok || string(echo.Data) != string(p.token[:]) {
		return false
	}
	switch a := from.(type) {
	case *net.UDPAddr:
		return a.IP.Equal(p.ip)
	case *net.IPAddr:
		return a.IP.Equal(p.ip)
	}
	return false
}
