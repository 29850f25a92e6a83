package store_test

import (
	"fmt"
	"reflect"
	"testing"
	"unsafe"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/test/storetest"
)

// What rows of one answer say alike is kept once, and each still says its own.
func TestRowsShareWhatIsAlike(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		states := []string{"running", "exited", "running"}
		do(t, s, func(tx *store.Tx) error {
			for i, state := range states {
				r := ops.Resource{ID: ops.NewID(ops.ResourceID), Kind: ops.KindContainer, Name: "web", HostID: "host", HostName: "node",
					Key: ops.ResourceKey{Host: "key", Source: "docker", Key: fmt.Sprint(i)}, Labels: map[string]string{"app": "shop"},
					Observed: ops.Attrs{"state": state}, Presence: ops.Present, FirstSeen: t0, ObservedAt: t0}
				if err := tx.SaveResource(t.Context(), r, ""); err != nil {
					return err
				}
			}
			return nil
		})
		all, _, err := s.Resources(t.Context(), store.ResourceFilter{All: true})
		if err != nil || len(all) != len(states) {
			t.Fatal(all, err)
		}
		byKey := map[string]ops.Resource{}
		for _, r := range all {
			byKey[r.Key.Key] = r
		}
		for i, state := range states {
			if r := byKey[fmt.Sprint(i)]; r.Observed["state"] != state || r.Labels["app"] != "shop" || r.HostName != "node" || r.Desired != nil {
				t.Errorf("%+v", r)
			}
		}
		at := func(m any) uintptr { return reflect.ValueOf(m).Pointer() }
		a, b, c := byKey["0"], byKey["1"], byKey["2"]
		if at(a.Observed) != at(c.Observed) || at(a.Observed) == at(b.Observed) {
			t.Error("the same state is kept twice, or another once")
		}
		if at(a.Labels) != at(b.Labels) || unsafe.StringData(a.HostName) != unsafe.StringData(b.HostName) {
			t.Error("labels or texts are kept twice")
		}
	})
}
