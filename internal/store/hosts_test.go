package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/test/storetest"
)

var hostWhy = store.Why{Actor: "user:ada", Reason: "a test"}

// A hosts is a database with one host and a container on it.
type hosts struct {
	t  *testing.T
	st *store.Store
	id string
}

func eachHosts(t *testing.T, f func(h hosts)) {
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		h := hosts{t, st, ops.NewID(ops.HostID)}
		now := time.Now().UTC().Truncate(time.Millisecond)
		on := ops.Resource{ID: "res_host", Kind: ops.KindHost, Name: "web1", HostID: "res_host", HostName: "web1", Key: ops.HostKey(h.id), Presence: ops.Present, ObservedAt: now}
		box := ops.Resource{ID: "res_box", Kind: ops.KindContainer, Name: "nginx", HostID: "res_host", HostName: "web1", ParentID: "res_host",
			Key: ops.ResourceKey{Host: h.id, Source: "docker", Key: "nginx"}, Presence: ops.Present, ObservedAt: now}
		h.tx(func(ctx context.Context, tx *store.Tx) error {
			for _, r := range []ops.Resource{on, box} {
				if err := tx.SaveResource(ctx, r, ""); err != nil {
					return err
				}
			}
			return tx.AddHost(ctx, ops.Host{ID: h.id, Name: "web1", State: ops.HostOnline, KeyID: "sha256:1", Boots: []string{"b1"}, Machine: []string{"mac:1"}}, hostWhy)
		})
		h.note("", func(x *ops.Host) { x.ResourceID = "res_host" })
		f(h)
	})
}

func (h hosts) tx(f func(context.Context, *store.Tx) error) {
	h.t.Helper()
	if err := h.st.Tx(h.t.Context(), time.Now(), func(tx *store.Tx) error { return f(h.t.Context(), tx) }); err != nil {
		h.t.Fatal(err)
	}
}

func (h hosts) host() ops.Host {
	h.t.Helper()
	x, err := h.st.Host(h.t.Context(), h.id)
	if err != nil {
		h.t.Fatal(err)
	}
	return x
}

func (h hosts) note(verb string, change func(*ops.Host)) {
	h.t.Helper()
	before := h.host()
	h.tx(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.NoteHost(ctx, before, verb, hostWhy, change)
		return err
	})
}

func (h hosts) move(on ops.HostEvent, change func(*ops.Host)) {
	h.t.Helper()
	before := h.host()
	h.tx(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.MoveHost(ctx, before, on, hostWhy, change)
		return err
	})
}

