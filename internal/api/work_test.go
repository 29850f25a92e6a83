package api_test

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"reeve/internal/act"
	"reeve/internal/api"
	"reeve/internal/approver"
	"reeve/internal/authority"
	"reeve/internal/fleet"
	"reeve/internal/ops"
	"reeve/internal/reconcile"
	"reeve/internal/secret"
	"reeve/internal/store"
	"reeve/internal/workload"
)

// fleet answers the real fleet on the world's database.
func (w *world) fleet() api.Fleet {
	w.t.Helper()
	keys := secret.New(w.dir)
	f, err := fleet.New(w.t.Context(), fleet.Options{Log: quiet(), Store: w.db, Accept: func(context.Context, ops.Report) error { return nil },
		Seal: keys.Seal, Open: keys.Open, Settings: func(ops.Host) []byte { return nil }, Proven: func(context.Context) bool { return false },
		Begun: func(context.Context, string) error { return nil }, Addresses: func(context.Context) []string { return nil }, Moved: func() {},
		Server: ops.NewID(ops.ServerID), Version: "v1.0.0"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { f.Close(context.Background()) })
	return api.Fleet{Add: f.Add, Withdraw: f.Withdraw, Revoke: f.Revoke, Remove: f.Remove, Maintain: f.Maintain, EndMaintenance: f.EndMaintenance,
		Release: f.Release, AcceptMachine: f.AcceptMachine, Authority: f.Authority, Rotate: f.Rotate, Fingerprint: f.Fingerprint,
		Address: func() (string, error) { return "reeve://192.0.2.7:7434", nil }, Blind: f.Blind, Connected: f.Connected, Link: f.Link(),
		Servers: func(context.Context) ([]ops.Server, error) { return nil, nil }}
}

// work answers what is real below workloads and actions; no agent is
// connected.
func (w *world) work() api.Work {
	w.t.Helper()
	running := func(label string) (workload.State, bool) { return workload.State(label), false }
	r := reconcile.New(reconcile.Options{Log: quiet(), Store: w.db, Agents: func() map[string]reconcile.Agent { return nil },
		Drivers: map[string]reconcile.Driver{"docker": {State: running, Strangers: true}}, Changed: func() {}})
	a := act.New(act.Options{Log: quiet(), Store: w.db, Agent: func(string) (act.Agent, bool) { return nil, false },
		Refuse: func(string, string, workload.Operation) error { return nil }, Server: "srv", Ended: func(string) {}})
	return api.Work{Declare: r.Declare, Suggestions: r.Suggestions, Propose: a.Propose, Approve: a.Approve, Withdraw: a.Withdraw, Sets: a.Sets, Follow: a.Follow,
		Drivers: []api.DriverView{{Name: "docker"}}}
}

func TestAHostIsInvitedOnceAndMayBeUninvited(t *testing.T) {
	w := newWorld(t)
	c := w.admin()
	var j api.Joining
	c.want(200, "POST", "/api/v1/hosts", map[string]any{"name": "web7", "heartbeat_ms": 60000}, &j)
	if !strings.HasPrefix(j.Command, "reeve-agent join reeve://192.0.2.7:7434 --token "+j.Token) || !strings.Contains(j.Command, j.Fingerprint) {
		t.Fatalf("the line is %q", j.Command)
	}
	var l struct{ Items []api.HostRow }
	c.want(200, "GET", "/api/v1/hosts", nil, &l)
	found := false
	for _, h := range l.Items {
		found = found || h.Name == "web7" && h.Reachable == string(ops.HostPending) && h.Invitation != nil
	}
	if !found {
		t.Fatalf("the invited host is not listed: %+v", l.Items)
	}
	c.want(204, "DELETE", "/api/v1/hosts/"+j.Invitation.ID, nil, nil)
	c.want(404, "DELETE", "/api/v1/hosts/"+j.Invitation.ID, nil, nil)
	for _, wrong := range []map[string]any{{"name": "a b"}, {"name": ""}, {"name": "x", "heartbeat_ms": 10}, {"name": "x", "address": "reeve://h;rm -rf"},
		{"name": "x", "address": "x"}, {"name": "x", "address": "http://x"}, {"name": "x", "address": "https://"}, {"name": "x", "address": "https://x?y=z"},
		{"name": "x", "heartbeat_ms": 60000, "grace_ms": 60000}, {"name": "x", "grace_ms": 8 * 24 * 3600 * 1000}, {"name": "x", "heartbeat_ms": int64(math.MaxInt64)}, {"name": "x", "grace_ms": -2}} {
		c.want(422, "POST", "/api/v1/hosts", wrong, nil)
	}
	for _, good := range []map[string]any{{"name": "a", "address": "reeve://192.0.2.1"}, {"name": "b", "address": "https://reeve.example.org:8443/reeve"},
		{"name": "c", "address": "reeve://[2001:db8::1]:7434", "heartbeat_ms": 60000, "grace_ms": 7 * 24 * 3600 * 1000}} {
		c.want(200, "POST", "/api/v1/hosts", good, nil)
	}
}

// joined adds a host that is online.
func (w *world) joined(name string) ops.Host {
	h := ops.Host{ID: ops.NewID(ops.HostID), Name: name, State: ops.HostOnline}
	w.tx(func(tx *store.Tx) error { return tx.AddHost(w.t.Context(), h, store.Why{Actor: "test"}) })
	return h
}

func TestWorkloadsOfAHostThatThereIsNotAreNoEmptyList(t *testing.T) {
	w := newWorld(t)
	h := w.joined("web7")
	c := w.admin()
	for host, want := range map[string]int{"web7": 200, h.ID: 200, "wbe7": 404} {
		c.want(want, "GET", "/api/v1/workloads?host="+host, nil, nil)
	}
}

func TestAMaintenanceIsWithinAYear(t *testing.T) {
	w := newWorld(t)
	w.joined("web7")
	c := w.admin()
	c.want(422, "POST", "/api/v1/hosts/web7/maintenance", map[string]any{"until": time.Now().Add(100_000 * time.Hour)}, nil)
	c.want(200, "POST", "/api/v1/hosts/web7/maintenance", map[string]any{"until": time.Now().Add(365 * 24 * time.Hour)}, nil)
}

func TestAnActionNeedsTheSignatureOfAnApprover(t *testing.T) {
	w := newWorld(t)
	c := w.admin()
	key, err := approver.Make(t.TempDir()+"/key", "anna")
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := approver.Make(t.TempDir()+"/key", "eve")
	if err != nil {
		t.Fatal(err)
	}
	root := approver.Root(key)
	c.want(200, "POST", "/api/v1/approvers", root, nil)
	h := w.joined("web7")
	var x ops.Workload
	c.want(200, "POST", "/api/v1/workloads", map[string]any{"host": "web7", "driver": "docker", "name": "nginx", "desired": "running"}, &x)
	if x.Desired != "running" || x.DesiredBy == "" || x.HostID != h.ID {
		t.Fatalf("declared: %+v", x)
	}
	var a ops.Action
	c.want(200, "POST", "/api/v1/actions", map[string]any{"workload": "web7/nginx", "operation": "restart", "reason": "new certificate"}, &a)
	var plan authority.Plan
	if err := json.Unmarshal(a.Plan, &plan); err != nil || authority.Hash(plan) != a.PlanHash || a.State != ops.ActionAwaiting {
		t.Fatalf("the plan does not have its hash (%v): %+v", err, a)
	}
	path := "/api/v1/actions/" + a.ID + "/approve"
	c.want(403, "POST", path, stranger.Approve(a.PlanHash, "", authority.Approve, time.Now()), nil)
	c.want(403, "POST", path, key.Approve(strings.Repeat("0", 64), "", authority.Approve, time.Now()), nil)
	c.want(403, "POST", path, key.Approve(a.PlanHash, "", authority.Reject, time.Now()), nil)
	c.want(403, "POST", path, key.Approve(a.PlanHash, "", authority.Approve, time.Now().Add(-time.Hour)), nil)
	c.want(200, "POST", path, key.Approve(a.PlanHash, "ok", authority.Approve, time.Now()), &a)
	if a.State != ops.ActionApproved || a.ApprovedBy != "anna" {
		t.Fatalf("approved: %+v", a)
	}
	c.want(409, "POST", path, key.Approve(a.PlanHash, "ok", authority.Approve, time.Now()), nil)
	var d api.WorkloadDetail
	c.want(200, "GET", "/api/v1/workloads/web7/nginx", nil, &d)
	if len(d.Actions) != 1 || d.Actions[0].ID != a.ID {
		t.Errorf("the workload does not show its action: %+v", d.Actions)
	}
	// A set of approvers that nobody of the newest signed does not count.
	c.want(403, "POST", "/api/v1/approvers", root.Next(root.Keys, stranger.Private), nil)
	c.want(200, "POST", "/api/v1/approvers", root.Next(append(root.Keys, stranger.Public()), key.Private), nil)
}
