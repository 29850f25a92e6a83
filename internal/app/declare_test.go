package app

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"reeve/internal/config"
	"reeve/internal/loop"
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
		log := &slogCount{}
		s := &Server{log: slog.New(log), store: st, reconcile: reconcile.New(reconcile.Options{Log: slog.New(slog.DiscardHandler), Store: st, Drivers: known}),
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
				if w.Desired != string(workload.Running) || w.Source != store.FromConfig {
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
		if log.lines != 1 {
			t.Errorf("of the host that is not known the log tells %d times", log.lines)
		}
	})
}

// slogCount counts lines of a log.
type slogCount struct {
	slog.Handler
	lines int
}

func (c *slogCount) Enabled(context.Context, slog.Level) bool { return true }

func (c *slogCount) Handle(context.Context, slog.Record) error {
	c.lines++
	return nil
}

// configuredBy answers a configuration of these workloads alone.
func configuredBy(workloads ...config.Workload) config.Config {
	c := config.Default()
	c.Workloads = workloads
	return c
}

// configured answers a server on a store that knows the host web1.
func configured(t *testing.T, workloads ...config.Workload) *Server {
	t.Helper()
	st := storetest.SQLite(t)
	err := st.Tx(t.Context(), time.Now(), func(tx *store.Tx) error {
		return tx.AddHost(t.Context(), ops.Host{ID: "host_web1", Name: "web1", State: ops.HostOnline}, store.Why{Actor: "test"})
	})
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]reconcile.Driver{"docker": {}, "systemd": {}}
	return &Server{log: slog.New(slog.DiscardHandler), store: st, reconcile: reconcile.New(reconcile.Options{Log: slog.New(slog.DiscardHandler), Store: st, Drivers: known}), config: config.Config{Workloads: workloads}}
}

