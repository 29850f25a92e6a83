package ops

import (
	"encoding/json"
	"time"

	"reeve/internal/flow"
)

// An InvestigationState says where an investigation is in its life.
type InvestigationState string

// The investigation states.
const (
	InvestigationQueued      InvestigationState = "queued"
	InvestigationRunning     InvestigationState = "running"
	InvestigationExplained   InvestigationState = "explained"
	InvestigationFixProposed InvestigationState = "fix_proposed"
	InvestigationNeedsPerson InvestigationState = "needs_person"
	InvestigationNoCause     InvestigationState = "cannot_explain"
	InvestigationTimedOut    InvestigationState = "timed_out"
	InvestigationFailed      InvestigationState = "failed"
	InvestigationSuperseded  InvestigationState = "superseded"
)

// An InvestigationEvent moves an investigation.
type InvestigationEvent string

// The investigation events.
const (
	InvestigationStart     InvestigationEvent = "start"
	InvestigationExplain   InvestigationEvent = "explain"
	InvestigationPropose   InvestigationEvent = "propose_fix"
	InvestigationAskPerson InvestigationEvent = "ask_person"
	InvestigationGiveUp    InvestigationEvent = "give_up"
	InvestigationTimeOut   InvestigationEvent = "time_out"
	InvestigationFail      InvestigationEvent = "fail"
	InvestigationSupersede InvestigationEvent = "supersede" // its incident closed or was merged
	InvestigationRequeue   InvestigationEvent = "requeue"   // the process ended while it was running
)

// InvestigationFlow is the life of an investigation.
var InvestigationFlow = flow.New("investigation", InvestigationQueued, flow.Table[InvestigationState, InvestigationEvent]{
	InvestigationQueued: {InvestigationStart: InvestigationRunning, InvestigationSupersede: InvestigationSuperseded, InvestigationFail: InvestigationFailed},
	InvestigationRunning: {InvestigationExplain: InvestigationExplained, InvestigationPropose: InvestigationFixProposed,
		InvestigationAskPerson: InvestigationNeedsPerson, InvestigationGiveUp: InvestigationNoCause, InvestigationTimeOut: InvestigationTimedOut,
		InvestigationFail: InvestigationFailed, InvestigationSupersede: InvestigationSuperseded, InvestigationRequeue: InvestigationQueued},
	InvestigationExplained: {}, InvestigationFixProposed: {}, InvestigationNeedsPerson: {}, InvestigationNoCause: {},
	InvestigationTimedOut: {}, InvestigationFailed: {}, InvestigationSuperseded: {},
})

// An Investigation is one bounded, read-only inquiry into one incident. It
// never changes the state of a finding.
type Investigation struct {
	ID         string              `json:"id"`
	IncidentID string              `json:"incident_id"`
	Trigger    string              `json:"trigger" enum:"manual,policy"`
	Actor      string              `json:"actor"`
	State      InvestigationState  `json:"state" enum:"queued,running,explained,fix_proposed,needs_person,cannot_explain,timed_out,failed,superseded"`
	Attempt    int64               `json:"attempt" doc:"Of this incident, from 1."`
	Starts     int64               `json:"starts" doc:"How often it was started: more than once after a restart."`
	Model      string              `json:"model,omitempty" doc:"Empty when the runbook alone was run."`
	QueuedAt   time.Time           `json:"queued_at"`
	NotBefore  time.Time           `json:"not_before,omitzero" doc:"It waits until then: the pause after the attempt before it."`
	StartedAt  time.Time           `json:"started_at,omitzero"`
	EndedAt    time.Time           `json:"ended_at,omitzero"`
	Summary    string              `json:"summary,omitempty"`
	Confidence string              `json:"confidence,omitempty" enum:"low,medium,high"`
	Tokens     Tokens              `json:"tokens"`
	Cost       *int64              `json:"cost_micro_usd"`
	Err        string              `json:"error,omitempty"`
	Version    int64               `json:"version"`
	Detail     InvestigationDetail `json:"detail" doc:"Empty in lists."`
}

