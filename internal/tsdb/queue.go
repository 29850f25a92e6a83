package tsdb

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/prompb"

	"reeve/internal/ops"
)

// shipBatch is how many samples one request to an external store carries.
const shipBatch = 5000

// queue holds what an external store has not taken yet. When it is full, the
// oldest samples give way: the newest say how the estate is now.
type queue struct {
	mu      sync.Mutex
	limit   int
	waiting []Sample
	// evicted counts what gave way since the last look, so that a sender
	// knows how much of what it sent is still in front.
	evicted int
}

func (q *queue) size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// put adds a batch and answers how many samples gave way for it.
func (q *queue) put(batch []Sample) (lost int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, batch...)
	if lost = len(q.waiting) - q.limit; lost <= 0 {
		return 0
	}
	q.waiting = append(q.waiting[:0], q.waiting[lost:]...)
	q.evicted += lost
	return lost
}

// front answers a copy of the oldest samples; they stay in the queue.
func (q *queue) front(n int) []Sample {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.evicted = 0
	return append([]Sample(nil), q.waiting[:min(n, len(q.waiting))]...)
}

// done takes away what front answered, except what gave way meanwhile.
func (q *queue) done(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n = min(max(n-q.evicted, 0), len(q.waiting))
	q.waiting = append(q.waiting[:0], q.waiting[n:]...)
}

// Ship sends what waits for an external store. What it did not take stays for
// the next pass, unless it said that it never will. Embedded it does nothing.
func (db *DB) Ship(ctx context.Context) error {
	x, ok := db.back.(*external)
	if !ok {
		return nil
	}
	x.ship.Lock()
	defer x.ship.Unlock()
	for {
		batch := x.queue.front(shipBatch)
		if len(batch) == 0 {
			db.setProblem("queue", "")
			db.setProblem("ship", "")
			return nil
		}
		err := x.send(ctx, batch)
		if err != nil && ops.KindOf(err) != ops.Invalid {
			db.setProblem("ship", "the external metrics store does not take samples: "+err.Error())
			return err
		}
		if err != nil {
			db.appended.Add(-int64(len(batch)))
			db.rejected.Add(int64(len(batch)))
			db.log.Warn("external metrics store refused samples", "samples", len(batch), "err", err)
		}
		x.queue.done(len(batch))
	}
}

// send writes one batch by remote write 1, which every store understands. An
// error of kind Invalid says that sending it again is of no use.
func (x *external) send(ctx context.Context, batch []Sample) error {
	request := toWriteRequest(batch)
	body, err := request.Marshal()
	if err != nil {
		return ops.Because(ops.Invalid, err, "The samples cannot be encoded.")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, x.write, bytes.NewReader(snappy.Encode(nil, body)))
	if err != nil {
		return ops.Because(ops.Unavailable, err, "The write URL of the metrics store cannot be used.")
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("Content-Encoding", "snappy")
	r.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	answer, err := x.client.Do(r)
	if err != nil {
		return ops.Because(ops.Unavailable, err, "The external metrics store cannot be reached.")
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
	cause := fmt.Errorf("status %s: %s", answer.Status, bytes.TrimSpace(text))
	switch {
	case answer.StatusCode/100 == 2:
		return nil
	case answer.StatusCode == http.StatusBadRequest || answer.StatusCode == http.StatusRequestEntityTooLarge:
		return ops.Because(ops.Invalid, cause, "The external metrics store refused samples.")
	}
	return ops.Because(ops.Unavailable, cause, "The external metrics store did not take samples.")
}

// toWriteRequest groups a batch by series, each in the order of time it came.
func toWriteRequest(batch []Sample) *prompb.WriteRequest {
	request := &prompb.WriteRequest{}
	index := map[*series]int{}
	for i := range batch {
		s := batch[i].Ref.s
		at, ok := index[s]
		if !ok {
			at = len(request.Timeseries)
			index[s] = at
			request.Timeseries = append(request.Timeseries, prompb.TimeSeries{Labels: prompb.FromLabels(s.labels, nil)})
		}
		request.Timeseries[at].Samples = append(request.Timeseries[at].Samples, prompb.Sample{Value: batch[i].Value, Timestamp: batch[i].At.UnixMilli()})
	}
	return request
}
