package app

import (
	"context"
	"slices"

	"reeve/internal/collect"
	"reeve/internal/gather"
	"reeve/internal/ops"
	"reeve/internal/store"
)

// unwatched is the host that the parts of a server without an agent are on.
var unwatched = ops.HostIdentity{Key: "server", Name: "reeve"}

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

// alone reports whether no other server is on the database.
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
	return s.former(ctx)
}

func (s *Server) former(ctx context.Context) (former []ops.Host, err error) {
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
	if alone, err := s.alone(ctx); err != nil || !alone {
		return err
	}
	former, err := s.former(ctx)
	if err != nil {
		return err
	}
	now, err := s.store.Now(ctx)
	if err != nil {
		return err
	}
	why := store.Why{Actor: "server", Reason: "the parts of this server are on another host since its start"}
	return s.store.Tx(ctx, now, func(tx *store.Tx) error {
		for _, h := range former {
			if err := tx.RemoveResourcesOf(ctx, h.ID, selfSource, why); err != nil {
				return err
			}
		}
		if s.host.Key == "" {
			return nil
		}
		return tx.RemoveResourcesOf(ctx, unwatched.Key, "", why)
	})
}
