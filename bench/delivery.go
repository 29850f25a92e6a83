package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"reeve/internal/ops"
)

// hold is the hold time of the finding under measure.
const hold = 5 * time.Second

// measureDelivery makes a condition true on this host and times from the end
// of its hold time to the first request at a receiver.
func measureDelivery(ctx context.Context, b *bench) error {
	const rounds = 3
	var waits []time.Duration
	for range rounds {
		wait, err := b.deliver(ctx)
		if err != nil {
			return err
		}
		waits = append(waits, wait)
	}
	slices.Sort(waits)
	b.add(Line{What: "End of the hold time to the first delivery attempt, slowest", Value: waits[rounds-1].Seconds(), Unit: "s", Bar: 2,
		Note: fmt.Sprintf("median %.2f s of %d; webhook on this machine", waits[rounds/2].Seconds(), rounds)})
	return nil
}

// deliver answers how long after the end of its hold time the message of a
// new finding came.
func (b *bench) deliver(ctx context.Context) (time.Duration, error) {
	dir, remove, err := folder()
	if err != nil {
		return 0, err
	}
	defer remove()
	arrived := make(chan time.Time, 1)
	url, stop, err := receive(arrived)
	if err != nil {
		return 0, err
	}
	defer stop()
	p, err := b.start(ctx, dir, fmt.Sprintf(`log_level: warn
channels: [{name: bench, type: webhook, url: %q}]
detectors: {host_memory_high: {hold: %s, thresholds: {warning: 1, critical: 99.9}}}
`, url, hold))
	if err != nil {
		return 0, err
	}
	var at time.Time
	select {
	case at = <-arrived:
	case <-time.After(time.Minute):
		err = errors.New("no message within a minute")
	case <-ctx.Done():
		err = ctx.Err()
	}
	var list struct{ Items []ops.Finding }
	if err == nil {
		var text []byte
		if text, err = p.get(ctx, "/api/v1/findings?condition=host_memory_high"); err == nil {
			err = json.Unmarshal(text, &list)
		}
	}
	if err == nil && len(list.Items) != 1 {
		err = fmt.Errorf("%d findings instead of one", len(list.Items))
	}
	if err = errors.Join(err, p.stop()); err != nil {
		return 0, err
	}
	return at.Sub(list.Items[0].FirstSeen.Add(hold)), nil
}

// receive starts a receiver that tells when the first request came.
func receive(arrived chan<- time.Time) (url string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		at := time.Now()
		io.Copy(io.Discard, r.Body)
		select {
		case arrived <- at:
		default:
		}
	})}
	go server.Serve(l)
	return "http://" + l.Addr().String() + "/", func() { server.Close() }, nil
}
