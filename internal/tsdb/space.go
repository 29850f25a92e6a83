package tsdb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	promtsdb "github.com/prometheus/prometheus/tsdb"
	"golang.org/x/sys/unix"
)

const ballastName = "ballast"

// lookEvery is how often appends look at the free space of the disk.
const lookEvery = time.Second

// Check looks at the disk and at the databases, and repairs what it can: it
// stops appends while the disk is too full, gives the ballast away and takes
// it back, opens the databases anew after a failed write, and forgets series
// that ended. Call it every few seconds.
func (db *DB) Check(ctx context.Context) error {
	now := time.Now()
	db.cache.prune(now.Add(-idleAfter).UnixMilli())
	if e, ok := db.back.(*embedded); ok {
		return e.check(ctx, now)
	}
	return nil
}

func (e *embedded) check(ctx context.Context, now time.Time) error {
	if err := e.look(now); err != nil {
		return err
	}
	e.pause(e.stopped.Load())
	if e.stopped.Load() {
		return nil
	}
	if err := e.mend(ctx, now); err != nil {
		return err
	}
	e.judge(now)
	return nil
}

// mend opens the databases anew when a write failed or when they could not be
// opened before.
func (e *embedded) mend(ctx context.Context, now time.Time) error {
	e.gate.RLock()
	open := e.raw != nil
	e.gate.RUnlock()
	if open && !e.broken.Load() {
		return nil
	}
	err := e.reopen()
	if isFull(err) {
		e.stop("the disk of the metrics store is too full to open it")
		return nil
	}
	if err != nil {
		e.db.setProblem("open", "the metrics store cannot be opened: "+err.Error())
		return err
	}
	e.db.setProblem("open", "")
	return e.recall(ctx, now)
}

// pause stops compaction while the disk is too full, since it writes before
// it deletes, and lets it go on afterwards. Only check calls it: it waits for
// a compaction under way.
func (e *embedded) pause(on bool) {
	if e.paused == on {
		return
	}
	e.gate.RLock()
	defer e.gate.RUnlock()
	for _, one := range []*promtsdb.DB{e.raw, e.rollup} {
		switch {
		case one == nil:
		case on:
			one.DisableCompactions()
		default:
			one.EnableCompactions()
		}
	}
	e.paused = on
}

// judge says what is wrong with the data itself.
func (e *embedded) judge(now time.Time) {
	e.gate.RLock()
	defer e.gate.RUnlock()
	if e.usable() != nil {
		return
	}
	e.db.setProblem("damage", e.damage())
	if int(e.raw.Head().NumSeries()) < e.db.opts.MaxSeries {
		e.db.setProblem("series", "")
	}
	size, limit := dirSize(e.dir), e.db.opts.MaxSize
	reason := ""
	// Retention acts on whole blocks once a minute, so a little more than the
	// limit is no problem yet.
	if size > limit+limit/4 {
		reason = fmt.Sprintf("the metrics store takes %d bytes, more than its limit of %d, with nothing old to delete", size, limit)
	}
	e.db.setProblem("size", reason)
	reason = ""
	if c := e.complaint.Load(); c != nil && now.Sub(c.at) < complaints {
		reason = "the metrics store reported an error at " + c.at.UTC().Format(time.RFC3339) + ": " + c.text
	}
	e.db.setProblem("background", reason)
	reason = ""
	if newest := e.raw.Head().MaxTime(); newest > now.Add(time.Hour).UnixMilli() {
		reason = "the newest sample lies in the future (" + time.UnixMilli(newest).UTC().Format(time.RFC3339) + "): the clock of this server was wrong; samples are refused until then"
	}
	e.db.setProblem("clock", reason)
}

// writable answers why nothing may be written now; call it with the gate held.
func (e *embedded) writable() error {
	if err := e.usable(); err != nil {
		return err
	}
	if now := time.Now(); now.UnixMilli()-e.lookedAt.Load() > lookEvery.Milliseconds() {
		if err := e.look(now); err != nil {
			return err
		}
	}
	switch {
	case e.stopped.Load():
		return errFull
	case e.broken.Load():
		return errBroken
	}
	return nil
}

