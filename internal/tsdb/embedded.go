package tsdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/promql"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/compression"

	"reeve/internal/ops"
)

// outOfOrder is how late a sample may come: an agent that was cut off sends
// what it kept. Roll-ups wait as long.
const outOfOrder = time.Hour

const (
	rawBlock    = 20 * time.Minute
	rollupBlock = 2 * time.Hour
	// rawChunk is how many samples a chunk is to have. It is in memory until it
	// has them, twice as many at the worst; with one every ten seconds, two
	// fill a block.
	rawChunk = 60
	// stripes are the parts that the series of a head are locked in.
	stripes = 1 << 10
	// rawShare is the part of MaxSize that raw samples may take.
	rawShare = 0.75
)

// embedded keeps samples in two databases of its own.
type embedded struct {
	db  *DB
	log *slog.Logger
	dir string

	// gate is held for reading while the databases are used, for writing
	// while they are opened or closed.
	gate        sync.RWMutex
	raw, rollup *promtsdb.DB
	closed      bool
	closing     atomic.Bool
	complaint   atomic.Pointer[complaint] // nil or the newest

	// stopped says that nothing may be written: the disk is too full. broken
	// says that a write failed, so that the write-ahead log may be torn and
	// the databases must be opened anew.
	stopped   atomic.Bool
	broken    atomic.Bool
	lookedAt  atomic.Int64 // when free space was looked at, unix ms
	spaceLock sync.Mutex   // one look at the disk at a time
	paused    bool         // compaction, by check

	engine   func() *promql.Engine // made by the first query
	queries  chan struct{}         // as many as may run at once
	rollLock sync.Mutex
}

func openEmbedded(ctx context.Context, db *DB) (*embedded, error) {
	e := &embedded{db: db, log: db.log, dir: db.opts.Dir, queries: make(chan struct{}, maxQueries)}
	e.engine = sync.OnceValue(e.newEngine)
	if err := os.MkdirAll(e.dir, 0o750); err != nil {
		return nil, fmt.Errorf("make the directory of the metrics store: %w", err)
	}
	err := e.open()
	if isFull(err) {
		// The ballast may be what the databases need to open at all.
		e.dropBallast()
		err = e.open()
	}
	if isFull(err) {
		e.stop("the disk of the metrics store is too full to open it")
		return e, nil
	}
	if err != nil {
		return nil, err
	}
	if err := e.look(time.Now()); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, e.recall(ctx, time.Now())
}

// open opens both databases; nobody else may use them meanwhile.
func (e *embedded) open() error {
	raw, err := e.openOne("raw", e.rawOptions())
	if err != nil {
		return err
	}
	rollup, err := e.openOne("rollup", e.rollupOptions())
	if err != nil {
		return errors.Join(err, raw.Close())
	}
	e.raw, e.rollup = raw, rollup
	return nil
}

func (e *embedded) rawOptions() *promtsdb.Options {
	o := e.commonOptions()
	keep := e.db.opts.Retention
	o.RetentionDuration = keep.Milliseconds()
	o.MaxBytes = int64(float64(e.db.opts.MaxSize) * rawShare)
	o.MinBlockDuration = rawBlock.Milliseconds()
	o.SamplesPerChunk = rawChunk
	o.MaxBlockDuration = max(rawBlock, keep/10).Milliseconds()
	o.OutOfOrderTimeWindow = outOfOrder.Milliseconds()
	return o
}

// rollupOptions merge to long blocks: a series has only 288 samples a day.
func (e *embedded) rollupOptions() *promtsdb.Options {
	o := e.commonOptions()
	keep := e.db.opts.RollupRetention
	o.RetentionDuration = keep.Milliseconds()
	o.MaxBytes = e.db.opts.MaxSize - int64(float64(e.db.opts.MaxSize)*rawShare)
	o.MinBlockDuration = rollupBlock.Milliseconds()
	o.MaxBlockDuration = max(24*time.Hour, keep/10).Milliseconds()
	return o
}

// commonOptions keep an idle store small: the defaults are for millions of
// series. Chunk files are allocated whole before they are written, so they
// must be small against a small disk.
func (e *embedded) commonOptions() *promtsdb.Options {
	o := promtsdb.DefaultOptions()
	o.WALCompression = compression.Snappy
	o.WALSegmentSize = 16 << 20
	o.MaxBlockChunkSegmentSize = 32 << 20
	o.StripeSize = stripes
	o.HeadChunksWriteBufferSize = chunks.MinWriteBufferSize
	// Nobody minds to read half of a report; to know what is whole takes 80
	// bytes of each series.
	o.IsolationDisabled = true
	if e.db.opts.blockReload > 0 {
		o.BlockReloadInterval = e.db.opts.blockReload
	}
	return o
}