func (h hosts) reachable(id string) string {
	h.t.Helper()
	r, err := h.st.Resource(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return r.Reachable
}

func TestWhatIsOnAHostIsAsReachableAsItsState(t *testing.T) {
	eachHosts(t, func(h hosts) {
		for _, x := range []struct {
			on       ops.HostEvent
			host, in string
		}{
			{ops.HostDegrade, "degraded", "online"}, {ops.HostHold, "held", "unknown"}, {ops.HostSilence, "unreachable", "unknown"},
			{ops.HostReturn, "online", "online"}, {ops.HostMaintain, "maintenance", "online"}, {ops.HostEnd, "online", "online"},
			{ops.HostRevoke, "pending", "unknown"}, {ops.HostEnrol, "online", "online"},
		} {
			h.move(x.on, nil)
			if host, in := h.reachable("res_host"), h.reachable("res_box"); host != x.host || in != x.in {
				h.t.Errorf("after %s: the host is %s, what is on it %s", x.on, host, in)
			}
		}
		all, _, err := h.st.Resources(h.t.Context(), store.ResourceFilter{All: true})
		if err != nil || len(all) != 2 {
			h.t.Fatal(all, err)
		}
		for _, r := range all {
			if r.Presence != ops.Present || r.Version != 1 {
				h.t.Errorf("the host's moves changed %+v", r)
			}
		}
	})
}

func TestAMoveOfAHostThatChangedMeanwhileIsRefused(t *testing.T) {
	eachHosts(t, func(h hosts) {
		seen := h.host()
		h.note("agent_version", func(x *ops.Host) { x.Version = "v2" })
		err := h.st.Tx(h.t.Context(), time.Now(), func(tx *store.Tx) error {
			_, err := tx.MoveHost(h.t.Context(), seen, ops.HostSilence, hostWhy, nil)
			return err
		})
		if ops.KindOf(err) != ops.Conflict || h.host().State != ops.HostOnline {
			h.t.Errorf("%v", err)
		}
		err = h.st.Tx(h.t.Context(), time.Now(), func(tx *store.Tx) error {
			_, err := tx.MoveHost(h.t.Context(), h.host(), ops.HostRecover, hostWhy, nil)
			return err
		})
		if ops.KindOf(err) != ops.Conflict {
			h.t.Errorf("an illegal move: %v", err)
		}
	})
}

func TestAHostIsStoredWhole(t *testing.T) {
	eachHosts(t, func(h hosts) {
		now := time.Now().UTC().Truncate(time.Millisecond)
		h.note("boot", func(x *ops.Host) {
			x.Boots, x.Machine, x.Trust = []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}, []string{"mac:1", "mac:2"}, []string{"sha256:a"}
			x.ReadOnly, x.Protocol, x.BytesPerS, x.CertUntil = true, 1, 9000, now
			x.ConflictAt, x.Conflict = now, "a copy"
		})
		x := h.host()
		if fmt.Sprint(x.Boots) != "[2 3 4 5 6 7 8 9]" || len(x.Machine) != 2 || len(x.Trust) != 1 || !x.ReadOnly || x.BytesPerS != 9000 ||
			!x.CertUntil.Equal(now) || !x.ConflictAt.Equal(now) || x.Conflict != "a copy" {
			h.t.Errorf("%+v", x)
		}
		for _, what := range []string{h.id, "web1", "res_host"} {
			if found, err := h.st.FindHost(h.t.Context(), what); err != nil || found.ID != h.id {
				h.t.Errorf("found by %s: %+v, %v", what, found, err)
			}
		}
		h.move(ops.HostRemove, nil)
		if _, err := h.st.FindHost(h.t.Context(), "web1"); ops.KindOf(err) != ops.NotFound {
			h.t.Errorf("a tombstone is found by its name: %v", err)
		}
		if all, err := h.st.Hosts(h.t.Context(), false); err != nil || len(all) != 0 {
			h.t.Errorf("%+v, %v", all, err)
		}
		keys, err := h.st.HostKeys(h.t.Context())
		if err != nil || keys[h.id] != "" {
			h.t.Errorf("a tombstone may speak with %q, %v", keys[h.id], err)
		}
	})
}

func TestClocksNeverGoBack(t *testing.T) {
	eachHosts(t, func(h hosts) {
		at := func(s int) time.Time {
			return time.UnixMilli(1_700_000_000_000).Add(time.Duration(s) * time.Second).UTC()
		}
		save := func(c store.Clock) {
			c.HostID = h.id
			h.tx(func(ctx context.Context, tx *store.Tx) error { return tx.SaveClocks(ctx, []store.Clock{c}) })
		}
		save(store.Clock{Heartbeat: at(100), Proof: at(90), Report: at(80), Sequence: 7, SkewMS: 5, Spooled: 2, Address: "a", Server: "srv_b"})
		// A server that lost the host to another writes what it last knew.
		save(store.Clock{Heartbeat: at(50), Proof: at(95), Report: at(40), Sequence: 6, SkewMS: 9, Spooled: 9, Address: "old"})
		x := h.host()
		if !x.HeartbeatAt.Equal(at(100)) || !x.ProofAt.Equal(at(95)) || !x.ReportAt.Equal(at(80)) || x.Sequence != 7 ||
			x.SkewMS != 5 || x.Spooled != 2 || x.Address != "a" || x.Server != "srv_b" {
			h.t.Errorf("%+v", x)
		}
		save(store.Clock{Heartbeat: at(101), Sequence: 8})
		if x := h.host(); !x.HeartbeatAt.Equal(at(101)) || !x.ReportAt.Equal(at(80)) || x.Sequence != 8 || x.Server != "" {
			h.t.Errorf("%+v", x)
		}
	})
}

func TestManyClocksAreOneWrite(t *testing.T) {
	eachHosts(t, func(h hosts) {
		var all []store.Clock
		for i := range 250 {
			all = append(all, store.Clock{HostID: fmt.Sprint("h", i), Heartbeat: time.Now()})
		}
		all = append(all, store.Clock{HostID: h.id, Heartbeat: time.Now(), Sequence: 3})
		h.tx(func(ctx context.Context, tx *store.Tx) error { return tx.SaveClocks(ctx, all) })
		if x := h.host(); x.Sequence != 3 {
			h.t.Errorf("%+v", x)
		}
	})
}

