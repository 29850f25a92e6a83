package crowd

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"reeve/internal/link"
	"reeve/internal/linkpb"
	"reeve/internal/ops"
)

// A group is what one collector of a made-up host sees.
type group struct {
	collector string
	source    string
	kind      ops.Kind
	count     int
	complete  bool
	metrics   []string // what detectors read, before what nobody reads
	observed  ops.Attrs
}

// groups are a usual host: 24 things below it, and its collectors.
var groups = []group{
	{"cpu", "linux", ops.KindHost, 1, false, []string{"cpu_busy_ratio", "memory_used_ratio", "swap_used_ratio", "load1", "load5", "memory_total_bytes"}, ops.Attrs{"os": "Debian GNU/Linux 12", "cpus": "8"}},
	{"filesystem", "linux", ops.KindFilesystem, 4, true, []string{"fs_used_ratio", "fs_size_bytes", "fs_available_bytes", "fs_inodes_used_ratio"}, ops.Attrs{"fstype": "ext4", "read_only": "false"}},
	{"disk", "linux", ops.KindDisk, 4, true, []string{"disk_busy_ratio", "disk_await_seconds", "disk_read_bytes_per_s", "disk_write_bytes_per_s"}, ops.Attrs{"model": "Simulated 4000", "rotational": "false"}},
	{"network", "linux", ops.KindInterface, 3, true, []string{"net_receive_bytes_per_s", "net_transmit_bytes_per_s", "net_errors_per_s", "net_drops_per_s"}, ops.Attrs{"operstate": "up", "speed_mbit": "1000"}},
	{"docker", "docker", ops.KindContainer, 10, true, []string{"container_cpu_ratio", "container_memory_bytes", "container_memory_used_ratio", "container_restarts_total"},
		ops.Attrs{"state": "running", "health": "healthy", "image": "registry.example/shop/web:1.4", "restart_count": "0", "exit_code": "0"}},
	{"systemd", "linux", ops.KindUnit, 3, false, []string{"unit_restarts_total"}, ops.Attrs{"active_state": "active", "sub_state": "running"}},
}

// changes is among how many reports one has a change of state.
const changes = 500

// A shape is what the reports of a crowd have in common: everything but
// names, times and values.
type shape struct {
	form  *linkpb.Report
	moves []func(was float64) float64 // of each series
	every time.Duration
}

// newShape makes a host with so many series.
func newShape(series int, every time.Duration) *shape {
	host := ops.HostIdentity{Key: "host", Name: "host"}
	at := time.UnixMilli(1_700_000_000_000)
	r := ops.Report{Host: host, At: at}
	things := 0
	for _, g := range groups {
		things += g.count
	}
	each := (series - 2*len(groups)) / things // two are of each collector itself
	more := series - 2*len(groups) - each*things
	for _, g := range groups {
		o := ops.Observation{Collector: g.collector, Started: at, Took: 900, EveryMS: every.Milliseconds()}
		if g.complete {
			o.Complete = []ops.Kind{g.kind}
		}
		for i := range g.count {
			n := each
			if g.kind == ops.KindHost {
				n += more
			}
			see(&o, g, host, i, n)
		}
		self := ops.ResourceKey{Host: host.Key, Source: "reeve", Key: "collector:" + g.collector}
		o.Sightings = append(o.Sightings, ops.Sighting{Key: self, Kind: ops.KindComponent, Name: "collector " + g.collector,
			Observed: ops.Attrs{"state": "ok", "failures": "0", "every_ms": fmt.Sprint(every.Milliseconds())}})
		o.Samples = append(o.Samples, ops.Sample{Resource: self, Metric: "collector_up", At: at, Value: 1},
			ops.Sample{Resource: self, Metric: "collector_duration_seconds", At: at, Value: 0.0009})
		r.Observations = append(r.Observations, o)
	}
	made := &shape{form: link.PackReport(r), every: every}
	for _, x := range made.form.Series {
		made.moves = append(made.moves, Next(x.Metric))
	}
	return made
}

// see adds one thing and its readings.
func see(o *ops.Observation, g group, host ops.HostIdentity, i, series int) {
	key := host.HostResource()
	if g.kind != ops.KindHost {
		n := strconv.Itoa(i)
		key = ops.ResourceKey{Host: host.Key, Source: g.source, Key: string(g.kind) + ":" + n}
		s := ops.Sighting{Key: key, Kind: g.kind, Name: string(g.kind) + "-" + n, Observed: g.observed}
		if g.kind == ops.KindContainer {
			s.Labels = map[string]string{"com.docker.compose.project": "shop", "com.docker.compose.service": "web-" + n}
		}
		o.Sightings = append(o.Sightings, s)
	}
	for m := range series {
		metric := simulated(m)
		if m < len(g.metrics) {
			metric = g.metrics[m]
		}
		o.Samples = append(o.Samples, ops.Sample{Resource: key, Metric: metric, At: o.Started, Value: courseOf(metric).first})
	}
}

// report fills the shape in for an agent. Its samples are of when it was due,
// as those of an agent are.
func (s *shape) report(a *Agent, at time.Time) *linkpb.Report {
	r := &linkpb.Report{Host: link.PackHost(a.id), Sequence: a.sequence, AtMs: at.UnixMilli(), Refs: s.form.Refs, Series: s.form.Series}
	begun := a.values != nil
	if !begun {
		a.values = make([]float64, len(s.form.Series))
	}
	for _, form := range s.form.Observations {
		o := &linkpb.Observation{Collector: form.Collector, StartedMs: at.UnixMilli(), TookUs: form.TookUs, EveryMs: form.EveryMs,
			Sightings: form.Sightings, Complete: form.Complete, Samples: make([]*linkpb.Sample, len(form.Samples))}
		samples := make([]linkpb.Sample, len(form.Samples))
		for i, f := range form.Samples {
			v := &a.values[f.Series]
			if !begun {
				*v = f.Value
			}
			*v = s.moves[f.Series](*v)
			x := &samples[i]
			x.Series, x.Value = f.Series, *v
			o.Samples[i] = x
		}
		r.Observations = append(r.Observations, o)
	}
	if rand.IntN(changes) == 0 {
		s.change(r)
	}
	return r
}

// change lets one container be another version of itself.
func (s *shape) change(r *linkpb.Report) {
	for _, o := range r.Observations {
		if o.Collector != "docker" {
			continue
		}
		o.Sightings = append([]*linkpb.Sighting(nil), o.Sightings...)
		was := o.Sightings[0]
		o.Sightings[0] = &linkpb.Sighting{Ref: was.Ref, Kind: was.Kind, Name: was.Name, Labels: was.Labels, Generation: strconv.Itoa(rand.IntN(1000)),
			Observed: map[string]string{"state": "running", "health": "healthy", "image": "registry.example/shop/web:1." + strconv.Itoa(rand.IntN(9)), "restart_count": "0", "exit_code": "0"}}
	}
}
