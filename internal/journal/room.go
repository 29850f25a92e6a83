package journal

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"math"
	"os"
)

// makeRoom frees bytes until need fits below the bound; false when nothing
// is left that may be dropped.
func (s *Spool) makeRoom(need int64) (bool, error) {
	if need > min(s.max, math.MaxUint32) {
		return false, nil
	}
	for s.bytes+need > s.max {
		if freed, err := s.free(); err != nil || !freed {
			return false, err
		}
	}
	return true, nil
}

// free rewrites one segment smaller; false when none can be. First goes what
// is not needed, unless that is so little that each report would rewrite a
// segment; then samples and states that are told anew; then the little.
func (s *Spool) free() (bool, error) {
	for i, seg := range s.segments {
		if seg.dead > seg.size/4 {
			return true, s.rewrite(i, whole)
		}
	}
	if i, to, ok := s.nextThinning(); ok {
		return true, s.rewrite(i, to)
	}
	for i, seg := range s.segments {
		if seg.dead > 0 || seg.live == 0 {
			return true, s.rewrite(i, whole)
		}
	}
	return false, nil
}

// nextThinning answers which segment is thinned next, and to what level: the
// older half of the queue loses every second sample, all samples and then the
// states that later reports tell anew, oldest first, before anything of the
// newer half is lost.
func (s *Spool) nextThinning() (i int, to level, ok bool) {
	half := (len(s.segments) + 1) / 2
	for _, part := range [][2]int{{0, half}, {half, len(s.segments)}} {
		for to := halved; to <= overtaken; to++ {
			for i := part[0]; i < part[1]; i++ {
				if s.segments[i].thins(to) {
					return i, to, true
				}
			}
		}
	}
	return 0, 0, false
}

// thins reports whether a level would take something of the segment.
func (s *segment) thins(to level) bool {
	if to == overtaken {
		return s.live > 0 && !s.settled
	}
	for _, r := range s.records {
		if !r.done && r.level < to && r.samples > 0 {
			return true
		}
	}
	return false
}

// rewrite puts a smaller file in the place of a segment's: without what is
// done or damaged, and at least at the given level. Until the new file has
// its name the old one is whole. Which of the two a power cut leaves does not
// matter: the old one has all that the new one has.
func (s *Spool) rewrite(i int, to level) error {
	old := s.segments[i]
	if old == s.last() {
		if err := s.seal(); err != nil {
			return err
		}
	}
	if old.live == 0 {
		return s.drop(i)
	}
	if to == overtaken {
		if err := s.survey(); err != nil {
			return err
		}
	}
	in, err := os.Open(old.path(s.dir))
	if errors.Is(err, fs.ErrNotExist) {
		return s.vanished(i)
	}
	if err != nil {
		return err
	}
	defer in.Close()
	path := old.path(s.dir) + temporary
	out, err := s.disk.create(path)
	if err != nil {
		return err
	}
	c := &copying{spool: s, old: old, in: in, out: out, to: to, halver: halver{}}
	err = errors.Join(c.run(), out.Close())
	if err == nil {
		err = s.disk.rename(path, old.path(s.dir))
	}
	if err != nil {
		return errors.Join(err, s.disk.remove(path))
	}
	s.bytes += c.fresh.size - old.size
	s.lost += c.lost
	s.spoilt(old.live - c.fresh.live - c.overtaken)
	s.reports -= old.live - c.fresh.live
	s.segments[i] = c.fresh
	if c.fresh.live == 0 {
		return s.drop(i)
	}
	return nil
}

// vanished gives up a segment whose file somebody removed.
func (s *Spool) vanished(i int) error {
	old := s.segments[i]
	s.log.Error("segment is gone", "path", old.path(s.dir), "count", old.live)
	s.spoilt(old.live)
	s.reports -= old.live
	old.forget()
	return s.drop(i)
}

// copying writes what is to stay of a segment into a new file.
type copying struct {
	spool   *Spool
	old     *segment
	fresh   *segment
	in, out *os.File
	to      level
	halver  halver
	lost    int64 // samples
	// overtaken counts the records of which nothing is left.
	overtaken int
}

func (c *copying) run() error {
	c.fresh = &segment{number: c.old.number, size: segmentHeader, settled: c.old.settled || c.to == overtaken}
	rand.Read(c.fresh.salt[:]) // never fails
	if err := c.spool.disk.write(c.out, headerOf(c.fresh.salt), 0); err != nil {
		return err
	}
	for _, r := range c.old.records {
		if r.done {
			continue
		}
		err := c.record(r)
		if errors.Is(err, errDamaged) {
			c.spool.log.Warn("damaged report dropped", "path", c.old.path(c.spool.dir), "sequence", r.sequence, "err", err)
		} else if err != nil {
			return err
		}
	}
	return c.spool.disk.sync(c.out)
}

// record copies one record.
func (c *copying) record(r record) error {
	payload, err := c.old.payload(c.in, r, nil)
	if err != nil {
		return err
	}
	if r.level < c.to {
		if payload, err = c.thin(&r, payload); err != nil {
			return err
		}
	}
	if payload == nil {
		c.overtaken++
		return nil
	}
	r.at = c.fresh.size
	if err := c.spool.disk.write(c.out, r.encode(c.fresh.salt, payload), r.at); err != nil {
		return err
	}
	c.fresh.size += int64(r.size)
	c.fresh.live++
	c.fresh.records = append(c.fresh.records, r)
	return nil
}

// thin answers the payload of a record with fewer samples and states, or nil
// when later records tell all that is in it.
func (c *copying) thin(r *record, payload []byte) ([]byte, error) {
	r.level = min(c.to, bare)
	if r.samples == 0 && c.to != overtaken {
		return payload, nil
	}
	report, err := c.spool.decode(*r, payload)
	if err != nil {
		return nil, err
	}
	report, lost := c.halver.thinned(report, c.to)
	if c.to == overtaken && len(report.Observations) > 0 {
		report.Observations = c.spool.newest.without(report.Observations, r.place)
		if len(report.Observations) == 0 {
			return nil, nil
		}
	}
	fewer, err := c.spool.codec.Encode(report)
	if err != nil {
		// It stays as it is, and is not tried again.
		c.spool.log.Error("report cannot be encoded again", "sequence", r.sequence, "err", err)
		return payload, nil
	}
	r.samples -= min(lost, r.samples)
	r.lost += lost
	c.lost += int64(lost)
	return fewer, nil
}
