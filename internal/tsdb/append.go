package tsdb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"

	"reeve/internal/ops"
)

// A Sample is one reading of one series.
type Sample struct {
	Ref   Ref
	At    time.Time
	Value float64
}

// Append keeps a batch. A sample that the store will never take (too old, out
// of order, too far in the future) is counted as rejected and is no error. An
// error means that the disk is full or the store is broken: its samples are
// counted as dropped, and only Latest knows them.
func (db *DB) Append(ctx context.Context, batch []Sample) error {
	if len(batch) == 0 {
		return nil
	}
	kept := db.acceptable(batch)
	rejected, err := db.back.append(ctx, kept)
	// The newest readings are kept in memory whatever the disk says, so that
	// a full one is judged like any other fault.
	db.cache.note(kept)
	if err != nil {
		db.dropped.Add(int64(len(kept)))
		return err
	}
	db.rejected.Add(int64(len(batch) - len(kept) + rejected))
	db.appended.Add(int64(len(kept) - rejected))
	return nil
}

// acceptable leaves out what no backend may take. It copies only when there is
// something to leave out.
func (db *DB) acceptable(batch []Sample) []Sample {
	newest := time.Now().Add(db.opts.ahead)
	bad := func(x *Sample) bool { return x.Ref.s == nil || !x.Ref.s.valid || x.At.After(newest) }
	for i := range batch {
		if !bad(&batch[i]) {
			continue
		}
		kept := append([]Sample(nil), batch[:i]...)
		for j := i + 1; j < len(batch); j++ {
			if !bad(&batch[j]) {
				kept = append(kept, batch[j])
			}
		}
		return kept
	}
	return batch
}

// append implements backend.
func (e *embedded) append(ctx context.Context, batch []Sample) (rejected int, err error) {
	err = e.write(ctx, func(app storage.Appender) (oldest int64, err error) {
		oldest = math.MaxInt64
		for i := range batch {
			s, at := batch[i].Ref.s, batch[i].At.UnixMilli()
			was := storage.SeriesRef(s.ref.Load())
			ref, err := e.appendOne(app, sample{was, s.labels, at, batch[i].Value})
			switch {
			case unwelcome(err):
				rejected++
			case err != nil:
				return 0, err
			default:
				oldest = min(oldest, at)
				if ref != was {
					s.ref.Store(uint64(ref))
				}
			}
		}
		return oldest, nil
	})
	return rejected, err
}

// write lets fill put samples into the raw database and commits them; fill
// answers the time of the oldest that was taken, in unix ms. It refuses while
// the disk is too full.
func (e *embedded) write(ctx context.Context, fill func(storage.Appender) (oldest int64, err error)) error {
	e.gate.RLock()
	defer e.gate.RUnlock()
	if err := e.writable(); err != nil {
		return err
	}
	app := e.raw.Appender(ctx)
	oldest, err := fill(app)
	if err != nil {
		return e.failed(errors.Join(err, app.Rollback()))
	}
	if err := app.Commit(); err != nil {
		return e.failed(err)
	}
	// Counted when it can be read: a history that counts it has read it, too.
	e.db.late.note(oldest)
	return nil
}

// sample is what is appended at once.
type sample struct {
	ref    storage.SeriesRef
	labels labels.Labels
	at     int64
	value  float64
}

var errTooManySeries = errors.New("there are too many series to begin another")

// appendOne appends a sample unless it begins a series too many.
func (e *embedded) appendOne(app storage.Appender, s sample) (storage.SeriesRef, error) {
	if s.ref == 0 {
		if err := e.mayBegin(app, s.labels); err != nil {
			return 0, err
		}
	}
	return app.Append(s.ref, s.labels, s.at, s.value)
}

// mayBegin answers an error when a series would be one too many.
func (e *embedded) mayBegin(app storage.Appender, ls labels.Labels) error {
	if int(e.raw.Head().NumSeries()) < e.db.opts.MaxSeries || isKnown(app, ls) {
		return nil
	}
	e.db.setProblem("series", fmt.Sprintf("there are %d series, as many as are allowed; new ones are refused", e.db.opts.MaxSeries))
	return errTooManySeries
}

// isKnown says whether a series has samples already.
func isKnown(app storage.Appender, ls labels.Labels) bool {
	known, ok := app.(storage.GetRef)
	if !ok {
		return false
	}
	ref, _ := known.GetRef(ls, ls.Hash())
	return ref != 0
}

// unwelcome tells the errors that are the sample's own fault from those of
// the database.
func unwelcome(err error) bool {
	return err != nil && (errors.Is(err, storage.ErrOutOfOrderSample) ||
		errors.Is(err, storage.ErrOutOfBounds) ||
		errors.Is(err, storage.ErrTooOldSample) ||
		errors.Is(err, storage.ErrDuplicateSampleForTimestamp) ||
		errors.Is(err, promtsdb.ErrInvalidSample) ||
		errors.Is(err, errTooManySeries))
}

// failed remembers why a write failed and answers the error for the caller.
// After it, the write-ahead log may end in half a record.
func (e *embedded) failed(err error) error {
	e.broken.Store(true)
	if isFull(err) {
		e.stop("the disk of the metrics store is full")
		return ops.Because(ops.Unavailable, err, "The disk of the metrics store is full; samples are not kept.")
	}
	e.db.setProblem("write", "writing samples fails: "+err.Error())
	return ops.Because(ops.Unavailable, err, "Samples could not be written to the metrics store.")
}
