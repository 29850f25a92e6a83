package collectors

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
)

// TestTheKernelNamesTheListenersThatItsFilesName compares both ways to ask on
// real sockets, one of them connected.
func TestTheKernelNamesTheListenersThatItsFilesName(t *testing.T) {
	var want []netip.AddrPort
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		want = append(want, l.Addr().(*net.TCPAddr).AddrPort())
	}
	conn, err := net.Dial("tcp", want[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	asked, err := listeningSockets()
	if err != nil {
		t.Fatal(err)
	}
	var read []tlsSocket
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, parseListening(b)...)
	}
	for _, addr := range want {
		addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
		of := func(all []tlsSocket) int {
			return slices.IndexFunc(all, func(s tlsSocket) bool { return s.addr == addr })
		}
		a, r := of(asked), of(read)
		if a < 0 || r < 0 || asked[a].inode != read[r].inode || asked[a].inode == 0 {
			t.Errorf("%s: %v and %v", addr, asked, read)
		}
	}
	mine := conn.LocalAddr().(*net.TCPAddr).AddrPort()
	if slices.ContainsFunc(asked, func(s tlsSocket) bool { return s.addr == mine }) {
		t.Errorf("a connection %s is listed as a listener", mine)
	}
}
