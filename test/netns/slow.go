package netns

import (
	"math/rand/v2"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A Line is how bad a cable is, in each direction.
type Line struct {
	Delay time.Duration
	// Loss is the share of the packets that is lost, but for those that ask
	// who has an address: on a far line they stay on the near side.
	Loss float64
}

// waiting bounds the packets that are on the way, as a router's queue does.
const waiting = 1000

// SlowHost adds a host whose cable delays and loses packets. The kernels that
// tests run on lack the queue netem, so the cable is two cards that this
// process holds the other ends of: every packet passes here.
func (n *Network) SlowHost(line Line) *Host {
	n.t.Helper()
	h := n.host()
	far, err := n.card(h.port)
	if err != nil {
		n.t.Fatal(err)
	}
	near, err := h.card("eth0")
	if err != nil {
		far.Close()
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		near.Close()
		far.Close()
	})
	h.plug()
	go line.carry(near, far) // both end with the cards
	go line.carry(far, near)
	return h
}

// card makes a card in the bridge's namespace.
func (n *Network) card(name string) (*os.File, error) {
	return (&Host{Name: n.name}).card(name)
}

// card makes a card on the host and answers its other end.
func (h *Host) card(name string) (f *os.File, err error) {
	err = h.Do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("open /dev/net/tun", err)
		}
		request, err := unix.NewIfreq(name)
		if err == nil {
			request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
		}
		if err != nil {
			unix.Close(fd)
			return os.NewSyscallError("make the card "+name, err)
		}
		f = os.NewFile(uintptr(fd), name)
		return nil
	})
	return f, err
}

// A packet is on its way until a time.
type packet struct {
	at    time.Time
	bytes []byte
}

// carry takes packets from one end to the other until either is closed.
func (l Line) carry(from, to *os.File) {
	way := make(chan packet, waiting)
	defer close(way)
	go func() {
		for p := range way {
			time.Sleep(time.Until(p.at))
			to.Write(p.bytes) // what a card does not take is lost
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if !isARP(buf[:n]) && rand.Float64() < l.Loss {
			continue
		}
		select {
		case way <- packet{time.Now().Add(l.Delay), append([]byte(nil), buf[:n]...)}:
		default: // the queue is full
		}
	}
}

func isARP(frame []byte) bool { return len(frame) > 13 && frame[12] == 0x08 && frame[13] == 0x06 }
