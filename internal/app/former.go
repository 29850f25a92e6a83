package app

import (
	"cmp"
	"context"
	"slices"

	"reeve/internal/collect"
	"reeve/internal/gather"
	"reeve/internal/ops"
	"reeve/internal/store"
)

// unwatched is the host that parts of Reeve are on which are on no machine
// that it watches: those of a server without an agent, and what several
// servers have between them.
var unwatched = ops.HostIdentity{Key: "server", Name: "reeve"}

// partsHost answers the host that the parts of this server are on. Without an
// agent that is one of its own where several servers may be.
func (s *Server) partsHost() ops.HostIdentity {
	switch {
	case s.host.Key != "":
		return s.host
	case !s.duty.shared:
		return unwatched
	}
	return ops.HostIdentity{Key: s.serverID, Name: "reeve-" + cmp.Or(s.self().Name, s.serverID)}
}

// identity answers who this host is: a new one where the old was removed,
// because a tombstone stays one.
func (s *Server) identity(ctx context.Context, env collect.Env) (ops.HostIdentity, error) {
	id, err := gather.Identity(s.config.Data, env)
	if err != nil {
		return id, err
	}
	switch h, err := s.store.Host(ctx, id.Key); {
	case ops.KindOf(err) == ops.NotFound:
		return id, nil
	case err != nil || h.State != ops.HostRemoved:
		return id, err
	}
	if err := gather.Forget(s.config.Data); err != nil {
		return id, err
	}
	return gather.Identity(s.config.Data, env)
}

// alone reports whether no other server is on the database, or is missed there.
func (s *Server) alone(ctx context.Context) (bool, error) {
	servers, err := s.servers(ctx)
	return !slices.ContainsFunc(servers, func(o ops.Server) bool { return o.ID != s.serverID }), err
}

// Former answers the hosts that were watched by an agent inside a server and
// are not by this one; beside other servers, which may watch theirs, none.
func (s *Server) Former(ctx context.Context) (former []ops.Host, err error) {
	if alone, err := s.alone(ctx); err != nil || !alone {
		return nil, err
	}
	hosts, err := s.store.Hosts(ctx, false)
	for _, h := range hosts {
		if h.Local && h.ID != s.host.Key {
			former = append(former, h)
		}
	}
	return former, err
}

// leaveFormer takes the parts of this server from where an earlier start saw
// them: with an agent they are on its host, without one on a host of their own.
func (s *Server) leaveFormer(ctx context.Context) error {
	here := s.partsHost().Key
	alone, err := s.alone(ctx)
	if err != nil {
		return err
	}
	return s.leaveHosts(ctx, "the parts of this server are on another host since its start", func(key string) bool {
		common := key == unwatched.Key && s.duty.shared
		return key != here && !common && (alone || key == s.serverID)
	})
}

// leaveGone takes away the parts of servers without an agent that are gone.
// Those with one are on its host, which is looked after as every other.
func (s *Server) leaveGone(ctx context.Context) error {
	now, err := s.store.Now(ctx)
	if err != nil {
		return err
	}
	servers, err := s.servers(ctx)
	if err != nil {
		return err
	}
	return s.leaveHosts(ctx, "their server is gone", func(key string) bool {
		return ops.IDKind(key) == ops.ServerID &&
			!slices.ContainsFunc(servers, func(x ops.Server) bool { return x.ID == key && now.Sub(x.SeenAt) < serverGone })
	})
}

// leaveHosts takes the parts of Reeve from hosts that they are not on any more;
// one that is no machine is left with nothing.
func (s *Server) leaveHosts(ctx context.Context, reason string, former func(key string) bool) error {
	keys, err := s.store.HostsSeenBy(ctx, selfSource)
	if err != nil {
		return err
	}
	keys = slices.DeleteFunc(keys, func(key string) bool { return !former(key) })
	if len(keys) == 0 {
		return nil
	}
	now, err := s.store.Now(ctx)
	if err != nil {
		return err
	}
	why := store.Why{Actor: "server", Reason: reason}
	return s.store.Tx(ctx, now, func(tx *store.Tx) error {
		for _, key := range keys {
			source := selfSource
			if key == unwatched.Key || ops.IDKind(key) == ops.ServerID {
				source = ""
			}
			if err := tx.RemoveResourcesOf(ctx, key, source, why); err != nil {
				return err
			}
		}
		return nil
	})
}
