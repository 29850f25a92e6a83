package ops

import (
	"encoding/json"
	"time"

	"reeve/internal/flow"
)

// An ActionState says where an action is in its life.
type ActionState string

// The action states.
const (
	ActionAwaiting    ActionState = "awaiting_approval"
	ActionApproved    ActionState = "approved"
	ActionDispatching ActionState = "dispatching"
	ActionRunning     ActionState = "running"
	ActionSucceeded   ActionState = "succeeded" // of the command; nothing is verified by it
	ActionFailed      ActionState = "failed"
	ActionUnknown     ActionState = "unknown" // no receipt by the deadline
	ActionRejected    ActionState = "rejected"
	ActionExpired     ActionState = "expired"
	ActionWithdrawn   ActionState = "withdrawn"
	ActionSuperseded  ActionState = "superseded"
)

// An ActionEvent moves an action.
type ActionEvent string

// The action events.
const (
	ActionApprove   ActionEvent = "approve"
	ActionReject    ActionEvent = "reject"
	ActionExpire    ActionEvent = "expire"
	ActionWithdraw  ActionEvent = "withdraw"
	ActionSupersede ActionEvent = "supersede" // its target is not what it was planned for
	ActionDispatch  ActionEvent = "dispatch"
	ActionClaim     ActionEvent = "claim" // the agent has begun
	ActionSucceed   ActionEvent = "succeed"
	ActionFail      ActionEvent = "fail"
	ActionLose      ActionEvent = "lose" // the deadline passed without a receipt
)

// ActionFlow is the life of an action.
var ActionFlow = flow.New("action", ActionAwaiting, flow.Table[ActionState, ActionEvent]{
	ActionAwaiting: {ActionApprove: ActionApproved, ActionReject: ActionRejected, ActionExpire: ActionExpired,
		ActionWithdraw: ActionWithdrawn, ActionSupersede: ActionSuperseded},
	ActionApproved:    {ActionDispatch: ActionDispatching, ActionSupersede: ActionSuperseded, ActionExpire: ActionExpired, ActionWithdraw: ActionWithdrawn},
	ActionDispatching: {ActionClaim: ActionRunning, ActionSucceed: ActionSucceeded, ActionFail: ActionFailed, ActionExpire: ActionExpired, ActionLose: ActionUnknown},
	ActionRunning:     {ActionSucceed: ActionSucceeded, ActionFail: ActionFailed, ActionLose: ActionUnknown},
	ActionUnknown:     {ActionSucceed: ActionSucceeded, ActionFail: ActionFailed},
	ActionSucceeded:   {},
	ActionFailed:      {},
	ActionRejected:    {},
	ActionExpired:     {},
	ActionWithdrawn:   {},
	ActionSuperseded:  {},
})

// An Action is a typed, planned change to one target. What is to be done
// stands in the plan alone, whose hash people sign.
type Action struct {
	ID         string          `json:"id"`
	State      ActionState     `json:"state" enum:"awaiting_approval,approved,dispatching,running,succeeded,failed,unknown,rejected,expired,withdrawn,superseded"`
	Verb       string          `json:"verb"`
	HostID     string          `json:"host_id"`
	HostName   string          `json:"host_name" doc:"What the host is called; what is signed is its ID."`
	WorkloadID string          `json:"workload_id"`
	Plan       json.RawMessage `json:"plan" doc:"What is to be done, as it is hashed and signed."`
	PlanHash   string          `json:"plan_hash"`
	Reason     string          `json:"reason,omitempty"`
	ProposedBy string          `json:"proposed_by"`
	ProposedAt time.Time       `json:"proposed_at"`
	ExpiresAt  time.Time       `json:"expires_at"`
	Approval   json.RawMessage `json:"approval,omitempty" doc:"The signed decision."`
	ApprovedBy string          `json:"approved_by,omitempty" doc:"Whose key signed."`
	ApprovedAt time.Time       `json:"approved_at,omitzero"`
	Fence      int64           `json:"fence,omitempty" doc:"Of the attempt."`
	Server     string          `json:"server,omitempty" doc:"The server that dispatched it."`
	Deadline   time.Time       `json:"deadline,omitzero" doc:"By when its agent must have ended."`
	Receipt    json.RawMessage `json:"receipt,omitempty" doc:"The agent's record."`
	Why        string          `json:"why,omitempty" doc:"Why it is in its state."`
	EndedAt    time.Time       `json:"ended_at,omitzero"`
	Version    int64           `json:"version"`
}
