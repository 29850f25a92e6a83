package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/client"
	"reeve/internal/ops"
	"reeve/internal/show"
	"reeve/internal/term"
)

func (s *session) patrolVerb() *cobra.Command {
	c := &cobra.Command{
		Use: "patrol", Short: "Look the estate over: now, what was found, what it took; with a model or without",
		Example: "  reeve patrol run --watch\n  reeve patrol run --scope web1,web1/nginx --preview\n  reeve patrol runs\n  reeve patrol show run_06h04g7m2abc",
		Args:    cobra.ArbitraryArgs, RunE: group,
	}
	c.AddCommand(s.patrolRunVerb(), s.patrolRunsVerb(), s.patrolShowVerb(), s.patrolStatusVerb(), s.patrolReplayVerb(), s.patrolCancelVerb())
	return c
}

func (s *session) patrolRunVerb() *cobra.Command {
	var scope, kinds []string
	var depth, reason string
	var watch, preview bool
	c := &cobra.Command{
		Use: "run", Short: "Look the estate over now, or a part of it", Args: takes(0, 0, ""),
		Example: "  reeve patrol run --watch\n  reeve patrol run --kinds filesystem,disk --depth quick --watch\n  reeve patrol run --scope web1/nginx --preview",
		RunE: func(c *cobra.Command, _ []string) error {
			body := map[string]any{"scope": map[string]any{"resources": list0(scope), "kinds": list0(kinds)}}
			if preview {
				return s.previewPatrol(c.Context(), body)
			}
			if depth != "" {
				body["depth"] = depth
			}
			if reason != "" {
				body["reason"] = reason
			}
			return s.startPatrol(c.Context(), "/api/v1/patrol/run", body, watch)
		},
	}
	f := c.Flags()
	f.StringSliceVar(&scope, "scope", nil, "only these resources: IDs, names, HOST/NAME or keys, with commas; each must mean one")
	f.StringSliceVar(&kinds, "kinds", nil, "only resources of these kinds, with commas")
	f.StringVar(&depth, "depth", "", "quick asks no model; default normal")
	f.StringVar(&reason, "reason", "", "why; goes into the record")
	f.BoolVar(&watch, "watch", false, "stay until it ends, and show what it does and finds")
	f.BoolVar(&preview, "preview", false, "do nothing; show exactly what would be sent to a model, and what it would cost")
	return c
}

func list0(l []string) []string {
	if l == nil {
		return []string{}
	}
	return l
}

// startPatrol asks for a run and follows it where that is wanted.
func (s *session) startPatrol(ctx context.Context, path string, body map[string]any, watch bool) error {
	var a struct {
		ID  string  `json:"run_id"`
		Run ops.Run `json:"run"`
	}
	text, err := s.server.Call(ctx, http.MethodPost, path, body, &a)
	if err != nil || s.json() && !watch {
		return s.documentOr(text, err)
	}
	if !watch {
		s.page.Line("%s is %s; see it with `reeve patrol show %s`", a.ID, a.Run.State, a.ID)
		return nil
	}
	return s.followRun(ctx, a.ID)
}

// A runEnd is the last event of a run.
type runEnd struct {
	State ops.RunState `json:"state"`
	Err   string       `json:"error"`
	Into  string       `json:"merged_into"`
}

// errOver ends the following of a run.
var errOver = errors.New("the run is over")

