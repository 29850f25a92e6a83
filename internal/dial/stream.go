package dial

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// quietFor is how long a stream may say nothing; it sends a sign of life
	// more often.
	quietFor      = 45 * time.Second
	maxEventBytes = 4 << 20

	checkedWithin  = 30 * time.Minute // a large upload, by the server
	readyWithin    = 2 * time.Minute
	readyLook      = 100 * time.Millisecond
	readyAnswersIn = 5 * time.Second
)

// Stream reads the server-sent events of an address, after the one with the
// given id, until the stream ends. heard says whether any came. That it broke
// is no error: it goes on after the last event.
func (c *Client) Stream(ctx context.Context, path, last string, event func(id, kind, data string) error) (heard bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Base+path, nil)
	if err != nil {
		return false, err
	}
	r.Header.Set("Accept", "text/event-stream")
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	answer, err := c.Send(r)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	silence := time.AfterFunc(quietFor, cancel) // A dead connection says nothing for ever.
	defer silence.Stop()
	return Events(answer.Body, func() { silence.Reset(quietFor) }, event)
}

// Events reads server-sent events until they end; alive is called for every
// line.
func Events(from io.Reader, alive func(), event func(id, kind, data string) error) (heard bool, err error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 64<<10), maxEventBytes)
	var id, kind, data string
	for lines.Scan() {
		alive()
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if err := event(id, kind, data); err != nil {
				return heard, err
			}
			heard = heard || data != ""
			id, kind, data = "", "", ""
		case name == "id":
			id = value
		case name == "event":
			kind = value
		case name == "data":
			data += value
		}
	}
	return heard, nil
}

// Upload sends a file, with the patience that checking it needs, and answers
// what the server says.
func (c *Client) Upload(ctx context.Context, path, contentType string, content io.Reader, size int64) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+path, io.NopCloser(content))
	if err != nil {
		return nil, misuse("the address %s cannot be asked (%s)", c.Base, LastReason(err))
	}
	r.ContentLength = size
	r.Header.Set("Content-Type", contentType)
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if t, ok := c.http.Transport.(*http.Transport); ok {
		t.ResponseHeaderTimeout = checkedWithin
	}
	answer, err := c.Send(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(io.LimitReader(answer.Body, maxErrorBytes))
}

// AwaitReady waits until a server that starts again is ready.
func (c *Client) AwaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	tick := time.NewTicker(readyLook)
	defer tick.Stop()
	for !c.isReady(ctx) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server is not ready again after %v; see its log", readyWithin)
		case <-tick.C:
		}
	}
	return nil
}

func (c *Client) isReady(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, readyAnswersIn)
	defer cancel()
	answer, err := c.Do(ctx, http.MethodGet, "/readyz", nil)
	if err != nil {
		return false
	}
	return answer.Body.Close() == nil
}
