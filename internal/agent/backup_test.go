package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"
)

// TestNoEventOfAMachineThatWasPutBackIsIgnored: its count of reports is old,
// and the server ignores what has a number that it knows.
func TestNoEventOfAMachineThatWasPutBackIsIgnored(t *testing.T) {
	s := startServer(t)
	a, o := s.joined("web1")
	stop := connectedUntil(a)
	handAll(t, a, 1, 21)
	s.await(20)
	stop()
	a.Close()
	if err := os.Remove(filepath.Join(o.Data, sequenceFile)); err != nil { // to before its first start
		t.Fatal(err)
	}
	// Twenty reports in a moment are ahead of the clock by their number; real
	// agents send one every few seconds.
	for last := s.reports()[19].Sequence; time.Now().UnixMilli() <= last; {
		runtime.Gosched()
	}
	b := open(t, o)
	handAll(t, b, 2000, 2010) // before it hears from the server which numbers are known
	defer connectedUntil(b)()
	s.await(10)
	if got := s.events(); !slices.Contains(got, fmt.Sprint(2000)) {
		t.Errorf("%v", got)
	}
}
