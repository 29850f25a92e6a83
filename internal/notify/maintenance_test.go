package notify_test

import (
	"testing"
	"time"

	"reeve/internal/notify"
	"reeve/internal/ops"
	"reeve/internal/store"
)

// host adds the host that everything which breaks is on.
func (e *estate) host() ops.Host {
	e.t.Helper()
	h := ops.Host{ID: ops.NewID(ops.HostID), Name: "web1", State: ops.HostOnline}
	on := ops.Resource{ID: "res_host", Kind: ops.KindHost, Name: "web1", HostID: "res_host", HostName: "web1", Key: ops.HostKey(h.ID), Presence: ops.Present}
	e.tx(func(tx *store.Tx) error {
		if err := tx.SaveResource(e.t.Context(), on, ""); err != nil {
			return err
		}
		if err := tx.AddHost(e.t.Context(), h, watch); err != nil {
			return err
		}
		known, err := tx.Host(e.t.Context(), h.ID)
		if err != nil {
			return err
		}
		h, err = tx.NoteHost(e.t.Context(), known, "", watch, func(x *ops.Host) { x.ResourceID = on.ID })
		return err
	})
	return h
}

func (e *estate) moveHost(id string, on ops.HostEvent, until time.Time) {
	e.t.Helper()
	e.tx(func(tx *store.Tx) error {
		h, err := tx.Host(e.t.Context(), id)
		if err != nil {
			return err
		}
		_, err = tx.MoveHost(e.t.Context(), h, on, store.Why{Actor: "user:ada", Reason: "new disk"}, func(x *ops.Host) { x.MaintenanceUntil = until })
		return err
	})
}

func TestNobodyIsToldOfAHostInMaintenanceUntilItEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, e *estate) {
		m := &memory{}
		n := newNotify(t, e.st, nil, map[string]notify.Channel{"a": m})
		id := e.breaks(ops.Critical)
		host := e.host()
		until := time.Now().Add(6 * time.Hour)
		e.moveHost(host.ID, ops.HostMaintain, until)
		turns(t, n, 5*time.Hour, time.Minute) // long enough for a reminder
		if m.events() != "" {
			t.Fatalf("in maintenance: told %q", m.events())
		}
		if s := e.finding(id).Suppression; s == nil || s.Kind != ops.SuppressMaintenance || s.Host != "web1" || s.Reason != "new disk" || !s.Until.Equal(until) {
			t.Errorf("the finding says %+v", s)
		}
		e.moveHost(host.ID, ops.HostEnd, time.Time{})
		turn(t, n) // at once, not at the next round
		if m.events() != "opened" || e.finding(id).Suppression != nil {
			t.Errorf("after it: told %q, %+v", m.events(), e.finding(id).Suppression)
		}
	})
}

func TestWhatRecoversInMaintenanceIsNeverTold(t *testing.T) {
	inBubble(t, func(t *testing.T, e *estate) {
		m := &memory{}
		n := newNotify(t, e.st, nil, map[string]notify.Channel{"a": m})
		id := e.breaks(ops.Critical)
		host := e.host()
		e.moveHost(host.ID, ops.HostMaintain, time.Now().Add(time.Hour))
		turns(t, n, 10*time.Minute, time.Minute)
		e.recovers(id)
		e.moveHost(host.ID, ops.HostEnd, time.Time{})
		turns(t, n, 10*time.Minute, time.Minute)
		if m.events() != "" {
			t.Errorf("told %q", m.events())
		}
	})
}
