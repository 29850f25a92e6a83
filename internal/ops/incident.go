package ops

import (
	"time"

	"reeve/internal/flow"
)

// An IncidentState says where an incident is in its life.
type IncidentState string

// The incident states.
const (
	IncidentOpen         IncidentState = "open"
	IncidentAcknowledged IncidentState = "acknowledged"
	IncidentMitigated    IncidentState = "mitigated" // every member is resolved; watched
	IncidentClosed       IncidentState = "closed"
)

// An IncidentEvent moves an incident.
type IncidentEvent string

// The incident events.
const (
	IncidentAcknowledge IncidentEvent = "acknowledge"
	IncidentRise        IncidentEvent = "rise"     // its severity rose, or an acknowledged member did
	IncidentMitigate    IncidentEvent = "mitigate" // the last member was resolved
	IncidentReopen      IncidentEvent = "reopen"   // a member is active again, or another joined
	IncidentClose       IncidentEvent = "close"    // the watch ended quietly
	IncidentMerge       IncidentEvent = "merge"    // found to be part of an older incident
)

// IncidentFlow is the life of an incident.
var IncidentFlow = flow.New("incident", IncidentOpen, flow.Table[IncidentState, IncidentEvent]{
	IncidentOpen: {
		IncidentAcknowledge: IncidentAcknowledged, IncidentMitigate: IncidentMitigated,
		IncidentRise: IncidentOpen, IncidentMerge: IncidentClosed,
	},
	IncidentAcknowledged: {
		IncidentRise: IncidentOpen, IncidentMitigate: IncidentMitigated, IncidentMerge: IncidentClosed,
	},
	IncidentMitigated: {IncidentReopen: IncidentOpen, IncidentClose: IncidentClosed, IncidentMerge: IncidentClosed},
	IncidentClosed:    {},
})

// MitigatedWatch is how long a mitigated incident is watched before it
// closes.
const MitigatedWatch = 10 * time.Minute

// An Incident is findings with one cause: what a person is told about.
type Incident struct {
	ID          string           `json:"id"`
	Title       string           `json:"title"`
	State       IncidentState    `json:"state" enum:"open,acknowledged,mitigated,closed"`
	Severity    Severity         `json:"severity" doc:"The highest of its active members; the last one's when none is active."`
	Peak        Severity         `json:"peak_severity"`
	RootID      string           `json:"root_finding_id"`
	Members     []IncidentMember `json:"members,omitempty"`
	MemberCount int64            `json:"member_count"`
	ActiveCount int64            `json:"active_count"`
	Owner       string           `json:"owner,omitempty"`
	AckedBy     string           `json:"acked_by,omitempty"`
	AckedAt     time.Time        `json:"acked_at,omitzero"`
	OpenedAt    time.Time        `json:"opened_at"`
	MitigatedAt time.Time        `json:"mitigated_at,omitzero"`
	ClosedAt    time.Time        `json:"closed_at,omitzero"`
	MergedInto  string           `json:"merged_into,omitempty"`
	Version     int64            `json:"version"`
}

// An IncidentMember is a finding in an incident, with the reason it is there.
type IncidentMember struct {
	FindingID string    `json:"finding_id"`
	Reason    string    `json:"reason"`
	JoinedAt  time.Time `json:"joined_at"`
}