// followRun shows what a run does until it ends, then what it came to.
func (s *session) followRun(ctx context.Context, id string) error {
	c, err := s.server.Connect()
	if err != nil {
		return err
	}
	var end runEnd
	last := ""
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		heard, err := c.Stream(ctx, "/api/v1/stream?run="+url.QueryEscape(id), last, func(at, kind, data string) error {
			if at != "" {
				last = at
			}
			if kind == "done" {
				if err := json.Unmarshal([]byte(data), &end); err != nil {
					return err
				}
				return errOver
			}
			s.showRunEvent(kind, data)
			return nil
		})
		switch {
		case errors.Is(err, errOver) && end.State == ops.RunMerged && end.Into != "":
			s.aside("%s went into %s, which looks at the same", id, end.Into)
			id, last = end.Into, ""
			continue
		case errors.Is(err, errOver):
			return s.endOfRun(ctx, id, end)
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case heard:
			pause = firstPause
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// aside prints a line that is not part of the answer.
func (s *session) aside(format string, args ...any) {
	if !s.json() {
		s.page.Line(format, args...)
	}
}

// showRunEvent prints what a run does, one line each.
func (s *session) showRunEvent(kind, data string) {
	var e struct {
		Name, Note, Text, Tool, What, Reason, Place string
		Error                                       string `json:"error"`
		Done                                        bool   `json:"done"`
		TookUS                                      int64  `json:"took_us"`
		Severity                                    ops.Severity
	}
	if s.json() || json.Unmarshal([]byte(data), &e) != nil {
		return
	}
	p := s.page
	switch kind {
	case "phase":
		if e.Done {
			p.Line("%s %s", p.Paint(term.Faint, fmt.Sprintf("%-9s %7s", term.Safe(e.Name), term.Micros(e.TookUS))), term.Safe(e.Note))
		}
	case "note":
		p.Line("%s %s", p.Paint(term.Faint, fmt.Sprintf("%-17s", term.Safe(e.Name))), term.Safe(e.Note))
	case "text":
		p.Paragraph("  ", e.Text)
	case "tool_end":
		p.Line("%s %s %s", p.Paint(term.Faint, fmt.Sprintf("%-9s %7s", "tool", term.Micros(e.TookUS))), term.Safe(e.Tool), term.Safe(e.Error))
	case "finding":
		p.Line("%s %s (%s)", p.Paint(term.SeverityStyle(e.Severity), fmt.Sprintf("%-17s", string(e.Severity))), term.Safe(e.What), term.Safe(e.Place))
	case "rejection":
		p.Line("%s %s: %s", p.Paint(term.Yellow, fmt.Sprintf("%-17s", "struck")), term.Safe(e.What), term.Safe(e.Reason))
	}
}

// endOfRun prints what a run came to; one that was not done is an error.
func (s *session) endOfRun(ctx context.Context, id string, end runEnd) error {
	s.aside("")
	if err := s.oneRun(ctx, id); err != nil {
		return err
	}
	switch end.State {
	case ops.RunDone:
		return nil
	case ops.RunRefused:
		return answered(ops.Errorf(ops.Forbidden, "%s was refused: %s", id, term.Safe(end.Err)))
	}
	return answered(ops.Errorf(ops.Unavailable, "%s is %s: %s", id, end.State, cmp.Or(term.Safe(end.Err), "no reason given")))
}

func (s *session) previewPatrol(ctx context.Context, body map[string]any) error {
	var v struct {
		Model, Reason, System, Quiet string
		Tools                        []struct{ Name, Doc string }
		Messages                     []struct {
			Role  string
			Parts []struct{ Text string }
		}
		Tokens, Bytes       int64
		Fixed               int64  `json:"fixed_tokens"`
		RunInput            int64  `json:"run_input_tokens"`
		RunOutput           int64  `json:"run_output_tokens"`
		Cost                *int64 `json:"cost_micro_usd"`
		Resources, Withheld int
	}
	text, err := s.server.Call(ctx, http.MethodPost, "/api/v1/patrol/preview", body, &v)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	p := s.page
	switch {
	case v.Model == "":
		p.Line("nothing would be sent: %s", term.Safe(v.Reason))
		return nil
	case v.Quiet != "":
		p.Line("nothing would be sent now: %s; otherwise this", term.Safe(v.Quiet))
	}
	p.Line("%s about %s, %d withheld; %d tokens (%d of them in every request), %s; a usual run: %d in, %d out, at most %s", p.Paint(term.Bold, term.Safe(v.Model)),
		term.Plural(v.Resources, "resource"), v.Withheld, v.Tokens, v.Fixed, term.Bytes(float64(v.Bytes)), v.RunInput, v.RunOutput, term.Dollars(v.Cost))
	p.Heading("Instructions")
	p.Paragraph("  ", v.System)
	p.Heading("Tools")
	for _, t := range v.Tools {
		p.Paragraph("  ", t.Name+": "+t.Doc)
	}
	for _, m := range v.Messages {
		p.Heading("Message of the " + term.Safe(m.Role))
		for _, part := range m.Parts {
			p.Paragraph("  ", part.Text)
		}
	}
	return nil
}

func (s *session) patrolRunsVerb() *cobra.Command {
	var state, health, trigger string
	var limit int
	c := &cobra.Command{
		Use: "runs", Short: "List patrols, the newest first", Example: "  reeve patrol runs\n  reeve patrol runs --health critical,issues -o json", Args: takes(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			q := url.Values{}
			set(q, "state", state)
			set(q, "health", health)
			set(q, "trigger", trigger)
			l, err := s.server.Listed(c.Context(), "/api/v1/runs", q, limit)
			if err != nil || s.json() {
				return errors.Join(err, s.valueUnless(err, l))
			}
			all, err := client.Read[ops.Run](l)
			if err != nil {
				return err
			}
			show.Runs(s.page, all)
			s.more(l)
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&state, "state", "", "active (queued or running), done, merged, refused, failed, interrupted, cancelled; several with commas")
	f.StringVar(&health, "health", "", "healthy, issues, critical, inconclusive, failed; several with commas")
	f.StringVar(&trigger, "trigger", "", "manual, scheduled, startup, finding_opened ...; several with commas")
	f.IntVar(&limit, "limit", 50, "how many at most; 0 for all")
	return c
}

func (s *session) valueUnless(err error, v any) error {
	if err != nil {
		return nil
	}
	return s.page.Value(v)
}

func (s *session) patrolReplayVerb() *cobra.Command {
	var model string
	var watch bool
	c := &cobra.Command{
		Use: "replay RUN", Short: "Hand what a patrol's model was given to a model once more, and show the difference", Args: takes(1, 1, "the ID of a patrol"),
		Example: "  reeve patrol replay run_06h04g7m2abc --model ollama:qwen3 --watch",
		RunE: func(c *cobra.Command, args []string) error {
			body := map[string]any{}
			if model != "" {
				body["model"] = model
			}
			return s.startPatrol(c.Context(), "/api/v1/runs/"+url.PathEscape(args[0])+"/replay", body, watch)
		},
	}
	c.Flags().StringVar(&model, "model", "", "provider:model; default the one that answered then")
	c.Flags().BoolVar(&watch, "watch", false, "stay until it ends, and show what it does")
	return c
}

func (s *session) patrolCancelVerb() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "cancel RUN", Short: "Stop a patrol that waits or goes on", Args: takes(1, 1, "the ID of a patrol"), Example: "  reeve patrol cancel run_06h04g7m2abc",
		RunE: func(c *cobra.Command, args []string) error {
			body := map[string]any{}
			if reason != "" {
				body["reason"] = reason
			}
			var r ops.Run
			text, err := s.server.Call(c.Context(), http.MethodPost, "/api/v1/runs/"+url.PathEscape(args[0])+"/cancel", body, &r)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			s.page.Line("%s is %s", r.ID, r.State)
			return nil
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why; goes into the record")
	return c
}