func TestQuietHostsAreNotedWithoutAWordInTheAudit(t *testing.T) {
	eachHosts(t, func(h hosts) {
		before, err := h.st.Transitions(h.t.Context(), store.TransitionFilter{Limit: 100})
		if err != nil {
			h.t.Fatal(err)
		}
		for _, quiet := range []bool{true, false} {
			h.tx(func(ctx context.Context, tx *store.Tx) error { return tx.SetQuiet(ctx, []string{h.id}, quiet) })
			noted, err := quietHosts(h.t.Context(), h.st)
			heard, herr := h.st.HostsHeard(h.t.Context())
			if err != nil || herr != nil || noted[h.id] != quiet || heard["res_host"].Quiet != quiet || heard["res_host"].State != ops.HostOnline {
				h.t.Errorf("%v: %v, %+v, %v, %v", quiet, noted, heard, err, herr)
			}
		}
		h.tx(func(ctx context.Context, tx *store.Tx) error { return tx.SetQuiet(ctx, nil, true) })
		after, err := h.st.Transitions(h.t.Context(), store.TransitionFilter{Limit: 100})
		if err != nil || len(after) != len(before) {
			h.t.Errorf("%d transitions became %d, %v", len(before), len(after), err)
		}
	})
}

func TestWhatIsOnARemovedHostIsRemoved(t *testing.T) {
	eachHosts(t, func(h hosts) {
		left := func() (n int) {
			all, _, err := h.st.Resources(h.t.Context(), store.ResourceFilter{All: true, Presence: []string{string(ops.Present)}})
			if err != nil {
				h.t.Fatal(err)
			}
			return len(all)
		}
		before := left()
		h.tx(func(ctx context.Context, tx *store.Tx) error { return tx.RemoveResourcesOf(ctx, h.id, "self", hostWhy) })
		if n := left(); n != before {
			h.t.Errorf("of %d resources of other sources %d are left", before, n)
		}
		h.tx(func(ctx context.Context, tx *store.Tx) error { return tx.RemoveResourcesOf(ctx, h.id, "", hostWhy) })
		all, _, err := h.st.Resources(h.t.Context(), store.ResourceFilter{All: true})
		if err != nil {
			h.t.Fatal(err)
		}
		for _, r := range all {
			if r.Presence != ops.Removed {
				h.t.Errorf("%+v", r)
			}
		}
		if heard, err := h.st.HostsHeard(h.t.Context()); err != nil || len(heard) != 1 {
			h.t.Errorf("%+v, %v", heard, err)
		}
	})
}

func TestAMaintenanceSuppressesWhatIsOnTheHostAndIsNotStored(t *testing.T) {
	eachHosts(t, func(h hosts) {
		now := time.Now().UTC().Truncate(time.Millisecond)
		f := ops.Finding{ID: ops.NewID(ops.FindingID), ResourceID: "res_box", Condition: "container_unhealthy", State: ops.FindingOpen, Severity: ops.Warning,
			Peak: ops.Warning, Origin: ops.OriginRule, FirstSeen: now, LastSeen: now, OpenedAt: now, Count: 1, Episode: 1}
		h.tx(func(ctx context.Context, tx *store.Tx) error { return tx.OpenFinding(ctx, f, hostWhy) })
		get := func() ops.Finding {
			x, err := h.st.Finding(h.t.Context(), f.ID)
			if err != nil {
				h.t.Fatal(err)
			}
			return x
		}
		write := func(change func(*ops.Finding)) {
			seen := get()
			h.tx(func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.NoteFinding(ctx, seen, "note", hostWhy, change)
				return err
			})
		}
		accepted := &ops.Suppression{Kind: ops.SuppressAccepted, Reason: "known", Actor: "user:ada", Severity: ops.Warning}
		write(func(x *ops.Finding) { x.Suppression = accepted })
		until := now.Add(time.Hour)
		h.move(ops.HostMaintain, func(x *ops.Host) { x.MaintenanceUntil = until })
		write(func(x *ops.Finding) { x.Severity = ops.Critical })
		s := get().Suppression
		if s == nil || s.Host != "web1" || s.Reason != hostWhy.Reason || !s.Until.Equal(until) || !s.Active(now, ops.Critical) {
			h.t.Fatalf("in maintenance: %+v", s)
		}
		if s.Active(until, ops.Warning) {
			h.t.Error("it outlives its time")
		}
		h.move(ops.HostEnd, func(x *ops.Host) { x.MaintenanceUntil = time.Time{} })
		if s := get().Suppression; s == nil || *s != *accepted {
			h.t.Errorf("after it: %+v", s)
		}
		write(func(x *ops.Finding) { x.Suppression = nil })
		h.move(ops.HostMaintain, func(x *ops.Host) { x.MaintenanceUntil = until })
		write(func(x *ops.Finding) { x.Count++ })
		h.move(ops.HostEnd, nil)
		if s := get().Suppression; s != nil {
			h.t.Errorf("it was stored: %+v", s)
		}
	})
}

