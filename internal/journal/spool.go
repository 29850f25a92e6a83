package journal

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"

	"reeve/internal/ops"
)

const (
	defaultMaxBytes = 64 << 20
	// A segment file grows to this part of the bound, and never above
	// maxSegmentBytes: what is freed at once, and rewritten to free it.
	segmentsInBound = 16
	maxSegmentBytes = 4 << 20
	// damagedFile is where the last segment goes that was no use at all, for
	// a person to look at.
	damagedFile = "damaged"
)

// A Codec turns reports into bytes and back.
type Codec struct {
	Encode func(ops.Report) ([]byte, error)
	Decode func([]byte) (ops.Report, error)
}

// SpoolOptions say how a spool keeps reports.
type SpoolOptions struct {
	MaxBytes int64 // of all segment files together; zero is 64 MiB
	Codec    Codec
	Log      *slog.Logger
}

// A Spool is a durable queue of reports. In memory it has only where they are.
type Spool struct {
	dir          string
	max          int64
	segmentBytes int64
	codec        Codec
	log          *slog.Logger
	disk         disk

	mu       sync.Mutex
	segments []*segment // oldest first
	tail     *os.File   // the last segment while it takes records, else nil
	number   uint64     // of the newest segment there ever was
	places   uint64     // of records, so far
	newest   newest     // nil while it is not known
	bytes    int64
	reports  int
	lost     int64 // samples
	damaged  int64 // records
	closed   bool
}

// OpenSpool opens the spool in the folder dir, which it makes. Damage is
// logged and counted; only a file of a newer program, or a disk that cannot
// be read or written at all, is an error.
func OpenSpool(dir string, o SpoolOptions) (*Spool, error) { return openSpool(dir, o, disk{}) }

func openSpool(dir string, o SpoolOptions, d disk) (*Spool, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.MaxBytes < 0 || o.Log == nil || o.Codec.Encode == nil || o.Codec.Decode == nil {
		return nil, ops.Errorf(ops.Invalid, "a spool needs a bound above zero, a codec and a log")
	}
	s := &Spool{
		dir: dir, max: o.MaxBytes, codec: o.Codec, log: o.Log.With("spool", dir), disk: d,
		segmentBytes: min(o.MaxBytes/segmentsInBound, maxSegmentBytes),
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(s.unusable(err, "the spool in %s cannot be opened; check who owns the folder and the disk it is on", dir), s.seal())
	}
	return s, nil
}

// unusable classes what the disk answers; an error that is classed stays.
func (s *Spool) unusable(err error, format string, args ...any) error {
	if _, ok := errors.AsType[*ops.Error](err); ok {
		return err
	}
	return ops.Because(ops.Unavailable, err, format, args...)
}

// Put keeps a report behind all others. It is durable when the answer is nil.
// After an error of kind Unavailable it was not kept, the spool is as before,
// and the caller holds the report and tries again later.
func (s *Spool) Put(r ops.Report) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ops.Errorf(ops.Unavailable, "the spool in %s is closed", s.dir)
	}
	if _, _, ok := s.find(r.Sequence); ok {
		return ops.Errorf(ops.Conflict, "report %d is in the spool already", r.Sequence)
	}
	for to := whole; to <= bare; to++ {
		kept, err := s.putAt(r, to)
		if err != nil {
			return s.unusable(err, "report %d could not be kept in the spool in %s; make room on its disk and try again", r.Sequence, s.dir)
		}
		if kept {
			return nil
		}
	}
	return ops.Errorf(ops.Unavailable, "the spool in %s is full of events and of states that nothing later tells anew (%d reports, %d of %d bytes); "+
		"let this host reach the server, or raise the bound of the spool", s.dir, s.reports, s.bytes, s.max)
}

// Next answers the oldest report and leaves it where it is; false when there
// is none. Reports that are damaged are skipped.
func (s *Spool) Next() (r ops.Report, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		i, j, ok := s.oldest()
		if !ok {
			return ops.Report{}, false, nil
		}
		r, err := s.read(s.segments[i], s.segments[i].records[j])
		if err == nil {
			return r, true, nil
		}
		if !errors.Is(err, errDamaged) {
			return ops.Report{}, false, s.unusable(err, "the spool in %s cannot be read; check its disk", s.dir)
		}
		s.spoilt(1)
		s.log.Warn("damaged report skipped", "path", s.segments[i].path(s.dir), "sequence", s.segments[i].records[j].sequence, "err", err)
		if err := s.settle(i, j); err != nil {
			s.log.Warn("damaged report could not be removed", "err", err)
		}
	}
}

// Done removes a report that the server has accepted; one that is not there
// is no error. After an error it is removed too, but comes again when the
// spool is opened the next time.
func (s *Spool) Done(sequence int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, j, ok := s.find(sequence)
	if !ok {
		return nil
	}
	if err := s.settle(i, j); err != nil {
		return s.unusable(err, "report %d could not be removed from the spool in %s and may be sent again; check its disk", sequence, s.dir)
	}
	return nil
}

// Depth answers how many reports wait, how many bytes the spool's files have,
// and how many samples were dropped of what waits and of what was sent since
// the spool was opened.
func (s *Spool) Depth() (reports int, bytes, samplesThinned int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reports, s.bytes, s.lost
}

// Damaged answers how many damaged records were skipped since the spool was
// opened. A segment that is no use at all counts as one.
func (s *Spool) Damaged() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.damaged
}

// Close ends the use of the spool. All in it stays on the disk.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.seal()
}

// oldest answers the segment and the record of the oldest report.
func (s *Spool) oldest() (i, j int, ok bool) {
	return s.locate(func(record) bool { return true })
}

// find answers the segment and the record of a report.
func (s *Spool) find(sequence int64) (i, j int, ok bool) {
	return s.locate(func(r record) bool { return r.sequence == sequence })
}

// locate answers the oldest record that is not done and is the one meant.
func (s *Spool) locate(meant func(record) bool) (i, j int, ok bool) {
	for i, seg := range s.segments {
		if seg.live == 0 {
			continue
		}
		j := slices.IndexFunc(seg.records, func(r record) bool { return !r.done && meant(r) })
		if j >= 0 {
			return i, j, true
		}
	}
	return 0, 0, false
}

// read answers the report of a record.
func (s *Spool) read(seg *segment, rec record) (ops.Report, error) {
	f, err := os.Open(seg.path(s.dir))
	if err != nil {
		return ops.Report{}, unreadable(err)
	}
	defer f.Close()
	payload, err := seg.payload(f, rec, nil)
	if err != nil {
		return ops.Report{}, err
	}
	return s.decode(rec, payload)
}

func (s *Spool) decode(rec record, payload []byte) (ops.Report, error) {
	r, err := s.codec.Decode(payload)
	if err != nil {
		return r, fmt.Errorf("%w: decode: %w", errDamaged, err)
	}
	// Done goes by the record's number.
	r.Sequence = rec.sequence
	return r, nil
}
