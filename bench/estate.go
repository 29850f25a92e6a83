package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"reeve/internal/app"
	"reeve/internal/config"
	"reeve/internal/ops"
	"reeve/web"
)

const (
	estateResources = 1353
	estateHosts     = 41 // with 32 more on each
	perResource     = 20 // series
	estateEvery     = 30 * time.Second
)

// A herd makes the reports of hosts that do not exist: each a machine with
// file systems, disks, interfaces and containers, whose readings move a
// little and whose state stays.
type herd struct {
	hosts     int
	perHost   int // resources below each host
	perThing  int // series of each
	sequences int64
}

// The kinds below a simulated host, in turn.
var herdKinds = []ops.Kind{ops.KindFilesystem, ops.KindDisk, ops.KindInterface, ops.KindContainer, ops.KindContainer, ops.KindUnit}

// herdMetrics are what detectors read, before the metrics that nobody reads.
var herdMetrics = map[ops.Kind][]string{
	ops.KindHost: {"cpu_busy_ratio", "memory_used_ratio", "swap_used_ratio", "load1", "load5", "memory_total_bytes",
		"swap_in_bytes_per_s", "swap_out_bytes_per_s", "processes_zombie_count"},
	ops.KindFilesystem: {"fs_used_ratio", "fs_size_bytes", "fs_available_bytes", "fs_inodes_used_ratio"},
	ops.KindDisk:       {"disk_busy_ratio", "disk_await_seconds", "disk_read_bytes_per_s", "disk_write_bytes_per_s", "disk_temperature_celsius", "disk_wear_ratio"},
	ops.KindInterface:  {"net_receive_bytes_per_s", "net_transmit_bytes_per_s", "net_errors_per_s", "net_drops_per_s"},
	ops.KindContainer:  {"container_cpu_ratio", "container_memory_bytes", "container_memory_used_ratio", "container_restarts_total"},
	ops.KindUnit:       {"unit_restarts_total"},
}

func metricOf(k ops.Kind, i int) string {
	if real := herdMetrics[k]; i < len(real) {
		return real[i]
	}
	return "simulated_" + strconv.Itoa(i) + "_ratio"
}

// report makes one host's report.
func (h *herd) report(host int, at time.Time) ops.Report {
	h.sequences++
	name := fmt.Sprintf("node-%03d", host)
	id := ops.HostIdentity{Key: "sim_" + name, Name: name, BootID: "boot", Labels: map[string]string{"rack": strconv.Itoa(host % 8)}}
	obs := ops.Observation{Collector: "simulated", Started: at, EveryMS: estateEvery.Milliseconds()}
	obs.Samples = make([]ops.Sample, 0, (h.perHost+1)*h.perThing)
	obs.Sightings = make([]ops.Sighting, 0, h.perHost)
	h.readings(&obs, id.HostResource(), ops.KindHost, at)
	for i := range h.perHost {
		kind := herdKinds[i%len(herdKinds)]
		s := sightingOf(id.Key, kind, i)
		obs.Sightings = append(obs.Sightings, s)
		h.readings(&obs, s.Key, kind, at)
	}
	return ops.Report{Host: id, Sequence: h.sequences, At: at, Observations: []ops.Observation{obs}}
}

func sightingOf(host string, kind ops.Kind, i int) ops.Sighting {
	n := strconv.Itoa(i)
	s := ops.Sighting{Key: ops.ResourceKey{Host: host, Source: "linux", Key: string(kind) + ":" + n}, Kind: kind, Name: string(kind) + "-" + n}
	switch kind {
	case ops.KindFilesystem:
		s.Observed = ops.Attrs{"fstype": "ext4", "read_only": "false", "device": "/dev/sda" + n}
	case ops.KindDisk:
		s.Observed = ops.Attrs{"model": "Simulated 4000", "serial": "S" + n, "rotational": "false", "smart_passed": "true"}
	case ops.KindInterface:
		s.Observed = ops.Attrs{"operstate": "up", "speed_mbit": "1000"}
	case ops.KindUnit:
		s.Observed = ops.Attrs{"active_state": "active", "sub_state": "running"}
	case ops.KindContainer:
		s.Key.Source = "docker"
		s.Labels = map[string]string{"com.docker.compose.project": "shop", "com.docker.compose.service": "web-" + n}
		s.Observed = ops.Attrs{"state": "running", "health": "healthy", "image": "registry.example/shop/web:1.4", "restart_count": "0", "exit_code": "0"}
	}
	return s
}

