package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/store"
)

// The rhythm of the stream.
const (
	streamPause   = 20 * time.Millisecond // between two looks at the transitions
	streamLook    = 5 * time.Second       // looks without being told of a change
	streamSamples = 10 * time.Second
	streamBeat    = 15 * time.Second
	streamBuffer  = 64 // pieces that may wait for a slow subscriber
	streamPage    = 500
	streamWrite   = 30 * time.Second
	streamRetryMS = 1000
	streamRecheck = 30 * time.Second // of who listens
	maxListeners  = 5000
)

// A hub hands every transition to all who listen. One pass reads the table
// and encodes once; a subscriber that cannot keep up is let go and resumes
// from the table by itself.
type hub struct {
	s       *Server
	changed <-chan struct{}

	mu        sync.Mutex
	seq       int64 // everything up to here was handed out
	ready     bool  // seq is known
	stopped   bool
	recheck   time.Duration
	listeners map[*listener]bool
	followers int // of single patrols

	over context.Context // ends with the server
	end  context.CancelFunc

	samplesAt, beatAt time.Time // of the pass alone
}

// A listener is one subscriber's queue of encoded events. The hub closes it
// when it is full.
type listener struct{ pieces chan []byte }

func newHub(s *Server) *hub {
	changed, _ := s.store.Changed() // For as long as the store is open.
	over, end := context.WithCancel(context.Background())
	return &hub{s: s, changed: changed, listeners: map[*listener]bool{}, recheck: streamRecheck, over: over, end: end}
}

// pass waits for a change for a while, then hands out what is new. It is one
// bounded turn of a loop.
func (h *hub) pass(ctx context.Context) error {
	wait := time.NewTimer(min(streamLook, streamSamples))
	defer wait.Stop()
	if err := h.start(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-h.changed:
	case <-wait.C:
	}
	if err := h.transitions(ctx); err != nil {
		return err
	}
	return h.regular(ctx, time.Now())
}

// start finds where the stream begins.
func (h *hub) start(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ready {
		return nil
	}
	head, _, err := h.s.store.Head(ctx)
	h.seq, h.ready = head, err == nil
	return err
}

// transitions hands out what was committed since the last pass.
func (h *hub) transitions(ctx context.Context) error {
	for {
		h.mu.Lock()
		after := h.seq
		h.mu.Unlock()
		page, err := h.s.store.Transitions(ctx, store.TransitionFilter{After: after, Limit: streamPage})
		if err != nil || len(page) == 0 {
			return err
		}
		piece, err := encodeTransitions(page)
		if err != nil {
			return err
		}
		h.hand(piece, page[len(page)-1].Seq)
	}
}

// regular hands out what comes by the clock: readings of the hosts, and a
// sign of life.
func (h *hub) regular(ctx context.Context, now time.Time) error {
	if !h.heard() {
		return nil
	}
	if now.Sub(h.beatAt) >= streamBeat-streamLook {
		h.beatAt = now
		h.hand([]byte(": \n\n"), 0)
	}
	if now.Sub(h.samplesAt) < streamSamples {
		return nil
	}
	h.samplesAt = now
	rows, err := h.s.estate.hosts(ctx)
	if err != nil {
		return err
	}
	text, err := json.Marshal(SamplesEvent{now.UTC(), rows})
	if err != nil {
		return err
	}
	h.hand(fmt.Appendf(nil, "event: samples\ndata: %s\n\n", text), 0)
	return nil
}

func (h *hub) heard() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.listeners) > 0
}

// hand gives a piece to all; upTo is the last transition in it, 0 for none.
// A listener whose queue is full is let go.
func (h *hub) hand(piece []byte, upTo int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.listeners {
		select {
		case l.pieces <- piece:
		default:
			delete(h.listeners, l)
			close(l.pieces)
		}
	}
	h.seq = max(h.seq, upTo)
}

// join adds a listener that gets everything after seq.
func (h *hub) join(ctx context.Context) (l *listener, seq int64, err error) {
	if err := h.start(ctx); err != nil {
		return nil, 0, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.crowded() {
		return nil, 0, errCrowded
	}
	l = &listener{make(chan []byte, streamBuffer)}
	h.listeners[l] = true
	return l, h.seq, nil
}

var errCrowded = ops.Errorf(ops.Unavailable, "the server stops, or too many listen to the event stream already")

func (h *hub) crowded() bool { return h.stopped || len(h.listeners)+h.followers >= maxListeners }

// admit counts somebody who follows a single patrol, until dismiss.
func (h *hub) admit() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.crowded() {
		return errCrowded
	}
	h.followers++
	return nil
}

