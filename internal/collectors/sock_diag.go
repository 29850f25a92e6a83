package collectors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	sockDiagByFamily = 20      // SOCK_DIAG_BY_FAMILY of linux/sock_diag.h
	stateListen      = 1 << 10 // bit of TCP_LISTEN
	diagRequest      = 56      // bytes of struct inet_diag_req_v2 of linux/inet_diag.h
	diagAnswer       = 72      // bytes of struct inet_diag_msg
)

// listeningSockets asks the kernel for the listening TCP sockets of this
// network namespace, see sock_diag(7). Unlike /proc/net/tcp it does not walk
// the table of connections, which is large where memory is.
func listeningSockets() (all []tlsSocket, err error) {
	conn, err := netlink.Dial(unix.NETLINK_SOCK_DIAG, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the kernel for listening sockets: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		ask := make([]byte, diagRequest)
		ask[0], ask[1] = family, unix.IPPROTO_TCP
		binary.NativeEndian.PutUint32(ask[4:], stateListen)
		answers, err := conn.Execute(netlink.Message{
			Header: netlink.Header{Type: sockDiagByFamily, Flags: netlink.Request | netlink.Dump}, Data: ask})
		if err != nil {
			return nil, fmt.Errorf("ask the kernel for listening sockets: %w", err)
		}
		for _, m := range answers {
			if s, ok := parseDiag(m.Data); ok {
				all = append(all, s)
			}
		}
	}
	return all, nil
}

// parseDiag reads a struct inet_diag_msg.
func parseDiag(b []byte) (tlsSocket, bool) {
	if len(b) < diagAnswer {
		return tlsSocket{}, false
	}
	addr := netip.AddrFrom4([4]byte(b[8:]))
	if b[0] == unix.AF_INET6 {
		addr = netip.AddrFrom16([16]byte(b[8:])).Unmap()
	}
	port := binary.BigEndian.Uint16(b[4:])
	return tlsSocket{netip.AddrPortFrom(addr, port), uint64(binary.NativeEndian.Uint32(b[68:]))}, port != 0
}
