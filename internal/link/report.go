package link

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"reeve/internal/linkpb"
	"reeve/internal/ops"
)

// EncodeReport answers a report as bytes.
func EncodeReport(r ops.Report) ([]byte, error) { return proto.Marshal(PackReport(r)) }

// DecodeReport reads what EncodeReport answered.
func DecodeReport(b []byte) (ops.Report, error) {
	var m linkpb.Report
	if err := proto.Unmarshal(b, &m); err != nil {
		return ops.Report{}, ops.Because(ops.Invalid, err, "the report cannot be read")
	}
	return UnpackReport(&m)
}

// packer builds the tables of a report.
type packer struct {
	m      *linkpb.Report
	refs   map[ops.ResourceKey]uint32
	series map[string]uint32
	id     []byte // of a series, to look it up
}

// text answers a text of the estate as a message can carry it, and as every
// database can keep it: whatever bytes a name has, they must not keep the
// rest of a report from the server.
func text(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	return s
}

func texts[M ~map[string]string](m M) map[string]string {
	for k, v := range m {
		if text(k) == k && text(v) == v {
			continue
		}
		sound := make(map[string]string, len(m))
		for _, k := range slices.Sorted(maps.Keys(m)) {
			sound[text(k)] = text(m[k])
		}
		return sound
	}
	return m
}

// PackReport answers a report as a message: resources and series that repeat
// stand once.
func PackReport(r ops.Report) *linkpb.Report {
	p := packer{m: &linkpb.Report{Host: PackHost(r.Host), Sequence: r.Sequence, AtMs: millis(r.At)}, refs: map[ops.ResourceKey]uint32{}, series: map[string]uint32{}}
	for _, o := range r.Observations {
		p.m.Observations = append(p.m.Observations, p.observation(o))
	}
	return p.m
}

// PackHost answers an identity as a message.
func PackHost(h ops.HostIdentity) *linkpb.Host {
	return &linkpb.Host{Key: text(h.Key), Name: text(h.Name), BootId: text(h.BootID), Labels: texts(h.Labels)}
}

func (p *packer) ref(k ops.ResourceKey) uint32 {
	k.Host = ""
	i, ok := p.refs[k]
	if !ok {
		i = uint32(len(p.m.Refs))
		p.refs[k] = i
		p.m.Refs = append(p.m.Refs, &linkpb.Ref{Source: text(k.Source), Key: text(k.Key)})
	}
	return i
}

func (p *packer) seriesOf(s ops.Sample) uint32 {
	k := s.Resource
	k.Host = ""
	p.id = p.id[:0]
	part := func(s string) {
		p.id = append(strconv.AppendInt(p.id, int64(len(s)), 10), ' ')
		p.id = append(p.id, s...)
	}
	part(s.Metric)
	part(k.Source)
	part(k.Key)
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		part(name)
		part(s.Labels[name])
	}
	i, ok := p.series[string(p.id)]
	if !ok {
		i = uint32(len(p.m.Series))
		p.series[string(p.id)] = i
		p.m.Series = append(p.m.Series, &linkpb.Series{Ref: p.ref(s.Resource), Metric: text(s.Metric), Labels: texts(s.Labels)})
	}
	return i
}

func (p *packer) observation(o ops.Observation) *linkpb.Observation {
	m := &linkpb.Observation{Collector: text(o.Collector), StartedMs: millis(o.Started), TookUs: o.Took, EveryMs: o.EveryMS, Error: text(o.Err)}
	for _, s := range o.Sightings {
		x := &linkpb.Sighting{Ref: p.ref(s.Key), Kind: text(string(s.Kind)), Name: text(s.Name), Labels: texts(s.Labels), Observed: texts(s.Observed), Generation: text(s.Generation)}
		if s.Parent != (ops.ResourceKey{}) {
			x.Parent = p.ref(s.Parent) + 1
		}
		m.Sightings = append(m.Sightings, x)
	}
	for _, s := range o.Samples {
		m.Samples = append(m.Samples, &linkpb.Sample{Series: p.seriesOf(s), AfterMs: s.At.UnixMilli() - m.StartedMs, Value: s.Value})
	}
	for _, e := range o.Events {
		m.Events = append(m.Events, &linkpb.Event{Ref: p.ref(e.Resource), Type: text(string(e.Type)), AtMs: millis(e.At), Text: text(e.Text), Facts: texts(e.Facts), SourceId: text(e.SourceID), Count: e.Count})
	}
	for _, g := range o.Gaps {
		m.Gaps = append(m.Gaps, &linkpb.Gap{What: text(g.What), Why: text(g.Why), Remedy: text(g.Remedy)})
	}
	for _, k := range o.Complete {
		m.Complete = append(m.Complete, text(string(k)))
	}
	return m
}

