package link_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"reeve/internal/link"
	"reeve/internal/linkpb"
	"reeve/internal/ops"
)

const self = "host_1"

var (
	word   = rapid.OneOf(rapid.SampledFrom([]string{"", "a", "b", "a b", "1 a", "web\t1", "größe"}), rapid.StringN(0, 12, -1)).Filter(func(s string) bool { return strings.IndexByte(s, 0) < 0 })
	moment = rapid.Custom(func(t *rapid.T) time.Time {
		return time.UnixMilli(rapid.Int64Range(1, 4_000_000_000_000).Draw(t, "ms")).UTC()
	})
	maybe = rapid.OneOf(rapid.Just(time.Time{}), moment)
	texts = rapid.Custom(func(t *rapid.T) map[string]string {
		if m := rapid.MapOfN(word, word, 0, 3).Draw(t, "texts"); len(m) > 0 {
			return m
		}
		return nil
	})
	ref = rapid.Custom(func(t *rapid.T) ops.ResourceKey {
		return ops.ResourceKey{Host: self, Source: word.Draw(t, "source"), Key: word.Draw(t, "key")}
	})
	sighting = rapid.Custom(func(t *rapid.T) ops.Sighting {
		s := ops.Sighting{Key: ref.Draw(t, "ref"), Kind: ops.Kind(word.Draw(t, "kind")), Name: word.Draw(t, "name"), Labels: texts.Draw(t, "labels"),
			Observed: ops.Attrs(texts.Draw(t, "observed")), Generation: word.Draw(t, "generation")}
		if rapid.Bool().Draw(t, "has parent") {
			s.Parent = ref.Draw(t, "parent")
		}
		return s
	})
	sample = rapid.Custom(func(t *rapid.T) ops.Sample {
		return ops.Sample{Resource: ref.Draw(t, "ref"), Metric: word.Draw(t, "metric"), Labels: texts.Draw(t, "labels"), At: moment.Draw(t, "at"), Value: rapid.Float64().Draw(t, "value")}
	})
	event = rapid.Custom(func(t *rapid.T) ops.Event {
		return ops.Event{Resource: ref.Draw(t, "ref"), Type: ops.EventType(word.Draw(t, "type")), At: maybe.Draw(t, "at"), Text: word.Draw(t, "text"),
			Facts: texts.Draw(t, "facts"), SourceID: word.Draw(t, "source"), Count: rapid.Int64().Draw(t, "count")}
	})
	gap = rapid.Custom(func(t *rapid.T) ops.Gap {
		return ops.Gap{What: word.Draw(t, "what"), Why: word.Draw(t, "why"), Remedy: word.Draw(t, "remedy")}
	})
	observation = rapid.Custom(func(t *rapid.T) ops.Observation {
		return ops.Observation{Collector: word.Draw(t, "collector"), Started: maybe.Draw(t, "started"), Took: rapid.Int64().Draw(t, "took"),
			Sightings: rapid.SliceOfN(sighting, 0, 4).Draw(t, "sightings"), Samples: rapid.SliceOfN(sample, 0, 6).Draw(t, "samples"),
			Events: rapid.SliceOfN(event, 0, 3).Draw(t, "events"), Gaps: rapid.SliceOfN(gap, 0, 2).Draw(t, "gaps"),
			Complete: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) ops.Kind { return ops.Kind(word.Draw(t, "kind")) }), 0, 2).Draw(t, "complete"),
			Err:      word.Draw(t, "err"), EveryMS: rapid.Int64().Draw(t, "every")}
	})
	report = rapid.Custom(func(t *rapid.T) ops.Report {
		return ops.Report{Host: ops.HostIdentity{Key: self, Name: word.Draw(t, "name"), BootID: word.Draw(t, "boot"), Labels: texts.Draw(t, "labels")},
			Sequence: rapid.Int64().Draw(t, "sequence"), At: maybe.Draw(t, "at"), Observations: rapid.SliceOfN(observation, 0, 3).Draw(t, "observations")}
	})
)

// same compares reports as they are on both sides: no list and an empty one
// are one.
var same = cmp.Options{cmpopts.EquateEmpty(), cmpopts.EquateNaNs()}

func TestAReportArrivesAsItWasSent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := report.Draw(t, "report")
		text, err := link.EncodeReport(sent)
		if err != nil {
			t.Fatal(err)
		}
		got, err := link.DecodeReport(text)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(sent, got, same); d != "" {
			t.Fatal(d)
		}
	})
}

func TestSeriesAreToldApart(t *testing.T) {
	at := time.UnixMilli(1000).UTC()
	key := ops.ResourceKey{Host: self, Source: "linux", Key: "host"}
	sent := ops.Report{Host: ops.HostIdentity{Key: self}, Observations: []ops.Observation{{Started: at, Samples: []ops.Sample{
		{Resource: key, Metric: "m", Labels: map[string]string{"a": "b", "c": "d"}, At: at, Value: 1},
		{Resource: key, Metric: "m", Labels: map[string]string{"a": "b\x01c\x01d"}, At: at, Value: 2},
		{Resource: key, Metric: "m", Labels: map[string]string{"a": "b1 c1 d"}, At: at, Value: 3},
		{Resource: key, Metric: "m", Labels: map[string]string{"c": "d", "a": "b"}, At: at, Value: 4},
	}}}}
	packed := link.PackReport(sent)
	if len(packed.Series) != 3 || len(packed.Refs) != 1 {
		t.Errorf("%d series of %d resources", len(packed.Series), len(packed.Refs))
	}
	if got, err := link.UnpackReport(packed); err != nil || cmp.Diff(sent, got, same) != "" {
		t.Errorf("%v, %s", err, cmp.Diff(sent, got, same))
	}
}

