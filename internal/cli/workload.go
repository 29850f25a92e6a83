package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reeve/internal/authority"
	"reeve/internal/client"
	"reeve/internal/ops"
	"reeve/internal/show"
	"reeve/internal/term"
	"reeve/internal/workload"
)

func (s *session) workloadsVerb() *cobra.Command {
	var host, driver, text string
	var declared, problem, suggest bool
	c := &cobra.Command{Use: "workloads", Short: "List what runs on the hosts and what should, with what is wrong and why", Args: takes(0, 0, ""),
		Example: "  reeve workloads\n  reeve workloads --problem\n  reeve workloads --host web1 --driver docker\n  reeve workloads --suggestions",
		RunE: func(c *cobra.Command, _ []string) error {
			if suggest {
				return s.showSuggestions(c.Context())
			}
			q := url.Values{}
			for name, value := range map[string]string{"host": host, "driver": driver, "q": text} {
				if value != "" {
					q.Set(name, value)
				}
			}
			if declared {
				q.Set("declared", "true")
			}
			if problem {
				q.Set("problem", "true")
			}
			l, err := s.server.Listed(c.Context(), "/api/v1/workloads", q, maxListed)
			if err != nil {
				return err
			}
			if s.json() {
				return s.page.Value(l)
			}
			all, err := client.Read[ops.Workload](l)
			if err != nil {
				return err
			}
			show.Workloads(s.page, all, time.Now())
			return nil
		}}
	f := c.Flags()
	f.StringVar(&host, "host", "", "only those of a host")
	f.StringVar(&driver, "driver", "", "only those of a driver: docker, podman, systemd")
	f.StringVar(&text, "name", "", "part of the name")
	f.BoolVar(&declared, "declared", false, "only what was declared")
	f.BoolVar(&problem, "problem", false, "only where something is wrong")
	f.BoolVar(&suggest, "suggestions", false, "what has run for a day without being declared")
	offers(c, "host", s.hostWords)
	offers(c, "driver", driverWords)
	return c
}

// maxListed bounds a list that is printed whole.
const maxListed = 10_000

func (s *session) showSuggestions(ctx context.Context) error {
	var l struct {
		Items []struct {
			Workload ops.Workload `json:"workload"`
			Desired  string       `json:"desired"`
			Why      string       `json:"why"`
		} `json:"items"`
	}
	text, err := s.server.Fetch(ctx, "/api/v1/workloads/suggestions", &l)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	if len(l.Items) == 0 {
		s.page.Line("Nothing that is not declared has run for a day.")
		return nil
	}
	for _, x := range l.Items {
		s.page.Line("reeve workload declare %s/%s --driver %s --desired %s    # %s", term.Safe(x.Workload.Host), term.Safe(x.Workload.Name), term.Safe(x.Workload.Driver), x.Desired, term.Safe(x.Why))
	}
	return nil
}

// workloadWords offers the workloads.
func (s *session) workloadWords(c *cobra.Command) []string {
	l, err := s.server.Listed(c.Context(), "/api/v1/workloads", nil, maxWords)
	if err != nil {
		return nil
	}
	all, err := client.Read[ops.Workload](l)
	if err != nil {
		return nil
	}
	var words []string
	for _, w := range all {
		words = append(words, w.Host+"/"+w.Name+"\t"+w.Driver+", "+w.Observed)
	}
	return words
}

func (s *session) workloadVerb() *cobra.Command {
	c := &cobra.Command{Use: "workload", Short: "Look at one workload, declare what should be of it, or order an operation", Args: cobra.ArbitraryArgs, RunE: group,
		Example: "  reeve workload show web1/nginx\n  reeve workload declare web1/nginx --driver docker --desired running\n  reeve workload restart web1/nginx --reason 'new configuration'"}
	c.AddCommand(s.workloadShowVerb(), s.workloadDeclareVerb())
	for op, short := range map[string]string{"start": "Start a workload that is stopped", "stop": "Stop a workload", "pause": "Pause a workload: it keeps its memory and does not run",
		"resume": "Let a paused workload run again", "restart": "Restart a workload", "snapshot": "Keep a copy of a workload's file system"} {
		c.AddCommand(s.operationVerb(op, short))
	}
	return c
}

