package ops

import (
	"encoding/json"
	"time"

	"reeve/internal/flow"
)

// A TriggerKind says what asked for a patrol.
type TriggerKind string

// The kinds of triggers.
const (
	TriggerManual    TriggerKind = "manual"
	TriggerOpened    TriggerKind = "finding_opened"
	TriggerRose      TriggerKind = "severity_raised"
	TriggerFlapping  TriggerKind = "flapping"
	TriggerAnomaly   TriggerKind = "anomaly"
	TriggerCleared   TriggerKind = "finding_cleared"
	TriggerAction    TriggerKind = "action_finished"
	TriggerConfig    TriggerKind = "config_changed"
	TriggerInventory TriggerKind = "inventory_changed"
	TriggerScheduled TriggerKind = "scheduled"
	TriggerStartup   TriggerKind = "startup"
	TriggerReplay    TriggerKind = "replay"
)

// Priority orders triggers: the highest goes first. A run takes the highest
// of its triggers.
func (k TriggerKind) Priority() int {
	switch k {
	case TriggerManual, TriggerReplay:
		return 100
	case TriggerRose:
		return 85
	case TriggerOpened:
		return 80
	case TriggerAnomaly, TriggerFlapping:
		return 60
	case TriggerConfig:
		return 50
	case TriggerCleared, TriggerAction:
		return 40
	case TriggerInventory:
		return 30
	}
	return 20
}

// UrgentPriority is the priority from which a scoped run takes the place of a
// full run that is going on.
const UrgentPriority = 80

// A RunScope says what a run is to look at; an empty one is everything.
// Resources and kinds together choose resources of those kinds only.
type RunScope struct {
	Resources []string `json:"resources,omitempty" doc:"IDs or names; a name that fits several is refused."`
	Kinds     []Kind   `json:"kinds,omitempty"`
}

// Full reports whether the scope is everything.
func (s RunScope) Full() bool { return len(s.Resources) == 0 && len(s.Kinds) == 0 }

// A RunTrigger is one accepted wish for a patrol. Its run is named from the
// moment it is accepted, so its outcome is that run's outcome.
type RunTrigger struct {
	ID       string      `json:"id"`
	Kind     TriggerKind `json:"kind"`
	Scope    RunScope    `json:"scope"`
	Reason   string      `json:"reason,omitempty"`
	Actor    string      `json:"actor"`
	SourceID string      `json:"source_id,omitempty" doc:"What made it, unique for its kind: a repeated trigger changes nothing."`
	At       time.Time   `json:"at"`
	RunID    string      `json:"run_id"`
}

// A RunState says where a run is in its life.
type RunState string

// The run states.
const (
	RunQueued      RunState = "queued"
	RunRunning     RunState = "running"
	RunDone        RunState = "done"
	RunMerged      RunState = "merged"      // its triggers went to another run
	RunRefused     RunState = "refused"     // a budget, a switch or an empty scope forbids it
	RunFailed      RunState = "failed"      // it could not be done; Err says why
	RunInterrupted RunState = "interrupted" // the process ended while it was running, too often to try again
	RunCancelled   RunState = "cancelled"   // a person stopped it
)

// A RunEvent moves a run.
type RunEvent string

// The run events.
const (
	RunStart     RunEvent = "start"
	RunFinish    RunEvent = "finish"
	RunMerge     RunEvent = "merge"
	RunRefuse    RunEvent = "refuse"
	RunFail      RunEvent = "fail"
	RunRequeue   RunEvent = "requeue" // made room for an urgent one, or the process ended while it was running
	RunInterrupt RunEvent = "interrupt"
	RunCancel    RunEvent = "cancel"
)

// RunFlow is the life of a patrol run.
var RunFlow = flow.New("run", RunQueued, flow.Table[RunState, RunEvent]{
	RunQueued: {RunStart: RunRunning, RunMerge: RunMerged, RunRefuse: RunRefused, RunFail: RunFailed, RunCancel: RunCancelled},
	RunRunning: {RunFinish: RunDone, RunFail: RunFailed, RunRefuse: RunRefused, RunRequeue: RunQueued, RunInterrupt: RunInterrupted,
		RunCancel: RunCancelled},
	RunDone: {}, RunMerged: {}, RunRefused: {}, RunFailed: {}, RunInterrupted: {}, RunCancelled: {},
})

// A RunHealth is what a finished run says of what it looked at.
type RunHealth string

