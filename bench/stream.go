package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const subscribers = 1000

// measureStream opens a thousand event streams, commits changes and times
// until the last subscriber has each.
func measureStream(ctx context.Context, b *bench) error {
	dir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()
	p, err := b.start(ctx, dir, "log_level: warn\nagent: {enabled: false}\n")
	if err != nil {
		return err
	}
	alone, err := p.memory()
	if err != nil {
		return err
	}
	listening, leave := context.WithCancel(ctx)
	defer leave()
	got := make(chan string, subscribers*4)
	if err := p.subscribe(listening, got); err != nil {
		return err
	}
	if err := b.announce(ctx, p, got, alone["Rss"]); err != nil {
		return err
	}
	leave()
	return p.stop()
}

// announce commits changes one after the other.
func (b *bench) announce(ctx context.Context, p *process, got <-chan string, alone float64) error {
	const rounds = 20
	var times []time.Duration
	before, err := p.cpu()
	if err != nil {
		return err
	}
	for i := range rounds {
		name := fmt.Sprintf("bench-%d", i)
		body := fmt.Sprintf(`{"name":%q,"type":"heartbeat","every_ms":3600000}`, name)
		if _, err := p.request(ctx, "POST", "/api/v1/checks", strings.NewReader(body), map[string]string{"Content-Type": "application/json"}); err != nil {
			return err
		}
		committed := time.Now()
		if err := everyone(ctx, got, name); err != nil {
			return err
		}
		times = append(times, time.Since(committed))
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	after, err := p.cpu()
	if err != nil {
		return err
	}
	full, err := p.memory()
	if err != nil {
		return err
	}
	slices.Sort(times)
	b.add(Line{What: "Event stream, 1,000 subscribers: answer of the change to the last receipt", Value: ms(times[rounds/2]), Unit: "ms",
		Note: fmt.Sprintf("median of %d; slowest %.1f ms; the subscribers share the machine", rounds, ms(times[rounds-1]))})
	b.add(Line{What: "Event stream, 1,000 subscribers: processor time of the server a change", Value: ms((after - before) / rounds), Unit: "ms"})
	b.add(Line{What: "Event stream, 1,000 subscribers: memory beside them none", Value: full["Rss"] - alone, Unit: "MB", Note: fmt.Sprintf("RSS %.0f MB in all", full["Rss"])})
	return nil
}

// everyone waits until all subscribers have the change.
func everyone(ctx context.Context, got <-chan string, name string) error {
	late := time.NewTimer(20 * time.Second)
	defer late.Stop()
	for n := 0; n < subscribers; {
		select {
		case line := <-got:
			if strings.Contains(line, `"`+name+`"`) {
				n++
			}
		case <-late.C:
			return fmt.Errorf("%d of %d subscribers heard of %s", n, subscribers, name)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// subscribe opens the streams and hands on what transitions they bring.
func (p *process) subscribe(ctx context.Context, got chan<- string) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: -1, ReadBufferSize: 1024, WriteBufferSize: 1024}}
	var opening sync.WaitGroup
	errs := make([]error, subscribers)
	gate := make(chan struct{}, 20)
	for i := range subscribers {
		gate <- struct{}{}
		opening.Go(func() {
			defer func() { <-gate }()
			errs[i] = p.listen(ctx, client, got)
		})
	}
	opening.Wait()
	failed := slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d streams do not open, the first: %w", len(failed), subscribers, failed[0])
	}
	return nil
}

func (p *process) listen(ctx context.Context, client *http.Client, got chan<- string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/api/v1/stream", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	r, err := client.Do(req)
	if err != nil {
		return err
	}
	if r.StatusCode != http.StatusOK {
		r.Body.Close()
		return fmt.Errorf("the stream answers %s", r.Status)
	}
	go func() {
		defer r.Body.Close()
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			if text := lines.Text(); strings.Contains(text, `"bench-`) {
				select {
				case got <- text:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return nil
}
