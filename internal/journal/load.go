package journal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// load finds what is in the folder.
func (s *Spool) load() error {
	if err := s.disk.makeDir(s.dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	seen := map[int64]bool{}
	for _, e := range entries { // in the order of their numbers
		if strings.HasSuffix(e.Name(), segmentEnd+temporary) {
			if err := s.disk.remove(filepath.Join(s.dir, e.Name())); err != nil {
				return err
			}
		}
		if number, ok := segmentNumber(e.Name()); ok {
			if err := s.loadSegment(number, seen); err != nil {
				return err
			}
		}
	}
	// A file that was just made when the machine stopped may not have a
	// durable name.
	return s.disk.syncDir(s.dir)
}

// loadSegment takes one segment file in. The last one that is whole enough
// takes the next records.
func (s *Spool) loadSegment(number uint64, seen map[int64]bool) error {
	seg := &segment{number: number}
	if err := s.seal(); err != nil {
		return err
	}
	s.number = number
	path := seg.path(s.dir)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	found, err := scanSegment(f, info.Size(), seg, path)
	if err != nil {
		return errors.Join(s.setAside(err, path, info.Size()), f.Close())
	}
	if found.damaged > 0 {
		s.log.Warn("damaged reports skipped", "path", path, "count", found.damaged)
		s.damaged += found.damaged
	}
	if cut := info.Size() - seg.size; cut > 0 {
		s.log.Warn("torn end of segment cut", "path", path, "bytes", cut)
		if err := s.disk.truncate(f, seg.size); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	s.tail = f
	s.adopt(seg, seen)
	return nil
}

// setAside takes a segment file out of the way that has no header: the
// machine stopped while it was made, or it is damaged.
func (s *Spool) setAside(err error, path string, size int64) error {
	if !errors.Is(err, errDamaged) {
		return err
	}
	if size <= segmentHeader {
		s.log.Info("unfinished segment removed", "path", path)
		return s.disk.remove(path)
	}
	s.damaged++
	s.log.Error("segment cannot be read, set aside", "path", path, "to", damagedFile, "err", err)
	return s.disk.rename(path, filepath.Join(s.dir, damagedFile))
}

// adopt counts what was found in a segment. A report that is there twice,
// because a failed write could not be taken back, counts once.
func (s *Spool) adopt(seg *segment, seen map[int64]bool) {
	for i := range seg.records {
		r := &seg.records[i]
		s.places++
		r.place = s.places
		if r.done {
			continue
		}
		if seen[r.sequence] {
			r.done = true
			seg.live--
			seg.dead += int64(r.size)
			continue
		}
		seen[r.sequence] = true
		s.lost += int64(r.lost)
		s.reports++
	}
	s.bytes += seg.size
	s.segments = append(s.segments, seg)
}
