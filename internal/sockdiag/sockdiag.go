// Package sockdiag asks the kernel for sockets, see sock_diag(7).
package sockdiag

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

// A Socket is one that listens.
type Socket struct {
	Addr  netip.AddrPort
	Inode uint64
}

// Listening answers the listening TCP sockets of this network namespace.
// Unlike a reading of /proc/net/tcp it does not walk the table of connections,
// which is large where memory is. It fails where netlink may not be used.
func Listening() (all []Socket, err error) {
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
			if s, ok := parse(m.Data); ok {
				all = append(all, s)
			}
		}
	}
	return all, nil
}

// parse reads a struct inet_diag_msg.
func parse(b []byte) (Socket, bool) {
	if len(b) < diagAnswer {
		return Socket{}, false
	}
	addr := netip.AddrFrom4([4]byte(b[8:]))
	if b[0] == unix.AF_INET6 {
		addr = netip.AddrFrom16([16]byte(b[8:])).Unmap()
	}
	port := binary.BigEndian.Uint16(b[4:])
	return Socket{netip.AddrPortFrom(addr, port), uint64(binary.NativeEndian.Uint32(b[68:]))}, port != 0
}
