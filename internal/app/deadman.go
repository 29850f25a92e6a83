package app

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"reeve/internal/ops"
	"reeve/internal/watch"
)

const (
	deadmanEvery   = time.Minute
	deadmanTimeout = 15 * time.Second
)

// pingDeadman tells a service outside that Reeve lives and judges: when the
// pings end, that service tells a person. A server that no longer judges
// although it should does not ping.
func (s *Server) pingDeadman(ctx context.Context) error {
	if _, on := s.duty.on(ctx); on {
		last, patience := s.watch.Status().At, 3*watch.Every+deadmanEvery
		if last.IsZero() && time.Since(s.started) <= patience {
			return nil // the first look at the estate wakes this pass
		}
		if time.Since(last) > patience {
			return ops.Errorf(ops.Unavailable, "the estate has not been judged since %s: the dead-man service is not told that all is well", last.Format(time.RFC3339))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, deadmanTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.config.Deadman, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return ops.Because(ops.Unavailable, err, "the dead-man service cannot be reached")
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 300 {
		return fmt.Errorf("the dead-man service answers %s", answer.Status)
	}
	return nil
}
