package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/dial"
	"reeve/internal/glyph"
	"reeve/internal/ops"
	"reeve/internal/show"
	"reeve/internal/term"
)

// The rhythm of coming back to a stream that ended.
const (
	firstPause = time.Second
	longPause  = 30 * time.Second
)

func (s *session) watchVerb() *cobra.Command {
	var filter []string
	var after int64
	var count int
	c := &cobra.Command{
		Use: "watch", Short: "Follow every change as it is committed, one line each",
		Long: `Follows the stream of changes and prints one line for each, until it is
interrupted. When the connection breaks it comes back and goes on after the last
change it has, so that none is missing. With -o json every line is one document.`,
		Example: "  reeve watch\n  reeve watch --filter finding,incident\n  reeve watch --filter object=delivery --filter to=dead\n  reeve watch --after 1200 -o json", Args: takes(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			keep, err := parseFilter(filter)
			if err != nil {
				return err
			}
			f := follower{s: s, keep: keep, left: count, last: after, resume: c.Flags().Changed("after")}
			return f.run(c.Context())
		},
	}
	c.Flags().StringArrayVar(&filter, "filter", nil, "only changes of these objects, or NAME=VALUE of object, verb, actor, id, from, to; all that are given must fit")
	c.Flags().Int64Var(&after, "after", 0, "begin after the change with this number instead of now")
	c.Flags().IntVar(&count, "count", 0, "end after this many changes; 0 goes on")
	return c
}

// filterFields are what changes are chosen by.
var filterFields = map[string]func(ops.Transition) string{
	"object": func(t ops.Transition) string { return t.Object },
	"verb":   func(t ops.Transition) string { return t.Verb },
	"actor":  func(t ops.Transition) string { return t.Actor },
	"id":     func(t ops.Transition) string { return t.ObjectID },
	"from":   func(t ops.Transition) string { return t.From },
	"to":     func(t ops.Transition) string { return t.To },
}

// parseFilter makes the test of what is shown.
func parseFilter(texts []string) (func(ops.Transition) bool, error) {
	type rule struct {
		field  func(ops.Transition) string
		values []string
	}
	var rules []rule
	for _, text := range texts {
		name, values, ok := strings.Cut(text, "=")
		if !ok {
			name, values = "object", text
		}
		field, known := filterFields[name]
		if !known {
			return nil, wrongUse("--filter %q: choose by %s", text, strings.Join(sortedKeys(filterFields), ", "))
		}
		rules = append(rules, rule{field, strings.Split(values, ",")})
	}
	return func(t ops.Transition) bool {
		for _, r := range rules {
			if !slices.Contains(r.values, r.field(t)) {
				return false
			}
		}
		return true
	}, nil
}

// A follower reads the stream and comes back when it ends.
type follower struct {
	s      *session
	keep   func(ops.Transition) bool
	left   int // changes still to show, 0 for no end
	last   int64
	resume bool // last is known
	shown  bool // the stream was open once
}

// errEnough ends the following: everything asked for was shown.
var errEnough = errors.New("enough")

func (f *follower) run(ctx context.Context) error {
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		heard, err := f.once(ctx)
		if errors.Is(err, errEnough) || ctx.Err() != nil {
			return nil
		}
		if _, lost := errors.AsType[dial.Unreachable](err); err != nil && (!lost || !f.shown) {
			return err
		}
		if heard {
			pause = firstPause
		}
		fmt.Fprintf(f.s.program.Err, "the stream ended; coming back in %s\n", term.Span(pause))
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// once reads one connection to its end.
func (f *follower) once(ctx context.Context) (heard bool, err error) {
	last := ""
	if f.resume {
		last = strconv.FormatInt(f.last, 10)
	}
	c, err := f.s.server.Connect()
	if err != nil {
		return false, err
	}
	return c.Stream(ctx, "/api/v1/stream", last, func(id, kind, data string) error {
		f.shown = true
		return f.event(id, kind, data)
	})
}

// event shows one event when it is a change that is asked for.
func (f *follower) event(id, kind, data string) error {
	if n, err := strconv.ParseInt(id, 10, 64); err == nil {
		f.last, f.resume = n, true
	}
	if kind != "transition" {
		return nil
	}
	var t ops.Transition
	if err := json.Unmarshal([]byte(data), &t); err != nil {
		return fmt.Errorf("the stream holds what this program does not understand (%s)", dial.LastReason(err))
	}
	if !f.keep(t) {
		return nil
	}
	f.show(t, data)
	if f.left > 0 {
		if f.left--; f.left == 0 {
			return errEnough
		}
	}
	return nil
}

func (f *follower) show(t ops.Transition, data string) {
	p := f.s.page
	if f.s.json() {
		p.Line("%s", glyph.Escaped(data))
		return
	}
	line := fmt.Sprintf("%s  %s  %s", term.Stamp(t.At), term.Safe(t.Actor), term.Safe(show.TransitionText(t)))
	if t.ObjectID != "" {
		line += "  " + term.Safe(t.ObjectID)
	}
	if t.Reason != "" {
		line += "  (" + term.Safe(t.Reason) + ")"
	}
	p.Line("%s", p.Paint(term.StateStyle(t.To), line))
}