func (s *session) workloadShowVerb() *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "Show one workload with its actions and its time-line", Example: "  reeve workload show web1/nginx", Args: takes(1, 1, "a workload: its ID, its name, or HOST/NAME"),
		ValidArgsFunction: completes(s.workloadWords),
		RunE: func(c *cobra.Command, args []string) error {
			var w show.WorkloadAnswer
			text, err := s.server.Fetch(c.Context(), "/api/v1/workloads/"+escapePath(args[0]), &w)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			show.Workload(s.page, w, time.Now())
			return nil
		}}
}

// escapePath escapes each part of HOST/NAME.
func escapePath(typed string) string {
	parts := strings.Split(typed, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

func (s *session) workloadDeclareVerb() *cobra.Command {
	var driver, desired, reason string
	c := &cobra.Command{Use: "declare HOST/NAME", Short: "Declare what should be of a workload, or take it back with --desired none", Args: takes(1, 1, "HOST/NAME"),
		Example:           "  reeve workload declare web1/nginx --driver docker --desired running\n  reeve workload declare web1/ssh.service --driver systemd --desired running\n  reeve workload declare web1/nginx --desired none",
		ValidArgsFunction: completes(s.workloadWords),
		RunE: func(c *cobra.Command, args []string) error {
			host, name, ok := strings.Cut(args[0], "/")
			if !ok {
				return usageError{"say on which host: HOST/NAME", c.CommandPath()}
			}
			if driver == "" { // of the one that is known by the name
				var w ops.Workload
				err := s.server.Get(c.Context(), "/api/v1/workloads/"+escapePath(args[0]), &w)
				if err != nil && ops.KindOf(err) != ops.NotFound {
					return err
				}
				if err != nil && desired == "none" {
					return answered(ops.Errorf(ops.NotFound, "%s is not declared: nothing is taken back; `reeve workloads --declared` lists what is", term.Safe(args[0])))
				}
				if err != nil {
					return usageError{fmt.Sprintf("nothing on %s is known as %s yet: say with --driver docker, podman or systemd what it is of", host, name), c.CommandPath()}
				}
				driver = w.Driver
			}
			body := map[string]any{"host": host, "name": name, "driver": driver, "desired": desired}
			if reason != "" {
				body["reason"] = reason
			}
			var w ops.Workload
			text, err := s.server.Call(c.Context(), http.MethodPost, "/api/v1/workloads", body, &w)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			if w.Desired == "" {
				s.page.Line("%s/%s is not declared any more", term.Safe(w.Host), term.Safe(w.Name))
				return nil
			}
			s.page.Line("%s/%s should be %s; it is %s", term.Safe(w.Host), term.Safe(w.Name), w.Desired, w.Observed)
			return nil
		}}
	c.Flags().StringVar(&driver, "driver", "", "docker, podman or systemd; default that of the workload with this name")
	c.Flags().StringVar(&desired, "desired", "running", "running, paused, stopped, absent; none takes the declaration back")
	c.Flags().StringVar(&reason, "reason", "", "what others should know; goes into the time-line")
	offers(c, "driver", driverWords)
	offers(c, "desired", desiredWords)
	return c
}

// operationVerb makes the verb of one operation: plan, show, sign, wait.
func (s *session) operationVerb(op, short string) *cobra.Command {
	var reason string
	var yes, noWait bool
	c := &cobra.Command{Use: op + " ID", Short: short, Args: takes(1, 1, "a workload: its ID, its name, or HOST/NAME"), ValidArgsFunction: completes(s.workloadWords),
		Long: short + ". The server plans it; the plan is shown, and signed with your approver's key: the host\nbelieves that signature and not the server. " +
			"A plan that is not what you typed is not signed; with an ID\ninstead of HOST/NAME only you can tell, so --yes needs a name.",
		Example: "  reeve workload " + op + " web1/nginx\n  reeve workload " + op + " web1/nginx --yes --reason 'as agreed'",
		RunE: func(c *cobra.Command, args []string) error {
			key, err := s.approverKey()
			if err != nil {
				return err
			}
			if yes && ops.IDKind(args[0]) == ops.WorkloadID {
				return usageError{"--yes signs without a look, and only the server knows what an ID is of: say HOST/NAME", c.CommandPath()}
			}
			body := map[string]any{"workload": args[0], "operation": op}
			if reason != "" {
				body["reason"] = reason
			}
			var a ops.Action
			if _, err := s.server.Call(c.Context(), http.MethodPost, "/api/v1/actions", body, &a); err != nil {
				return err
			}
			return s.approveAction(c.Context(), a, key, approving{reason: reason, yes: yes, noWait: noWait, own: true, refuse: func(plan authority.Plan) error {
				return notTyped(args[0], workload.Operation(op), a, plan)
			}})
		}}
	f := c.Flags()
	f.StringVar(&reason, "reason", "", "why; goes into the plan and the time-line")
	f.BoolVarP(&yes, "yes", "y", false, "sign without asking")
	f.BoolVar(&noWait, "no-wait", false, "do not wait for the outcome")
	return c
}

// notTyped refuses a plan that is not what a person typed: the signature
// counts at the host, so a server that somebody took over must not choose what
// it is for.
func notTyped(typed string, op workload.Operation, a ops.Action, plan authority.Plan) error {
	host, name, both := strings.Cut(typed, "/")
	target := plan.Target == typed || both && plan.Target == name && (host == plan.TargetHost || host == a.HostName && a.HostID == plan.TargetHost)
	if plan.Verb == op.Verb() && (target || ops.IDKind(typed) == ops.WorkloadID) {
		return nil
	}
	return answered(ops.Errorf(ops.Forbidden, "the server planned %s of %s %s on host %s (%s), not %s of %s; nothing was signed: see who changed the server",
		term.Safe(plan.Verb), term.Safe(plan.Adapter), term.Safe(plan.Target), term.Safe(a.HostName), term.Safe(plan.TargetHost), op, term.Safe(typed)))
}

type approving struct {
	reason      string
	yes, noWait bool
	own         bool                       // the plan was made for this and is of no use without a signature
	refuse      func(authority.Plan) error // what is not signed, whoever says yes
}

// approveAction shows a plan, signs it and waits for the outcome. The hash is
// computed here, over the plan that is shown: the server's word for it does
// not count.
func (s *session) approveAction(ctx context.Context, a ops.Action, key signer, how approving) error {
	var plan authority.Plan
	if err := json.Unmarshal(a.Plan, &plan); err != nil {
		return fmt.Errorf("the plan cannot be read: %w", err)
	}
	hash := authority.Hash(plan)
	if hash != a.PlanHash {
		return answered(ops.Errorf(ops.Forbidden, "the server's hash is not that of the plan it shows; nothing was signed"))
	}
	if err := how.refuse(plan); err != nil {
		return err
	}
	if !s.json() || !how.yes {
		show.Plan(s.page, a, plan)
	}
	if !how.yes {
		ok, err := s.confirm("Sign and carry out?")
		if err == nil && !ok {
			err = answered(ops.Errorf(ops.Forbidden, "nothing was signed"))
		}
		if err != nil && how.own {
			return s.takeBack(ctx, a, err)
		}
		if err != nil {
			return err // the plan of somebody else waits on
		}
	}
	approval := key.Approve(hash, how.reason, authority.Approve, time.Now())
	var moved ops.Action
	text, err := s.server.Call(ctx, http.MethodPost, "/api/v1/actions/"+url.PathEscape(a.ID)+"/approve", approval, &moved)
	if err != nil {
		err = s.refusedKey(ctx, key, err)
		if how.own && ops.KindOf(err) == ops.Forbidden {
			return s.takeBack(ctx, a, err)
		}
		return err
	}
	if !how.noWait {
		if text, err = s.awaitAction(ctx, &moved); err != nil {
			return err
		}
	}
	return s.outcome(moved, text)
}

func (s *session) outcome(a ops.Action, text json.RawMessage) error {
	if s.json() {
		if err := s.page.Document(text); err != nil {
			return err
		}
	} else {
		show.Outcome(s.page, a)
	}
	switch a.State {
	case ops.ActionFailed, ops.ActionUnknown, ops.ActionExpired, ops.ActionSuperseded:
		return fmt.Errorf("the action %s is %s: %s", a.ID, a.State, term.Safe(a.Why))
	}
	return nil
}

// takeBack withdraws a plan that was not signed, and answers why it was not.
func (s *session) takeBack(ctx context.Context, a ops.Action, why error) error {
	if _, err := s.server.Call(ctx, http.MethodPost, "/api/v1/actions/"+url.PathEscape(a.ID)+"/withdraw", map[string]any{}, nil); err != nil {
		return fmt.Errorf("%w; the plan %s could not be withdrawn: %w", why, a.ID, err)
	}
	return why
}

// awaitAction waits until an action has its outcome.
func (s *session) awaitAction(ctx context.Context, a *ops.Action) (json.RawMessage, error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		text, err := s.server.Fetch(ctx, "/api/v1/actions/"+url.PathEscape(a.ID), a)
		if err != nil || ops.ActionFlow.Final(a.State) || a.State == ops.ActionUnknown {
			return text, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
