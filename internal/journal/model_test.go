package journal

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
	"reeve/internal/ops"
)

// drawReport draws a report of several observations, with series that come
// again in other reports and samples that are not in the order of time.
func drawReport(rt *rapid.T, sequence int64) ops.Report {
	r := report(sequence, 0)
	for i := range rapid.IntRange(0, 2).Draw(rt, "observations") {
		o := report(sequence, 0).Observations[0]
		o.Collector = fmt.Sprint("c", i)
		for range rapid.IntRange(0, 12).Draw(rt, "samples") {
			o.Samples = append(o.Samples, ops.Sample{
				Resource: o.Sightings[0].Key, Metric: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "metric"),
				At:    r.At.Add(time.Duration(rapid.IntRange(-5, 5).Draw(rt, "s")) * time.Second),
				Value: float64(len(o.Samples)),
			})
		}
		r.Observations = append(r.Observations, o)
	}
	return r
}

// A model is a spool as a plain list.
type model struct {
	max     int64
	reports []ops.Report
	put     int64 // bytes of all that was ever put
	sent    int64 // samples lost of reports that are done
}

// differs says how a spool is not what the model says.
func (m *model) differs(t testing.TB, s *Spool) error {
	t.Helper()
	all := contents(t, s)
	n, bytes, lost := s.Depth()
	if n != len(m.reports) || len(all) != n {
		return fmt.Errorf("%d reports, %d of them are there, want %d", n, len(all), len(m.reports))
	}
	if bytes > m.max || bytes != filesBytes(t, s.dir) {
		return fmt.Errorf("%d bytes, %d in files, at most %d", bytes, filesBytes(t, s.dir), m.max)
	}
	var missing int64
	for i, want := range m.reports {
		got := all[i]
		if got.Sequence != want.Sequence || !wholeBut(got, want) || !partOf(got, want) {
			return fmt.Errorf("report %d is %+v, want %+v", i, got, want)
		}
		missing += int64(samplesOf(want)) - int64(samplesOf(got))
	}
	if missing+m.sent != lost {
		return fmt.Errorf("%d samples are missing and %d were, %d are told", missing, m.sent, lost)
	}
	if lost > 0 && m.put <= m.max {
		return fmt.Errorf("%d samples lost, though all that was put has %d bytes", lost, m.put)
	}
	return nil
}

// partOf reports whether the samples of got are some of want's, in order.
func partOf(got, want ops.Report) bool {
	for i, o := range want.Observations {
		left := got.Observations[i].Samples
		for _, s := range o.Samples {
			if len(left) > 0 && left[0].At.Equal(s.At) && left[0].Metric == s.Metric && left[0].Value == s.Value {
				left = left[1:]
			}
		}
		if len(left) > 0 {
			return false
		}
	}
	return true
}

func (m *model) remove(s *Spool, i int, all []ops.Report) error {
	m.sent += int64(samplesOf(m.reports[i])) - int64(samplesOf(all[i]))
	sequence := m.reports[i].Sequence
	m.reports = slices.Delete(m.reports, i, i+1)
	return s.Done(sequence)
}

func TestSpoolIsLikeAPlainList(t *testing.T) {
	dir := filepath.Join(fastDir(t), "spool")
	rapid.Check(t, func(rt *rapid.T) {
		fill(t, dir, nil)
		m := &model{max: rapid.Int64Range(3_000, 40_000).Draw(rt, "bytes")}
		s := openTestSpool(t, dir, m.max, disk{})
		defer func() { s.Close() }()
		sequence := int64(0)
		check := func(rt *rapid.T) {
			if err := m.differs(t, s); err != nil {
				rt.Fatal(err)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				sequence++
				putModel(rt, t, s, m, drawReport(rt, sequence))
			},
			"put many": func(rt *rapid.T) {
				for range 8 {
					sequence++
					putModel(rt, t, s, m, drawReport(rt, sequence))
				}
			},
			"next": func(rt *rapid.T) {
				r, ok, err := s.Next()
				if err != nil || ok != (len(m.reports) > 0) || ok && r.Sequence != m.reports[0].Sequence {
					rt.Fatal(r.Sequence, ok, err)
				}
				if ok && m.remove(s, 0, contents(t, s)) != nil {
					rt.Fatal("done")
				}
			},
			"done": func(rt *rapid.T) {
				if n := len(m.reports); n > 0 {
					if err := m.remove(s, rapid.IntRange(0, n-1).Draw(rt, "i"), contents(t, s)); err != nil {
						rt.Fatal(err)
					}
				}
			},
			"open again": func(rt *rapid.T) {
				s.Close()
				s = openTestSpool(t, dir, m.max, disk{})
				m.sent = 0
			},
			"": check,
		})
	})
}

func putModel(rt *rapid.T, t *testing.T, s *Spool, m *model, r ops.Report) {
	b, _ := json.Marshal(r)
	m.put += int64(len(b)) + recordHeader + segmentHeader
	before, _ := json.Marshal(r)
	err := s.Put(r)
	if after, _ := json.Marshal(r); string(after) != string(before) {
		rt.Fatal("put changed the report of its caller")
	}
	if err == nil {
		m.reports = append(m.reports, r)
		return
	}
	if ops.KindOf(err) != ops.Unavailable {
		rt.Fatal(err)
	}
	for _, left := range contents(t, s) {
		if samplesOf(left) > 0 {
			rt.Fatalf("refused, though report %d has samples: %v", left.Sequence, err)
		}
	}
}

func TestSpoolIsSafeForConcurrentUse(t *testing.T) {
	s := openTestSpool(t, fastDir(t), 256<<10, disk{})
	const writers, each = 4, 60
	var wg sync.WaitGroup
	for w := range int64(writers) {
		wg.Go(func() {
			for i := range int64(each) {
				if err := s.Put(report(1+w*each+i, rand.IntN(30))); err != nil {
					t.Error(err)
				}
				s.Depth()
			}
		})
	}
	seen := map[int64]bool{}
	for len(seen) < writers*each/2 {
		r, ok, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			continue
		}
		if seen[r.Sequence] || !wholeBut(r, report(r.Sequence, 0)) {
			t.Errorf("report %d came twice or damaged", r.Sequence)
		}
		seen[r.Sequence] = true
		if err := s.Done(r.Sequence); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if left := drain(t, s); len(left)+len(seen) != writers*each {
		t.Errorf("%d and %d came", len(seen), len(left))
	}
}