// look decides by the free space whether samples may be written, and gives
// the ballast away or takes it back.
func (e *embedded) look(now time.Time) error {
	e.spaceLock.Lock()
	defer e.spaceLock.Unlock()
	e.lookedAt.Store(now.UnixMilli())
	free, err := freeBytes(e.dir)
	if err != nil {
		return fmt.Errorf("look at the disk of the metrics store: %w", err)
	}
	floor := e.db.opts.Floor
	if free < floor {
		e.dropBallast()
		e.stop(fmt.Sprintf("the disk of the metrics store has %d bytes free, less than the %d that must stay free", free, floor))
		return nil
	}
	hasBallast := fileExists(e.ballast())
	if e.stopped.Load() {
		// What is free now must hold the ballast and some room above the
		// floor; otherwise appends would stop again at once.
		if need := floor + floor/4 + e.missingBallast(hasBallast); free < need {
			return nil
		}
	}
	if !hasBallast && free >= floor+floor/4+e.db.opts.BallastSize {
		if err := e.makeBallast(); err != nil {
			return err
		}
	}
	e.start()
	return nil
}

func (e *embedded) missingBallast(has bool) int64 {
	if has {
		return 0
	}
	return e.db.opts.BallastSize
}

// stop makes appends be refused.
func (e *embedded) stop(reason string) {
	e.db.setProblem("space", reason)
	if e.stopped.Swap(true) {
		return
	}
	e.log.Error("metrics store keeps no samples", "reason", reason)
	e.dropBallast()
}

// start lets appends through again.
func (e *embedded) start() {
	if !e.stopped.Swap(false) {
		return
	}
	e.db.setProblem("space", "")
	e.log.Info("metrics store keeps samples again")
}

func (e *embedded) ballast() string { return filepath.Join(e.dir, ballastName) }

func (e *embedded) dropBallast() {
	if err := os.Remove(e.ballast()); err == nil {
		e.log.Warn("ballast of the metrics store given away", "bytes", e.db.opts.BallastSize)
	} else if !errors.Is(err, os.ErrNotExist) {
		e.log.Error("ballast of the metrics store cannot be deleted", "err", err)
	}
}

// makeBallast reserves the blocks of the ballast without writing them.
func (e *embedded) makeBallast() error {
	f, err := os.OpenFile(e.ballast(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make the ballast of the metrics store: %w", err)
	}
	err = unix.Fallocate(int(f.Fd()), 0, 0, e.db.opts.BallastSize)
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = writeZeros(f, e.db.opts.BallastSize)
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		return nil
	}
	err = errors.Join(err, os.Remove(e.ballast()))
	if isFull(err) {
		return nil // The disk filled meanwhile: the next look sees it.
	}
	return fmt.Errorf("make the ballast of the metrics store: %w", err)
}

// writeZeros fills a file where the file system cannot reserve blocks.
func writeZeros(f *os.File, size int64) error {
	zeros := make([]byte, 1<<20)
	for size > 0 {
		n, err := f.Write(zeros[:min(size, int64(len(zeros)))])
		if err != nil {
			return err
		}
		size -= int64(n)
	}
	return f.Sync()
}

func fileExists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// freeBytes answers what a process without privileges may still write.
func freeBytes(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	free := float64(s.Bavail) * float64(s.Bsize)
	return int64(min(free, math.MaxInt64/2)), nil
}

// isFull tells the errors of a disk or quota without room.
func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// setProblem notes what is wrong with one part of the store, "" for nothing.
func (db *DB) setProblem(part, reason string) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if reason == "" {
		delete(db.problems, part)
		return
	}
	db.problems[part] = reason
}

// reason answers everything that is wrong, in one order.
func (db *DB) reason() string {
	db.mu.Lock()
	defer db.mu.Unlock()
	all := make([]string, 0, len(db.problems))
	for _, text := range db.problems {
		all = append(all, text)
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}
