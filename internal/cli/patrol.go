package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/ops"
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
	text, err := s.call(ctx, http.MethodPost, path, body, &a)
	if err != nil || s.json() && !watch {
		return s.documentOr(text, err)
	}
	if !watch {
		s.page.line("%s is %s; see it with `reeve patrol show %s`", a.ID, a.Run.State, a.ID)
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
	c, err := s.ask()
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
		s.page.line(format, args...)
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
			p.line("%s %s", p.paint(faint, fmt.Sprintf("%-9s %7s", safe(e.Name), micros(e.TookUS))), safe(e.Note))
		}
	case "note":
		p.line("%s %s", p.paint(faint, fmt.Sprintf("%-17s", safe(e.Name))), safe(e.Note))
	case "text":
		p.paragraph("  ", e.Text)
	case "tool_end":
		p.line("%s %s %s", p.paint(faint, fmt.Sprintf("%-9s %7s", "tool", micros(e.TookUS))), safe(e.Tool), safe(e.Error))
	case "finding":
		p.line("%s %s (%s)", p.paint(severityStyle(e.Severity), fmt.Sprintf("%-17s", string(e.Severity))), safe(e.What), safe(e.Place))
	case "rejection":
		p.line("%s %s: %s", p.paint(yellow, fmt.Sprintf("%-17s", "struck")), safe(e.What), safe(e.Reason))
	}
}

func micros(us int64) string {
	if us < 1000 {
		return fmt.Sprintf("%dµs", us)
	}
	return span(max(time.Duration(us)*time.Microsecond, time.Millisecond))
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
		return answered(ops.Errorf(ops.Forbidden, "%s was refused: %s", id, safe(end.Err)))
	}
	return answered(ops.Errorf(ops.Unavailable, "%s is %s: %s", id, end.State, first(safe(end.Err), "no reason given")))
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
	text, err := s.call(ctx, http.MethodPost, "/api/v1/patrol/preview", body, &v)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	p := s.page
	switch {
	case v.Model == "":
		p.line("nothing would be sent: %s", safe(v.Reason))
		return nil
	case v.Quiet != "":
		p.line("nothing would be sent now: %s; otherwise this", safe(v.Quiet))
	}
	p.line("%s about %s, %d withheld; %d tokens (%d of them in every request), %s; a usual run: %d in, %d out, at most %s", p.paint(bold, safe(v.Model)),
		plural(v.Resources, "resource"), v.Withheld, v.Tokens, v.Fixed, bytesText(float64(v.Bytes)), v.RunInput, v.RunOutput, dollars(v.Cost))
	p.heading("Instructions")
	p.paragraph("  ", v.System)
	p.heading("Tools")
	for _, t := range v.Tools {
		p.paragraph("  ", t.Name+": "+t.Doc)
	}
	for _, m := range v.Messages {
		p.heading("Message of the " + safe(m.Role))
		for _, part := range m.Parts {
			p.paragraph("  ", part.Text)
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
			l, err := s.listed(c.Context(), "/api/v1/runs", q, limit)
			if err != nil || s.json() {
				return errors.Join(err, s.valueUnless(err, l))
			}
			all, err := read[ops.Run](l)
			if err != nil {
				return err
			}
			s.runTable(all)
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
	return s.page.value(v)
}

func (s *session) runTable(all []ops.Run) {
	if len(all) == 0 {
		s.page.line("no patrols")
		return
	}
	now := time.Now()
	t := s.page.table("!ID", "!STATE", "!HEALTH", "TRIGGER", "SCOPE", ">AGO", ">TOOK", ">TOKENS", "SUMMARY")
	for _, r := range all {
		took := ""
		if !r.StartedAt.IsZero() && !r.EndedAt.IsZero() {
			took = micros(r.EndedAt.Sub(r.StartedAt).Microseconds())
		}
		health := string(r.Health)
		if r.Quiet {
			health = "quiet"
		}
		t.add(of(r.ID), cell{string(r.State), stateStyle(string(r.State))}, cell{health, healthStyle(r.Health)}, of(string(r.Trigger)), of(scopeText(r.Asked)),
			of(age(now, r.QueuedAt)), of(took), of(fmt.Sprint(r.Tokens.Total())), of(first(r.Err, r.Summary, r.Reason)))
	}
	t.print()
}

func healthStyle(h ops.RunHealth) style {
	switch h {
	case ops.RunHealthy:
		return green
	case ops.RunIssues, ops.RunInconclusive:
		return yellow
	case ops.RunCritical, ops.RunNotDone:
		return red
	}
	return plainText
}

func scopeText(s ops.RunScope) string {
	var parts []string
	if n := len(s.Resources); n > 0 {
		parts = append(parts, plural(n, "resource"))
	}
	for _, k := range s.Kinds {
		parts = append(parts, string(k))
	}
	return first(strings.Join(parts, ", "), "everything")
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
			text, err := s.call(c.Context(), http.MethodPost, "/api/v1/runs/"+url.PathEscape(args[0])+"/cancel", body, &r)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			s.page.line("%s is %s", r.ID, r.State)
			return nil
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why; goes into the record")
	return c
}