// An InvestigationDetail is what an investigation did and thinks.
type InvestigationDetail struct {
	Limits     map[string]int64    `json:"limits,omitempty" doc:"turns, time_ms, tokens that it was given."`
	Versions   map[string]string   `json:"versions,omitempty" doc:"Of prompt, tools and runbook."`
	Steps      []InvestigationStep `json:"steps,omitempty"`
	Hypotheses []Hypothesis        `json:"hypotheses,omitempty"`
	Proposal   *Proposal           `json:"proposal,omitempty"`
	Next       []string            `json:"next,omitempty" doc:"What a person should look at."`
	Rejected   []RunRejection      `json:"rejected,omitempty"`
	Turns      int64               `json:"turns"`
	ModelNote  string              `json:"model_note,omitempty" doc:"Why no model was asked, or why it did not come to an end."`
}

// An InvestigationStep is one look: a step of the runbook, or a call of a tool
// by a model.
type InvestigationStep struct {
	Kind   string          `json:"kind" enum:"runbook,tool"`
	Name   string          `json:"name" doc:"The tool."`
	Why    string          `json:"why,omitempty" doc:"What it is to show."`
	Input  json.RawMessage `json:"input,omitempty"`
	Output string          `json:"output,omitempty" doc:"At most 4 KiB; Bytes and Hash are of the whole."`
	Hash   string          `json:"output_hash"`
	Bytes  int64           `json:"output_bytes"`
	TookUS int64           `json:"took_us"`
	Shows  string          `json:"shows,omitempty" doc:"What follows from it."`
	Err    string          `json:"error,omitempty"`
}

// A Hypothesis is a possible cause with what speaks for and against it. Every
// claim in it was re-checked.
type Hypothesis struct {
	Cause      string   `json:"cause"`
	ResourceID string   `json:"resource_id,omitempty" doc:"The causal resource."`
	For        []Claim  `json:"for,omitempty"`
	Against    []Claim  `json:"against,omitempty"`
	Notes      []string `json:"notes,omitempty"`
	Confidence string   `json:"confidence" enum:"low,medium,high"`
}

// A Proposal is a typed change that an investigation suggests. It is carried
// out by nobody until it is an action.
type Proposal struct {
	Verb   string            `json:"verb"`
	Target string            `json:"target" doc:"ID of a resource."`
	Params map[string]string `json:"params,omitempty"`
	Reason string            `json:"reason"`
}

// A NoteState says whether a note counts.
type NoteState string

// The note states.
const (
	NoteSuggested NoteState = "suggested" // by a model: counts once a person accepts it
	NoteActive    NoteState = "active"
	NoteDeclined  NoteState = "declined"
	NoteRemoved   NoteState = "removed"
)

// A NoteEvent moves a note.
type NoteEvent string

// The note events.
const (
	NoteAccept  NoteEvent = "accept"
	NoteDecline NoteEvent = "decline"
	NoteRemove  NoteEvent = "remove"
)

// NoteFlow is the life of a note. A note that a person writes begins active.
var NoteFlow = flow.New("note", NoteSuggested, flow.Table[NoteState, NoteEvent]{
	NoteSuggested: {NoteAccept: NoteActive, NoteDecline: NoteDeclined},
	NoteActive:    {NoteRemove: NoteRemoved},
	NoteDeclined:  {},
	NoteRemoved:   {},
})

// A Note is what people know of a resource or of the estate: fed to patrols
// and investigations by scope.
type Note struct {
	ID         string    `json:"id"`
	ResourceID string    `json:"resource_id,omitempty" doc:"Empty: about the whole estate."`
	Condition  string    `json:"condition,omitempty" doc:"Of a solution or a dismissal: which problem."`
	FindingID  string    `json:"finding_id,omitempty"`
	Kind       string    `json:"kind" enum:"note,solution,dismissal" doc:"note: a fact; solution: what solved a problem; dismissal: why a problem is none."`
	Text       string    `json:"text"`
	Author     string    `json:"author"`
	State      NoteState `json:"state" enum:"suggested,active,declined,removed"`
	At         time.Time `json:"at"`
	DecidedBy  string    `json:"decided_by,omitempty"`
	Version    int64     `json:"version"`
}
