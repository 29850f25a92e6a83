package journal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var errDead = errors.New("the process is dead")

// A shadow follows the steps of a disk and knows at each what the files hold
// now, and what of it a power cut leaves.
type shadow struct {
	dir   string
	now   map[string]*inode // names as the running system sees them
	safe  map[string]*inode // names that are durable
	steps int
	// before is asked at each step; an error refuses it.
	before func(step) error
	last   step
}

type inode struct{ now, safe []byte }

// A loss is what a crash takes.
type loss struct {
	names, data bool // what was not synced is gone
	torn        bool // the last write came only half
}

var losses = map[string]loss{
	"kill":          {},
	"power cut":     {names: true, data: true},
	"names lost":    {names: true},
	"contents lost": {data: true},
	"torn write":    {torn: true},
}

// follow answers a disk whose files are below dir, which holds nothing else
// that changes.
func follow(t testing.TB, dir string) (*shadow, disk) {
	t.Helper()
	s := &shadow{dir: dir, now: map[string]*inode{}, safe: map[string]*inode{}}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		n := &inode{now: b, safe: b}
		s.now[e.Name()], s.safe[e.Name()] = n, n
	}
	return s, disk{before: s.step}
}

func (s *shadow) step(op step) error {
	s.steps++
	if s.before != nil {
		if err := s.before(op); err != nil {
			return err
		}
	}
	s.apply(op)
	return nil
}

func (s *shadow) apply(op step) {
	s.last = op
	name, n := filepath.Base(op.path), s.now[filepath.Base(op.path)]
	switch op.op {
	case "create":
		s.now[name] = &inode{}
	case "write":
		n.now = splice(n.now, op.data, op.at)
	case "truncate":
		n.now = slices.Clone(n.now[:op.at])
	case "sync":
		n.safe = slices.Clone(n.now)
	case "rename":
		s.now[filepath.Base(op.to)] = n
		delete(s.now, name)
	case "remove":
		delete(s.now, name)
	case "sync_dir":
		if op.path != s.dir {
			return
		}
		s.safe = map[string]*inode{}
		for name, n := range s.now {
			s.safe[name] = n
		}
	}
}

func splice(old, data []byte, at int64) []byte {
	b := make([]byte, max(len(old), int(at)+len(data)))
	copy(b, old)
	copy(b[at:], data)
	return b
}

// files answers what a crash at this moment leaves.
func (s *shadow) files(l loss) map[string][]byte {
	names, left := s.now, map[string][]byte{}
	if l.names {
		names = s.safe
	}
	for name, n := range names {
		left[name] = n.now
		if l.data {
			left[name] = n.safe
		}
		if l.torn && s.last.op == "write" && filepath.Base(s.last.path) == name {
			left[name] = torn(n.now, s.last)
		}
	}
	return left
}

// torn answers a file whose last write came only half. A single byte is never
// torn.
func torn(b []byte, op step) []byte {
	if len(op.data) < 2 || int64(len(b)) != op.at+int64(len(op.data)) {
		return b
	}
	return b[:op.at+int64(len(op.data))/2]
}

// fastDir answers a folder in memory where there is one: tests sync some ten
// thousand times.
func fastDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "journal")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// fill makes a folder hold exactly the given files.
func fill(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700))
	for name, b := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A moment is what a crash just before a step may leave.
type moment struct {
	step  string
	how   string
	files map[string][]byte
}

// moments answers what crashes at this moment may leave, each state once.
func (s *shadow) moments(op step) []moment {
	var all []moment
	for how, l := range losses {
		m := moment{op.op + " " + filepath.Base(op.path), how, s.files(l)}
		if !slices.ContainsFunc(all, func(o moment) bool { return equalFiles(o.files, m.files) }) {
			all = append(all, m)
		}
	}
	return all
}

func equalFiles(a, b map[string][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for name, text := range a {
		if other, ok := b[name]; !ok || !bytes.Equal(text, other) {
			return false
		}
	}
	return true
}

func TestShadowIsLikeTheDisk(t *testing.T) {
	dir := filepath.Join(fastDir(t), "spool")
	s, d := follow(t, dir)
	spool := openTestSpool(t, dir, 6000, d)
	spoolScript(t, spool, func(string, int64, error) {})
	for name, b := range s.files(loss{}) {
		if real, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(real, b) {
			t.Errorf("%s differs: %v", name, err)
		}
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != len(s.now) || len(entries) == 0 {
		t.Errorf("%d files, %d in the shadow", len(entries), len(s.now))
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), temporary) {
			t.Errorf("%s is left", e.Name())
		}
	}
}
