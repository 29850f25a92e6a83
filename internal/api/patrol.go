package api

import (
	"context"
	"net/http"
	"time"

	"reeve/internal/ops"
	"reeve/internal/patrol"
	"reeve/internal/rest"
	"reeve/internal/store"
)

func (s *Server) patrolRoutes() []rest.Route {
	return []rest.Route{
		rest.Typed("GET /api/v1/patrol", rest.Read, "How patrols are doing: what goes on, what waits, the last, the next, the model.", s.patrol),
		rest.Typed("POST /api/v1/patrol/run", rest.Operate, "Ask for a patrol; the run that is named exists whatever happens. 422 for a scope that matches nothing.", s.askPatrol),
		rest.Typed("POST /api/v1/patrol/preview", rest.Operate, "Exactly what a patrol of a scope would send to a model now, and what it would cost; nothing is sent.", s.previewPatrol),
		rest.Typed("GET /api/v1/runs", rest.Read, "Patrols, the newest first, without their details.", s.runs),
		rest.Typed("GET /api/v1/runs/{id}", rest.Read, "One patrol in full: what it looked at, found, did and took.", s.run),
		rest.Typed("GET /api/v1/runs/{id}/events", rest.Read, "What a patrol did while it went on, in order.", s.runEvents),
		rest.Typed("POST /api/v1/runs/{id}/replay", rest.Operate, "Hand what a patrol's model was given to a model once more; the run that is named tells the difference.", s.replayRun),
		rest.Typed("POST /api/v1/runs/{id}/cancel", rest.Operate, "Stop a patrol that waits or goes on.", s.cancelRun),
	}
}

func (s *Server) patrol(ctx context.Context, _ rest.NoInput) (patrol.Overview, error) {
	st, err := s.deps.Patrol.Status(ctx)
	st.Queue, st.Events = rest.Full(st.Queue), rest.Full(st.Events)
	return st, err
}

// A PatrolState says in a line how patrols are doing; GET /api/v1/patrol has
// the rest.
type PatrolState struct {
	State    string        `json:"state" doc:"ok, or failing when three failed in a row."`
	Running  bool          `json:"running"`
	Queued   int           `json:"queued"`
	Failures int64         `json:"failures" doc:"How many failed in a row."`
	NextAt   time.Time     `json:"next_at,omitzero"`
	LastID   string        `json:"last_run_id,omitempty"`
	LastAt   time.Time     `json:"last_at,omitzero"`
	Health   ops.RunHealth `json:"last_health,omitempty"`
	Summary  string        `json:"last_summary,omitempty"`
	Model    string        `json:"model,omitempty"`
}

// failuresToReport is how many patrols that failed in a row are a fault.
const failuresToReport = 3

func (s *Server) patrolState(ctx context.Context) (PatrolState, error) {
	st, err := s.deps.Patrol.Status(ctx)
	if err != nil {
		return PatrolState{}, err
	}
	p := PatrolState{State: "ok", Running: st.Running != nil, Queued: len(st.Queue), Failures: st.Failures, NextAt: st.NextAt, Model: st.Model}
	if st.Failures >= failuresToReport {
		p.State = "failing"
	}
	if r := st.Last; r != nil {
		p.LastID, p.LastAt, p.Health, p.Summary = r.ID, r.EndedAt, r.Health, r.Summary
		if r.Err != "" {
			p.Summary = r.Err
		}
	}
	return p, nil
}

// ScopeInput says what a patrol is to look at.
type ScopeInput struct {
	Resources []string   `json:"resources,omitempty" doc:"IDs, names, HOST/NAME or keys; each must mean one resource."`
	Kinds     []ops.Kind `json:"kinds,omitempty" doc:"Kinds; with resources, those of these kinds only."`
}

func (i ScopeInput) scope() ops.RunScope {
	return ops.RunScope{Resources: i.Resources, Kinds: i.Kinds}
}

type askPatrolInput struct {
	Body struct {
		Scope  ScopeInput `json:"scope,omitzero" doc:"Leave out for everything."`
		Depth  string     `json:"depth,omitempty" enum:"quick,normal" doc:"quick asks no model; default normal."`
		Reason string     `json:"reason,omitempty" doc:"Goes into the record."`
	} `body:""`
}

// A RunAccepted names the run that answers a request.
type RunAccepted struct {
	RunID string  `json:"run_id"`
	Run   ops.Run `json:"run" doc:"As it waits now: it may answer others too."`
}

// HTTPStatus says that the work goes on.
func (RunAccepted) HTTPStatus() int { return http.StatusAccepted }

