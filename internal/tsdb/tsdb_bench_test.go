package tsdb

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/prompb"
)

// cpu answers the processor time of this process so far.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchStore(b *testing.B) *DB {
	b.Helper()
	db, err := Open(b.Context(), slog.New(slog.DiscardHandler), Options{Dir: b.TempDir(), BallastSize: 1 << 20})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	return db
}

// perSample reports what a benchmark that handled n samples cost.
func perSample(b *testing.B, n int, before time.Duration) {
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "samples/s")
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(n)/1000, "cpu-us/sample")
}

// BenchmarkRemoteWrite takes in requests as a Prometheus sends them: 2,000
// samples of 2,000 series each, ten labels, 20,000 series in all. The times
// in the requests are moved on outside of what is measured.
func BenchmarkRemoteWrite(b *testing.B) {
	db := benchStore(b)
	handler := db.Handler()
	const perRequest, requests = 2000, 10
	start := time.Now().Add(-50 * time.Minute)
	var bodies [requests][]byte
	for part := range bodies {
		var all []prompb.TimeSeries
		for i := range perRequest {
			all = append(all, series1(start, float64(i)*1.5,
				"__name__", "http_requests_total", "code", strconv.Itoa(200+i%5), "env", "production", "handler", "/api/v1/things", "host", fmt.Sprintf("host%03d", part),
				"instance", fmt.Sprintf("10.0.0.%d:9100", part), "job", "node", "method", "GET", "number", strconv.Itoa(i), "region", "eu-central-1"))
		}
		bodies[part] = v1(b, all...)
	}
	n := 0
	before := cpu()
	for b.Loop() {
		b.StopTimer()
		spent := cpu()
		at := start.Add(time.Duration(n/perRequest/requests) * time.Second)
		body := bytes.ReplaceAll(bodies[n/perRequest%requests], varint(start), varint(at))
		r := httptest.NewRequest(http.MethodPost, "/api/v1/write", bytes.NewReader(snappy.Encode(nil, body)))
		w := httptest.NewRecorder()
		before += cpu() - spent
		b.StartTimer()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusNoContent {
			b.Fatal(w.Code, w.Body)
		}
		n += perRequest
	}
	perSample(b, n, before)
}

// varint is how a request encodes a time; all times of one year take as many
// bytes.
func varint(at time.Time) []byte { return binary.AppendUvarint(nil, uint64(at.UnixMilli())) }

// BenchmarkAppend takes in what agents report: 500 hosts of 54 series.
func BenchmarkAppend(b *testing.B) {
	db := benchStore(b)
	start := time.Now().Add(-50 * time.Minute)
	n, round := 0, 0
	own := map[string]string{"mode": "user"}
	before := cpu()
	for b.Loop() {
		at := start.Add(time.Duration(round) * time.Second)
		round++
		for h := range 500 {
			batch := make([]Sample, 0, 54)
			host := "host" + strconv.Itoa(h)
			for m := range 54 {
				ref := db.Ref(host, host, metricNames[m], own)
				batch = append(batch, Sample{Ref: ref, At: at, Value: float64(round * m)})
			}
			if err := db.Append(context.Background(), batch); err != nil {
				b.Fatal(err)
			}
			n += len(batch)
		}
	}
	perSample(b, n, before)
}

var metricNames = func() (names [54]string) {
	for i := range names {
		names[i] = fmt.Sprintf("metric_%02d_ratio", i)
	}
	return names
}()

// estate fills a store with 27,000 series of an hour.
func estate(b *testing.B) (*DB, time.Time) {
	db := benchStore(b)
	end := time.Now()
	for round := range 60 {
		at := end.Add(time.Duration(round-59) * time.Minute)
		for h := range 500 {
			batch := make([]Sample, 0, 54)
			for m := range 54 {
				batch = append(batch, Sample{Ref: db.Ref("h"+strconv.Itoa(h), "r"+strconv.Itoa(h), metricNames[m], nil), At: at, Value: float64(round)})
			}
			if err := db.Append(context.Background(), batch); err != nil {
				b.Fatal(err)
			}
		}
	}
	return db, end
}

