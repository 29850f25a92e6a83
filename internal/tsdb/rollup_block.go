package tsdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// workDir is where a block is made, below the directory of the store. What a
// crash leaves in it is of no use.
const workDir = "rollup-work"

// rollupHead is how much time the head of a block takes: a head takes what is
// up to half of that older than its newest sample.
const rollupHead = 2 * rollupBlock

// A blockWriter makes blocks of roll-ups. Each is made of a part of the series
// only and written when that is full: there are four series for every one of
// raw samples, and in the head of a database they would be most of what the
// process keeps. Blocks of the same time are merged by the database.
type blockWriter struct {
	e     *embedded
	ctx   context.Context
	from  int64 // where the blocks begin, unix ms
	head  *promtsdb.Head
	app   storage.Appender
	wrote int // samples that are not committed
}

// put adds samples of one series, the oldest first.
func (w *blockWriter) put(ls labels.Labels, at []int64, of func(i int) float64) error {
	if w.head == nil {
		if err := w.begin(); err != nil {
			return err
		}
	}
	var ref storage.SeriesRef
	for i := range at {
		next, err := w.app.Append(ref, ls, at[i], of(i))
		switch {
		case unwelcome(err): // One bad series must not keep all from being rolled up.
		case err != nil:
			return fmt.Errorf("append a roll-up: %w", err)
		default:
			ref = next
		}
	}
	if w.wrote += len(at); w.wrote < rollupBatch {
		return nil
	}
	return w.commit()
}

func (w *blockWriter) begin() error {
	dir := filepath.Join(w.e.dir, workDir)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o750)); err != nil {
		return fmt.Errorf("make room for a block: %w", err)
	}
	o := promtsdb.DefaultHeadOptions()
	o.ChunkRange, o.ChunkDirRoot, o.StripeSize, o.ChunkWriteBufferSize = rollupHead.Milliseconds(), dir, stripes, chunks.MinWriteBufferSize
	head, err := promtsdb.NewHead(nil, slog.New(slog.DiscardHandler), nil, nil, o, promtsdb.NewHeadStats())
	if err != nil {
		return fmt.Errorf("begin a block: %w", err)
	}
	if err := head.Init(math.MinInt64); err != nil {
		return errors.Join(fmt.Errorf("begin a block: %w", err), head.Close())
	}
	w.head, w.app = head, head.Appender(w.ctx)
	return nil
}

func (w *blockWriter) commit() error {
	w.wrote = 0
	if err := w.app.Commit(); err != nil {
		return fmt.Errorf("append roll-ups: %w", err)
	}
	w.app = w.head.Appender(w.ctx)
	return nil
}

// full reports whether the block should be written.
func (w *blockWriter) full() bool { return w.head != nil && w.head.NumSeries() >= rollupSeries }

// write writes the block, if there is anything in it.
func (w *blockWriter) write() error {
	if w.head == nil {
		return nil
	}
	err := w.commit()
	if err == nil {
		var c *promtsdb.LeveledCompactor
		c, err = promtsdb.NewLeveledCompactor(w.ctx, nil, slog.New(slog.DiscardHandler), []int64{rollupHead.Milliseconds()}, chunkenc.NewPool(), nil)
		if err == nil {
			// The end of a block is not in it.
			_, err = c.Write(filepath.Join(w.e.dir, "rollup"), w.head, w.from, w.head.MaxTime()+1, nil)
		}
	}
	return errors.Join(err, w.end())
}

// end gives up what is not written.
func (w *blockWriter) end() error {
	if w.head == nil {
		return nil
	}
	err := errors.Join(w.app.Rollback(), w.head.Close(), os.RemoveAll(filepath.Join(w.e.dir, workDir)))
	w.head, w.app, w.wrote = nil, nil, 0
	return err
}