func (s *Server) declares(t *testing.T, what string) ops.Workload {
	t.Helper()
	for range 3 {
		if err := s.declareWorkloads(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w, err := s.store.Workload(t.Context(), what)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestAPersonsWordStandsUntilTheConfigurationSaysSomethingElse, and what the
// configuration declared once it takes back, whoever gave orders since.
func TestAPersonsWordStandsUntilTheConfigurationSaysSomethingElse(t *testing.T) {
	s := configured(t, config.Workload{Host: "web1", Driver: "docker", Name: "nginx"})
	says := func(desired, source string) {
		t.Helper()
		if w := s.declares(t, "web1/nginx"); w.Desired != desired || w.Source != source {
			t.Errorf("it should be %q by %q, not %q by %q", w.Desired, w.Source, desired, source)
		}
	}
	order := func(desired workload.State) {
		t.Helper()
		err := s.store.Tx(t.Context(), time.Now(), func(tx *store.Tx) error {
			before, _, err := tx.WorkloadByKey(t.Context(), "host_web1", "docker", "nginx")
			if err != nil {
				return err
			}
			after := before
			after.Desired, after.Source = desired, store.FromOrder
			_, err = tx.SaveWorkload(t.Context(), &after, "begin", before, store.Why{Actor: "act"})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	says("running", store.FromConfig)
	order(workload.Stopped)
	says("stopped", store.FromOrder)
	order(workload.Running)
	says("running", store.FromConfig)
	order(workload.Stopped)
	s.config.Workloads[0].Desired = "paused"
	says("paused", store.FromConfig)
	if _, err := s.reconcile.Declare(t.Context(), reconcile.Declaration{Host: "web1", Driver: "docker", Name: "nginx", Source: store.FromPerson}, store.Why{Actor: "user:anna"}); ops.KindOf(err) != ops.Conflict {
		t.Errorf("what the configuration declares is taken back by a person: %v", err)
	}
	order(workload.Running)
	s.config.Workloads = nil
	says("", "")
}

// TestANamedEntryOutdoesWhatIsEnabled, and they do not fight.
func TestANamedEntryOutdoesWhatIsEnabled(t *testing.T) {
	s := configured(t, config.Workload{Host: "web1", Driver: "systemd", Enabled: true}, config.Workload{Host: "web1", Driver: "systemd", Name: "cups.service", Desired: "stopped"})
	unit(t, s.store, "cups.service", "true", "running")
	if w := s.declares(t, "web1/cups.service"); w.Desired != "stopped" || w.Version != 1 {
		t.Errorf("%+v", w)
	}
	if err := workloadErrors(configuredBy(config.Workload{Driver: "docker", Name: "x"}, config.Workload{Driver: "docker", Name: "x", Desired: "stopped"})); err == nil || !strings.Contains(err.Error(), "workloads[1].name") {
		t.Errorf("two entries of one name: %v", err)
	}
}

// TestReplicasStandForTheirContainers.
func TestReplicasStandForTheirContainers(t *testing.T) {
	s := configured(t, config.Workload{Host: "web1", Driver: "docker", Name: "web", Replicas: new(2)})
	s.declares(t, "web1/web-1")
	s.config.Workloads[0].Replicas = new(1)
	if w := s.declares(t, "web1/web-1"); w.Desired != "running" {
		t.Errorf("%+v", w)
	}
	if w := s.declares(t, "web1/web-2"); w.Desired != "" {
		t.Errorf("one that is no longer meant: %+v", w)
	}
}

func TestWhatADriverCannotBeIsNotDeclared(t *testing.T) {
	s := configured(t)
	d := reconcile.Declaration{Host: "web1", Driver: "systemd", Name: "ssh.service", Desired: workload.Paused, Source: store.FromPerson}
	if _, err := s.declareForPerson(t.Context(), d, store.Why{Actor: "user:anna"}); ops.KindOf(err) != ops.Invalid {
		t.Errorf("a service of systemd is declared paused: %v", err)
	}
	d.Driver, d.Name = "docker", "nginx"
	if _, err := s.declareForPerson(t.Context(), d, store.Why{Actor: "user:anna"}); err != nil {
		t.Error(err)
	}
}

// TestAWindowIsOnTimeAndLetsThingsSettle: the pass is woken at the edge, and
// what starts by itself then is given time.
func TestAWindowIsOnTimeAndLetsThingsSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := configured(t, config.Workload{Host: "web1", Driver: "docker", Name: "batch", Window: "00:10-05:00"}) // it is 00:00
		g := loop.NewGroup(slog.New(slog.DiscardHandler))
		s.woken.declare = g.Add(&loop.Loop{Name: "declare", Every: declareEvery, Pass: s.declareWorkloads})
		time.Sleep(30 * time.Second)
		g.Start(t.Context())
		time.Sleep(9*time.Minute + 29*time.Second)
		says := func(desired string, settles bool) {
			t.Helper()
			row, _, err := s.store.WorkloadByKey(t.Context(), "host_web1", "docker", "batch")
			if err != nil || string(row.Desired) != desired || settles != time.Now().Before(row.SettlesAt) {
				t.Errorf("%s: %+v, %v", time.Now().Format(time.TimeOnly), row, err)
			}
		}
		says("stopped", false)
		time.Sleep(2 * time.Second)
		says("running", true)
		time.Sleep(windowSettle)
		says("running", false)
		if err := g.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestAFileThatCannotBeReadHoldsBackNothingElse.
func TestAFileThatCannotBeReadHoldsBackNothingElse(t *testing.T) {
	s := configured(t, config.Workload{Host: "web1", Driver: "docker", Compose: filepath.Join(t.TempDir(), "compose.yaml")}, config.Workload{Host: "web1", Driver: "docker", Name: "nginx"})
	if err := s.declareWorkloads(t.Context()); err == nil {
		t.Error("nothing is said of the file")
	}
	if w, err := s.store.Workload(t.Context(), "web1/nginx"); err != nil || w.Desired != "running" {
		t.Errorf("%+v, %v", w, err)
	}
}

func TestAMistakeInADeclarationSaysWhichAndWhatToDo(t *testing.T) {
	for want, w := range map[string]config.Workload{
		"workloads[0].name":    {Driver: "docker"},
		"workloads[0].driver":  {Driver: "zones", Name: "x"},
		"workloads[0].enabled": {Driver: "docker", Enabled: true},
		"workloads[0].window":  {Driver: "docker", Name: "x", Window: "morning"},
		"systemd cannot pause": {Driver: "systemd", Name: "x.service", Desired: "paused"},
		"replicas is 1 to":     {Driver: "docker", Name: "x", Replicas: new(0)},
		"says its own":         {Driver: "docker", Compose: "/none.yaml", Replicas: new(2)},
		"replicas stand with":  {Driver: "systemd", Name: "x.service", Replicas: new(2)},
	} {
		if err := workloadErrors(configuredBy(w)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := workloadErrors(configuredBy(config.Workload{Driver: "docker", Name: "x", Replicas: new(2)}, config.Workload{Driver: "docker", Name: "x-2"})); err == nil {
		t.Error("a name that another entry stands for already is taken")
	}
	if err := composeErrors(configuredBy(config.Workload{Driver: "docker", Name: "x"}, config.Workload{Driver: "docker", Compose: "/none.yaml"})); err == nil || !strings.Contains(err.Error(), "workloads[1].compose") {
		t.Errorf("a compose file that is missing: %v", err)
	}
	if err := workloadErrors(config.Config{Workloads: []config.Workload{{Driver: "docker", Name: "x"}}}); err == nil || !strings.Contains(err.Error(), "workloads[0].host") {
		t.Errorf("a workload of a machine that is not watched: %v", err)
	}
	if err := workloadErrors(configuredBy(config.Workload{Driver: "docker", Name: "x", Enabled: true})); err == nil {
		t.Error("a name and all that are enabled are taken together")
	}
}
