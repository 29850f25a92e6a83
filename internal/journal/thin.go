package journal

import (
	"slices"
	"strings"
	"time"

	"reeve/internal/ops"
)

// A series is one metric of one resource with one set of labels.
type series struct {
	resource       ops.ResourceKey
	metric, labels string
}

func seriesOf(s ops.Sample) series {
	labels := make([]string, 0, len(s.Labels))
	for name, value := range s.Labels {
		labels = append(labels, name+"\x00"+value)
	}
	slices.Sort(labels)
	return series{s.Resource, s.Metric, strings.Join(labels, "\x00")}
}

// A halver drops every second sample of each series, over the reports that it
// is given in order. It counts how many of each series it has seen.
type halver map[series]int

// thinned answers a report with the samples that a level leaves of it, and
// how many it lost. The report that was given is not touched.
func (h halver) thinned(r ops.Report, to level) (ops.Report, uint32) {
	if to == whole {
		return r, 0
	}
	kept := make([][]ops.Sample, len(r.Observations))
	if to == halved {
		kept = h.halve(r.Observations)
	}
	var lost int
	r.Observations = slices.Clone(r.Observations)
	for i := range r.Observations {
		lost += len(r.Observations[i].Samples) - len(kept[i])
		r.Observations[i].Samples = kept[i]
	}
	return r, uint32(lost)
}

// halve answers for each observation the samples that stay, in their order.
func (h halver) halve(observations []ops.Observation) [][]ops.Sample {
	type place struct {
		observation, sample int
		at                  time.Time
	}
	var places []place
	for i, o := range observations {
		for j, s := range o.Samples {
			places = append(places, place{i, j, s.At})
		}
	}
	slices.SortStableFunc(places, func(a, b place) int { return a.at.Compare(b.at) })
	drop := map[[2]int]bool{}
	for _, p := range places {
		key := seriesOf(observations[p.observation].Samples[p.sample])
		if h[key]++; h[key]%2 == 0 {
			drop[[2]int{p.observation, p.sample}] = true
		}
	}
	kept := make([][]ops.Sample, len(observations))
	for i, o := range observations {
		for j, s := range o.Samples {
			if !drop[[2]int{i, j}] {
				kept[i] = append(kept[i], s)
			}
		}
	}
	return kept
}

func samplesOf(r ops.Report) (n uint32) {
	for _, o := range r.Observations {
		n += uint32(len(o.Samples))
	}
	return n
}
