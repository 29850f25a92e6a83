package link

import (
	"net"
	"testing"
	"time"
)

// TestReadsEndBeforeTheirSession holds the closing of a session up, as a
// connection does that cannot be written: reads of its streams must have
// ended by then, or they turn in a circle.
func TestReadsEndBeforeTheirSession(t *testing.T) {
	ours, theirs := net.Pipe()
	held := slow{ours, make(chan struct{})}
	server, err := serverMux(held, muxConfig())
	if err != nil {
		t.Fatal(err)
	}
	client, err := clientMux(theirs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Open(); err != nil {
		t.Fatal(err)
	}
	stream, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := stream.Read(make([]byte, 1))
		ended <- err
	}()
	go server.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Fatal("a read of nothing succeeds")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a read outlives its session")
	}
	if err := stream.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Read(make([]byte, 1)); err == nil {
		t.Fatal("a later deadline lets a read wait again")
	}
	close(held.end)
	client.Close()
}

// slow is a connection whose end waits.
type slow struct {
	net.Conn
	end chan struct{}
}

func (s slow) Close() error {
	<-s.end
	return s.Conn.Close()
}
