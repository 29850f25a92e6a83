package tsdb

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"reeve/internal/ops"
)

// smallDisk mounts an ext4 file system of the given size.
func smallDisk(t *testing.T, size int64) string {
	t.Helper()
	dir := t.TempDir()
	image, mount := filepath.Join(dir, "image"), filepath.Join(dir, "mnt")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, size), os.Mkdir(mount, 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, argv := range [][]string{
		{"mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", image},
		{"mount", "-o", "loop", image, mount},
	} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", argv, err, out)
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", mount).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return mount
}

// fillDisk leaves about that many bytes free and answers the file that fills.
func fillDisk(t *testing.T, mount string, leave int64) string {
	t.Helper()
	hog := filepath.Join(mount, fmt.Sprint("hog", leave))
	f, err := os.OpenFile(hog, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if leave > 0 {
		free, err := freeBytes(mount)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Fallocate(int(f.Fd()), 0, 0, free-leave); err != nil {
			t.Fatal(err)
		}
		return hog
	}
	for block := bytes.Repeat([]byte{1}, 4096); ; {
		if _, err := f.Write(block); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			return hog
		}
	}
}

// countSamples answers how many raw samples the store holds.
func countSamples(t *testing.T, db *DB) float64 {
	t.Helper()
	got, err := db.Query(t.Context(), `sum(count_over_time({resource!=""}[2h]))`, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if len(got) == 0 {
		return 0
	}
	return got[0].Points[0].Value
}

func TestAppendsStopBeforeTheDiskIsFull(t *testing.T) {
	mount := smallDisk(t, 96<<20)
	db := open(t, filepath.Join(mount, "metrics"), func(o *Options) { o.BallastSize, o.Floor = 8<<20, 4<<20 })
	ballast := filepath.Join(mount, "metrics", ballastName)
	if info, err := os.Stat(ballast); err != nil || info.Sys().(*syscall.Stat_t).Blocks*512 < 8<<20 {
		t.Fatalf("the ballast takes no room: %v, %v", info, err)
	}
	ref := db.Ref("h1", "res_1", "load1", nil)
	put(t, db, ref, now().Add(-time.Minute), 1)

	hog := fillDisk(t, mount, 3<<20)
	if err := db.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := db.Stats(); !s.Degraded || s.Reason == "" {
		t.Errorf("stats: %+v", s)
	}
	if err := db.Append(t.Context(), []Sample{{Ref: ref, At: now(), Value: 2}}); ops.KindOf(err) != ops.Unavailable {
		t.Errorf("append: %v", err)
	}
	if s := db.Stats(); s.Dropped != 1 {
		t.Errorf("stats: %+v", s)
	}
	// The room of the ballast is now for the database beside this one.
	if err := os.WriteFile(filepath.Join(mount, "reeve.db"), make([]byte, 9<<20), 0o600); err != nil {
		t.Errorf("the neighbour cannot write: %v", err)
	}
	if n := countSamples(t, db); n != 1 {
		t.Errorf("%v samples can be read", n)
	}

	if err := os.Remove(hog); err != nil {
		t.Fatal(err)
	}
	if err := db.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := db.Stats(); s.Degraded {
		t.Errorf("stats: %+v", s)
	}
	if _, err := os.Stat(ballast); err != nil {
		t.Errorf("the ballast is not back: %v", err)
	}
	put(t, db, ref, now(), 3)
	if n := countSamples(t, db); n != 2 {
		t.Errorf("%v samples can be read", n)
	}
}

// reporter appends rounds of samples of 500 series, some of them new.
type reporter struct {
	start time.Time
	round int
}

func (r *reporter) report(t *testing.T, db *DB) error {
	var batch []Sample
	for i := range 500 {
		ref := db.Ref("h1", fmt.Sprint("res_", i), "load1", map[string]string{"round": fmt.Sprint(r.round / 10)})
		batch = append(batch, Sample{Ref: ref, At: r.start.Add(time.Duration(r.round) * time.Second), Value: float64(r.round*i) * 1.1})
	}
	r.round++
	return db.Append(t.Context(), batch)
}

// reportUntilFull appends to a store that does not see the end of the disk
// coming until a write meets it.
func (r *reporter) reportUntilFull(t *testing.T, db *DB) {
	t.Helper()
	e := db.back.(*embedded)
	e.lookedAt.Store(time.Now().Add(time.Hour).UnixMilli())
	deadline := time.Now().Add(time.Minute)
	var err error
	for err == nil && time.Now().Before(deadline) {
		err = r.report(t, db)
	}
	if ops.KindOf(err) != ops.Unavailable || !e.broken.Load() {
		t.Fatalf("the disk is full and appends answer %v", err)
	}
	if s := db.Stats(); !s.Degraded || s.Dropped == 0 {
		t.Errorf("stats: %+v", s)
	}
}

func TestFullDiskLosesNothingThatWasKept(t *testing.T) {
	mount := smallDisk(t, 64<<20)
	dir := filepath.Join(mount, "metrics")
	// A floor of one byte: nothing warns before the disk is really full.
	change := func(o *Options) { o.BallastSize, o.Floor = 4<<20, 1 }
	db := open(t, dir, change)
	r := reporter{start: now().Add(-time.Hour)}
	for range 20 {
		if err := r.report(t, db); err != nil {
			t.Fatal(err)
		}
	}
	fillDisk(t, mount, 0)
	r.reportUntilFull(t, db)
	if _, err := os.Stat(filepath.Join(dir, ballastName)); err == nil {
		t.Error("the ballast is still there")
	}
	kept := float64(db.Stats().Appended)
	for range 3 {
		// What the ballast gave back is filled up as well.
		fillDisk(t, mount, 0)
		if err := db.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(removeHogs(mount), db.Check(t.Context())); err != nil {
		t.Fatal(err)
	}
	if s := db.Stats(); s.Degraded {
		t.Fatalf("stats: %+v", s)
	}
	if n := countSamples(t, db); n < kept {
		t.Errorf("%v samples are left of %v", n, kept)
	}
	if err := errors.Join(r.report(t, db), db.Close()); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir, change)
	if n := countSamples(t, db); n < kept+500 {
		t.Errorf("%v samples are left of %v after a restart", n, kept+500)
	}
}

func removeHogs(mount string) error {
	hogs, err := filepath.Glob(filepath.Join(mount, "hog*"))
	for _, hog := range hogs {
		err = errors.Join(err, os.Remove(hog))
	}
	return err
}

func TestOpensOnAFullDisk(t *testing.T) {
	mount := smallDisk(t, 64<<20)
	hog := fillDisk(t, mount, 0)
	if err := os.Mkdir(filepath.Join(mount, "metrics"), 0o700); err != nil {
		// Not even a directory fits: make room for exactly that.
		if err := errors.Join(os.Truncate(hog, 8192), os.Mkdir(filepath.Join(mount, "metrics"), 0o700)); err != nil {
			t.Fatal(err)
		}
		fillDisk(t, mount, 0)
	}
	db := open(t, filepath.Join(mount, "metrics"), func(o *Options) { o.BallastSize = 4 << 20 })
	ref := db.Ref("h1", "res_1", "load1", nil)
	if err := db.Append(t.Context(), []Sample{{Ref: ref, At: now(), Value: 1}}); ops.KindOf(err) != ops.Unavailable {
		t.Errorf("append: %v", err)
	}
	if s := db.Stats(); !s.Degraded {
		t.Errorf("stats: %+v", s)
	}
	if err := removeHogs(mount); err != nil {
		t.Fatal(err)
	}
	if err := db.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := db.Stats(); s.Degraded {
		t.Errorf("stats: %+v", s)
	}
	put(t, db, ref, now(), 1)
}

func TestCompactsOnASmallDisk(t *testing.T) {
	mount := smallDisk(t, 96<<20)
	db := open(t, filepath.Join(mount, "metrics"))
	at := now()
	fill(t, db, db.Ref("h", "r", "m", nil), at.Add(-12*time.Hour), at, 15*time.Second, wave)
	e := db.back.(*embedded)
	if err := e.raw.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(e.raw.Blocks()); n == 0 {
		t.Error("there are no blocks")
	}
	if s := db.Stats(); s.Bytes > 2<<20 {
		t.Errorf("2,880 samples take %d bytes", s.Bytes)
	}
}
