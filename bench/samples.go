package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"reeve/bench/crowd"
	"reeve/internal/collectors"
	"reeve/internal/gather"
	"reeve/internal/ops"
)

// fullChunk is how many samples the store keeps in memory of a series before
// it writes them out.
const fullChunk = 120

// measureSamples is what a sample takes in the store's chunks: of this host's
// own collectors, as busy as it is now, and of the crowd, which must not be
// cheaper to keep than a real host.
func measureSamples(ctx context.Context, b *bench) error {
	host, err := ownSamples(ctx, time.Duration(b.seconds)*time.Second)
	if err != nil {
		return err
	}
	b.add(Line{What: "A sample of this host in a chunk", Value: host.each(), Unit: "bytes",
		Note: fmt.Sprintf("%d series every 10 s for %d s, %s samples", len(host.series), b.seconds, grouped(fmt.Sprint(host.samples)))})
	reports, err := crowd.Outage(&crowd.Agent{}, crowdSeries, fullChunk, 0, 10*time.Second)
	if err != nil {
		return err
	}
	made := newPacking()
	for _, r := range reports {
		made.add(r)
	}
	b.add(Line{What: "A sample of a host of the crowd in a chunk", Value: made.each(), Unit: "bytes", Note: fmt.Sprintf("%d series, %d samples of each", len(made.series), fullChunk)})
	return errors.Join(host.err, made.err)
}

// ownSamples packs what the collectors of this host see.
func ownSamples(ctx context.Context, d time.Duration) (*packing, error) {
	dir, remove, err := folder()
	if err != nil {
		return nil, err
	}
	defer remove()
	p, settings := newPacking(), map[string]gather.Setting{}
	for _, c := range collectors.All() {
		settings[c.Name] = gather.Setting{Every: max(c.Every, 10*time.Second)}
	}
	w, err := gather.New(quiet, gather.Options{
		Host:        ops.HostIdentity{Key: "host", Name: "host"},
		Env:         gather.LiveEnv(quiet, gather.Roots{StateDir: filepath.Join(dir, "state")}),
		Definitions: collectors.All(), Settings: settings,
		Hand: func(_ context.Context, r ops.Report) error { p.add(r); return nil },
	})
	if err != nil {
		return nil, err
	}
	during, stop := context.WithTimeout(ctx, d)
	defer stop()
	return p, errors.Join(w.Run(during), ctx.Err())
}

// A packing keeps samples as the store does.
type packing struct {
	series  map[string]*chunkenc.XORChunk
	samples int
	full    int // bytes of chunks that are full
	err     error
}

func newPacking() *packing { return &packing{series: map[string]*chunkenc.XORChunk{}} }

// add packs the samples of a report.
func (p *packing) add(r ops.Report) {
	for _, o := range r.Observations {
		for _, s := range o.Samples {
			p.err = errors.Join(p.err, p.put(fmt.Sprint(s.Resource, s.Metric, s.Labels), s))
		}
	}
}

func (p *packing) put(series string, s ops.Sample) error {
	c := p.series[series]
	if c != nil && c.NumSamples() == fullChunk {
		p.full += len(c.Bytes())
		c = nil
	}
	if c == nil {
		c = chunkenc.NewXORChunk()
		p.series[series] = c
	}
	app, err := c.Appender()
	if err != nil {
		return err
	}
	app.Append(0, s.At.UnixMilli(), s.Value)
	p.samples++
	return nil
}

// each answers the bytes of a sample.
func (p *packing) each() float64 {
	bytes := p.full
	for _, c := range p.series {
		bytes += len(c.Bytes())
	}
	return float64(bytes) / float64(max(p.samples, 1))
}
