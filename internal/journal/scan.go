package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"syscall"
)

// resyncBytes is how much is read at once in search of the next record.
const resyncBytes = 64 << 10

// A scan reads the records of a segment file of which nothing is believed.
// Each byte is looked at a bounded number of times, whatever the bytes are.
type scan struct {
	in      io.ReaderAt
	segment *segment
	size    int64
	end     int64 // behind the last record; what follows is a torn tail
	damaged int64
	buf     []byte
}

// scanSegment finds the records in a file of the given size. The error is of
// a segment that is no use at all.
func scanSegment(in io.ReaderAt, size int64, seg *segment, name string) (*scan, error) {
	s := &scan{in: in, segment: seg, size: size, end: min(size, segmentHeader)}
	var err error
	if seg.salt, err = readHeader(in, name); err != nil {
		return s, err
	}
	for more := true; more && s.end < size; {
		more, err = s.next()
		if errors.Is(err, errDamaged) {
			// Without a header there is no way on. What was found counts.
			s.damaged++
			s.end = size
		} else if err != nil {
			return s, err
		}
	}
	seg.size, seg.dead = s.end, s.end-segmentHeader
	for _, r := range seg.records {
		if !r.done {
			seg.live++
			seg.dead -= int64(r.size)
		}
	}
	return s, nil
}

// next reads what is at the end of what was read; false when that is a torn
// tail.
func (s *scan) next() (bool, error) {
	r, ok, err := s.header(s.end)
	if err != nil {
		return false, err
	}
	if !ok {
		at, found, err := s.resync(s.end + 1)
		if err != nil || !found {
			return false, err
		}
		s.damaged++
		s.end = at
		return true, nil
	}
	s.buf = slices.Grow(s.buf[:0], int(r.size))
	_, err = s.segment.payload(s.in, r, s.buf)
	switch {
	case errors.Is(err, errDamaged):
		s.damaged++
	case err != nil:
		return false, err
	default:
		s.segment.records = append(s.segment.records, r)
	}
	s.end += int64(r.size)
	return true, nil
}

// header reads the header at an offset; false when there is no whole record.
func (s *scan) header(at int64) (record, bool, error) {
	var b [recordHeader]byte
	if at+recordHeader > s.size {
		return record{}, false, nil
	}
	if _, err := s.in.ReadAt(b[:], at); err != nil {
		return record{}, false, unreadable(err)
	}
	r, _, ok := decodeHeader(b[:], s.segment.salt)
	r.at = at
	return r, ok && at+int64(r.size) <= s.size, nil
}

// resync looks for the next header of a whole record at or after an offset.
func (s *scan) resync(at int64) (int64, bool, error) {
	chunk := make([]byte, min(resyncBytes, max(0, s.size-at)))
	for at+recordHeader <= s.size {
		b := chunk[:min(int64(len(chunk)), s.size-at)]
		if _, err := s.in.ReadAt(b, at); err != nil {
			return 0, false, unreadable(err)
		}
		if i := s.find(b, at); i >= 0 {
			return at + int64(i), true, nil
		}
		at += int64(len(b) - recordHeader + 1)
	}
	return 0, false, nil
}

// find answers where in b, which is at an offset of the file, a whole record
// has its header; -1 when nowhere.
func (s *scan) find(b []byte, at int64) int {
	marker := s.segment.salt[:4]
	for from := 0; ; {
		i := bytes.Index(b[from:], marker)
		if i < 0 || from+i+recordHeader > len(b) {
			return -1
		}
		from += i
		if r, _, ok := decodeHeader(b[from:], s.segment.salt); ok && at+int64(from)+int64(r.size) <= s.size {
			return from
		}
		from++
	}
}

// unreadable classes an error of reading: what the medium lost will not come
// back, anything else may.
func unreadable(err error) error {
	for _, gone := range []error{syscall.EIO, io.EOF, io.ErrUnexpectedEOF, fs.ErrNotExist} {
		if errors.Is(err, gone) {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
	}
	return err
}
