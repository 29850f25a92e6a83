package ops

import (
	"time"

	"reeve/internal/flow"
)

// A FindingState says where a finding is in its life.
type FindingState string

// The finding states.
const (
	FindingOpen         FindingState = "open"
	FindingAcknowledged FindingState = "acknowledged"
	FindingResolved     FindingState = "resolved"
	FindingClosed       FindingState = "closed"
)

// A FindingEvent moves a finding.
type FindingEvent string

// The finding events.
const (
	FindingAcknowledge FindingEvent = "acknowledge"
	FindingRecover     FindingEvent = "recover"   // the clear condition held for the clear time
	FindingRemediate   FindingEvent = "remediate" // a verified action
	FindingObsolete    FindingEvent = "obsolete"  // the resource was removed
	FindingAccept      FindingEvent = "accept"    // a person's word, where no detector can check it
	FindingLapse       FindingEvent = "lapse"     // only a model saw it, and none did for AdviceLife
	FindingRegress     FindingEvent = "regress"   // the condition is true again within a day
	FindingRise        FindingEvent = "rise"      // the severity rose
	FindingExpire      FindingEvent = "expire"    // a day passed since it was resolved
)

// FindingFlow is the life of a finding.
var FindingFlow = flow.New("finding", FindingOpen, flow.Table[FindingState, FindingEvent]{
	FindingOpen: {
		FindingAcknowledge: FindingAcknowledged, FindingRecover: FindingResolved,
		FindingRemediate: FindingResolved, FindingObsolete: FindingResolved, FindingAccept: FindingResolved,
		FindingRise: FindingOpen, FindingLapse: FindingResolved,
	},
	FindingAcknowledged: {
		FindingRise: FindingOpen, FindingRecover: FindingResolved,
		FindingRemediate: FindingResolved, FindingObsolete: FindingResolved, FindingAccept: FindingResolved, FindingLapse: FindingResolved,
	},
	FindingResolved: {FindingRegress: FindingOpen, FindingExpire: FindingClosed},
	FindingClosed:   {},
})

// RegressionWindow is how long after it was resolved a finding opens again as
// an episode of the same finding instead of as a new one.
const RegressionWindow = 24 * time.Hour

// Advisory is the condition of what no detector looks for and a model alone
// saw. There is at most one of a resource.
const Advisory = "advisory"

// AdviceLife is how long a finding that only a model saw stays open without
// being reported again.
const AdviceLife = 24 * time.Hour

// The origins of findings: what found them.
const (
	OriginRule   = "rule"
	OriginPatrol = "patrol" // a model, in a patrol
)

// FlapEpisodes is how many episodes within FlapWindow a finding may have
// before it flaps: from then on it makes one notice, not one an episode.
const (
	FlapEpisodes = 3
	FlapWindow   = time.Hour
)

// A SuppressionKind says why nobody is told of a finding for a while.
type SuppressionKind string

// The suppression kinds.
const (
	SuppressSnooze      SuppressionKind = "snooze"
	SuppressAccepted    SuppressionKind = "accepted" // known and wanted so
	SuppressMaintenance SuppressionKind = "maintenance"
)

// A Suppression keeps a finding from being delivered; evaluation goes on. A
// severity above Severity ends it.
type Suppression struct {
	Kind     SuppressionKind `json:"kind" enum:"snooze,accepted,maintenance"`
	Reason   string          `json:"reason"`
	Actor    string          `json:"actor"`
	Until    time.Time       `json:"until,omitzero"`
	Severity Severity        `json:"severity,omitempty" doc:"The severity at the time; a rise above it ends the suppression."`
	// Host and Under are of a suppression that comes from the maintenance of a
	// host: it is never stored, but true of all that is on the host.
	Host  string       `json:"host,omitempty" doc:"The host whose maintenance it is; empty for one that a person gave the finding."`
	Under *Suppression `json:"-"` // what the finding was given itself
}

// Own answers the suppression that the finding itself was given, nil for none.
func (s *Suppression) Own() *Suppression {
	if s != nil && s.Host != "" {
		return s.Under
	}
	return s
}

