package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"reeve/internal/ops"
)

// quiet is where logs go.
var quiet = slog.New(slog.DiscardHandler)

var jsonCodec = Codec{
	Encode: func(r ops.Report) ([]byte, error) { return json.Marshal(r) },
	Decode: func(b []byte) (r ops.Report, err error) { return r, json.Unmarshal(b, &r) },
}

func openTestSpool(t testing.TB, dir string, maxBytes int64, d disk) *Spool {
	t.Helper()
	s, err := openSpool(dir, SpoolOptions{MaxBytes: maxBytes, Codec: jsonCodec, Log: quiet}, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// report answers a report with an event, a sighting, a gap and one sample of
// each of some series.
func report(sequence int64, samples int) ops.Report {
	at := time.Unix(1_700_000_000+10*sequence, 0).UTC()
	key := ops.ResourceKey{Host: "host_1", Source: "linux", Key: "disk:sda"}
	o := ops.Observation{
		Collector: "disk", Started: at,
		Sightings: []ops.Sighting{{Key: key, Kind: ops.KindDisk, Name: fmt.Sprint("sda", sequence)}},
		Events:    []ops.Event{{Resource: key, Type: ops.EventIOError, At: at, SourceID: fmt.Sprint(sequence), Count: 1}},
		Gaps:      []ops.Gap{{What: "smart", Why: "no tool"}},
	}
	for i := range samples {
		o.Samples = append(o.Samples, ops.Sample{Resource: key, Metric: "m", Labels: map[string]string{"i": fmt.Sprint(i)}, At: at, Value: float64(sequence)})
	}
	return ops.Report{Host: ops.HostIdentity{Key: "host_1"}, Sequence: sequence, At: at, Observations: []ops.Observation{o}}
}

// wholeBut reports whether got is want but for some samples.
func wholeBut(got, want ops.Report) bool {
	strip := func(r ops.Report) string {
		r, _ = halver{}.thinned(r, bare)
		b, _ := json.Marshal(r)
		return string(b)
	}
	return strip(got) == strip(want)
}

// contents reads all reports without removing one.
func contents(t testing.TB, s *Spool) (all []ops.Report) {
	t.Helper()
	for _, seg := range s.segments {
		for _, rec := range seg.records {
			if rec.done {
				continue
			}
			r, err := s.read(seg, rec)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
	}
	return all
}

// drain takes all reports out, the way an agent does.
func drain(t testing.TB, s *Spool) (sequences []int64) {
	t.Helper()
	for {
		r, ok, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return sequences
		}
		if err := s.Done(r.Sequence); err != nil {
			t.Fatal(err)
		}
		sequences = append(sequences, r.Sequence)
	}
}

func put(t testing.TB, s *Spool, reports ...ops.Report) {
	t.Helper()
	for _, r := range reports {
		if err := s.Put(r); err != nil {
			t.Fatalf("put %d: %v", r.Sequence, err)
		}
	}
}

func filesBytes(t testing.TB, dir string) (n int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

func TestReportsComeInOrderAcrossARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "spool")
	s := openTestSpool(t, dir, 0, disk{})
	if _, ok, err := s.Next(); ok || err != nil {
		t.Fatal(ok, err)
	}
	put(t, s, report(1, 3), report(2, 0), report(3, 1))
	first, ok, err := s.Next()
	again, _, _ := s.Next()
	if !ok || err != nil || first.Sequence != 1 || again.Sequence != 1 || !wholeBut(first, report(1, 3)) || samplesOf(first) != 3 {
		t.Fatalf("%+v, %v, %v", first, ok, err)
	}
	if err := errors.Join(s.Done(1), s.Done(1), s.Done(77), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = openTestSpool(t, dir, 0, disk{})
	put(t, s, report(4, 1))
	if n, bytes, lost := s.Depth(); n != 3 || bytes != filesBytes(t, dir) || lost != 0 {
		t.Errorf("depth %d, %d, %d", n, bytes, lost)
	}
	if got := drain(t, s); !slices.Equal(got, []int64{2, 3, 4}) {
		t.Errorf("came %v", got)
	}
	if n, bytes, _ := s.Depth(); n != 0 || bytes != segmentHeader || s.Damaged() != 0 {
		t.Errorf("%d reports and %d bytes are left", n, bytes)
	}
}

func TestReportCannotWaitTwice(t *testing.T) {
	s := openTestSpool(t, t.TempDir(), 0, disk{})
	put(t, s, report(1, 0))
	if err := s.Put(report(1, 5)); ops.KindOf(err) != ops.Conflict {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(report(2, 5)); ops.KindOf(err) != ops.Unavailable {
		t.Error(err)
	}
}

func TestFullSpoolHalvesOldSeriesByTime(t *testing.T) {
	s := openTestSpool(t, fastDir(t), 1<<20, disk{})
	n := int64(0)
	for _, _, lost := s.Depth(); lost == 0; _, _, lost = s.Depth() {
		n++
		put(t, s, report(n, 4))
	}
	first := s.segments[0]
	if len(first.records) < 10 || first.thins(halved) || !first.thins(bare) {
		t.Fatalf("%d records", len(first.records))
	}
	for i, r := range contents(t, s) {
		want := uint32(4)
		if i < len(first.records) && i%2 == 1 {
			want = 0
		}
		if samplesOf(r) != want || !wholeBut(r, report(r.Sequence, 4)) {
			t.Fatalf("report %d of the first segment has %d samples", i, samplesOf(r))
		}
	}
}

func TestFullSpoolKeepsEventsUntilItRefuses(t *testing.T) {
	dir := fastDir(t)
	s := openTestSpool(t, dir, 64<<10, disk{})
	var err error
	n := int64(0)
	for err == nil {
		n++
		err = s.Put(report(n, 20))
		if _, bytes, _ := s.Depth(); bytes > 64<<10 || bytes != filesBytes(t, dir) {
			t.Fatalf("%d bytes in %d of files", bytes, filesBytes(t, dir))
		}
	}
	if ops.KindOf(err) != ops.Unavailable {
		t.Fatal(err)
	}
	all := contents(t, s)
	if _, _, lost := s.Depth(); lost != 20*(n-1) || len(all) != int(n-1) {
		t.Errorf("lost %d samples of %d reports, kept %d", lost, n, len(all))
	}
	for _, r := range all {
		if samplesOf(r) != 0 || !wholeBut(r, report(r.Sequence, 0)) {
			t.Errorf("report %d: %+v", r.Sequence, r)
		}
	}
	for range 20 {
		if err := s.Done(all[0].Sequence); err != nil {
			t.Fatal(err)
		}
		all = all[1:]
	}
	put(t, s, report(n, 1))
}

func TestReportLargerThanTheSpoolKeepsItsEvents(t *testing.T) {
	s := openTestSpool(t, fastDir(t), 4<<10, disk{})
	put(t, s, report(1, 1), report(2, 1000))
	all := contents(t, s)
	if samplesOf(all[0]) != 1 || samplesOf(all[1]) != 0 || !wholeBut(all[1], report(2, 0)) {
		t.Errorf("%+v", all)
	}
	if _, _, lost := s.Depth(); lost != 1000 {
		t.Errorf("%d lost", lost)
	}
}

func TestDamageIsSkippedAndCounted(t *testing.T) {
	for name, damage := range map[string]struct {
		do      func(file []byte, size int) []byte // size is that of a record
		want    []int64
		damaged int64
	}{
		"payload":      {func(b []byte, n int) []byte { b[segmentHeader+n+recordHeader+3] ^= 1; return b }, []int64{1, 3}, 1},
		"length":       {func(b []byte, n int) []byte { b[segmentHeader+n+8] ^= 0x7f; return b }, []int64{1, 3}, 1},
		"marker":       {func(b []byte, n int) []byte { b[segmentHeader] ^= 1; return b }, []int64{2, 3}, 1},
		"state":        {func(b []byte, n int) []byte { b[segmentHeader+n+stateAt] ^= 1; return b }, []int64{1, 2, 3}, 0},
		"torn payload": {func(b []byte, n int) []byte { return b[:len(b)-1] }, []int64{1, 2}, 0},
		"torn header":  {func(b []byte, n int) []byte { return b[:segmentHeader+2*n+7] }, []int64{1, 2}, 0},
		"zeros":        {func(b []byte, n int) []byte { return append(b, make([]byte, 200_000)...) }, []int64{1, 2, 3}, 0},
		"nothing":      {func(b []byte, n int) []byte { return nil }, nil, 0},
		"half header":  {func(b []byte, n int) []byte { return b[:9] }, nil, 0},
		"salt":         {func(b []byte, n int) []byte { b[9] ^= 1; return b }, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := fastDir(t)
			s := openTestSpool(t, dir, 0, disk{})
			put(t, s, report(1, 2), report(2, 2), report(3, 2))
			path := s.segments[0].path(dir)
			size := int(s.segments[0].records[0].size)
			s.Close()
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage.do(b, size), 0o600); err != nil {
				t.Fatal(err)
			}
			s = openTestSpool(t, dir, 0, disk{})
			put(t, s, report(4, 1))
			if got := drain(t, s); !slices.Equal(got, append(damage.want, 4)) || s.Damaged() != damage.damaged {
				t.Errorf("came %v, damaged %d", got, s.Damaged())
			}
		})
	}
}

func TestDamageWhileOpenIsSkipped(t *testing.T) {
	for _, thin := range []bool{false, true} {
		dir := fastDir(t)
		s := openTestSpool(t, dir, 0, disk{})
		put(t, s, report(1, 2), report(2, 2), report(3, 2))
		path := s.segments[0].path(dir)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		i := bytes.Index(b, []byte("sda2"))
		b[i]++
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if thin {
			if err := s.rewrite(0, bare); err != nil {
				t.Fatal(err)
			}
		}
		if got := drain(t, s); !slices.Equal(got, []int64{1, 3}) || s.Damaged() != 1 {
			t.Errorf("came %v, damaged %d", got, s.Damaged())
		}
	}
}

func TestRemovedFileStopsNeitherNextNorPut(t *testing.T) {
	dir := fastDir(t)
	s := openTestSpool(t, dir, 64<<10, disk{})
	var n int64
	for len(s.segments) < 4 {
		n++
		put(t, s, report(n, 20))
	}
	gone := len(s.segments[0].records) + len(s.segments[1].records)
	if err := errors.Join(os.Remove(s.segments[0].path(dir)), os.Remove(s.segments[1].path(dir))); err != nil {
		t.Fatal(err)
	}
	if r, ok, err := s.Next(); !ok || err != nil || r.Sequence != int64(gone+1) {
		t.Fatal(r.Sequence, ok, err)
	}
	next := s.segments[0]
	gone += len(next.records)
	if err := os.Remove(next.path(dir)); err != nil {
		t.Fatal(err)
	}
	for _, _, lost := s.Depth(); lost == 0; _, _, lost = s.Depth() {
		n++
		put(t, s, report(n, 20))
	}
	if got := drain(t, s); got[0] != int64(gone+1) || got[len(got)-1] != n || s.Damaged() != int64(gone) {
		t.Errorf("came %v, %d damaged", got, s.Damaged())
	}
}

func TestWhatTheCodecCannotReadIsSkipped(t *testing.T) {
	s := openTestSpool(t, fastDir(t), 0, disk{})
	put(t, s, report(1, 0), report(2, 0))
	s.codec.Decode = func([]byte) (ops.Report, error) { return ops.Report{}, errors.New("no report") }
	if _, ok, err := s.Next(); ok || err != nil || s.Damaged() != 2 {
		t.Error(ok, err, s.Damaged())
	}
	s.codec.Encode = func(ops.Report) ([]byte, error) { return nil, errors.New("no") }
	if err := s.Put(report(3, 0)); ops.KindOf(err) != ops.Invalid {
		t.Error(err)
	}
}

func TestNewerSegmentIsRefused(t *testing.T) {
	dir := fastDir(t)
	header := headerOf(salt{1})
	header[7]++
	newer := sealHeader(header)
	path := (&segment{number: 1}).path(dir)
	if err := os.WriteFile(path, append(newer, "anything"...), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := OpenSpool(dir, SpoolOptions{Codec: jsonCodec, Log: quiet})
	if message, _ := ops.Shown(err); ops.KindOf(err) != ops.Invalid || message == "" {
		t.Error(err)
	}
	if got, err := os.ReadFile(path); err != nil || len(got) != segmentHeader+8 {
		t.Error("the refused file was changed", err)
	}
}

func TestSpoolNeedsItsOptions(t *testing.T) {
	for _, o := range []SpoolOptions{{}, {Codec: jsonCodec}, {MaxBytes: -1, Codec: jsonCodec, Log: quiet}} {
		if _, err := OpenSpool(t.TempDir(), o); ops.KindOf(err) != ops.Invalid {
			t.Error(err)
		}
	}
}

// A badSector cannot be read at one offset.
type badSector struct {
	io.ReaderAt
	at int64
}

func (b badSector) ReadAt(p []byte, off int64) (int, error) {
	if off <= b.at && b.at < off+int64(len(p)) {
		return 0, syscall.EIO
	}
	return b.ReaderAt.ReadAt(p, off)
}
