package sockdiag

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTheKernelNamesTheListeners looks for real sockets among what listens,
// with the inodes of their descriptors, and for none that is connected.
func TestTheKernelNamesTheListeners(t *testing.T) {
	want := map[netip.AddrPort]uint64{}
	var first string
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if first == "" {
			first = l.Addr().String()
		}
		at := l.Addr().(*net.TCPAddr).AddrPort()
		want[netip.AddrPortFrom(at.Addr().Unmap(), at.Port())] = inode(t, l.(*net.TCPListener))
	}
	conn, err := net.Dial("tcp", first)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	all, err := Listening()
	if err != nil {
		t.Fatal(err)
	}
	for addr, number := range want {
		if !slices.Contains(all, Socket{addr, number}) {
			t.Errorf("%s with the inode %d is not among %v", addr, number, all)
		}
	}
	mine := conn.LocalAddr().(*net.TCPAddr).AddrPort()
	if slices.ContainsFunc(all, func(s Socket) bool { return s.Addr == mine }) {
		t.Errorf("a connection %s is listed as a listener", mine)
	}
}

func inode(t *testing.T, l *net.TCPListener) (n uint64) {
	t.Helper()
	raw, err := l.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		target, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(fd)))
		if err != nil {
			t.Error(err)
		}
		n, _ = strconv.ParseUint(strings.Trim(strings.TrimPrefix(target, "socket:"), "[]"), 10, 64)
	})
	if err != nil || n == 0 {
		t.Fatal(n, err)
	}
	return n
}

func FuzzParse(f *testing.F) {
	f.Add(make([]byte, diagAnswer))
	f.Add(append([]byte{unix.AF_INET6, 10, 0, 0, 0x1f, 0x90}, make([]byte, diagAnswer)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, ok := parse(b); ok && (!s.Addr.IsValid() || s.Addr.Port() == 0) {
			t.Fatalf("%v", s.Addr)
		}
	})
}
