package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/prompb"
)

const (
	perRequest = 2000 // samples, as a Prometheus sends them
	requests   = 10   // bodies, each of series of its own
	writePath  = "/prometheus/api/v1/write"
)

var writeHeader = map[string]string{"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}

// measureIngest sends remote writes as fast as they are taken, over two
// connections, prepared beforehand as far as that goes: processor time is
// that of the server alone.
func measureIngest(ctx context.Context, b *bench) error {
	dir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()
	p, err := b.start(ctx, dir, "log_level: warn\nagent: {enabled: false}\n")
	if err != nil {
		return err
	}
	base := time.Now().Add(-50 * time.Minute)
	bodies, err := writeBodies()
	if err != nil {
		return err
	}
	// The first round makes the series, which happens once in their life.
	if _, err := p.flood(ctx, bodies, base, 1); err != nil {
		return err
	}
	before, err := p.cpu()
	if err != nil {
		return err
	}
	const rounds = 150
	began := time.Now()
	sent, err := p.flood(ctx, bodies, base.Add(time.Second), rounds)
	if err != nil {
		return err
	}
	took := time.Since(began)
	after, err := p.cpu()
	if err != nil {
		return err
	}
	note := fmt.Sprintf("%s samples of %s series, %d a request, sender on the same machine", grouped(strconv.Itoa(sent)), grouped(strconv.Itoa(perRequest*requests)), perRequest)
	b.add(Line{What: "Remote write: samples a second", Value: float64(sent) / took.Seconds(), Unit: "/s", Bar: 100_000, AtLeast: true, Note: note})
	b.add(Line{What: "Remote write: processor time a sample", Value: float64((after - before).Nanoseconds()) / 1000 / float64(sent), Unit: "us", Bar: 5, Note: "of the server"})
	return p.stop()
}

// flood sends every body once a round, each round a second later; two
// senders share the bodies so that no series is written by both.
func (p *process) flood(ctx context.Context, bodies [][]byte, from time.Time, rounds int) (sent int, err error) {
	var senders sync.WaitGroup
	errs := make([]error, 2)
	for n := range errs {
		senders.Go(func() {
			for round := range rounds {
				for i := n; i < len(bodies) && errs[n] == nil; i += len(errs) {
					body := bytes.ReplaceAll(bodies[i], varint(markTime), varint(from.Add(time.Duration(round)*time.Second)))
					_, errs[n] = p.request(ctx, "POST", writePath, bytes.NewReader(snappy.Encode(nil, body)), writeHeader)
				}
			}
		})
	}
	senders.Wait()
	for _, e := range errs {
		if e != nil {
			return 0, e
		}
	}
	return rounds * len(bodies) * perRequest, nil
}

// markTime stands in prepared bodies where the time of the samples goes.
var markTime = time.UnixMilli(1_600_000_012_345)

// varint is how a request encodes a time; all times of this century take as
// many bytes.
func varint(at time.Time) []byte { return binary.AppendUvarint(nil, uint64(at.UnixMilli())) }

// writeBodies makes requests of series as a Prometheus knows them: ten
// labels.
func writeBodies() ([][]byte, error) {
	var bodies [][]byte
	for part := range requests {
		var r prompb.WriteRequest
		for i := range perRequest {
			r.Timeseries = append(r.Timeseries, prompb.TimeSeries{
				Labels: labelsOf("__name__", "http_requests_total", "code", strconv.Itoa(200+i%5), "env", "production", "handler", "/api/v1/things",
					"host", fmt.Sprintf("host%03d", part), "instance", fmt.Sprintf("10.0.0.%d:9100", part), "job", "node", "method", "GET",
					"number", strconv.Itoa(i), "region", "eu-central-1"),
				Samples: []prompb.Sample{{Timestamp: markTime.UnixMilli(), Value: float64(i) * 1.5}},
			})
		}
		body, err := r.Marshal()
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, body)
	}
	return bodies, nil
}

func labelsOf(pairs ...string) []prompb.Label {
	var all []prompb.Label
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, prompb.Label{Name: pairs[i], Value: pairs[i+1]})
	}
	return all
}
