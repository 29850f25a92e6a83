package netns

import (
	"context"
	"io"
	"net"
	"sync"
)

// Forward listens on the host, at an address of its own, and carries what
// comes to where dial connects: another host, or this machine. It answers
// where it listens and ends with the test.
func (h *Host) Forward(dial func(context.Context) (net.Conn, error)) string {
	h.t.Helper()
	l, err := h.Listen("127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go carry(near, dial) // ends with either side
		}
	}()
	return l.Addr().String()
}

func carry(near net.Conn, dial func(context.Context) (net.Conn, error)) {
	defer near.Close()
	far, err := dial(context.Background())
	if err != nil {
		return
	}
	defer far.Close()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			io.Copy(way[0], way[1])
			near.Close()
			far.Close()
		})
	}
	both.Wait()
}
