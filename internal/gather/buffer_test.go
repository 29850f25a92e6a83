package gather

import (
	"fmt"
	"testing"
	"time"

	"reeve/internal/ops"
)

func observation(n int, samples, events int) ops.Observation {
	disk := ops.ResourceKey{Host: "h", Source: "linux", Key: "disk:sda"}
	o := ops.Observation{
		Collector: "disk", Started: time.Unix(int64(n), 0),
		Sightings: []ops.Sighting{{Key: disk, Kind: ops.KindDisk}}, Complete: []ops.Kind{ops.KindDisk},
	}
	for i := range samples {
		o.Samples = append(o.Samples, ops.Sample{Resource: disk, Metric: "m", Value: float64(i)})
	}
	for i := range events {
		o.Events = append(o.Events, ops.Event{Resource: disk, Type: ops.EventIOError, SourceID: fmt.Sprintf("%d/%d", n, i)})
	}
	return o
}

func TestFullBufferDropsTheOldestSamplesFirst(t *testing.T) {
	b := newBuffer()
	const passes, samples = 1000, 100
	for n := range passes {
		events := 0
		if n == 3 {
			events = 1
		}
		b.add(observation(n, samples, events))
	}
	lost, events := b.dropped()
	var kept, sightings, seenEvents int
	var newest time.Time
	for {
		taken := b.take()
		if len(taken) == 0 {
			break
		}
		for _, o := range taken {
			kept += len(o.Samples)
			sightings += len(o.Sightings)
			seenEvents += len(o.Events)
			newest = o.Started
		}
	}
	if kept+int(lost) != passes*samples || kept > maxSamples || kept < maxSamples*8/10 {
		t.Errorf("kept %d, dropped %d", kept, lost)
	}
	if seenEvents != 1 || events != 0 {
		t.Errorf("%d events came, %d dropped", seenEvents, events)
	}
	if newest != time.Unix(passes-1, 0) {
		t.Errorf("the newest is of %v", newest)
	}
	if sightings == 0 || sightings > passes/2+50 {
		t.Errorf("%d lists of the same disk are kept", sightings)
	}
}

func TestStateThatIsNotToldAnewIsKept(t *testing.T) {
	b := newBuffer()
	b.add(observation(1, 10, 0))
	later := ops.Observation{Collector: "disk", Sightings: []ops.Sighting{{Key: ops.ResourceKey{Key: "collector:disk"}, Kind: ops.KindComponent}}}
	b.add(later)
	for n := range maxSamples/1000 + 1 {
		o := observation(n, 1000, 0)
		o.Collector = "other"
		b.add(o)
	}
	if first := b.take()[0]; first.Collector != "disk" || len(first.Samples) != 0 || len(first.Sightings) != 1 {
		t.Errorf("%+v", first)
	}
}

func TestEventsHaveAHardLimit(t *testing.T) {
	b := newBuffer()
	for n := range 3 {
		b.add(observation(n, 0, maxEvents/2))
	}
	taken := b.take()
	if _, events := b.dropped(); events != maxEvents/2 || len(taken) != 3 || len(taken[0].Events) != 0 {
		t.Errorf("%d dropped", events)
	}
}

func TestReportsAreBounded(t *testing.T) {
	b := newBuffer()
	for n := range 5 {
		b.add(observation(n, maxReportSamples/2, 0))
	}
	for want := range []int{2, 2, 1} {
		if n := len(b.take()); want == 2 && n != 1 || want < 2 && n != 2 {
			t.Errorf("take %d answers %d observations", want, n)
		}
	}
}
