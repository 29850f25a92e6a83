package journal

import (
	"crypto/rand"
	"errors"
	"os"
	"slices"

	"reeve/internal/ops"
)

// putAt keeps a report with the samples that a level leaves; false when there
// is no room for it.
func (s *Spool) putAt(r ops.Report, to level) (bool, error) {
	left, lost := halver{}.thinned(r, to)
	payload, err := s.codec.Encode(left)
	if err != nil {
		return false, ops.Because(ops.Invalid, err, "report %d cannot be encoded", r.Sequence)
	}
	need := int64(len(payload)) + recordHeader + segmentHeader
	if ok, err := s.makeRoom(need); err != nil || !ok {
		return false, err
	}
	rec := record{sequence: r.Sequence, samples: samplesOf(left), lost: lost, level: to}
	if err := s.append(rec, payload); err != nil {
		return false, err
	}
	s.learn(left, s.places)
	s.reports++
	s.lost += int64(lost)
	return true, nil
}

// append writes a record durably behind the last, or leaves all as it was.
func (s *Spool) append(r record, payload []byte) error {
	if s.tail != nil {
		seg := s.last()
		if seg.size == segmentHeader || seg.size+recordHeader+int64(len(payload)) <= s.segmentBytes {
			return s.extend(seg, r, payload)
		}
		if err := s.seal(); err != nil {
			return err
		}
	}
	seg := &segment{number: s.number + 1, size: segmentHeader}
	rand.Read(seg.salt[:]) // never fails
	f, err := s.disk.create(seg.path(s.dir))
	if err != nil {
		return err
	}
	s.number, s.tail = seg.number, f
	s.segments = append(s.segments, seg)
	s.bytes += seg.size
	if err = s.disk.write(f, headerOf(seg.salt), 0); err == nil {
		err = s.extend(seg, r, payload)
	}
	if err == nil {
		err = s.disk.syncDir(s.dir)
	}
	if err != nil {
		seg.forget()
		return errors.Join(err, s.seal(), s.drop(len(s.segments)-1))
	}
	return nil
}

// forget leaves a segment without records, whatever its file holds.
func (s *segment) forget() { s.records, s.live, s.dead = nil, 0, s.size-segmentHeader }

// extend writes a record at the end of the segment that takes records.
func (s *Spool) extend(seg *segment, r record, payload []byte) error {
	r.at = seg.size
	b := r.encode(seg.salt, payload)
	if err := s.disk.write(s.tail, b, r.at); err != nil {
		return errors.Join(err, s.takeBack(seg))
	}
	if err := s.disk.sync(s.tail); err != nil {
		// What the file holds is not known any more, so it takes no more
		// records: the next sync would answer nil for what was lost.
		return errors.Join(err, s.takeBack(seg), s.seal())
	}
	s.places++
	r.place = s.places
	seg.records = append(seg.records, r)
	seg.live++
	seg.size += int64(r.size)
	s.bytes += int64(r.size)
	return nil
}

// takeBack removes what a failed write left. When it cannot, the segment
// takes no more records.
func (s *Spool) takeBack(seg *segment) error {
	if err := s.disk.truncate(s.tail, seg.size); err != nil {
		return errors.Join(err, s.seal())
	}
	return nil
}

func (s *Spool) last() *segment { return s.segments[len(s.segments)-1] }

// seal ends the segment that takes records.
func (s *Spool) seal() error {
	if s.tail == nil {
		return nil
	}
	f := s.tail
	s.tail = nil
	return f.Close()
}

// drop removes a segment file.
func (s *Spool) drop(i int) error {
	seg := s.segments[i]
	if err := s.disk.remove(seg.path(s.dir)); err != nil {
		return err
	}
	s.bytes -= seg.size
	s.segments = slices.Delete(s.segments, i, i+1)
	return nil
}

// settle takes a record out of the queue, and its file away when that was the
// last record in it.
func (s *Spool) settle(i, j int) error {
	seg := s.segments[i]
	rec := &seg.records[j]
	rec.done = true
	seg.live--
	seg.dead += int64(rec.size)
	if s.reports--; s.reports == 0 {
		s.newest = nil // it would grow with each outage
	}
	tail := s.tail != nil && seg == s.last()
	switch {
	case seg.live > 0 && tail:
		return s.disk.write(s.tail, []byte{stateDone}, rec.at+stateAt)
	case seg.live > 0:
		return s.mark(seg, *rec)
	case tail:
		return s.reset(seg)
	}
	return s.drop(i)
}

// mark writes that a record of a sealed segment is done. It need not be
// durable.
func (s *Spool) mark(seg *segment, rec record) error {
	f, err := os.OpenFile(seg.path(s.dir), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(s.disk.write(f, []byte{stateDone}, rec.at+stateAt), f.Close())
}

// reset empties the segment that takes records.
func (s *Spool) reset(seg *segment) error {
	if err := s.disk.truncate(s.tail, segmentHeader); err != nil {
		return err
	}
	s.bytes -= seg.size - segmentHeader
	seg.size, seg.dead, seg.records = segmentHeader, 0, seg.records[:0]
	return nil
}
