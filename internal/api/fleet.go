package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"reeve/internal/fleet"
	"reeve/internal/link"
	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/store"
)

// Fleet is where people's decisions about hosts go.
type Fleet struct {
	Add            func(context.Context, fleet.Invite, store.Why) (token string, made ops.Invitation, err error)
	Withdraw       func(ctx context.Context, invitation string, why store.Why) error
	Revoke         func(ctx context.Context, host string, why store.Why) (ops.Host, error)
	Remove         func(ctx context.Context, host string, why store.Why) (ops.Host, error)
	Maintain       func(ctx context.Context, host string, until time.Time, why store.Why) (ops.Host, error)
	EndMaintenance func(ctx context.Context, host string, why store.Why) (ops.Host, error)
	Release        func(ctx context.Context, host string, why store.Why) (ops.Host, error)
	AcceptMachine  func(ctx context.Context, host string, why store.Why) (ops.Host, error)
	Authority      func(context.Context) (fleet.Authority, error)
	Rotate         func(ctx context.Context, finish, force bool, why store.Why) (fleet.Authority, error)
	Fingerprint    func() string
	// Address answers where agents reach the server.
	Address   func() (string, error)
	Blind     func() fleet.Blindness
	Connected func() int
	Servers   func(context.Context) ([]ops.Server, error)
	// Link takes the WebSockets of agents.
	Link http.Handler
}

func (s *Server) fleetRoutes() []rest.Route {
	return []rest.Route{
		rest.Typed("GET /api/v1/hosts", rest.Read, "Hosts with their clocks and newest readings, and those that are invited.", s.hosts),
		rest.Typed("GET /api/v1/hosts/{id}", rest.Read, "One host with what is on it in counts, by its ID, its resource or its name.", s.host),
		rest.Typed("POST /api/v1/hosts", rest.Administer, "Invite a host: answers the line to paste there, with a token that counts once and for an hour.", s.addHost),
		rest.Typed("DELETE /api/v1/hosts/{id}", rest.Administer, "Remove a host with all that is on it; or withdraw an invitation.", s.removeHost),
		rest.Typed("POST /api/v1/hosts/{id}/revoke", rest.Administer, "End the trust in a host's certificate; its connection ends at once.", s.hostVerb(s.deps.Fleet.Revoke)),
		rest.Typed("POST /api/v1/hosts/{id}/maintenance", rest.Operate, "Tell nobody of a host and what is on it until a time.", s.maintain),
		rest.Typed("POST /api/v1/hosts/{id}/maintenance/end", rest.Operate, "End a maintenance before its time.", s.hostVerb(s.deps.Fleet.EndMaintenance)),
		rest.Typed("POST /api/v1/hosts/{id}/release", rest.Operate, "Say of a held host that it is unreachable indeed.", s.hostVerb(s.deps.Fleet.Release)),
		rest.Typed("POST /api/v1/hosts/{id}/accept", rest.Administer, "Say that the next machine that comes with its key is the host.", s.hostVerb(s.deps.Fleet.AcceptMachine)),
		rest.Typed("GET /api/v1/fleet", rest.Read, "The mass brake, the authority of the agents, and how many are connected here.", s.fleetState),
		rest.Typed("POST /api/v1/fleet/rotate", rest.Administer, "Begin to replace the authority of the agents, or finish it.", s.rotate),
		rest.Handing("GET /agent/v1/link", rest.Open, "Where agents behind a proxy come in; they prove who they are inside.", s.deps.Fleet.Link).Slow(),
	}
}

// FleetState is the fleet as a whole.
type FleetState struct {
	Blind     fleet.Blindness `json:"blind"`
	Connected int             `json:"connected" doc:"Agents that are connected to this server."`
	Authority fleet.Authority `json:"authority"`
	Servers   []ops.Server    `json:"servers" doc:"On this database; one that was killed is in the list for a week."`
	Address   string          `json:"address" doc:"Where agents reach this server; empty when they cannot."`
	Problem   string          `json:"problem,omitempty" doc:"Why they cannot."`
}

func (s *Server) fleetState(ctx context.Context, _ rest.NoInput) (st FleetState, err error) {
	st.Blind, st.Connected = s.deps.Fleet.Blind(), s.deps.Fleet.Connected()
	if st.Address, err = s.deps.Fleet.Address(); err != nil {
		st.Problem, _ = ops.Shown(err)
	}
	if st.Servers, err = s.deps.Fleet.Servers(ctx); err != nil {
		return st, err
	}
	st.Authority, err = s.deps.Fleet.Authority(ctx)
	return st, err
}

type addHostInput struct {
	Body struct {
		Name        string `json:"name" doc:"Its name in Reeve."`
		HeartbeatMS int64  `json:"heartbeat_ms,omitempty" doc:"Its period of heartbeats; 5 s to 1 h, longer for slow or metered links; -1 for 15 s. Left out it stays as it was, 15 s at first."`
		GraceMS     int64  `json:"grace_ms,omitempty" doc:"Silence after which it is unreachable; two heartbeats at least, 7 days at most; -1 for 90 s or six heartbeats. Left out it stays as it was, those at first."`
		BytesPerS   int64  `json:"bytes_per_s,omitempty" doc:"Cap of what its agent sends; -1 for none. Left out it stays as it was, none at first."`
		Address     string `json:"address,omitempty" doc:"Where the host reaches this server, if not where others do."`
		WatchOnly   bool   `json:"watch_only,omitempty" doc:"The line carries no approvers: nothing is ever changed on the host."`
	} `body:""`
}