// reopen closes the databases and opens them again, which repairs a torn
// write-ahead log.
func (e *embedded) reopen() error {
	e.gate.Lock()
	defer e.gate.Unlock()
	if e.closed {
		return errClosed
	}
	if err := e.shut(); err != nil {
		// The log of a full disk often cannot be closed cleanly; opening is
		// what tells whether the data is whole.
		e.log.Warn("metrics store closed with an error before it is opened anew", "err", err)
	}
	if err := e.open(); err != nil {
		return err
	}
	e.paused = false
	e.broken.Store(false)
	e.db.late.everything() // What was half written may have come to light.
	e.db.setProblem("write", "")
	return nil
}

func (e *embedded) shut() error {
	e.closing.Store(true)
	defer e.closing.Store(false)
	var errs []error
	for _, one := range []*promtsdb.DB{e.raw, e.rollup} {
		if one != nil {
			errs = append(errs, one.Close())
		}
	}
	e.raw, e.rollup = nil, nil
	return errors.Join(errs...)
}

func (e *embedded) close() error {
	e.gate.Lock()
	defer e.gate.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	if err := e.shut(); err != nil {
		return fmt.Errorf("close the metrics store: %w", err)
	}
	return nil
}

var (
	errClosed = ops.Errorf(ops.Unavailable, "The metrics store is closed.")
	errFull   = ops.Errorf(ops.Unavailable, "The disk of the metrics store is full; samples are not kept.")
	errBroken = ops.Errorf(ops.Unavailable, "The metrics store is opened anew after a failed write; samples are not kept meanwhile.")
	errShut   = ops.Errorf(ops.Unavailable, "The metrics store is not open: its disk is full.")
)

// usable answers why the databases cannot be read; call it with the gate held.
func (e *embedded) usable() error {
	switch {
	case e.closed:
		return errClosed
	case e.raw == nil:
		return errShut
	}
	return nil
}

// describe fills in what the databases know of themselves.
func (e *embedded) describe(s *Stats) {
	s.Bytes, s.WALBytes = dirSize(e.dir), dirSize(filepath.Join(e.dir, "raw", "wal"))+dirSize(filepath.Join(e.dir, "rollup", "wal"))
	if free, err := freeBytes(e.dir); err == nil {
		s.FreeBytes = free
	}
	e.gate.RLock()
	defer e.gate.RUnlock()
	if e.usable() != nil {
		return
	}
	s.Series = int64(e.raw.Head().NumSeries())
	if oldest := oldestOf(e.raw); oldest != math.MaxInt64 {
		s.Oldest = time.UnixMilli(oldest)
	}
	if point, ok, err := e.rolledUpTo(context.Background()); ok && err == nil {
		s.RolledUp = time.UnixMilli(point)
	}
}

// oldestOf answers the time of the oldest sample, MaxInt64 without any.
func oldestOf(one *promtsdb.DB) int64 {
	oldest := one.Head().MinTime()
	for _, b := range one.Blocks() {
		oldest = min(oldest, b.MinTime())
	}
	return oldest
}

// newestOf answers the time of the newest sample, MinInt64 without any.
func newestOf(one *promtsdb.DB) int64 {
	newest := one.Head().MaxTime()
	for _, b := range one.Blocks() {
		newest = max(newest, b.MaxTime())
	}
	return newest
}

// dirSize answers the bytes of the files below a directory; what vanishes
// while it looks counts nothing.
func dirSize(dir string) (total int64) {
	filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || entry.Name() == ballastName {
			return nil
		}
		if info, err := entry.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}

// complaints is how long an error that a database logged counts as a problem:
// what fails for good, as a compaction, is tried again within that time.
const complaints = 15 * time.Minute

// quiet lets only warnings and errors of the databases through, and nothing
// while they close: a compaction that is cut short by it logs an error and is
// done again after the next start. The databases work in the background and
// tell of failures only by their log, so the newest error is remembered.
type quiet struct {
	slog.Handler
	e *embedded
}

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && !q.e.closing.Load() && q.Handler.Enabled(ctx, level)
}

// Handle passes a record on.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		text := r.Message
		r.Attrs(func(a slog.Attr) bool {
			text += " " + a.String()
			return true
		})
		q.e.complaint.Store(&complaint{at: r.Time, text: text})
	}
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quiet{q.Handler.WithAttrs(attrs), q.e}
}

func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name), q.e} }

// complaint is an error that a database logged.
type complaint struct {
	at   time.Time
	text string
}
