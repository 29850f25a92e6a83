package link

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// capping is a connection in fake time and what was read at its other end,
// read by read.
func capping(t *testing.T, f func(c net.Conn), wrap func(net.Conn) net.Conn) (reads []int) {
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1<<20)
		for {
			n, err := far.Read(b)
			if err != nil {
				return
			}
			reads = append(reads, n)
		}
	}()
	c := wrap(near)
	f(c)
	c.Close()
	<-done
	return reads
}

func TestACapIsOfBytesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 200_000
		var limited *capped
		capping(t, func(c net.Conn) {
			for _, rate := range []int64{LeastBytesPerS, 20_000, 0} {
				limited.set(rate)
				began := time.Now()
				if n, err := c.Write(make([]byte, size)); n != size || err != nil {
					t.Fatal(n, err)
				}
				took, least := time.Since(began), time.Duration(0)
				if rate > 0 {
					least = time.Duration((size-burst)/rate) * time.Second
				}
				if took < least || took > least+10*time.Second {
					t.Errorf("with %d bytes a second: %v, at least %v", rate, took, least)
				}
			}
		}, func(c net.Conn) net.Conn {
			limited = newCapped(c, 0)
			return limited
		})
	})
}

func TestACloseEndsTheWaitOfAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		capping(t, func(c net.Conn) {
			time.AfterFunc(time.Second, func() { c.Close() })
			if _, err := c.Write(make([]byte, 1<<20)); err == nil {
				t.Error("all was written")
			}
		}, func(c net.Conn) net.Conn { return newCapped(c, LeastBytesPerS) })
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestNothingStarvesUnderTheLeastCap: what is written at once, and a
// keep-alive behind it, are through before the connection is taken for dead.
func TestNothingStarvesUnderTheLeastCap(t *testing.T) {
	reads := capping(t, func(c net.Conn) {
		if n, err := io.Copy(c, io.LimitReader(zeros{}, 300_000)); n != 300_000 || err != nil {
			t.Error(n, err)
		}
		if n, err := c.Write(make([]byte, 300_000)); n != 300_000 || err != nil {
			t.Error(n, err)
		}
	}, func(c net.Conn) net.Conn { return piecewise{c} })
	all, largest := 0, 0
	for _, n := range reads {
		all, largest = all+n, max(largest, n)
	}
	if most := 2 * time.Duration(largest) * time.Second / LeastBytesPerS; all != 600_000 || most >= muxConfig().ConnectionWriteTimeout {
		t.Errorf("%d bytes in pieces of %d: two take %v", all, largest, most)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