func BenchmarkEstate(b *testing.B) {
	db, end := estate(b)
	ctx := context.Background()
	b.Run("latest of all 27000 series", func(b *testing.B) {
		for b.Loop() {
			got, err := db.Latest(ctx, metricNames[:], 5*time.Minute)
			if err != nil || len(got) != 500 {
				b.Fatal(len(got), err)
			}
		}
	})
	b.Run("recent 15 minutes of all 27000 series", func(b *testing.B) {
		for b.Loop() {
			got, err := recent(ctx, db, metricNames[:], end.Add(-15*time.Minute), end, 0)
			if err != nil || len(got) != 500 {
				b.Fatal(len(got), err)
			}
		}
	})
	b.Run("recent hour of 4 metrics on 500 hosts", func(b *testing.B) {
		for b.Loop() {
			got, err := recent(ctx, db, metricNames[:4], end.Add(-time.Hour), end, 0)
			if err != nil || len(got) != 500 {
				b.Fatal(len(got), err)
			}
		}
	})
}

// BenchmarkQuery reads a day at 15 s steps, as a person looks at charts.
func BenchmarkQuery(b *testing.B) {
	db := benchStore(b)
	end := time.Now()
	for at := end.Add(-24 * time.Hour); at.Before(end); at = at.Add(15 * time.Second) {
		batch := make([]Sample, 0, 200)
		for i := range 200 {
			batch = append(batch, Sample{Ref: db.Ref("h", strconv.Itoa(i), "load1", nil), At: at, Value: wave(at) + float64(i)})
		}
		if err := db.Append(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
	}
	run := func(name, expr string, step time.Duration) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if got, err := db.Series(context.Background(), expr, end.Add(-24*time.Hour), end, step); err != nil || len(got) != 1 {
					b.Fatal(len(got), err)
				}
			}
		})
	}
	run("one series 24 h at 15 s", `load1{resource="7"}`, 15*time.Second)
	run("one series 24 h rate at 5 min", `rate(load1{resource="7"}[5m])`, 5*time.Minute)
	run("200 series 24 h averaged at 5 min", `avg(load1)`, 5*time.Minute)
	run("200 series 24 h rates summed at 5 min", `sum(rate(load1[5m]))`, 5*time.Minute)
	b.Run("band of one series 24 h", func(b *testing.B) {
		for b.Loop() {
			q := BandQuery{Selector: `load1{resource="7"}`, From: end.Add(-24 * time.Hour), To: end}
			if got, err := db.Range(context.Background(), q); err != nil || len(got) != 1 {
				b.Fatal(len(got), err)
			}
		}
	})
}

// BenchmarkRollupOfManySeries makes the roll-ups of two blocks of 50,000
// series: how long it takes, and the memory that it takes at most and keeps.
func BenchmarkRollupOfManySeries(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(25))
	const series = 50_000
	var at time.Time
	live := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / 1e6
	}
	for b.Loop() {
		b.StopTimer()
		db := benchStore(b)
		at = now().Truncate(rollupBlock)
		refs := make([]Ref, series)
		for i := range refs {
			refs[i] = db.Ref("host-"+strconv.Itoa(i/200), "res_06h1np0z5h608r34hsh7"+strconv.Itoa(i/8), "metric_"+strconv.Itoa(i%8), nil)
		}
		for x := at.Add(-2*rollupBlock + rollupStep/2); x.Before(at.Add(-rollupBlock / 4)); x = x.Add(rollupStep) {
			batch := make([]Sample, series)
			for i := range batch {
				batch[i] = Sample{Ref: refs[i], At: x, Value: float64(i) * 0.123}
			}
			if err := db.Append(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
		}
		before := live()
		peak, stop := watchHeap()
		b.StartTimer()
		if err := db.Rollup(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		stop()
		b.ReportMetric(float64(peak.Load())/1e6-before, "MB-peak")
		b.ReportMetric(live()-before, "MB-kept")
		db.Close()
		b.StartTimer()
	}
}

// watchHeap follows the size of the heap until stop is called.
func watchHeap() (peak *atomic.Uint64, stop func()) {
	peak = new(atomic.Uint64)
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak.Store(max(peak.Load(), m.HeapInuse))
			}
		}
	})
	return peak, func() { close(over); watching.Wait() }
}
