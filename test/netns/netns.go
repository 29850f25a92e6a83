// Package netns gives tests networks of their own: namespaces of the kernel,
// each a host with one card, joined over a bridge in a namespace that holds
// nothing else. Programs run in them with the file systems and sockets of
// this machine, and only another network; the machine's own is not touched.
// It needs root and the programs ip, nsenter and iptables.
package netns

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// folder is where ip keeps namespaces.
const folder = "/run/netns"

// prefix begins the names of namespaces; the process that made them follows.
const prefix = "reevetest-"

// made counts networks of this process.
var made atomic.Int64

// A Network is a bridge and the hosts at it.
type Network struct {
	t    testing.TB
	name string // of the bridge's namespace

	mu    sync.Mutex
	hosts int
}

// A Host is a namespace with one card, eth0, at the bridge.
type Host struct {
	Name string // of the namespace
	IP   string
	t    testing.TB
	port string // at the bridge
	net  *Network
}

// New makes a network that ends with the test.
func New(t testing.TB) *Network {
	t.Helper()
	sweep()
	n := &Network{t: t, name: fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), made.Add(1))}
	ip(t, "netns", "add", n.name)
	t.Cleanup(func() { exec.Command(tool("ip"), "netns", "del", n.name).Run() })
	ip(t, "-n", n.name, "link", "add", "name", "bridge", "type", "bridge")
	ip(t, "-n", n.name, "link", "set", "bridge", "up")
	return n
}

// Host adds a host.
func (n *Network) Host() *Host {
	n.t.Helper()
	h := n.host()
	ip(n.t, "-n", n.name, "link", "add", "name", h.port, "type", "veth", "peer", "name", "eth0", "netns", h.Name)
	h.plug()
	return h
}

// host makes the namespace of a host without its card.
func (n *Network) host() *Host {
	n.t.Helper()
	n.mu.Lock()
	n.hosts++
	i := n.hosts
	n.mu.Unlock()
	h := &Host{Name: fmt.Sprintf("%s-%d", n.name, i), IP: fmt.Sprintf("10.77.%d.%d", i/250, 1+i%250), t: n.t, port: "port" + strconv.Itoa(i), net: n}
	ip(n.t, "netns", "add", h.Name)
	n.t.Cleanup(func() { exec.Command(tool("ip"), "netns", "del", h.Name).Run() })
	ip(n.t, "-n", h.Name, "link", "set", "lo", "up")
	return h
}

// plug puts the card that is made into use.
func (h *Host) plug() {
	h.t.Helper()
	ip(h.t, "-n", h.net.name, "link", "set", h.port, "master", "bridge", "up")
	ip(h.t, "-n", h.Name, "addr", "add", h.IP+"/16", "dev", "eth0")
	ip(h.t, "-n", h.Name, "link", "set", "eth0", "up")
}

// Command is exec.Command for a program on the host.
func (h *Host) Command(name string, args ...string) *exec.Cmd {
	return exec.Command(tool("nsenter"), append([]string{"--net=" + h.path(), "--", name}, args...)...)
}

func (h *Host) path() string { return filepath.Join(folder, h.Name) }

// A Way is a direction of packets, as the host sees them.
type Way string

// The ways.
const (
	In  Way = "INPUT"
	Out Way = "OUTPUT"
)

// Cut drops what comes to the host or leaves it, silently.
func (h *Host) Cut(ways ...Way) {
	h.t.Helper()
	for _, w := range ways {
		card := "-i"
		if w == Out {
			card = "-o"
		}
		h.iptables("-A", string(w), card, "eth0", "-j", "DROP")
	}
}

// Mend ends every cut.
func (h *Host) Mend() {
	h.t.Helper()
	h.iptables("-F")
}

func (h *Host) iptables(args ...string) {
	h.t.Helper()
	must(h.t, h.Command(tool("iptables"), append([]string{"-w"}, args...)...))
}

// Unplug takes the host's cable out at the bridge.
func (h *Host) Unplug() {
	h.t.Helper()
	ip(h.t, "-n", h.net.name, "link", "set", h.port, "down")
}

// Plug puts it in again.
func (h *Host) Plug() {
	h.t.Helper()
	ip(h.t, "-n", h.net.name, "link", "set", h.port, "up")
}

// Do runs f on the network of the host: what it listens on or dials belongs
// there, also after it has returned.
func (h *Host) Do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		back, err := enter(h.path())
		if err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("enter the network of %s: %w", h.Name, err)
			return
		}
		err = f()
		// A thread that ends takes the processes with it that it started and
		// that are to end with it: it goes back, and on.
		if back() == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// enter moves the thread to a namespace, and answers how it goes back.
func enter(path string) (back func() error, err error) {
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	there, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Setns(there, unix.CLONE_NEWNET)
		unix.Close(there)
	}
	if err != nil {
		unix.Close(home)
		return nil, err
	}
	return func() error {
		defer unix.Close(home)
		return unix.Setns(home, unix.CLONE_NEWNET)
	}, nil
}

// Dial connects from the host to an address with an IP.
func (h *Host) Dial(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	err = h.Do(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

// Listen listens on the host.
func (h *Host) Listen(addr string) (l net.Listener, err error) {
	err = h.Do(func() (err error) {
		l, err = net.Listen("tcp", addr)
		return err
	})
	return l, err
}

// Client answers an HTTP client on the host.
func (h *Host) Client() *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: h.Dial, MaxIdleConnsPerHost: 8, IdleConnTimeout: 20 * time.Second}}
}

// tool answers the path of a program of the system's administrator.
func tool(name string) string {
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/bin", "/bin"} {
		if path := filepath.Join(dir, name); isProgram(path) {
			return path
		}
	}
	return name
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func ip(t testing.TB, args ...string) {
	t.Helper()
	must(t, exec.Command(tool("ip"), args...))
}

func must(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s(root and Debian's packages iproute2, iptables and util-linux are needed)", strings.Join(cmd.Args, " "), err, out)
	}
}

// sweep removes what processes left that were killed.
func sweep() {
	all, _ := filepath.Glob(filepath.Join(folder, prefix+"*"))
	for _, path := range all {
		rest, _ := strings.CutPrefix(filepath.Base(path), prefix)
		pid, _, _ := strings.Cut(rest, "-")
		if n, err := strconv.Atoi(pid); err == nil && syscall.Kill(n, 0) == syscall.ESRCH {
			exec.Command(tool("ip"), "netns", "del", filepath.Base(path)).Run()
		}
	}
}