func (h *herd) readings(obs *ops.Observation, key ops.ResourceKey, kind ops.Kind, at time.Time) {
	wobble := float64(at.Unix()%97) / 1000
	for i := range h.perThing {
		metric, value := metricOf(kind, i), 0.3+wobble+float64(i)/1000
		if strings.HasSuffix(metric, "_total") || strings.HasSuffix(metric, "_count") || strings.HasPrefix(metric, "swap_") {
			value = 0
		}
		obs.Samples = append(obs.Samples, ops.Sample{Resource: key, Metric: metric, At: at, Value: value})
	}
}

// measureEstate watches the server look after the simulated estate.
func measureEstate(ctx context.Context, b *bench) error {
	dir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()
	p, err := self(ctx, dir, "estate")
	if err != nil {
		return err
	}
	if err := pause(ctx, 35*time.Second); err != nil { // Every host has reported.
		return err
	}
	s, err := p.watch(ctx, time.Duration(b.seconds)*time.Second)
	if err != nil {
		return err
	}
	series := fmt.Sprintf("%d series every %d s, this host's agent included", estateResources*perResource, int(estateEvery.Seconds()))
	b.add(Line{What: "1,353 resources: processor", Value: s.core, Unit: "% of a core", Bar: 3, Note: series})
	b.add(Line{What: "1,353 resources: memory (RSS)", Value: s.peak, Unit: "MB", Bar: 150, Note: fmt.Sprintf("highest; %.0f MB its own", s.memory["Pss_Anon"])})
	for _, q := range []struct {
		what, path string
		bar        float64
	}{
		{"1,353 resources: GET /api/v1/resources?all=true", "/api/v1/resources?all=true", 30},
		{"1,353 resources: the same read from the database", "/api/v1/resources?all=true&sort=name", 30},
		{"1,353 resources: a page of 50", "/api/v1/resources?limit=50", 5},
		{"1,353 resources: GET /api/v1/status", "/api/v1/status", 30},
	} {
		if err := b.timed(ctx, p, q.what, q.path, q.bar); err != nil {
			return err
		}
	}
	return p.stop()
}

// timed asks for a path often, on one connection, and takes down the middle
// and the slowest of twenty.
func (b *bench) timed(ctx context.Context, p *process, what, path string, bar float64) error {
	const rounds = 100
	var times []time.Duration
	bytes := 0
	for range rounds {
		began := time.Now()
		body, err := p.get(ctx, path)
		if err != nil {
			return err
		}
		times = append(times, time.Since(began))
		bytes = len(body)
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	slices.Sort(times)
	b.add(Line{What: what, Value: ms(times[rounds/2]), Unit: "ms", Bar: bar,
		Note: fmt.Sprintf("median of %d; 95th %.1f ms; %s bytes", rounds, ms(times[rounds*95/100]), grouped(strconv.Itoa(bytes)))})
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// simulate is the child: the whole server with the simulated estate.
func simulate(ctx context.Context, dir string) (err error) {
	c, _, err := config.Load(config.Sources{File: emptyConfig(dir), Flags: map[string]string{"data": dir, "listen": "127.0.0.1:0"}})
	if err != nil {
		return err
	}
	app.SaveMemory()
	page, err := web.Handler("/")
	if err != nil {
		return err
	}
	s, err := app.New(ctx, app.Options{Config: c, Log: quiet, Version: "bench", Page: page})
	if err != nil {
		return err
	}
	s.Start(ctx)
	fmt.Printf("page %s\n", s.URL())
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	feedErr := feed(ctx, s)
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	return errors.Join(feedErr, s.Stop(ending))
}

// emptyConfig keeps a child from reading a configuration of the machine.
func emptyConfig(dir string) string {
	file := filepath.Join(dir, "empty.yaml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return ""
	}
	return file
}

// feed hands one host's report over after the other, spread over the period
// as agents do.
func feed(ctx context.Context, s *app.Server) error {
	h := &herd{hosts: estateHosts, perHost: estateResources/estateHosts - 1, perThing: perResource}
	for host := 0; ; host = (host + 1) % estateHosts {
		if err := s.Accept(ctx, h.report(host, time.Now())); err != nil && ctx.Err() == nil {
			return err
		}
		if pause(ctx, estateEvery/estateHosts) != nil {
			return nil
		}
	}
}