// The healths. Healthy is said only when collection was complete, the scope
// not empty, nothing went wrong, and nothing is open or uncertain.
const (
	RunHealthy      RunHealth = "healthy"
	RunIssues       RunHealth = "issues"
	RunCritical     RunHealth = "critical"
	RunInconclusive RunHealth = "inconclusive"
	RunNotDone      RunHealth = "failed"
)

// A Run is one patrol, recorded in full.
type Run struct {
	ID         string      `json:"id"`
	Trigger    TriggerKind `json:"trigger" doc:"The most urgent of its triggers."`
	Triggers   int64       `json:"triggers" doc:"How many triggers it answers."`
	Reason     string      `json:"reason,omitempty"`
	Actor      string      `json:"actor"`
	Depth      string      `json:"depth" enum:"quick,normal"`
	Priority   int64       `json:"priority"`
	Asked      RunScope    `json:"scope_asked"`
	State      RunState    `json:"state" enum:"queued,running,done,merged,refused,failed,interrupted,cancelled"`
	Health     RunHealth   `json:"health,omitempty" enum:"healthy,issues,critical,inconclusive,failed"`
	Quiet      bool        `json:"quiet" doc:"Nothing changed since the last clean run and nothing was open: no model was asked."`
	QueuedAt   time.Time   `json:"queued_at"`
	NotBefore  time.Time   `json:"not_before,omitzero"`
	StartedAt  time.Time   `json:"started_at,omitzero"`
	EndedAt    time.Time   `json:"ended_at,omitzero"`
	Starts     int64       `json:"starts" doc:"How often it was started: more than once after pre-emption or a restart."`
	MergedInto string      `json:"merged_into,omitempty"`
	Model      string      `json:"model,omitempty" doc:"The model that answered last; empty for a run without one."`
	Tokens     Tokens      `json:"tokens"`
	Cost       *int64      `json:"cost_micro_usd" doc:"Millionths of a US dollar; null when a price is unknown."`
	Digest     string      `json:"digest,omitempty" doc:"Of the state that it looked at."`
	Summary    string      `json:"summary,omitempty"`
	Err        string      `json:"error,omitempty"`
	Version    int64       `json:"version"`
	Detail     RunDetail   `json:"detail" doc:"Empty in lists."`
}

// A RunDetail is what a run did and found, stored with it for a year.
type RunDetail struct {
	Effective   []string          `json:"scope_effective,omitempty" doc:"IDs of the resources it looked at; at most 1,000, Counts has all."`
	LeftOut     map[string]string `json:"left_out,omitempty" doc:"Resource ID to why it was not looked at: maintenance, declared off, silent."`
	Counts      map[Kind]int64    `json:"counts,omitempty" doc:"Resources looked at, by kind."`
	Complete    bool              `json:"complete" doc:"Everything in scope was collected freshly."`
	Incomplete  []string          `json:"incomplete,omitempty" doc:"What was not collected, and why."`
	Stages      []RunStage        `json:"stages,omitempty"`
	Items       []RunItem         `json:"items,omitempty" doc:"What it found, the most important first."`
	New         []string          `json:"findings_new,omitempty" doc:"IDs of findings that opened since the run before of this scope, or in it."`
	Known       []string          `json:"findings_known,omitempty"`
	Cleared     []string          `json:"findings_cleared,omitempty"`
	Rejected    []RunRejection    `json:"rejected,omitempty" doc:"What a model claimed and could not prove."`
	Assessments []Assessment      `json:"assessments,omitempty"`
	Tools       []RunToolCall     `json:"tool_calls,omitempty"`
	Turns       int64             `json:"turns"`
	EstimateIn  int64             `json:"estimated_input_tokens"`
	PromptBytes int64             `json:"prompt_bytes"`
	ReplayOf    string            `json:"replay_of,omitempty"`
	ReplayWith  string            `json:"replay_with,omitempty" doc:"The model that a person wanted for it; empty for those of patrols."`
	Compared    *RunComparison    `json:"compared,omitempty" doc:"Of a replay: what it said otherwise."`
}