// Active reports whether the suppression holds at the given time and
// severity.
func (s *Suppression) Active(now time.Time, sev Severity) bool {
	return s != nil && (s.Until.IsZero() || now.Before(s.Until)) && (s.Host != "" || sev.Rank() <= s.Severity.Rank())
}

// A Finding is one problem: a condition of a resource.
type Finding struct {
	ID          string            `json:"id"`
	ResourceID  string            `json:"resource_id"`
	Condition   string            `json:"condition"`
	State       FindingState      `json:"state" enum:"open,acknowledged,resolved,closed"`
	Severity    Severity          `json:"severity" enum:"warning,critical"`
	Peak        Severity          `json:"peak_severity"`
	Origin      string            `json:"origin" doc:"What found it: rule, external, user, reconcile, patrol."`
	Summary     string            `json:"summary" doc:"What is wrong, in one sentence with the numbers."`
	Facts       map[string]string `json:"facts,omitempty"`
	FirstSeen   time.Time         `json:"first_seen_at" doc:"When the condition became true."`
	LastSeen    time.Time         `json:"last_seen_at"`
	OpenedAt    time.Time         `json:"opened_at" doc:"When this episode opened."`
	ResolvedAt  time.Time         `json:"resolved_at,omitzero"`
	ResolvedBy  string            `json:"resolved_by,omitempty" doc:"recovered, remediated, obsolete, accepted, or expired: only a model saw it, and none did again for a day."`
	ClosedAt    time.Time         `json:"closed_at,omitzero"`
	Count       int64             `json:"count" doc:"Signals that raised it."`
	Episode     int64             `json:"episode"`
	Flapping    bool              `json:"flapping"`
	Suppression *Suppression      `json:"suppression,omitempty"`
	AckedBy     string            `json:"acked_by,omitempty"`
	AckedAt     time.Time         `json:"acked_at,omitzero"`
	Claim       string            `json:"claim,omitempty" doc:"A person said it is solved while the condition still held: who and when."`
	IncidentID  string            `json:"incident_id,omitempty"`
	PreviousID  string            `json:"previous_id,omitempty" doc:"The closed finding of the same fingerprint before it."`
	Version     int64             `json:"version"`
}

// Active reports whether the finding is open or acknowledged.
func (f Finding) Active() bool {
	return f.State == FindingOpen || f.State == FindingAcknowledged
}

// Fingerprint answers what makes two findings the same problem.
func Fingerprint(resourceID, condition string) string { return resourceID + "/" + condition }

// A Signal is one claim at one time that a condition of a resource became
// true, rose, or ended.
type Signal struct {
	ID         string            `json:"id"`
	Source     string            `json:"source"`
	SourceID   string            `json:"source_id" doc:"Unique for its source: a repeated signal changes nothing."`
	Condition  string            `json:"condition"`
	ResourceID string            `json:"resource_id"`
	Edge       SignalEdge        `json:"edge" enum:"raised,rose,cleared"`
	Severity   Severity          `json:"severity"`
	Facts      map[string]string `json:"facts,omitempty"`
	EventAt    time.Time         `json:"event_at"`
	ReceivedAt time.Time         `json:"received_at"`
}

// A SignalEdge says what changed.
type SignalEdge string

// The signal edges.
const (
	SignalRaised  SignalEdge = "raised"
	SignalRose    SignalEdge = "rose"
	SignalCleared SignalEdge = "cleared"
)

// Evidence is what a finding's claim rests on, with the values themselves, so
// that it re-checks after the raw samples are gone.
type Evidence struct {
	ID        string    `json:"id"`
	FindingID string    `json:"finding_id"`
	What      string    `json:"what" doc:"What it shows."`
	Query     string    `json:"query,omitempty" doc:"PromQL that answers the series."`
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Series    []Series  `json:"series,omitempty"`
	Quotes    []string  `json:"quotes,omitempty" doc:"Lines from the estate, as data."`
	TakenAt   time.Time `json:"taken_at"`
	Hash      string    `json:"hash" doc:"SHA-256 over the claim and the values."`
}
