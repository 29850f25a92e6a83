package app

import (
	"cmp"
	"context"
	"os"
	"path/filepath"

	"reeve/internal/act"
	"reeve/internal/agent"
	"reeve/internal/api"
	"reeve/internal/approver"
	"reeve/internal/drivers"
	"reeve/internal/ops"
	"reeve/internal/reconcile"
	"reeve/internal/store"
	"reeve/internal/workload"
)

// openWork builds what compares desired with observed, and what carries out
// operations.
func (s *Server) openWork(ctx context.Context) error {
	known := map[string]reconcile.Driver{}
	for _, d := range drivers.All() {
		known[d.Name] = reconcile.Driver{State: d.State, Strangers: d.Strangers}
	}
	s.reconcile = reconcile.New(reconcile.Options{Log: s.log, Store: s.store, Agents: s.agents, Drivers: known, Changed: func() { s.woken.watch.Wake() }})
	s.act = act.New(act.Options{Log: s.log, Store: s.store, Server: s.serverID, Ended: s.reconcile.Soon,
		Agent: func(host string) (act.Agent, bool) {
			if s.hands != nil && host == s.host.Key {
				return s.hands, true
			}
			return s.fleet.Agent(host)
		},
		Refuse: func(driver, name string, op workload.Operation) error {
			d, ok := drivers.Get(driver)
			if !ok {
				return ops.Errorf(ops.Invalid, "this version has no driver %s", driver)
			}
			return d.Refuse(op, name)
		}})
	pin, err := s.openApprovers(ctx)
	if err != nil {
		return err
	}
	if err := s.openHands(pin); err != nil {
		return err
	}
	return workloadErrors(s.config)
}

// agents answers the agents of this server, its own among them.
func (s *Server) agents() map[string]reconcile.Agent {
	all := map[string]reconcile.Agent{}
	for id, a := range s.fleet.Agents() {
		all[id] = a
	}
	if s.hands != nil {
		all[s.host.Key] = s.hands
	}
	return all
}

// openApprovers sees to it that somebody may approve: the first start makes
// the first key, on this machine. It answers what this machine believes.
func (s *Server) openApprovers(ctx context.Context) (pin string, err error) {
	sets, err := s.act.Sets(ctx)
	if err != nil {
		return "", err
	}
	if len(sets) == 0 {
		key, found, err := approver.Read(filepath.Join(s.config.Data, approver.KeyFile))
		if err == nil && !found {
			name, _ := os.Hostname() // without one the name is shorter
			key, err = approver.Make(filepath.Join(s.config.Data, approver.KeyFile), "admin@"+cmp.Or(name, "server"))
		}
		if err != nil {
			return "", err
		}
		root := approver.Root(key)
		if err := s.act.Follow(ctx, root, store.Why{Actor: "server", Reason: "the first start makes the first approver"}); err != nil {
			return "", err
		}
		if err := approver.WritePin(s.config.Data, root.Hash()); err != nil {
			return "", err
		}
	}
	return approver.ReadPin(s.config.Data)
}

// openHands lets the agent inside list and, where this machine has the root of
// the approvers, carry out.
func (s *Server) openHands(pin string) (err error) {
	if s.worker == nil {
		return nil
	}
	dir := filepath.Join(s.config.Data, "agent")
	if s.hands, err = agent.NewHands(s.log, dir, s.logs.env); err != nil || pin == "" {
		return err
	}
	wait, err := s.hands.CommandHere(filepath.Join(dir, "perform"), s.logs.env, s.host.Key, pin)
	if err == nil {
		s.push("orders of this machine", func(context.Context) error { wait(); return nil })
	}
	return err
}

// workOfAPI gives people's words about workloads to those who act on them.
func (s *Server) workOfAPI() api.Work {
	return api.Work{Declare: s.declareForPerson, Suggestions: s.reconcile.Suggestions, Propose: s.act.Propose, Approve: s.act.Approve, Withdraw: s.act.Withdraw,
		Sets: s.act.Sets, Follow: s.act.Follow, Drivers: driverViews()}
}

// declareForPerson declares what a person wants, unless it can never be.
func (s *Server) declareForPerson(ctx context.Context, d reconcile.Declaration, why store.Why) (ops.Workload, error) {
	if driver, ok := drivers.Get(d.Driver); ok {
		if err := driver.RefuseDesired(d.Desired); err != nil {
			return ops.Workload{}, err
		}
	}
	return s.reconcile.Declare(ctx, d, why)
}

func driverViews() []api.DriverView {
	var all []api.DriverView
	for _, d := range drivers.All() {
		v := api.DriverView{Name: d.Name, Doc: d.Doc, Permissions: d.Permissions}
		for _, op := range d.Operations {
			v.Operations = append(v.Operations, string(op))
		}
		all = append(all, v)
	}
	return all
}