func TestAnInvitationIsUsedOnce(t *testing.T) {
	eachHosts(t, func(h hosts) {
		now := time.Now().UTC().Truncate(time.Millisecond)
		open := func() []ops.Invitation {
			all, err := h.st.Invitations(h.t.Context(), now.UnixMilli())
			if err != nil {
				h.t.Fatal(err)
			}
			return all
		}
		add := func(name, hash string, until time.Time) ops.Invitation {
			i := ops.Invitation{ID: ops.NewID(ops.InviteID), Name: name, CreatedAt: now, CreatedBy: "user:ada", ExpiresAt: until, HeartbeatMS: 15000, GraceMS: 90000, BytesPerS: 5000}
			h.tx(func(ctx context.Context, tx *store.Tx) error { return tx.AddInvitation(ctx, i, hash, hostWhy) })
			return i
		}
		use := func(hash string) (i ops.Invitation, err error) {
			err = h.st.Tx(h.t.Context(), time.Now(), func(tx *store.Tx) (err error) {
				i, err = tx.UseInvitation(h.t.Context(), hash, h.id)
				return err
			})
			return i, err
		}
		add("db1", "x", now.Add(time.Hour))
		made := add("db1", "y", now.Add(time.Hour))
		add("old", "z", now.Add(-time.Second))
		if all := open(); len(all) != 1 || all[0] != made {
			h.t.Fatalf("%+v", all)
		}
		if got, err := use("y"); err != nil || got.ID != made.ID || got.UsedBy != h.id || got.UsedAt.IsZero() {
			h.t.Errorf("%+v, %v", got, err)
		}
		for _, hash := range []string{"x", "y", "z", ""} {
			if _, err := use(hash); ops.KindOf(err) != ops.Forbidden {
				h.t.Errorf("%q: %v", hash, err)
			}
		}
		if all := open(); len(all) != 0 {
			h.t.Errorf("%+v", all)
		}
	})
}

func TestALeaseHasOneHolderAndItsFenceRises(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		take := func(holder string, life time.Duration, held bool, fence int64) {
			t.Helper()
			f, h, err := st.TakeLease(t.Context(), "l", holder, life)
			if err != nil || h != held || held && f != fence {
				t.Errorf("%s: fence %d, held %v, %v", holder, f, h, err)
			}
		}
		check := func(holder string, fence int64, want bool) {
			t.Helper()
			err := st.Tx(t.Context(), time.Now(), func(tx *store.Tx) error {
				ok, err := tx.CheckLease(t.Context(), "l", holder, fence)
				if ok != want {
					t.Errorf("%s with %d: %v", holder, fence, ok)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
		take("a", time.Minute, true, 1)
		take("b", time.Minute, false, 0)
		take("a", time.Minute, true, 1)
		check("a", 1, true)
		check("b", 1, false)
		if err := st.DropLease(t.Context(), "l", "b"); err != nil { // not its own
			t.Fatal(err)
		}
		take("b", time.Minute, false, 0)
		if err := st.DropLease(t.Context(), "l", "a"); err != nil {
			t.Fatal(err)
		}
		take("b", -time.Second, true, 2)
		check("a", 1, false)
		take("a", time.Minute, true, 3)
		check("a", 1, false)
		check("a", 3, true)
	})
}

// quietHosts answers which hosts are noted as quiet.
func quietHosts(ctx context.Context, st *store.Store) (map[string]bool, error) {
	hosts, quiet, err := st.HostsToJudge(ctx)
	noted := map[string]bool{}
	for i, h := range hosts {
		if quiet[i] {
			noted[h.ID] = true
		}
	}
	return noted, err
}
