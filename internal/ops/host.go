package ops

import (
	"time"

	"reeve/internal/flow"
)

// A HostState says whether a host is heard of.
type HostState string

// The host states.
const (
	HostPending     HostState = "pending"     // it has no valid certificate
	HostOnline      HostState = "online"      // all three clocks are right
	HostDegraded    HostState = "degraded"    // it beats, but cannot be commanded or does not report
	HostHeld        HostState = "held"        // silent with many others: no verdict
	HostUnreachable HostState = "unreachable" // silent
	HostMaintenance HostState = "maintenance" // a person said so, until a time
	HostRemoved     HostState = "removed"     // a tombstone
)

// A HostEvent moves a host.
type HostEvent string

// The host events.
const (
	HostEnrol    HostEvent = "enrol"    // it got its certificate
	HostRevoke   HostEvent = "revoke"   // its certificate counts no longer
	HostDegrade  HostEvent = "degrade"  // no proof of the control channel, or no report, for three intervals
	HostRecover  HostEvent = "recover"  // both are there again
	HostHold     HostEvent = "hold"     // the mass brake tripped
	HostSilence  HostEvent = "silence"  // no heartbeat for too long
	HostReturn   HostEvent = "return"   // it reported again
	HostMaintain HostEvent = "maintain" // maintenance began
	HostEnd      HostEvent = "end"      // maintenance ended
	HostRemove   HostEvent = "remove"   // a person removed it
)

// HostFlow is the reachability of a host.
var HostFlow = flow.New("host", HostPending, flow.Table[HostState, HostEvent]{
	HostPending: {HostEnrol: HostOnline, HostRemove: HostRemoved},
	HostOnline: {HostEnrol: HostOnline, HostDegrade: HostDegraded, HostHold: HostHeld, HostSilence: HostUnreachable,
		HostMaintain: HostMaintenance, HostRevoke: HostPending, HostRemove: HostRemoved},
	HostDegraded: {HostEnrol: HostOnline, HostRecover: HostOnline, HostHold: HostHeld, HostSilence: HostUnreachable,
		HostMaintain: HostMaintenance, HostRevoke: HostPending, HostRemove: HostRemoved},
	HostHeld: {HostEnrol: HostOnline, HostReturn: HostOnline, HostSilence: HostUnreachable,
		HostMaintain: HostMaintenance, HostRevoke: HostPending, HostRemove: HostRemoved},
	HostUnreachable: {HostEnrol: HostOnline, HostReturn: HostOnline,
		HostMaintain: HostMaintenance, HostRevoke: HostPending, HostRemove: HostRemoved},
	HostMaintenance: {HostEnrol: HostMaintenance, HostMaintain: HostMaintenance, HostEnd: HostOnline,
		HostRevoke: HostPending, HostRemove: HostRemoved},
	HostRemoved: {},
})

// A Host is a machine with an agent: who it is, and when it was last heard of
// in each of the three ways. Times are those of the database.
type Host struct {
	ID         string    `json:"id" doc:"The host's key, as its agent made it."`
	Name       string    `json:"name"`
	State      HostState `json:"state" enum:"pending,online,degraded,held,unreachable,maintenance,removed"`
	Reason     string    `json:"reason,omitempty" doc:"Why it is in its state."`
	Since      time.Time `json:"since"`
	Local      bool      `json:"local" doc:"Its agent is inside a server."`
	ResourceID string    `json:"resource_id,omitempty"`

	KeyID     string    `json:"key_id,omitempty" doc:"SHA-256 of the public key of its agent."`
	CertUntil time.Time `json:"certificate_until,omitzero"`
	BootID    string    `json:"boot_id,omitempty"`
	Boots     []string  `json:"-"` // boot IDs that it had, the newest last
	Machine   []string  `json:"-"` // what marks the machine and not its disk
	Address   string    `json:"address,omitempty" doc:"Where its agent dialled from."`
	Server    string    `json:"server,omitempty" doc:"The server that its agent is connected to; empty for none."`
	Version   string    `json:"agent_version,omitempty"`
	Protocol  int       `json:"protocol,omitempty"`
	ReadOnly  bool      `json:"read_only" doc:"Its agent was built without the ability to change anything."`
	Trust     []string  `json:"-"` // fingerprints of authorities that the agent trusts

	HeartbeatAt time.Time `json:"heartbeat_at,omitzero" doc:"Last heartbeat."`
	ProofAt     time.Time `json:"control_proof_at,omitzero" doc:"Last answer on the command direction."`
	ReportAt    time.Time `json:"report_at,omitzero" doc:"Last complete report."`
	Sequence    int64     `json:"sequence" doc:"Of the last report that was accepted."`
	SkewMS      int64     `json:"clock_skew_ms" doc:"How far its clock is ahead of the server's."`
	Spooled     int64     `json:"spooled_reports" doc:"Reports that wait on the host's disk."`

	HeartbeatMS int64 `json:"heartbeat_ms" doc:"Its period of heartbeats; 0 for the default of 15 s."`
	GraceMS     int64 `json:"grace_ms" doc:"Silence after which it is unreachable; 0 for the default of 90 s."`
	BytesPerS   int64 `json:"bytes_per_s" doc:"Cap of what its agent sends; 0 for none."`

	MaintenanceUntil time.Time `json:"maintenance_until,omitzero"`
	ConflictAt       time.Time `json:"conflict_at,omitzero" doc:"When another machine last came with its key."`
	Conflict         string    `json:"conflict,omitempty" doc:"What came with its key."`
	CreatedAt        time.Time `json:"created_at"`
	CreatedBy        string    `json:"created_by"`
	Row              int64     `json:"version"`
}