// Joining is how a host joins.
type Joining struct {
	Invitation  ops.Invitation `json:"invitation"`
	Address     string         `json:"address"`
	Token       string         `json:"token" doc:"Counts once and for an hour; it is not shown again."`
	Fingerprint string         `json:"fingerprint" doc:"Of the authority of the server's certificate."`
	Approvers   string         `json:"approvers,omitempty" doc:"Hash of the root of those who may approve changes; whoever has it from elsewhere should compare."`
	Command     string         `json:"command" doc:"The line to paste on the host, as root."`
}

// maxGrace bounds how long a host may be silent before somebody is told.
const maxGrace = 7 * 24 * time.Hour

// maxMaintenance bounds how long nobody is told of a host.
const maxMaintenance = 366 * 24 * time.Hour

// CheckAgentAddress refuses where no agent could reach a server. The address
// becomes a part of a line for a shell.
func CheckAgentAddress(text string) error {
	_, err := link.ParseAddress(text)
	if err != nil || strings.HasPrefix(strings.ToLower(text), "http:") || strings.ContainsAny(text, " \t\n'\"\\$`;&|<>()*?") {
		return ops.Errorf(ops.Invalid, "the address %q is neither reeve://HOST:PORT nor https://HOST", text)
	}
	return nil
}

func (s *Server) addHost(ctx context.Context, q addHostInput) (j Joining, err error) {
	b := q.Body
	if j.Address = b.Address; j.Address == "" {
		if j.Address, err = s.deps.Fleet.Address(); err != nil {
			return j, err
		}
	}
	if err := CheckAgentAddress(j.Address); err != nil {
		return j, rest.Invalid("address", "%s", err.Error())
	}
	if b.HeartbeatMS < ops.Unset || b.HeartbeatMS > time.Hour.Milliseconds() {
		return j, rest.Invalid("heartbeat_ms", "heartbeats come every 5 s to 1 h")
	}
	if b.GraceMS < ops.Unset || b.GraceMS > maxGrace.Milliseconds() {
		return j, rest.Invalid("grace_ms", "the grace is at least two heartbeats and at most 7 days: nobody would be told of a host that is gone")
	}
	if b.BytesPerS < ops.Unset {
		return j, rest.Invalid("bytes_per_s", "a cap is a number of bytes a second, or -1 for none")
	}
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	j.Fingerprint = s.deps.Fleet.Fingerprint()
	j.Token, j.Invitation, err = s.deps.Fleet.Add(ctx, fleet.Invite{Name: b.Name, Heartbeat: ms(b.HeartbeatMS), Grace: ms(b.GraceMS), BytesPerS: b.BytesPerS},
		rest.CallerOf(ctx).Why(""))
	if err != nil {
		return j, err
	}
	j.Command = "reeve-agent join " + j.Address + " --token " + j.Token + " --authority " + j.Fingerprint
	sets, err := s.deps.Work.Sets(ctx)
	if err == nil && len(sets) > 0 && !b.WatchOnly {
		j.Approvers = sets[0].Hash()
		j.Command += " --approvers " + j.Approvers
	}
	return j, err
}

func (s *Server) removeHost(ctx context.Context, q struct {
	ID     string `path:"id"`
	Reason string `query:"reason" doc:"What others should know; goes into the time-line."`
}) (rest.None, error) {
	if err := checkReason(q.Reason); err != nil {
		return rest.None{}, err
	}
	why := rest.CallerOf(ctx).Why(q.Reason)
	if ops.IDKind(q.ID) == ops.InviteID {
		return rest.None{}, s.deps.Fleet.Withdraw(ctx, q.ID, why)
	}
	_, err := s.deps.Fleet.Remove(ctx, q.ID, why)
	return rest.None{}, err
}

type hostReason struct {
	ID   string `path:"id"`
	Body struct {
		Reason string `json:"reason,omitempty" doc:"What others should know; goes into the time-line."`
	} `body:""`
}

func (s *Server) hostVerb(do func(context.Context, string, store.Why) (ops.Host, error)) func(context.Context, hostReason) (ops.Host, error) {
	return func(ctx context.Context, q hostReason) (ops.Host, error) {
		if err := checkReason(q.Body.Reason); err != nil {
			return ops.Host{}, err
		}
		return do(ctx, q.ID, rest.CallerOf(ctx).Why(q.Body.Reason))
	}
}

func (s *Server) maintain(ctx context.Context, q struct {
	ID   string `path:"id"`
	Body struct {
		Until  time.Time `json:"until" doc:"At most a year from now."`
		Reason string    `json:"reason,omitempty" doc:"What others should know; goes into the time-line."`
	} `body:""`
}) (ops.Host, error) {
	if err := checkReason(q.Body.Reason); err != nil {
		return ops.Host{}, err
	}
	if q.Body.Until.After(s.now().Add(maxMaintenance)) {
		return ops.Host{}, rest.Invalid("until", "a maintenance lasts at most a year; a host that is not needed any more is removed")
	}
	return s.deps.Fleet.Maintain(ctx, q.ID, q.Body.Until, rest.CallerOf(ctx).Why(q.Body.Reason))
}

func (s *Server) rotate(ctx context.Context, q struct {
	Body struct {
		Finish bool   `json:"finish,omitempty" doc:"The next authority signs from now on."`
		Force  bool   `json:"force,omitempty" doc:"Even when hosts do not trust it yet, or have not renewed their certificate since the rotation before: those must join again."`
		Reason string `json:"reason,omitempty"`
	} `body:""`
}) (fleet.Authority, error) {
	if err := checkReason(q.Body.Reason); err != nil {
		return fleet.Authority{}, err
	}
	return s.deps.Fleet.Rotate(ctx, q.Body.Finish, q.Body.Force, rest.CallerOf(ctx).Why(q.Body.Reason))
}
