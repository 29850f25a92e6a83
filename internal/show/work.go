package show

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"reeve/internal/authority"
	"reeve/internal/ops"
	"reeve/internal/term"
	"reeve/internal/workload"
)

// Workloads lists workloads; below each what is wrong with it.
func Workloads(p *term.Page, all []ops.Workload, now time.Time) {
	if len(all) == 0 {
		p.Line("No workload is known that was asked for. Containers appear by themselves when the agent of their host sees an engine; a unit of systemd once it is declared: reeve workload declare --help.")
		return
	}
	t := p.Table("HOST", "!NAME", "DRIVER", "SHOULD BE", "!IS", "SINCE")
	for _, w := range all {
		observed := w.Observed
		if w.Reachable == ops.Unheard {
			observed += " (last seen)"
		}
		if w.Operation != "" {
			how := " under way"
			if !now.Before(w.Deadline) {
				how = " overdue"
			}
			observed += ", " + w.Operation + how
		}
		style := term.StateStyle(w.Observed)
		if len(w.Problems) > 0 {
			style = term.Red
		}
		desired := w.Desired
		if desired == "" {
			desired = "-"
		}
		t.Add(term.Of(w.Host), term.Of(w.Name), term.Of(w.Driver), term.Of(desired), term.Painted(observed, style), term.Of(term.Age(now, w.ChangedAt)))
		for _, condition := range slices.Sorted(maps.Keys(w.Problems)) {
			t.Note(condition + ": " + w.Problems[condition])
		}
		if len(w.Problems) == 0 && w.Desired != "" && w.Observed == string(workload.Unknown) {
			t.Note(w.Reason)
		}
	}
	t.Print()
}

// A WorkloadAnswer is one workload as the API answers it.
type WorkloadAnswer struct {
	ops.Workload
	Actions     []ops.Action     `json:"actions"`
	Transitions []ops.Transition `json:"transitions"`
}

// Workload shows one workload.
func Workload(p *term.Page, w WorkloadAnswer, now time.Time) {
	Workloads(p, []ops.Workload{w.Workload}, now)
	rows := [][2]string{{"id", w.ID}, {"last judgement", w.Reason}}
	switch {
	case w.DesiredBy == "":
	case w.Desired == "":
		rows = append(rows, [2]string{"taken back by", w.DesiredBy})
	case w.Source == "":
		rows = append(rows, [2]string{"declared by", w.DesiredBy})
	default:
		rows = append(rows, [2]string{"declared by", w.DesiredBy + " (" + w.Source + ")"})
	}
	if w.Configured != "" && w.Configured != w.Desired {
		rows = append(rows, [2]string{"configured", w.Configured + ": the later word of a person stands until the configuration says something else"})
	}
	if w.Label != "" {
		rows = append(rows, [2]string{"driver says", w.Label})
	}
	if w.Operation != "" {
		rows = append(rows, [2]string{"operation", fmt.Sprintf("%s of %s, until %s", w.Operation, w.ActionID, term.Stamp(w.Deadline))})
	}
	p.Line("")
	p.Fields(rows)
	if len(w.Actions) > 0 {
		p.Heading("Actions")
		Actions(p, w.Actions)
	}
	timeline(p, "Time-line", w.Transitions)
}

// Actions lists actions.
func Actions(p *term.Page, all []ops.Action) {
	if len(all) == 0 {
		p.Line("There is no action.")
		return
	}
	t := p.Table("!ID", "PROPOSED", "VERB", "TARGET", "!STATE", "WHY")
	t.FoldLast()
	for _, a := range all {
		t.Add(term.Of(a.ID), term.Of(term.Stamp(a.ProposedAt)), term.Of(a.Verb), term.Of(target(a)), term.Painted(string(a.State), term.StateStyle(string(a.State))), term.Of(a.Why))
	}
	t.Print()
}

// target answers what an action's plan is for.
func target(a ops.Action) string {
	var plan authority.Plan
	if err := json.Unmarshal(a.Plan, &plan); err != nil {
		return a.WorkloadID
	}
	return plan.Adapter + " " + plan.Target
}

// An ActionAnswer is one action as the API answers it.
type ActionAnswer struct {
	ops.Action
	Transitions []ops.Transition `json:"transitions"`
}

// Action shows one action.
func Action(p *term.Page, a ActionAnswer) {
	var plan authority.Plan
	_ = json.Unmarshal(a.Plan, &plan) // what cannot be read is empty
	Plan(p, a.Action, plan)
	Outcome(p, a.Action)
	timeline(p, "Time-line", a.Transitions)
}

// hostText names the host of a plan: the signature is for its ID, the name is
// what the server calls it.
func hostText(a ops.Action, plan authority.Plan) string {
	if a.HostName == "" || a.HostID != plan.TargetHost {
		return plan.TargetHost
	}
	return a.HostName + " (" + plan.TargetHost + ")"
}

// Plan shows what is to be signed.
func Plan(p *term.Page, a ops.Action, plan authority.Plan) {
	rows := [][2]string{{"action", a.ID}, {"does", plan.Verb}, {"to", plan.Adapter + " " + plan.Target}, {"on host", hostText(a, plan)}}
	for _, name := range slices.Sorted(maps.Keys(plan.Preconditions)) {
		rows = append(rows, [2]string{"only while", name + " is " + plan.Preconditions[name]})
	}
	if plan.Reason != "" {
		rows = append(rows, [2]string{"reason", plan.Reason})
	}
	rows = append(rows, [2]string{"proposed by", plan.Proposer}, [2]string{"until", term.Stamp(plan.Expiry)}, [2]string{"plan hash", a.PlanHash})
	p.Fields(rows)
}

// Outcome says in a line what became of an action.
func Outcome(p *term.Page, a ops.Action) {
	var receipt struct {
		Output string            `json:"output"`
		After  map[string]string `json:"after"`
	}
	_ = json.Unmarshal(a.Receipt, &receipt) // without one there is less to say
	parts := []string{p.Paint(term.StateStyle(string(a.State)), string(a.State))}
	if a.Why != "" {
		parts = append(parts, term.Safe(a.Why))
	}
	if is := receipt.After["observed"]; is != "" {
		parts = append(parts, "it is "+term.Safe(is)+" now")
	}
	if receipt.Output != "" {
		parts = append(parts, term.Safe(receipt.Output))
	}
	p.Line("%s: %s", a.Verb, strings.Join(parts, "; "))
}

// An ApproversAnswer is who may approve as the API answers it.
type ApproversAnswer struct {
	Root string                  `json:"root"`
	Sets []authority.ApproverSet `json:"sets"`
}

// Approvers lists the keys that may approve now.
func Approvers(p *term.Page, a ApproversAnswer) {
	if len(a.Sets) == 0 {
		p.Line("Nobody may approve yet.")
		return
	}
	newest := a.Sets[len(a.Sets)-1]
	t := p.Table("!ID", "NAME", "SINCE")
	for _, k := range newest.Keys {
		t.Add(term.Of(k.ID), term.Of(k.Name), term.Of(term.Stamp(k.Added)))
	}
	t.Print()
	p.Line("\nroot %s, version %d", a.Root, newest.Version)
}
