package faults

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Moving parts turn the counters of a recorded machine as time goes by, so
// that its rates are those of a machine that runs. Flags make it suffer.
type moving struct {
	m     *machine
	mu    sync.Mutex
	flags map[string]bool
	seed  map[string]string // the files as recorded
	sum   map[string]float64
	broke error
}

var movingFiles = []string{"proc/stat", "proc/net/dev", "proc/diskstats", "proc/vmstat"}

// startMoving moves until the test ends.
func startMoving(t *testing.T, m *machine) *moving {
	v := &moving{m: m, flags: map[string]bool{}, seed: map[string]string{}, sum: map[string]float64{}}
	for _, file := range movingFiles {
		v.seed[file] = m.read(file)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for last := time.Now(); ; {
			select {
			case <-stop:
				return
			case now := <-tick.C:
				v.step(now.Sub(last).Seconds())
				last = now
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
		if v.broke != nil {
			t.Error(v.broke)
		}
	})
	return v
}

func (v *moving) set(flag string, on bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.flags[flag] = on
}

// step lets some seconds pass.
func (v *moving) step(seconds float64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	add := func(what, flag string, well, ill float64) {
		if v.flags[flag] {
			well = ill
		}
		v.sum[what] += well * seconds
	}
	add("busy", "cpu", 40, 800) // jiffies of eight processors
	add("idle", "cpu", 760, 0)
	add("packets", "", 1000, 1000)
	add("bad", "network", 0, 1000)
	add("requests", "", 20, 20)
	add("waited", "disk", 40, 60_000) // ms: of 20 requests
	add("working", "disk", 20, 1000)  // ms
	add("pages", "swap", 0, 10_000)
	for file, text := range v.seed {
		if err := replace(v.m.path(file), v.turn(file, text)); err != nil {
			v.broke = err
		}
	}
}

// turn writes a file with its counters moved on.
func (v *moving) turn(file, text string) string {
	n := func(what string) uint64 { return uint64(v.sum[what]) }
	switch file {
	case "proc/stat":
		return columns(text, "cpu ", map[int]uint64{1: n("busy"), 4: n("idle")})
	case "proc/net/dev":
		return columns(text, "  eno1:", map[int]uint64{2: n("packets"), 3: n("bad"), 10: n("packets")})
	case "proc/diskstats":
		return columns(text, "   8       0 sda", map[int]uint64{3: n("requests"), 6: n("waited"), 12: n("working"), 13: n("waited")})
	}
	return columns(columns(text, "pswpin", map[int]uint64{1: n("pages")}), "pswpout", map[int]uint64{1: n("pages")})
}

var word = regexp.MustCompile(`\S+`)

// columns adds to columns, counted from 0, of the line that begins with a
// text.
func columns(text, start string, add map[int]uint64) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, start) {
			continue
		}
		at := -1
		lines[i] = word.ReplaceAllStringFunc(line, func(w string) string {
			at++
			var was uint64
			if _, err := fmt.Sscan(w, &was); err != nil || add[at] == 0 {
				return w
			}
			return fmt.Sprint(was + add[at])
		})
	}
	return strings.Join(lines, "\n")
}
