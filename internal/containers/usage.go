package containers

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/internal/redact"
)

// readers is how many containers are asked for their use at once. Docker
// answers on its own clock of one second whatever the question, so the
// questions wait and do not work; asking eight at a time would take 25 s for
// 200 containers.
const readers = 32

// usageTime is how long a pass may spend on reading use. Who was not asked
// within it is asked first in the next pass.
const usageTime = 4 * time.Second

// readUsage reads the use of the running containers, those whose last
// reading is oldest first. A container that does not answer costs its own
// figures only.
func (c *Collector) readUsage(ctx context.Context, now time.Time, list []Container) {
	var due []string
	for _, x := range list {
		if k := c.known[x.ID]; k != nil && k.Detail.State == "running" {
			due = append(due, x.ID)
		}
	}
	slices.SortFunc(due, func(a, b string) int {
		return cmp.Or(c.known[a].usageTried.Compare(c.known[b].usageTried), cmp.Compare(a, b))
	})
	ctx, cancel := context.WithTimeout(ctx, usageTime)
	defer cancel()
	work := make(chan string, len(due))
	for _, id := range due {
		work <- id
	}
	close(work)
	got := make([]map[string]Usage, min(readers, len(due)))
	var wg sync.WaitGroup
	for i := range got {
		got[i] = map[string]Usage{}
		wg.Go(func() {
			for id := range work {
				if ctx.Err() != nil {
					return
				}
				u, ok, err := c.engine.Usage(ctx, id)
				if err != nil || !ok {
					u = Usage{}
				}
				c.memory.net(&u, id, c.known[id].PID)
				got[i][id] = u
			}
		})
	}
	wg.Wait()
	for _, part := range got {
		for id, u := range part {
			c.known[id].take(u, now)
		}
	}
}

// take puts a reading beside the last and keeps the rates between them.
func (k *known) take(u Usage, now time.Time) {
	k.usageTried = now
	k.rates = nil
	if u.At.IsZero() {
		return
	}
	was := k.usage
	k.usage = u
	seconds := u.At.Sub(was.At).Seconds()
	if was.At.IsZero() || seconds < 0.5 || seconds > 600 {
		k.rates = map[string]float64{}
		return
	}
	rates := map[string]float64{}
	per := func(metric string, was, is *uint64, unit float64) {
		if was != nil && is != nil && *is >= *was {
			rates[metric] = float64(*is-*was) / unit / seconds
		}
	}
	per("container_cpu_ratio", &was.CPU, &u.CPU, 1e9)
	per("container_net_receive_bytes_per_s", was.Received, u.Received, 1)
	per("container_net_transmit_bytes_per_s", was.Sent, u.Sent, 1)
	per("container_block_read_bytes_per_s", was.BlockRead, u.BlockRead, 1)
	per("container_block_write_bytes_per_s", was.BlockWritten, u.BlockWritten, 1)
	k.rates = rates
}

// report reports one container.
func (c *Collector) report(out *collect.Batch, s state) {
	ref := out.Ref(c.runtime, s.Name)
	sighting := ops.Sighting{Key: ref, Kind: ops.KindContainer, Name: s.Name, Generation: s.ID, Labels: ownLabels(s.Labels), Observed: c.attrs(s)}
	if s.Placed && !s.Place.OneOff {
		sighting.Parent = c.serviceRef(out, s.Place)
	}
	out.See(sighting)
	running := 0.0
	if s.State == "running" {
		running = 1
	}
	out.Add(ref, "container_running", running)
	out.Add(ref, "container_restarts_total", float64(s.Restarts))
	k := s.known
	if s.State != "running" || k.rates == nil || !k.usageTried.Equal(out.Now) {
		return
	}
	for _, metric := range slices.Sorted(maps.Keys(k.rates)) {
		out.Add(ref, metric, k.rates[metric])
	}
	if k.usage.Memory != nil {
		out.Add(ref, "container_memory_bytes", float64(*k.usage.Memory))
		if s.MemoryLimit > 0 {
			out.Add(ref, "container_memory_limit_bytes", float64(s.MemoryLimit))
			out.Add(ref, "container_memory_used_ratio", float64(*k.usage.Memory)/float64(s.MemoryLimit))
		}
	}
	if k.usage.Pids != nil {
		out.Add(ref, "container_pids_count", float64(*k.usage.Pids))
	}
}

func (c *Collector) attrs(s state) ops.Attrs {
	a := ops.Attrs{
		"runtime": c.runtime, "id": short(s.ID), "state": s.State, "health": s.Detail.Health,
		"restart_policy": s.Policy, "image": s.Image, "restart_count": strconv.Itoa(s.RestartCount),
		"oom_killed": strconv.FormatBool(s.OOMKilled),
	}
	set := func(name, value string) {
		if value != "" {
			a[name] = value
		}
	}
	switch s.State {
	case "exited", "dead", "restarting":
		a["exit_code"] = strconv.Itoa(s.ExitCode)
	}
	if s.StoppedKnown {
		a["stopped_by_user"] = strconv.FormatBool(s.Stopped)
	}
	if !s.StartedAt.IsZero() {
		a["started_at"] = s.StartedAt.Format(time.RFC3339)
	}
	if !s.FinishedAt.IsZero() {
		a["finished_at"] = s.FinishedAt.Format(time.RFC3339)
	}
	set("image_digest", s.Digest)
	set("error", redact.Line(s.Error, 300))
	if s.Placed {
		a["project"], a["service"] = s.Place.Project, s.Place.Service
	}
	return a
}

// ownLabels answers the labels of a container that are meant for us: those
// that begin with "reeve.", without it. Rules select by them.
func ownLabels(labels map[string]string) map[string]string {
	own := map[string]string{}
	for k, v := range labels {
		if name, ok := cutLabel(k); ok && len(own) < 20 {
			own[name] = redact.Line(v, 128)
		}
	}
	if len(own) == 0 {
		return nil
	}
	return own
}

func cutLabel(k string) (name string, ok bool) {
	const prefix = "reeve."
	if len(k) <= len(prefix) || len(k) > 80 || k[:len(prefix)] != prefix {
		return "", false
	}
	return redact.Line(k[len(prefix):], 64), true
}
