package api

import (
	"context"

	"reeve/internal/authority"
	"reeve/internal/ops"
	"reeve/internal/reconcile"
	"reeve/internal/rest"
	"reeve/internal/store"
	"reeve/internal/workload"
)

// Work is where people's words about workloads go.
type Work struct {
	Declare     func(context.Context, reconcile.Declaration, store.Why) (ops.Workload, error)
	Suggestions func(context.Context) ([]reconcile.Suggestion, error)
	Propose     func(ctx context.Context, workload string, op workload.Operation, why store.Why) (ops.Action, error)
	Approve     func(ctx context.Context, id string, approval authority.Approval, why store.Why) (ops.Action, error)
	Withdraw    func(ctx context.Context, id string, reject bool, why store.Why) (ops.Action, error)
	Sets        func(context.Context) ([]authority.ApproverSet, error)
	Follow      func(context.Context, authority.ApproverSet, store.Why) error
	Drivers     []DriverView
}

// A DriverView is a driver of workloads.
type DriverView struct {
	Name        string   `json:"name"`
	Doc         string   `json:"doc"`
	Operations  []string `json:"operations"`
	Permissions string   `json:"permissions"`
}

func (s *Server) workRoutes() []rest.Route {
	return []rest.Route{
		rest.Typed("GET /api/v1/workloads", rest.Read, "What runs on the hosts and what should: desired, observed, what is wrong and why, by name.", s.workloads),
		rest.Typed("GET /api/v1/workloads/suggestions", rest.Read, "What has run for a day without being declared.", s.suggestions),
		rest.Typed("GET /api/v1/workloads/{id...}", rest.Read, "One workload with its time-line and actions, by its ID, its name, or HOST/NAME.", s.workload),
		rest.Typed("POST /api/v1/workloads", rest.Operate, "Declare what should be of a workload, or take a declaration back.", s.declareWorkload),
		rest.Typed("GET /api/v1/drivers", rest.Read, "Drivers of workloads of this build.", s.drivers),

		rest.Typed("GET /api/v1/actions", rest.Read, "Actions, the newest first.", s.actions),
		rest.Typed("GET /api/v1/actions/{id}", rest.Read, "One action with its time-line.", s.action),
		rest.Typed("POST /api/v1/actions", rest.Operate, "Plan one operation on a workload; an approver must sign its hash before anything happens.", s.propose),
		rest.Typed("POST /api/v1/actions/{id}/approve", rest.Operate, "Hand in an approver's signed approval.", s.approve),
		rest.Typed("POST /api/v1/actions/{id}/reject", rest.Operate, "Say no to an action.", s.withdraw(true)),
		rest.Typed("POST /api/v1/actions/{id}/withdraw", rest.Operate, "Take a proposal back.", s.withdraw(false)),

		rest.Typed("GET /api/v1/approvers", rest.Read, "Who may approve: every set of keys from the root on, each signed by a key of the one before.", s.approvers),
		rest.Typed("POST /api/v1/approvers", rest.Administer, "Hand in the next set of approvers, signed by a key of the newest.", s.follow),
	}
}

type workloadsQuery struct {
	Host     string `query:"host" doc:"ID or name of the host."`
	Driver   string `query:"driver" doc:"docker, podman, systemd."`
	Text     string `query:"q" doc:"Part of the name."`
	Declared bool   `query:"declared" doc:"Only what was declared."`
	Problem  bool   `query:"problem" doc:"Only where something is wrong."`
	Limit    int    `query:"limit" doc:"At most 1000; default 50."`
	Cursor   string `query:"cursor"`
}

func (s *Server) workloads(ctx context.Context, q workloadsQuery) (rest.List[ops.Workload], error) {
	f := store.WorkloadFilter{Host: q.Host, Driver: q.Driver, Text: q.Text, Declared: q.Declared, Problem: q.Problem, Limit: q.Limit}
	var err error
	if f.After, err = parseCursor("", q.Cursor); err != nil {
		return rest.List[ops.Workload]{}, err
	}
	if err := s.checkDriver(q.Driver); err != nil {
		return rest.List[ops.Workload]{}, err
	}
	if q.Host != "" { // nothing is on a host whose name was mistyped, which is no answer
		if _, err := s.store.FindHost(ctx, q.Host); err != nil {
			return rest.List[ops.Workload]{}, err
		}
	}
	all, next, err := s.store.Workloads(ctx, f)
	return rest.ListOf(all, cursorOf("", next)), err
}

func (s *Server) suggestions(ctx context.Context, _ rest.NoInput) (rest.List[reconcile.Suggestion], error) {
	all, err := s.deps.Work.Suggestions(ctx)
	return rest.ListOf(all, ""), err
}

// WorkloadDetail is a workload with what happened to it.
type WorkloadDetail struct {
	ops.Workload
	Actions     []ops.Action     `json:"actions" doc:"The newest first."`
	Transitions []ops.Transition `json:"transitions" doc:"The newest first."`
}

func (s *Server) workload(ctx context.Context, q rest.ByID) (d WorkloadDetail, err error) {
	if d.Workload, err = s.store.Workload(ctx, q.ID); err != nil {
		return d, err
	}
	if d.Actions, _, err = s.store.Actions(ctx, store.ActionFilter{Workload: d.ID, Limit: 20}); err != nil {
		return d, err
	}
	d.Transitions, err = s.store.Transitions(ctx, store.TransitionFilter{Object: "workload", ObjectID: d.ID, Newest: true, Limit: detailLimit})
	d.Actions, d.Transitions = rest.Full(d.Actions), rest.Full(d.Transitions)
	return d, err
}