// unpacker reads the tables of a report.
type unpacker struct {
	host string
	m    *linkpb.Report
	bad  bool
}

// UnpackReport reads a message. Resources are those of the host that the
// report names, whatever else it says.
func UnpackReport(m *linkpb.Report) (ops.Report, error) {
	u := unpacker{host: m.GetHost().GetKey(), m: m}
	r := ops.Report{Host: UnpackHost(m.GetHost()), Sequence: m.GetSequence(), At: atMillis(m.GetAtMs())}
	for _, o := range m.GetObservations() {
		r.Observations = append(r.Observations, u.observation(o))
	}
	if u.bad {
		return ops.Report{}, ops.Errorf(ops.Invalid, "the report names a resource or series that is not in its tables")
	}
	return r, nil
}

// UnpackHost reads an identity.
func UnpackHost(h *linkpb.Host) ops.HostIdentity {
	return ops.HostIdentity{Key: h.GetKey(), Name: h.GetName(), BootID: h.GetBootId(), Labels: h.GetLabels()}
}

func (u *unpacker) ref(i uint32) ops.ResourceKey {
	if int64(i) >= int64(len(u.m.Refs)) || u.m.Refs[i] == nil {
		u.bad = true
		return ops.ResourceKey{}
	}
	return ops.ResourceKey{Host: u.host, Source: u.m.Refs[i].Source, Key: u.m.Refs[i].Key}
}

func (u *unpacker) observation(m *linkpb.Observation) ops.Observation {
	o := ops.Observation{Collector: m.GetCollector(), Started: atMillis(m.GetStartedMs()), Took: m.GetTookUs(), EveryMS: m.GetEveryMs(), Err: m.GetError()}
	for _, s := range m.GetSightings() {
		x := ops.Sighting{Key: u.ref(s.GetRef()), Kind: ops.Kind(s.GetKind()), Name: s.GetName(), Labels: s.GetLabels(), Observed: s.GetObserved(), Generation: s.GetGeneration()}
		if s.GetParent() > 0 {
			x.Parent = u.ref(s.GetParent() - 1)
		}
		o.Sightings = append(o.Sightings, x)
	}
	if n := len(m.GetSamples()); n > 0 {
		o.Samples = make([]ops.Sample, 0, n)
	}
	for _, s := range m.GetSamples() {
		if int64(s.GetSeries()) >= int64(len(u.m.Series)) {
			u.bad = true
			break
		}
		of := u.m.Series[s.GetSeries()]
		o.Samples = append(o.Samples, ops.Sample{Resource: u.ref(of.GetRef()), Metric: of.GetMetric(), Labels: of.GetLabels(),
			At: atMillis(plus(m.GetStartedMs(), s.GetAfterMs())), Value: s.GetValue()})
	}
	for _, e := range m.GetEvents() {
		o.Events = append(o.Events, ops.Event{Resource: u.ref(e.GetRef()), Type: ops.EventType(e.GetType()), At: atMillis(e.GetAtMs()), Text: e.GetText(),
			Facts: e.GetFacts(), SourceID: e.GetSourceId(), Count: e.GetCount()})
	}
	for _, g := range m.GetGaps() {
		o.Gaps = append(o.Gaps, ops.Gap{What: g.GetWhat(), Why: g.GetWhy(), Remedy: g.GetRemedy()})
	}
	for _, k := range m.GetComplete() {
		o.Complete = append(o.Complete, ops.Kind(k))
	}
	return o
}

// millis and atMillis are the times of messages: 0 for none.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func atMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// plus adds without running over.
func plus(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}
