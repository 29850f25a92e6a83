package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"pgregory.net/rapid"
	"reeve/internal/ops"
)

// spoolScript uses a spool so that it rolls, thins, empties and refuses. It
// tells before each call ("put", "done") and after it ("put!", "done!").
func spoolScript(t testing.TB, s *Spool, tell func(what string, sequence int64, err error)) {
	t.Helper()
	for n := int64(1); n <= 24; n++ {
		tell("put", n, nil)
		tell("put!", n, s.Put(report(n, int(n%7)*2)))
		switch {
		case n == 6 || n%5 == 0:
			r, ok, err := s.Next()
			if err != nil || !ok {
				tell("next!", 0, err)
				continue
			}
			tell("done", r.Sequence, nil)
			tell("done!", r.Sequence, s.Done(r.Sequence))
		case n == 9:
			for r, ok, err := s.Next(); ok && err == nil; r, ok, err = s.Next() {
				tell("done", r.Sequence, nil)
				tell("done!", r.Sequence, s.Done(r.Sequence))
			}
		}
	}
}

// promises are what a spool has said it will keep.
type promises struct {
	accepted, done, offered map[int64]bool
}

func newPromises() *promises {
	return &promises{map[int64]bool{}, map[int64]bool{}, map[int64]bool{}}
}

func (p *promises) tell(what string, sequence int64, err error) {
	switch {
	case what == "put":
		p.offered[sequence] = true
	case what == "put!" && err == nil:
		p.accepted[sequence] = true
	case what == "done":
		p.done[sequence] = true
	}
}

// broken says which promise a spool that was opened again does not keep.
func (p *promises) broken(t testing.TB, s *Spool) error {
	t.Helper()
	var last int64
	found := map[int64]bool{}
	for _, r := range contents(t, s) {
		if r.Sequence <= last {
			return fmt.Errorf("%d comes after %d", r.Sequence, last)
		}
		if last = r.Sequence; !p.offered[last] || !wholeBut(r, report(last, 0)) {
			return fmt.Errorf("%d is not what was put", last)
		}
		found[last] = true
	}
	for n := range p.accepted {
		if !found[n] && !p.done[n] {
			return fmt.Errorf("%d was accepted and is lost", n)
		}
	}
	if s.Damaged() != 0 {
		return fmt.Errorf("%d damaged", s.Damaged())
	}
	return nil
}

// TestSpoolSurvivesACrashAtEveryStep looks before each step at all states
// that a kill, a torn write or a power cut may leave, and opens each.
func TestSpoolSurvivesACrashAtEveryStep(t *testing.T) {
	top := fastDir(t)
	dir, copied := filepath.Join(top, "spool"), filepath.Join(top, "copy")
	sh, d := follow(t, dir)
	p := newPromises()
	states := 0
	sh.before = func(op step) error {
		for _, m := range sh.moments(op) {
			states++
			fill(t, copied, m.files)
			s := openTestSpool(t, copied, 60_000, disk{})
			if err := p.broken(t, s); err != nil {
				t.Fatalf("step %d, before %s, %s: %v", sh.steps, m.step, m.how, err)
			}
			p.offered[99] = true
			put(t, s, report(99, 1))
			s.Close()
			s = openTestSpool(t, copied, 60_000, disk{})
			if err := p.broken(t, s); err != nil {
				t.Fatalf("step %d, before %s, %s, after one more: %v", sh.steps, m.step, m.how, err)
			}
			s.Close()
		}
		return nil
	}
	spool := openTestSpool(t, dir, 6000, d)
	spoolScript(t, spool, p.tell)
	if _, _, lost := spool.Depth(); lost == 0 || sh.steps < 100 {
		t.Errorf("the script thins nothing: %d lost, %d steps", lost, sh.steps)
	}
	t.Logf("%d steps, %d states", sh.steps, states)
}

