package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/patrol"
	"reeve/internal/rest"
	"reeve/internal/store"
)

// streamRun serves the events of one patrol to one subscriber until it is
// over. An id is RUN:SEQ, so that nobody who comes back from another run
// begins in the middle of this one. Subscribers hold a place in what is
// stored, no queue: one that is slow costs the patrol nothing, and one that
// takes nothing for a while is let go.
func (s *Server) streamRun(w http.ResponseWriter, r *http.Request, id string) error {
	after, err := runResumePoint(r, id)
	if err != nil {
		return err
	}
	l, err := s.deps.Patrol.Listen(r.Context(), id, after)
	if err != nil {
		return err
	}
	if err := s.hub.admit(); err != nil {
		return err
	}
	defer s.hub.dismiss()
	out, err := newStreamWriter(w)
	if err != nil {
		return err
	}
	if !out.write(fmt.Appendf(nil, "retry: %d\n\n", streamRetryMS)) {
		return nil
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	stop := context.AfterFunc(s.hub.over, cancel)
	defer stop()
	s.followRun(ctx, out, l, r)
	return nil // The answer has begun: there is no way to tell of an error but to end it.
}

// followRun sends what the patrol does until it or the subscriber ends, or the
// subscriber may no longer listen.
func (s *Server) followRun(ctx context.Context, out streamWriter, l *patrol.Listener, r *http.Request) {
	for asked := time.Now(); ; {
		events, over, err := l.Next(ctx, streamBeat)
		if err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "events of a patrol cannot be read", "run", l.RunID(), "err", err)
		}
		if err != nil || over {
			return
		}
		if time.Since(asked) > s.hub.recheck {
			if !s.sign.Still(r, rest.Read) {
				return
			}
			asked = time.Now()
		}
		piece := []byte(": \n\n") // A sign of life.
		if len(events) > 0 {
			piece = encodeRunEvents(l.RunID(), events)
		}
		if !out.write(piece) {
			return
		}
	}
}

// runResumePoint answers the last event of this run that the subscriber has:
// of another run it has none of this.
func runResumePoint(r *http.Request, id string) (int64, error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("after")
	}
	run, seq, ok := strings.Cut(text, ":")
	if !ok && text != "" && ops.IDKind(text) == "" {
		run, seq = id, text // ?after=12 of this run
	}
	if text == "" || run != id {
		return 0, nil
	}
	n, err := strconv.ParseInt(seq, 10, 64)
	if err != nil || n < 0 {
		return 0, rest.Invalid("after", "Last-Event-ID is the id of an event of this run, RUN:NUMBER")
	}
	return n, nil
}

func encodeRunEvents(id string, events []store.RunEvent) []byte {
	var b bytes.Buffer
	for _, e := range events {
		fmt.Fprintf(&b, "id: %s:%d\nevent: %s\ndata: %s\n\n", id, e.Seq, e.Type, e.Data)
	}
	return b.Bytes()
}
