package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"reeve/internal/api"
	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/signin"
	"reeve/internal/store"
)

// A streamed event, as a client reads it.
type streamed struct{ id, event, data string }

// listen opens the stream after an event; "" is from now on.
func (c *client) listen(ctx context.Context, after string) (*bufio.Reader, func()) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", c.base+"/api/v1/stream", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if after != "" {
		req.Header.Set("Last-Event-ID", after)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		c.t.Fatalf("stream: status %d, %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	return bufio.NewReader(res.Body), func() { res.Body.Close() }
}

// next reads one event; ok is false when the stream ended.
func next(r *bufio.Reader) (e streamed, ok bool) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return e, false
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch {
		case line == "\n" && e.event != "":
			return e, true
		case name == "id":
			e.id = value
		case name == "event":
			e.event = value
		case name == "data":
			e.data = value
		}
	}
}

func (w *world) record(n int, who string) {
	for i := range n {
		w.tx(func(tx *store.Tx) error {
			tx.Record(ops.Transition{Actor: who, Verb: "note", Object: "test", ObjectID: strconv.Itoa(i)})
			return nil
		})
	}
}

func TestStreamResumesWithoutAGapUnderWriters(t *testing.T) {
	w := newWorld(t)
	c := w.admin()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	first, end := c.listen(ctx, "")
	hello, ok := next(first)
	end()
	if !ok || hello.event != "hello" || hello.id == "" {
		t.Fatalf("hello: %+v", hello)
	}
	const writers, each = 4, 150
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() { w.record(each, fmt.Sprint("writer", n)) })
	}
	begin, err := strconv.ParseInt(hello.id, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	last, seen := hello.id, begin
	for seen < begin+writers*each {
		r, end := c.listen(ctx, last)
		for range 37 { // Then the connection breaks.
			e, ok := next(r)
			if !ok {
				break
			}
			if e.event != "transition" {
				continue
			}
			var tr ops.Transition
			if err := json.Unmarshal([]byte(e.data), &tr); err != nil {
				t.Fatal(err)
			}
			if tr.Seq != seen+1 || e.id != strconv.FormatInt(tr.Seq, 10) {
				t.Fatalf("event %s carries %d after %d", e.id, tr.Seq, seen)
			}
			last, seen = e.id, tr.Seq
			if seen == begin+writers*each {
				break
			}
		}
		end()
	}
	wg.Wait()
}

func TestStreamTellsChangesToAllWhoListen(t *testing.T) {
	w := newWorld(t)
	c := w.admin()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	const many = 50
	readers := make([]*bufio.Reader, many)
	for i := range readers {
		r, end := c.listen(ctx, "")
		defer end()
		if e, ok := next(r); !ok || e.event != "hello" {
			t.Fatalf("hello: %+v", e)
		}
		readers[i] = r
	}
	f := w.openFinding("fs_full")
	for _, r := range readers {
		for {
			e, ok := next(r)
			if !ok {
				t.Fatal("the stream ended")
			}
			if e.event == "transition" && strings.Contains(e.data, f.ID) {
				break
			}
		}
	}
	c.want(422, "GET", "/api/v1/stream?after=x", nil, nil)
}

func TestStreamFromTheFutureBeginsNow(t *testing.T) {
	w := newWorld(t)
	c := w.admin()
	r, end := c.listen(t.Context(), "999999")
	defer end()
	e, ok := next(r)
	head, _, err := w.db.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at, err := strconv.ParseInt(e.id, 10, 64)
	if !ok || err != nil || at > head {
		t.Errorf("hello: %+v, head %d, %v", e, head, err)
	}
}

func TestStreamEndsWithTheSession(t *testing.T) {
	w := newWorld(t)
	w.server.SetRecheck(10 * time.Millisecond)
	c := w.admin()
	bySession, end := c.listen(t.Context(), "")
	defer end()
	token := w.anyone()
	token.token = c.newToken("read")
	byToken, end := token.listen(t.Context(), "")
	defer end()
	for _, r := range []*bufio.Reader{bySession, byToken} {
		if e, ok := next(r); !ok || e.event != "hello" {
			t.Fatalf("hello: %+v", e)
		}
	}
	// It goes on for as long as they may listen.
	for range 5 {
		w.record(1, "somebody")
		if e, ok := next(bySession); !ok || e.event == "" {
			t.Fatal("the stream ended too soon")
		}
	}
	var list rest.List[signin.TokenView]
	c.want(200, "GET", "/api/v1/tokens", nil, &list)
	c.want(204, "DELETE", "/api/v1/tokens/"+list.Items[0].ID, nil, nil)
	ended(t, byToken)
	c.want(204, "DELETE", "/api/v1/session", nil, nil)
	ended(t, bySession)
}

// ended reads until the stream ends.
func ended(t *testing.T, r *bufio.Reader) {
	t.Helper()
	for range 1000 {
		if _, ok := next(r); !ok {
			return
		}
	}
	t.Error("the stream goes on")
}

func TestStreamOutlastsTheListenersPatience(t *testing.T) {
	w := newWorld(t)
	c := w.admin()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := api.NewHTTPServer(quiet(), w.server)
	server.ReadTimeout, server.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-done })
	c.token, c.base = c.newToken("read"), "http://"+l.Addr().String()
	r, end := c.listen(t.Context(), "")
	defer end()
	for began := time.Now(); time.Since(began) < 500*time.Millisecond; {
		w.record(1, "somebody")
		if _, ok := next(r); !ok {
			t.Fatalf("the stream ended after %v", time.Since(began))
		}
	}
}
