package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"reeve/internal/ops"
)

func openTestCounter(t testing.TB, path string, d disk) *Counter {
	t.Helper()
	c, err := openCounter(path, d)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNumbersRiseAcrossRestarts(t *testing.T) {
	path := filepath.Join(fastDir(t), "a", "sequence")
	var last int64
	for range 3 {
		c := openTestCounter(t, path, disk{})
		for range block + block/2 {
			n, err := c.Next()
			if err != nil || n <= last {
				t.Fatalf("%d after %d: %v", n, last, err)
			}
			last = n
		}
	}
	if last > 3*2*block {
		t.Errorf("the last number is %d", last)
	}
}

func TestNoNumberComesTwiceToConcurrentCallers(t *testing.T) {
	c := openTestCounter(t, filepath.Join(fastDir(t), "sequence"), disk{})
	var mu sync.Mutex
	seen := map[int64]bool{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range block {
				n, err := c.Next()
				mu.Lock()
				if err != nil || seen[n] {
					t.Error(n, err)
				}
				seen[n] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// TestCounterSurvivesACrashAtEveryStep opens the counter in every state that
// a crash may leave: it goes on above all numbers that were answered.
func TestCounterSurvivesACrashAtEveryStep(t *testing.T) {
	top := fastDir(t)
	dir, copied := filepath.Join(top, "counter"), filepath.Join(top, "copy")
	fill(t, dir, nil)
	sh, d := follow(t, dir)
	var last int64
	sh.before = func(op step) error {
		for _, m := range sh.moments(op) {
			fill(t, copied, m.files)
			n, err := openTestCounter(t, filepath.Join(copied, "sequence"), disk{}).Next()
			if err != nil || n <= last {
				t.Fatalf("before %s, %s: %d after %d: %v", m.step, m.how, n, last, err)
			}
		}
		return nil
	}
	for range 3 {
		c := openTestCounter(t, filepath.Join(dir, "sequence"), d)
		for range block + 2 {
			n, err := c.Next()
			if err != nil || n <= last {
				t.Fatal(n, last, err)
			}
			last = n
		}
	}
	if sh.steps < 6*5 {
		t.Errorf("%d steps", sh.steps)
	}
}

func TestCounterGoesOnAfterAFullDisk(t *testing.T) {
	for at := 1; at <= 5; at++ {
		dir := fastDir(t)
		sh, d := follow(t, dir)
		c := openTestCounter(t, filepath.Join(dir, "sequence"), d)
		sh.before = func(step) error {
			if sh.steps == at {
				return syscall.ENOSPC
			}
			return nil
		}
		if n, err := c.Next(); ops.KindOf(err) != ops.Unavailable {
			t.Fatal(n, err)
		}
		if n, err := c.Next(); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
}

func TestDamagedCounterSaysWhatToDo(t *testing.T) {
	path := filepath.Join(fastDir(t), "sequence")
	good := string(envelope("counter", []byte("2000")))
	for text, says := range map[string]string{
		"":                                       "enrol",
		"12":                                     "enrol",
		good[:4]:                                 "enrol",
		good + "0":                               "enrol",
		"reeve counter 1":                        "enrol",
		strings.Replace(good, "2000", "1000", 1): "enrol",
		strings.Replace(good, "counter 1", "counter x", 1):     "enrol",
		strings.Replace(good, "counter 1", "receipt 1", 1):     "enrol",
		strings.Replace(good, "counter 1", "counter 2", 1):     "newer",
		string(envelope("counter", []byte("-5"))):              "enrol",
		string(envelope("counter", []byte("many"))):            "enrol",
		string(envelope("counter", []byte(fmt.Sprint(1<<62)))): "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := OpenCounter(path)
		if message, _ := ops.Shown(err); says == "" && err != nil || says != "" && !strings.Contains(message, says) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := os.WriteFile(path, envelope("counter", []byte("9223372036854775000")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openTestCounter(t, path, disk{}).Next(); ops.KindOf(err) != ops.Unavailable {
		t.Error(err)
	}
}