func (h *hub) dismiss() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.followers--
}

func (h *hub) leave(l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listeners[l] {
		delete(h.listeners, l)
		close(l.pieces)
	}
}

// stop lets every listener go; they come back when there is a server again.
func (h *hub) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	h.end()
	for l := range h.listeners {
		delete(h.listeners, l)
		close(l.pieces)
	}
}

// A HelloEvent is the first event of a stream.
type HelloEvent struct {
	At      time.Time `json:"at"`
	Version string    `json:"version"`
	Seq     int64     `json:"seq" doc:"The last transition before the stream began."`
}

// A SamplesEvent tells the newest readings of the hosts.
type SamplesEvent struct {
	At    time.Time `json:"at"`
	Hosts []HostRow `json:"hosts"`
}

func encodeTransitions(page []ops.Transition) ([]byte, error) {
	var b bytes.Buffer
	for _, t := range page {
		text, err := json.Marshal(t)
		if err != nil {
			return nil, fmt.Errorf("encode transition %d: %w", t.Seq, err)
		}
		fmt.Fprintf(&b, "id: %d\nevent: transition\ndata: %s\n\n", t.Seq, text)
	}
	return b.Bytes(), nil
}

// stream serves the events to one subscriber for as long as they stay.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) error {
	if id := r.URL.Query().Get("run"); id != "" {
		return s.streamRun(w, r, id)
	}
	after, resumes, err := resumePoint(r)
	if err != nil {
		return err
	}
	l, seq, err := s.hub.join(r.Context())
	if err != nil {
		return err
	}
	defer s.hub.leave(l)
	out, err := newStreamWriter(w)
	if err != nil {
		return err
	}
	if !resumes || after > seq { // A number from before a restored backup means nothing here.
		after = seq
	}
	hello, err := json.Marshal(HelloEvent{s.now().UTC(), s.deps.Version, after})
	if err != nil {
		return err
	}
	if !out.write(fmt.Appendf(nil, "retry: %d\nid: %d\nevent: hello\ndata: %s\n\n", streamRetryMS, after, hello)) {
		return nil
	}
	if s.catchUp(r.Context(), out, after, seq) {
		recheck := time.NewTicker(s.hub.recheck)
		defer recheck.Stop()
		out.follow(r.Context(), l, recheck.C, func() bool { return s.sign.Still(r, rest.Read) })
	}
	return nil // The answer has begun: there is no way to tell of an error but to end it.
}

// resumePoint answers the last event that the subscriber has.
func resumePoint(r *http.Request) (after int64, resumes bool, err error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("after")
	}
	if text == "" {
		return 0, false, nil
	}
	after, err = strconv.ParseInt(text, 10, 64)
	if err != nil || after < 0 {
		return 0, false, rest.Invalid("after", "Last-Event-ID is the id of an event of this stream")
	}
	return after, true, nil
}

// catchUp writes what was committed after the one point and up to the other,
// from where the listener's queue goes on.
func (s *Server) catchUp(ctx context.Context, out streamWriter, after, upTo int64) bool {
	for after < upTo {
		page, err := s.store.Transitions(ctx, store.TransitionFilter{After: after, Before: upTo + 1, Limit: streamPage})
		if err != nil {
			s.log.ErrorContext(ctx, "event stream could not resume", "err", err)
			return false
		}
		if len(page) == 0 {
			return true
		}
		piece, err := encodeTransitions(page)
		if err != nil || !out.write(piece) {
			return false
		}
		after = page[len(page)-1].Seq
	}
	return true
}

type streamWriter struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// newStreamWriter begins the answer of a stream.
func newStreamWriter(w http.ResponseWriter) (streamWriter, error) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	out := streamWriter{w: w, rc: http.NewResponseController(w)}
	return out, out.rc.SetReadDeadline(time.Time{}) // It would end the request though nothing is to be read.
}

// write sends a piece at once; false when the subscriber is gone.
func (o streamWriter) write(piece []byte) bool {
	if err := o.rc.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil {
		return false
	}
	if _, err := o.w.Write(piece); err != nil {
		return false
	}
	return o.rc.Flush() == nil
}

// follow sends what the hub hands out until either side ends or the
// subscriber may no longer listen.
func (o streamWriter) follow(ctx context.Context, l *listener, recheck <-chan time.Time, still func() bool) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-recheck:
			if !still() {
				return
			}
		case piece, ok := <-l.pieces:
			if !ok {
				// Too slow: it comes back with the last ID it has.
				o.write(fmt.Appendf(nil, "retry: %d\n\n", streamRetryMS))
				return
			}
			if !o.write(piece) {
				return
			}
		}
	}
}