// Unset says of what an invitation asks that the default shall hold again;
// 0 leaves it as it is.
const Unset = -1

// The defaults of hosts.
const (
	HeartbeatEvery = 15 * time.Second
	SilenceGrace   = 90 * time.Second
	SpooledAsEver  = 4 // reports that may wait at an agent that is well: what was collected since it sent
	BootsKept      = 8
	ConflictKept   = time.Hour // how long a copy that came is told of
)

// Beat answers the period of its heartbeats.
func (h Host) Beat() time.Duration {
	if h.HeartbeatMS > 0 {
		return time.Duration(h.HeartbeatMS) * time.Millisecond
	}
	return HeartbeatEvery
}

// Grace answers how long it may be silent.
func (h Host) Grace() time.Duration {
	if h.GraceMS > 0 {
		return time.Duration(h.GraceMS) * time.Millisecond
	}
	return max(SilenceGrace, 6*h.Beat())
}

// Expected reports whether the host should be heard of.
func (h Host) Expected() bool {
	return h.State == HostOnline || h.State == HostDegraded || h.State == HostHeld
}

// Heard reports whether what is known of what runs on it is current.
func (s HostState) Heard() bool { return s == HostOnline || s == HostDegraded || s == HostMaintenance }

// An Invitation is a one-time token for a host to join with.
type Invitation struct {
	ID          string    `json:"id"`
	Name        string    `json:"name" doc:"The name that the host will have."`
	HostID      string    `json:"host_id,omitempty" doc:"The host that may join again with it; empty for a new one."`
	CreatedAt   time.Time `json:"created_at"`
	CreatedBy   string    `json:"created_by"`
	ExpiresAt   time.Time `json:"expires_at"`
	UsedAt      time.Time `json:"used_at,omitzero"`
	UsedBy      string    `json:"used_by,omitempty" doc:"The host that joined with it."`
	HeartbeatMS int64     `json:"heartbeat_ms" doc:"0 for as before, -1 for the default."`
	GraceMS     int64     `json:"grace_ms" doc:"0 for as before, -1 for the default."`
	BytesPerS   int64     `json:"bytes_per_s" doc:"0 for as before, -1 for none."`
}

// ReachableOf answers the reachability of a resource on a host in a state: a
// host has its state's own, and what is on it is online or unknown.
func ReachableOf(k Kind, s HostState) string {
	switch {
	case k == KindHost:
		return string(s)
	case s.Heard():
		return string(HostOnline)
	}
	return Unheard
}

// Unheard is the reachability of what is on a host that is not heard of.
const Unheard = "unknown"

// A Server is one process that serves the estate; several may share a
// PostgreSQL database.
type Server struct {
	ID       string    `json:"id"`
	Name     string    `json:"name" doc:"Of its machine."`
	Version  string    `json:"version"`
	Address  string    `json:"address,omitempty" doc:"Where agents reach it; empty when they cannot."`
	External bool      `json:"external_metrics" doc:"Its samples are kept in an external store."`
	Since    time.Time `json:"since"`
	SeenAt   time.Time `json:"seen_at"`
	Duty     bool      `json:"on_duty" doc:"It does what only one does: judge, tell, patrol."`
	Away     bool      `json:"away,omitempty" doc:"It has not said for 15 s that it lives, and did not end in order."`
}