// TestNoBytesOfTheEstateKeepAReportAway: names come from file systems, kernels
// and containers, which promise nothing about them.
func TestNoBytesOfTheEstateKeepAReportAway(t *testing.T) {
	bad := "a\xff\xfe\x00b"
	key := ops.ResourceKey{Host: self, Source: bad, Key: bad}
	m := map[string]string{bad: bad, "fine": "fine"}
	sent := ops.Report{Host: ops.HostIdentity{Key: self, Name: bad, BootID: bad, Labels: m}, Observations: []ops.Observation{{
		Collector: bad, Err: bad, Complete: []ops.Kind{ops.Kind(bad)}, Gaps: []ops.Gap{{What: bad, Why: bad, Remedy: bad}},
		Sightings: []ops.Sighting{{Key: key, Kind: ops.Kind(bad), Name: bad, Parent: key, Labels: m, Observed: ops.Attrs(m), Generation: bad}},
		Samples:   []ops.Sample{{Resource: key, Metric: bad, Labels: m, Value: math.NaN()}},
		Events:    []ops.Event{{Resource: key, Type: ops.EventType(bad), Text: bad, Facts: m, SourceID: bad}},
	}}}
	text, err := link.EncodeReport(sent)
	if err != nil {
		t.Fatal(err)
	}
	got, err := link.DecodeReport(text)
	if err != nil {
		t.Fatal(err)
	}
	if all := fmt.Sprint(got); !utf8.ValidString(all) || strings.Contains(all, "\x00") || got.Observations[0].Sightings[0].Labels["fine"] != "fine" {
		t.Errorf("%q", all)
	}
}

func TestAReportThatPointsOutsideItsTablesIsRefused(t *testing.T) {
	host := &linkpb.Host{Key: self}
	one := []*linkpb.Ref{{Source: "linux", Key: "host"}}
	for name, o := range map[string]*linkpb.Observation{
		"sighting": {Sightings: []*linkpb.Sighting{{Ref: 1}}}, "parent": {Sightings: []*linkpb.Sighting{{Parent: 9}}},
		"event": {Events: []*linkpb.Event{{Ref: math.MaxUint32}}}, "series": {Samples: []*linkpb.Sample{{Series: 1}}},
		"the resource of a series": {Samples: []*linkpb.Sample{{Series: 0}}},
	} {
		m := &linkpb.Report{Host: host, Refs: one, Series: []*linkpb.Series{{Ref: 5}}, Observations: []*linkpb.Observation{o}}
		if _, err := link.UnpackReport(m); ops.KindOf(err) != ops.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWhatANewerAgentSaysIsKept: a server that does not know a field, and
// hands a message on, loses nothing of it.
func TestWhatANewerAgentSaysIsKept(t *testing.T) {
	text, err := link.EncodeReport(ops.Report{Host: ops.HostIdentity{Key: self}, Sequence: 3})
	if err != nil {
		t.Fatal(err)
	}
	const unknown = 9999
	text = protowire.AppendString(protowire.AppendTag(text, unknown, protowire.BytesType), "of tomorrow")
	if r, err := link.DecodeReport(text); err != nil || r.Sequence != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	var m linkpb.Report
	if err := proto.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	again, err := proto.Marshal(&m)
	if err != nil || !strings.Contains(string(again), "of tomorrow") {
		t.Errorf("%q, %v", again, err)
	}
}

func TestProtocolsMeetAtTheNewestOfBoth(t *testing.T) {
	for _, x := range []struct {
		theirs []uint32
		want   uint32
	}{{nil, 0}, {[]uint32{99}, 0}, {[]uint32{99, 1}, 1}} {
		if got := link.Speaks(x.theirs); got != x.want {
			t.Errorf("%v: %d", x.theirs, got)
		}
	}
}

// FuzzReport: whatever an agent sends is a report or refused, and a report
// can be sent on.
func FuzzReport(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := link.DecodeReport(text)
		if err != nil {
			if ops.KindOf(err) != ops.Invalid {
				t.Error(err)
			}
			return
		}
		for _, o := range r.Observations {
			for _, s := range o.Sightings {
				if s.Key.Host != r.Host.Key {
					t.Errorf("a resource of another host: %+v", s.Key)
				}
			}
		}
		if _, err := link.EncodeReport(r); err != nil {
			t.Error(err)
		}
	})
}

// FuzzAddress: an address that is taken leads to one place and back.
func FuzzAddress(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := link.ParseAddress(text); err != nil && ops.KindOf(err) != ops.Invalid {
			t.Error(err)
		}
	})
}

func TestAddresses(t *testing.T) {
	for text, ok := range map[string]bool{
		"reeve://reeve.lan": true, "reeve://10.0.0.1:7434": true, "reeve://[fd00::1]:7434": true, " https://reeve.example/x/ ": true, "http://127.0.0.1:80": true,
		"": false, "reeve.lan:7434": false, "reeve://": false, "reeve://:7434": false, "ftp://x": false, "https://ada:secret@x": false, "https://x?y": false, "https://x#y": false,
	} {
		if _, err := link.ParseAddress(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