// A RunComparison is what a replay said otherwise than the run that it
// repeats.
type RunComparison struct {
	Before       string   `json:"model_before"`
	Model        string   `json:"model"`
	Same         int64    `json:"same" doc:"Reports and verdicts that both gave."`
	New          []string `json:"new,omitempty" doc:"That only the replay gave."`
	Missing      []string `json:"missing,omitempty" doc:"That only the run before gave."`
	Changed      []string `json:"changed,omitempty" doc:"Verdicts that differ."`
	NotRecorded  int64    `json:"not_recorded" doc:"Calls of tools that the run before did not make: they were answered so."`
	TokensBefore Tokens   `json:"tokens_before"`
	Tokens       Tokens   `json:"tokens"`
	CostBefore   *int64   `json:"cost_before_micro_usd"`
	Cost         *int64   `json:"cost_micro_usd"`
}

// A RunStage is one stage of a run with what came of it.
type RunStage struct {
	Name   string    `json:"name" enum:"budget,digest,triage,seed,model,assess,evidence,findings,summary"`
	At     time.Time `json:"at"`
	TookUS int64     `json:"took_us"`
	Note   string    `json:"note,omitempty"`
}

// A RunItem is one thing that a run tells a person: a finding or a forecast,
// explained without a model and, where one was asked, enriched by it.
type RunItem struct {
	FindingID  string    `json:"finding_id,omitempty"`
	IncidentID string    `json:"incident_id,omitempty"`
	Condition  string    `json:"condition"`
	ResourceID string    `json:"resource_id"`
	Place      string    `json:"place" doc:"Kind and name of the resource and its host."`
	Severity   Severity  `json:"severity"`
	Rank       float64   `json:"rank" doc:"The higher, the more important."`
	What       string    `json:"what"`
	Since      time.Time `json:"since"`
	News       string    `json:"news" enum:"new,worse,known,cleared,forecast" doc:"What changed about it since the run before."`
	Evidence   []string  `json:"evidence,omitempty"`
	Causes     []string  `json:"causes,omitempty" doc:"Likely causes: changes and topology first, then what usually causes it."`
	Checks     []string  `json:"checks,omitempty"`
	Affects    []string  `json:"affects,omitempty" doc:"What is grouped under it or depends on it."`
	Before     string    `json:"before,omitempty" doc:"The last time it happened, and what solved it."`
	Model      string    `json:"model_says,omitempty" doc:"What a model adds; every number and quote in it was re-checked."`
}

// A Verdict of a model on one open finding is advice: it changes nothing.
type AssessVerdict string

// The verdicts.
const (
	AssessPresent   AssessVerdict = "present"
	AssessResolved  AssessVerdict = "resolved"
	AssessUncertain AssessVerdict = "uncertain"
)

// An Assessment is a model's verdict on one finding in scope.
type Assessment struct {
	FindingID string        `json:"finding_id"`
	Verdict   AssessVerdict `json:"verdict" enum:"present,resolved,uncertain"`
	Note      string        `json:"note,omitempty"`
	Claims    []Claim       `json:"claims,omitempty"`
	By        string        `json:"by" doc:"The model, or rule when no model gave one."`
}

// A RunRejection is a claim that was struck, with why.
type RunRejection struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
}

// A RunToolCall is one call of a tool by a model.
type RunToolCall struct {
	Tool        string          `json:"tool"`
	Input       json.RawMessage `json:"input,omitempty" doc:"At most 4 KiB."`
	OutputHash  string          `json:"output_hash" doc:"SHA-256 of the whole output."`
	OutputBytes int64           `json:"output_bytes"`
	TookUS      int64           `json:"took_us"`
	Err         string          `json:"error,omitempty"`
}

// A Claim is one fact that a model rests something on, in a form that a
// program re-checks against what is stored.
type Claim struct {
	Kind       string    `json:"kind" enum:"metric,quote,state,time" doc:"metric: a statistic of a metric; quote: words that stand in a log, an event or a finding; state: an observed attribute; time: when something began."`
	ResourceID string    `json:"resource" doc:"ID of the resource it is about."`
	Metric     string    `json:"metric,omitempty" doc:"For metric: its name."`
	Stat       string    `json:"stat,omitempty" enum:"last,avg,min,max,delta" doc:"For metric: which statistic; default last."`
	Minutes    int64     `json:"minutes,omitempty" doc:"For metric: over how many minutes until now; default 60."`
	Value      *float64  `json:"value,omitempty" doc:"For metric: the number claimed, in the metric's own unit."`
	Name       string    `json:"name,omitempty" doc:"For state: name of the attribute. For time: opened, changed, or an event's type."`
	Text       string    `json:"text,omitempty" doc:"For quote: the words, verbatim. For state: the attribute's value."`
	At         time.Time `json:"at,omitzero" doc:"For time: when."`
}
