package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reeve/internal/config"
	"reeve/internal/ops"
	"reeve/internal/reconcile"
	"reeve/internal/store"
	"reeve/internal/workload"
	"reeve/test/storetest"
)

// unit puts a service of systemd of the host web1 into the store.
func unit(t *testing.T, st *store.Store, name, enabled, sub string) {
	t.Helper()
	err := st.Tx(t.Context(), time.Now(), func(tx *store.Tx) error {
		_, err := tx.PutResource(t.Context(), ops.Resource{ID: ops.NewID(ops.ResourceID), Kind: ops.KindUnit, Name: name, Presence: ops.Present,
			Key: ops.ResourceKey{Host: "host_web1", Source: "systemd", Key: name}, Observed: ops.Attrs{"enabled": enabled, "active_state": "active", "sub_state": sub}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDeclarationsFollowTheirSources changes what systemd starts and a compose
// file, and looks at what is declared.
func TestDeclarationsFollowTheirSources(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		err := st.Tx(t.Context(), time.Now(), func(tx *store.Tx) error {
			return tx.AddHost(t.Context(), ops.Host{ID: "host_web1", Name: "web1", State: ops.HostOnline}, store.Why{Actor: "test"})
		})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "compose.yaml")
		write := func(text string) {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		known := map[string]reconcile.Driver{"docker": {}, "systemd": {}}
		s := &Server{store: st, reconcile: reconcile.New(reconcile.Options{Log: slog.New(slog.DiscardHandler), Store: st, Drivers: known}),
			config: config.Config{Workloads: []config.Workload{{Host: "web1", Driver: "systemd", Enabled: true}, {Host: "web1", Driver: "docker", Compose: file}, {Host: "later", Driver: "systemd", Enabled: true}}}}
		declared := func() string {
			t.Helper()
			if err := s.declareWorkloads(t.Context()); err != nil {
				t.Fatal(err)
			}
			all, _, err := st.Workloads(t.Context(), store.WorkloadFilter{Declared: true, Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, w := range all {
				if w.Desired != string(workload.Running) || w.Source != configSource {
					t.Errorf("%+v", w)
				}
				names = append(names, w.Name)
			}
			return strings.Join(names, " ")
		}
		unit(t, st, "ssh.service", "true", "running")
		unit(t, st, "once.service", "true", "exited")
		unit(t, st, "manual.service", "false", "running")
		write("name: shop\nservices: {web: {image: nginx}}\n")
		if got := declared(); got != "shop-web-1 ssh.service" {
			t.Fatal(got)
		}
		unit(t, st, "ssh.service", "true", "dead")
		if got := declared(); got != "shop-web-1 ssh.service" {
			t.Fatal("a service that stopped is not wanted any more: ", got)
		}
		unit(t, st, "ssh.service", "false", "dead")
		write("name: shop\nservices: {web: {image: nginx, container_name: front}}\n")
		if got := declared(); got != "front" {
			t.Fatal(got)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := s.declareWorkloads(t.Context()); err == nil {
			t.Fatal("a compose file that is gone is not told of")
		}
		if w, err := st.Workload(t.Context(), "web1/front"); err != nil || w.Desired != string(workload.Running) {
			t.Fatalf("a declaration was taken back because its file cannot be read: %+v, %v", w, err)
		}
	})
}

func TestAMistakeInADeclarationSaysWhichAndWhatToDo(t *testing.T) {
	for want, w := range map[string]config.Workload{
		"workloads[0].name":    {Driver: "docker"},
		"workloads[0].driver":  {Driver: "zones", Name: "x"},
		"workloads[0].enabled": {Driver: "docker", Enabled: true},
		"workloads[0].window":  {Driver: "docker", Name: "x", Window: "morning"},
		"workloads[0].compose": {Driver: "docker", Compose: "/none.yaml"},
	} {
		if err := workloadErrors(config.Config{Workloads: []config.Workload{w}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := workloadErrors(config.Config{Workloads: []config.Workload{{Driver: "docker", Name: "x", Enabled: true}}}); err == nil {
		t.Error("a name and all that are enabled are taken together")
	}
}
