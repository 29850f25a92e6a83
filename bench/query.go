package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"reeve/internal/tsdb"
)

const querySeries = 200

// measureQuery fills a day of 200 series at 30 s, then asks PromQL as a chart does.
func measureQuery(ctx context.Context, b *bench) error {
	dir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()
	end := time.Now().Truncate(30 * time.Second)
	if err := fillDay(ctx, dir, end); err != nil {
		return err
	}
	p, err := b.start(ctx, dir, "log_level: warn\nagent: {enabled: false}\n")
	if err != nil {
		return err
	}
	for _, q := range []struct {
		what, expr string
		step       time.Duration
		bar        float64
	}{
		{"24 h of one series at 5 min", `load1{resource="res_7"}`, 5 * time.Minute, 10},
		{"24 h of one series at 30 s", `load1{resource="res_7"}`, 30 * time.Second, 10},
		{"24 h rate of one series at 5 min", `rate(load1{resource="res_7"}[5m])`, 5 * time.Minute, 10},
		{"24 h average of 200 series at 5 min", `avg(load1)`, 5 * time.Minute, 0},
		{"24 h sum of rates of 200 series at 5 min", `sum(rate(load1[5m]))`, 5 * time.Minute, 0},
	} {
		values := url.Values{"query": {q.expr}, "start": {stamp(end.Add(-24 * time.Hour))}, "end": {stamp(end)}, "step": {strconv.Itoa(int(q.step.Seconds()))}}
		if err := b.ask(ctx, p, q.what, "/prometheus/api/v1/query_range?"+values.Encode(), q.bar); err != nil {
			return err
		}
	}
	return p.stop()
}

func stamp(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

// ask times a query that must answer something: the first, and the middle of
// many.
func (b *bench) ask(ctx context.Context, p *process, what, path string, bar float64) error {
	const rounds = 20
	var times []time.Duration
	for range rounds + 1 {
		began := time.Now()
		body, err := p.get(ctx, path)
		if err != nil {
			return err
		}
		times = append(times, time.Since(began))
		if !strings.Contains(string(body[:min(len(body), 500)]), `"values":[[`) {
			return fmt.Errorf("%s answers nothing: %.300s", what, body)
		}
	}
	first, warm := times[0], times[1:]
	slices.Sort(warm)
	b.add(Line{What: "PromQL over HTTP: " + what, Value: ms(warm[rounds/2]), Unit: "ms", Bar: bar,
		Note: fmt.Sprintf("warm median of %d; first %.1f ms", rounds, ms(first))})
	return nil
}

// fillDay writes a day into the metrics of a data folder: a running server
// takes no samples from before its own.
func fillDay(ctx context.Context, dir string, end time.Time) (err error) {
	db, err := tsdb.Open(ctx, quiet, tsdb.Options{Dir: filepath.Join(dir, "metrics"), BallastSize: 1 << 20})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for at := end.Add(-24 * time.Hour); at.Before(end); at = at.Add(30 * time.Second) {
		var batch []tsdb.Sample
		for i := range querySeries {
			ref := db.Ref("node-"+strconv.Itoa(i/20), "res_"+strconv.Itoa(i), "load1", nil)
			batch = append(batch, tsdb.Sample{Ref: ref, At: at, Value: float64(i) + math.Sin(float64(at.Unix())/3000)})
		}
		if err := db.Append(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}
