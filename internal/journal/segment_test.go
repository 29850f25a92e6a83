package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"reeve/internal/ops"
)

// segmentOf answers a segment file with payloads under the numbers 1, 2, ...
func segmentOf(payloads ...[]byte) []byte {
	s := salt{1, 2, 3, 4, 5, 6, 7, 8}
	b := headerOf(s)
	for i, p := range payloads {
		r := record{sequence: int64(i + 1)}
		b = append(b, r.encode(s, p)...)
	}
	return b
}

// FuzzSegment opens a spool on any bytes, and on a sound segment whose
// payload and end are those bytes. It must end, keep to the file, and work on.
func FuzzSegment(f *testing.F) {
	small, _ := json.Marshal(ops.Report{Sequence: 1})
	good := segmentOf(small, []byte("no report"), small)
	f.Add([]byte{})
	f.Add(good)
	f.Add(good[:len(good)-3])
	for _, at := range []int{5, 9, 21, 24, 25, 28, 33, 38, 60, 120} {
		bad := bytes.Clone(good)
		bad[at] ^= 0x11
		f.Add(bad)
	}
	f.Add(append(bytes.Clone(good[:segmentHeader]), bytes.Repeat(good[segmentHeader:segmentHeader+4], 200)...))
	f.Add(append(bytes.Clone(good), make([]byte, 300)...))
	f.Add(bytes.Repeat(good, 3))
	dir := fastDir(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		checkScan(t, data)
		checkOpen(t, filepath.Join(dir, "raw"), data, false)
		wrapped := append(segmentOf(data, small), data...)
		checkScan(t, wrapped)
		checkOpen(t, filepath.Join(dir, "wrapped"), wrapped, true)
	})
}

// checkScan: records lie in the file, in order, apart, and are what they say.
func checkScan(t *testing.T, data []byte) {
	t.Helper()
	seg := &segment{}
	s, err := scanSegment(bytes.NewReader(data), int64(len(data)), seg, "segment")
	if s.end > int64(len(data)) || err != nil && len(seg.records) > 0 {
		t.Fatalf("ends at %d of %d: %v", s.end, len(data), err)
	}
	end := int64(segmentHeader)
	for _, r := range seg.records {
		if r.at < end || r.at+int64(r.size) > s.end {
			t.Fatalf("record at %d of %d bytes, after %d, before %d", r.at, r.size, end, s.end)
		}
		end = r.at + int64(r.size)
		if _, err := seg.payload(bytes.NewReader(data), r, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func checkOpen(t *testing.T, dir string, data []byte, sound bool) {
	t.Helper()
	fill(t, dir, map[string][]byte{"0000000000000001.seg": data})
	s, err := openSpool(dir, SpoolOptions{Codec: jsonCodec, Log: quiet}, disk{})
	if err != nil {
		if ops.KindOf(err) != ops.Invalid || sound {
			t.Fatal(err)
		}
		return
	}
	defer s.Close()
	const ours = 1 << 30
	err = s.Put(report(ours, 1))
	if err != nil && ops.KindOf(err) != ops.Conflict {
		t.Fatal(err)
	}
	want, _, _ := s.Depth()
	got := drain(t, s)
	if len(got) > want || err == nil && got[len(got)-1] != ours {
		t.Fatalf("%d reports, came %v", want, got)
	}
	if sound && !slices.Contains(got, 2) {
		t.Fatalf("the sound record did not come: %v", got)
	}
}

func TestScanEndsWhateverTheMarkers(t *testing.T) {
	b := headerOf(salt{9, 9, 9, 9})
	b = append(b, bytes.Repeat([]byte{9}, 1<<20)...)
	checkScan(t, b)
	seg := &segment{}
	if s, err := scanSegment(bytes.NewReader(b), int64(len(b)), seg, "segment"); err != nil || s.end != segmentHeader || s.damaged != 0 {
		t.Error(s.end, s.damaged, err)
	}
}

func TestForgedRecordInAPayloadIsNoRecord(t *testing.T) {
	dir := fastDir(t)
	s := openTestSpool(t, dir, 0, disk{})
	forged := report(1, 0)
	forged.Observations[0].Events[0].Text = string(segmentOf([]byte("{}"))[segmentHeader:])
	s.codec.Encode = func(r ops.Report) ([]byte, error) { return []byte(r.Observations[0].Events[0].Text), nil }
	put(t, s, forged)
	path := s.segments[0].path(dir)
	s.Close()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[segmentHeader+8] ^= 0xff
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := drain(t, openTestSpool(t, dir, 0, disk{})); len(got) != 0 {
		t.Errorf("came %v", got)
	}
}

func TestUnreadableMediumIsDamage(t *testing.T) {
	good := segmentOf([]byte("a"), []byte("b"), []byte("c"))
	size := int64(len(good))
	second := int64(segmentHeader + recordHeader + 1)
	seg := &segment{}
	s, err := scanSegment(badSector{bytes.NewReader(good), second + 3}, size, seg, "segment")
	if err != nil || len(seg.records) != 1 || s.damaged != 1 || s.end != size {
		t.Errorf("%d records, %d damaged, end %d: %v", len(seg.records), s.damaged, s.end, err)
	}
	if _, err := scanSegment(badSector{bytes.NewReader(good), 3}, size, &segment{}, "segment"); !errors.Is(err, errDamaged) {
		t.Error(err)
	}
}

func BenchmarkSpool(b *testing.B) {
	typical := typicalReport()
	payload, _ := json.Marshal(typical)
	for name, dir := range map[string]string{"disk": b.TempDir(), "memory": fastDir(b)} {
		b.Run(fmt.Sprintf("%s-%dKiB", name, len(payload)>>10), func(b *testing.B) {
			s := openTestSpool(b, dir, 0, disk{})
			b.ReportAllocs()
			b.SetBytes(int64(len(payload)))
			for b.Loop() {
				typical.Sequence++
				put(b, s, typical)
				r, ok, err := s.Next()
				if !ok || err != nil {
					b.Fatal(ok, err)
				}
				if err := s.Done(r.Sequence); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFullSpool puts into a spool that has to thin for it.
func BenchmarkFullSpool(b *testing.B) {
	typical := typicalReport()
	s := openTestSpool(b, fastDir(b), 16<<20, disk{})
	for b.Loop() {
		typical.Sequence++
		put(b, s, typical)
		if n, _, _ := s.Depth(); n > 1000 {
			b.StopTimer()
			for range 500 {
				r, _, _ := s.Next()
				s.Done(r.Sequence)
			}
			b.StartTimer()
		}
	}
	_, _, lost := s.Depth()
	b.ReportMetric(float64(lost)/float64(b.N), "samples-lost/op")
}

func typicalReport() ops.Report {
	r := report(0, 200)
	o := &r.Observations[0]
	for i := range 29 {
		s := o.Sightings[0]
		s.Key.Key = fmt.Sprint("disk:", i)
		s.Observed = ops.Attrs{"state": "running", "size_bytes": "1000204886016", "model": "a disk"}
		o.Sightings = append(o.Sightings, s)
	}
	return r
}