func (s *Server) declareWorkload(ctx context.Context, q struct {
	Body struct {
		Host    string `json:"host" doc:"ID or name of the host."`
		Driver  string `json:"driver" doc:"docker, podman or systemd."`
		Name    string `json:"name"`
		Desired string `json:"desired" enum:"running,paused,stopped,absent,none" doc:"none takes the declaration back."`
		Reason  string `json:"reason,omitempty"`
	} `body:""`
}) (ops.Workload, error) {
	b := q.Body
	if err := checkReason(b.Reason); err != nil {
		return ops.Workload{}, err
	}
	desired := workload.State(b.Desired)
	if b.Desired == "none" {
		desired = workload.Undeclared
	}
	return s.deps.Work.Declare(ctx, reconcile.Declaration{Host: b.Host, Driver: b.Driver, Name: b.Name, Desired: desired, Source: store.FromPerson}, rest.CallerOf(ctx).Why(b.Reason))
}

func (s *Server) drivers(context.Context, rest.NoInput) (rest.List[DriverView], error) {
	return rest.ListOf(s.deps.Work.Drivers, ""), nil
}

type actionsQuery struct {
	State    []string `query:"state" doc:"States, separated by commas."`
	Workload string   `query:"workload" doc:"ID of a workload."`
	Host     string   `query:"host" doc:"ID of a host."`
	Limit    int      `query:"limit" doc:"At most 1000; default 50."`
	Cursor   string   `query:"cursor"`
}

func (s *Server) actions(ctx context.Context, q actionsQuery) (rest.List[ops.Action], error) {
	f := store.ActionFilter{States: q.State, Host: q.Host, Workload: q.Workload, Limit: q.Limit}
	var err error
	if f.After, err = parseCursor("", q.Cursor); err != nil {
		return rest.List[ops.Action]{}, err
	}
	if err := amongAll("state", "state of actions", q.State, ops.ActionFlow.States()); err != nil {
		return rest.List[ops.Action]{}, err
	}
	all, next, err := s.store.Actions(ctx, f)
	return rest.ListOf(all, cursorOf("", next)), err
}

func (s *Server) checkDriver(name string) error {
	if name == "" {
		return nil
	}
	var known []string
	for _, d := range s.deps.Work.Drivers {
		known = append(known, d.Name)
	}
	return rest.Among("driver", "driver", name, known)
}

// ActionDetail is an action with what happened to it.
type ActionDetail struct {
	ops.Action
	Transitions []ops.Transition `json:"transitions" doc:"The newest first."`
}

func (s *Server) action(ctx context.Context, q rest.ByID) (d ActionDetail, err error) {
	if d.Action, err = s.store.Action(ctx, q.ID); err != nil {
		return d, err
	}
	d.Transitions, err = s.store.Transitions(ctx, store.TransitionFilter{Object: "action", ObjectID: d.ID, Newest: true, Limit: detailLimit})
	d.Transitions = rest.Full(d.Transitions)
	return d, err
}

func (s *Server) propose(ctx context.Context, q struct {
	Body struct {
		Workload  string `json:"workload" doc:"Its ID, its name, or HOST/NAME."`
		Operation string `json:"operation" enum:"start,stop,pause,resume,restart,snapshot"`
		Reason    string `json:"reason,omitempty"`
	} `body:""`
}) (ops.Action, error) {
	if err := checkReason(q.Body.Reason); err != nil {
		return ops.Action{}, err
	}
	w, err := s.store.Workload(ctx, q.Body.Workload)
	if err != nil {
		return ops.Action{}, err
	}
	return s.deps.Work.Propose(ctx, w.ID, workload.Operation(q.Body.Operation), rest.CallerOf(ctx).Why(q.Body.Reason))
}

func (s *Server) approve(ctx context.Context, q struct {
	ID   string             `path:"id"`
	Body authority.Approval `body:""`
}) (ops.Action, error) {
	return s.deps.Work.Approve(ctx, q.ID, q.Body, rest.CallerOf(ctx).Why(""))
}

func (s *Server) withdraw(reject bool) func(context.Context, hostReason) (ops.Action, error) {
	return func(ctx context.Context, q hostReason) (ops.Action, error) {
		if err := checkReason(q.Body.Reason); err != nil {
			return ops.Action{}, err
		}
		return s.deps.Work.Withdraw(ctx, q.ID, reject, rest.CallerOf(ctx).Why(q.Body.Reason))
	}
}

// Approvers are who may approve.
type Approvers struct {
	Root string                  `json:"root" doc:"Hash of the first set: what a host pins when it joins."`
	Sets []authority.ApproverSet `json:"sets" doc:"From the root on."`
}

func (s *Server) approvers(ctx context.Context, _ rest.NoInput) (a Approvers, err error) {
	a.Sets, err = s.deps.Work.Sets(ctx)
	if len(a.Sets) > 0 {
		a.Root = a.Sets[0].Hash()
	}
	a.Sets = rest.Full(a.Sets)
	return a, err
}

func (s *Server) follow(ctx context.Context, q struct {
	Body authority.ApproverSet `body:""`
}) (Approvers, error) {
	if err := s.deps.Work.Follow(ctx, q.Body, rest.CallerOf(ctx).Why("")); err != nil {
		return Approvers{}, err
	}
	return s.approvers(ctx, rest.NoInput{})
}