// TestSpoolSurvivesAFullDiskAtEveryStep refuses one step, or three in a
// row, with half of a write done. What was refused is put again.
func TestSpoolSurvivesAFullDiskAtEveryStep(t *testing.T) {
	for _, width := range []int{1, 3} {
		for at := 4; ; at++ {
			if steps := runWithFullDisk(t, at, width); steps < at {
				break
			}
		}
	}
}

func runWithFullDisk(t *testing.T, at, width int) (steps int) {
	t.Helper()
	dir := filepath.Join(fastDir(t), "spool")
	sh, d := follow(t, dir)
	sh.before = func(op step) error {
		if sh.steps < at || sh.steps >= at+width {
			return nil
		}
		if op.op == "write" {
			f, err := os.OpenFile(op.path, os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteAt(op.data[:len(op.data)/2], op.at)
				err = errors.Join(err, f.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		return syscall.ENOSPC
	}
	s := openTestSpool(t, dir, 8000, d)
	p := newPromises()
	spoolScript(t, s, func(what string, n int64, err error) {
		for tries := 0; what == "put!" && err != nil; tries++ {
			if tries > width || ops.KindOf(err) != ops.Unavailable {
				t.Fatalf("steps %d+%d: put %d: %v", at, width, n, err)
			}
			err = s.Put(report(n, 2))
		}
		p.tell(what, n, err)
	})
	if err := p.broken(t, s); err != nil {
		t.Fatalf("steps %d+%d: %v", at, width, err)
	}
	if n, _, _ := s.Depth(); n != len(p.accepted)-len(p.done) {
		t.Fatalf("steps %d+%d: %d wait, %d were accepted, %d done", at, width, n, len(p.accepted), len(p.done))
	}
	if _, _, lost := s.Depth(); lost == 0 {
		t.Fatal("the script thins nothing")
	}
	s.Close()
	s = openTestSpool(t, dir, 8000, disk{})
	if err := p.broken(t, s); err != nil {
		t.Fatalf("steps %d+%d, opened again: %v", at, width, err)
	}
	return sh.steps
}

// TestSpoolSurvivesManyLives crashes at random steps again and again.
func TestSpoolSurvivesManyLives(t *testing.T) {
	top := fastDir(t)
	dir := filepath.Join(top, "spool")
	rapid.Check(t, func(rt *rapid.T) {
		fill(t, dir, nil)
		p, sequence := newPromises(), int64(0)
		for life := range rapid.IntRange(2, 5).Draw(rt, "lives") {
			sh, d := follow(t, dir)
			dies := rapid.IntRange(1, 60).Draw(rt, "dies")
			sh.before = func(step) error {
				if sh.steps >= dies {
					return errDead
				}
				return nil
			}
			s, err := openSpool(dir, SpoolOptions{MaxBytes: 6000, Codec: jsonCodec, Log: quiet}, d)
			if err == nil {
				sequence = live(rt, s, p, sequence)
				s.Close()
			}
			how := rapid.SampledFrom(sortedLosses()).Draw(rt, "how")
			fill(t, dir, sh.files(losses[how]))
			s = openTestSpool(t, dir, 6000, disk{})
			if err := p.broken(t, s); err != nil {
				rt.Fatalf("life %d, %s: %v", life, how, err)
			}
			s.Close()
		}
	})
}

// live uses a spool until its disk dies.
func live(rt *rapid.T, s *Spool, p *promises, sequence int64) int64 {
	for range rapid.IntRange(1, 15).Draw(rt, "calls") {
		if rapid.IntRange(0, 2).Draw(rt, "call") > 0 {
			sequence++
			p.tell("put", sequence, nil)
			p.tell("put!", sequence, s.Put(report(sequence, rapid.IntRange(0, 12).Draw(rt, "samples"))))
			continue
		}
		if r, ok, err := s.Next(); ok && err == nil {
			p.tell("done", r.Sequence, nil)
			s.Done(r.Sequence)
		}
	}
	return sequence
}

func sortedLosses() (names []string) {
	for name := range losses {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