func (s *Server) askPatrol(ctx context.Context, q askPatrolInput) (RunAccepted, error) {
	if q.Body.Reason != "" {
		if err := checkReason(q.Body.Reason); err != nil {
			return RunAccepted{}, err
		}
	}
	r, err := s.deps.Patrol.Ask(ctx, patrol.Request{Scope: q.Body.Scope.scope(), Depth: q.Body.Depth, Reason: q.Body.Reason,
		Why: rest.CallerOf(ctx).Why(q.Body.Reason)})
	return RunAccepted{RunID: r.ID, Run: r}, err
}

type previewInput struct {
	Body struct {
		Scope ScopeInput `json:"scope,omitzero" doc:"Leave out for everything."`
	} `body:""`
}

func (s *Server) previewPatrol(ctx context.Context, q previewInput) (patrol.Preview, error) {
	v, err := s.deps.Patrol.Preview(ctx, q.Body.Scope.scope())
	v.Tools, v.Messages, v.Sections = rest.Full(v.Tools), rest.Full(v.Messages), rest.Full(v.Sections)
	return v, err
}

type replayInput struct {
	ID   string `path:"id"`
	Body struct {
		Model string `json:"model,omitempty" doc:"provider:model; default the one that answered then."`
	} `body:""`
}

func (s *Server) replayRun(ctx context.Context, q replayInput) (RunAccepted, error) {
	r, err := s.deps.Patrol.Replay(ctx, q.ID, q.Body.Model, rest.CallerOf(ctx).Why(""))
	return RunAccepted{RunID: r.ID, Run: r}, err
}

type runsInput struct {
	State   []string `query:"state" doc:"active (queued or running), or states; several with commas."`
	Trigger []string `query:"trigger" doc:"What asked for it; several with commas."`
	Health  []string `query:"health" doc:"healthy, issues, critical, inconclusive, failed; several with commas."`
	Limit   int      `query:"limit" doc:"Of a page, at most 1000; default 50."`
	Cursor  string   `query:"cursor"`
}

var (
	runTriggers = append([]ops.TriggerKind{ops.TriggerManual, ops.TriggerScheduled, ops.TriggerStartup, ops.TriggerReplay}, patrol.Events...)
	runHealths  = []ops.RunHealth{ops.RunHealthy, ops.RunIssues, ops.RunCritical, ops.RunInconclusive, ops.RunNotDone}
)

func (s *Server) runs(ctx context.Context, q runsInput) (rest.List[ops.Run], error) {
	f := store.RunFilter{Triggers: q.Trigger, Healths: q.Health, Limit: q.Limit}
	var err error
	if f.After, err = parseCursor("", q.Cursor); err != nil {
		return rest.List[ops.Run]{}, err
	}
	for _, err := range []error{
		amongAll("state", "state of patrols", q.State, append([]ops.RunState{active}, ops.RunFlow.States()...)),
		amongAll("trigger", "trigger", q.Trigger, runTriggers), amongAll("health", "health", q.Health, runHealths),
	} {
		if err != nil {
			return rest.List[ops.Run]{}, err
		}
	}
	for _, state := range q.State {
		if state == active {
			f.States = append(f.States, string(ops.RunQueued), string(ops.RunRunning))
			continue
		}
		f.States = append(f.States, state)
	}
	items, next, err := s.store.Runs(ctx, f)
	return rest.ListOf(items, cursorOf("", next)), err
}

// A WholeRun is one patrol with what asked for it.
type WholeRun struct {
	ops.Run
	AnsweredTriggers []ops.RunTrigger `json:"answered_triggers" doc:"What it answers, the oldest first; at most 100."`
}

// EntityVersion is what If-Match is compared with.
func (d WholeRun) EntityVersion() int64 { return d.Run.Version }

func (s *Server) run(ctx context.Context, q rest.ByID) (WholeRun, error) {
	r, err := s.store.Run(ctx, q.ID)
	if err != nil {
		return WholeRun{}, err
	}
	triggers, err := s.store.TriggersOfRun(ctx, r.ID, 100)
	return WholeRun{Run: r, AnsweredTriggers: rest.Full(triggers)}, err
}

type runEventsInput struct {
	ID    string `path:"id"`
	After int    `query:"after" doc:"Only those after this sequence."`
	Limit int    `query:"limit" doc:"At most 1000; default 50."`
}

func (s *Server) runEvents(ctx context.Context, q runEventsInput) (rest.List[store.RunEvent], error) {
	if _, err := s.store.Run(ctx, q.ID); err != nil {
		return rest.List[store.RunEvent]{}, err
	}
	events, err := s.store.RunEvents(ctx, q.ID, int64(q.After), q.Limit)
	return rest.ListOf(events, ""), err
}

func (s *Server) cancelRun(ctx context.Context, q reasonInput) (ops.Run, error) {
	if q.Body.Reason != "" {
		if err := checkReason(q.Body.Reason); err != nil {
			return ops.Run{}, err
		}
	}
	return s.deps.Patrol.Cancel(ctx, q.ID, rest.CallerOf(ctx).Why(q.Body.Reason))
}
