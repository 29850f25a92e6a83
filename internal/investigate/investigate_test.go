package investigate

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/test/storetest"
)

// Without a model an incident whose log and changes tell is explained, with
// claims that were re-checked; nothing of it changes findings or incidents.
func TestRunbookExplainsAndChangesNoFinding(t *testing.T) {
	both(t, func(w *world) {
		began := time.Now().Add(-20 * time.Minute)
		w.changed(began.Add(-3*time.Minute), "image", "web:1 -> web:2")
		for n := range 5 { // again and again, also after it began
			w.logged(began.Add(time.Duration(n-1)*time.Minute), "Error: DATABASE_URL environment variable is required")
		}
		i := w.incident("container_restart_loop", ops.Critical, began)
		before := w.facts()
		asked, err := w.v.Ask(w.t.Context(), i.ID, "user:ann", "why?")
		if err != nil {
			w.t.Fatal(err)
		}
		w.work()
		got := w.all(i.ID)[0]
		if got.ID != asked.ID || got.State != ops.InvestigationExplained || got.Confidence != medium || got.Model != "" || got.Err != "" {
			w.t.Fatalf("%+v", got)
		}
		if !strings.Contains(got.Summary, "setting that it needs is missing") && !strings.Contains(got.Summary, "web:1 -> web:2") {
			w.t.Error(got.Summary)
		}
		if len(got.Detail.Steps) != 6 || len(got.Detail.Hypotheses) < 2 || len(got.Detail.Next) == 0 || !strings.HasPrefix(got.Detail.Versions["runbook"], "container_restart_loop/") {
			w.t.Errorf("%+v", got.Detail)
		}
		for _, s := range got.Detail.Steps {
			if s.Err != "" && s.Name != "read_metric" || s.Shows == "" || s.Hash == "" || s.Why == "" {
				w.t.Errorf("%+v", s)
			}
		}
		for _, h := range got.Detail.Hypotheses[:2] {
			if len(h.For) == 0 || h.Confidence == low {
				w.t.Errorf("%+v", h)
			}
		}
		if after := w.facts(); after != before {
			w.t.Errorf("findings or incidents changed:\n%s\n%s", before, after)
		}
	})
}

// facts answers all findings and incidents as text.
func (w *world) facts() string {
	w.t.Helper()
	findings, _, err := w.store.Findings(w.t.Context(), store.FindingFilter{All: true})
	if err != nil {
		w.t.Fatal(err)
	}
	incidents, _, err := w.store.Incidents(w.t.Context(), store.IncidentFilter{All: true})
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := json.Marshal([]any{findings, incidents})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// Where nothing proves a cause a person is asked, with where to look; what
// came only afterwards explains nothing.
func TestWhatIsNotProvenIsLeftToAPerson(t *testing.T) {
	both(t, func(w *world) {
		began := time.Now().Add(-20 * time.Minute)
		w.changed(began.Add(5*time.Minute), "image", "web:1 -> web:2")
		w.logged(began.Add(10*time.Minute), "connection refused")
		i := w.incident("container_restart_loop", ops.Critical, began)
		if _, err := w.v.Ask(w.t.Context(), i.ID, "user:ann", ""); err != nil {
			w.t.Fatal(err)
		}
		w.work()
		got := w.all(i.ID)[0]
		if got.State != ops.InvestigationNeedsPerson || got.Confidence != low || !strings.Contains(strings.Join(got.Detail.Next, " "), "docker logs --tail 50 web") {
			w.t.Fatalf("%+v", got)
		}
	})
}

// One at a time for an incident: whoever comes second is told of the first,
// and a closed incident is not looked into.
func TestSecondWishIsToldOfTheFirst(t *testing.T) {
	both(t, func(w *world) {
		i := w.incident("container_restart_loop", ops.Critical, time.Now())
		var names sync.Map
		var wishes sync.WaitGroup
		for range 8 {
			wishes.Go(func() {
				x, err := w.v.Ask(context.Background(), i.ID, "user:ann", "")
				if err == nil {
					names.Store(x.ID, true)
				} else if ops.KindOf(err) != ops.Conflict || !strings.Contains(err.Error(), "inv_") {
					w.t.Error(err)
				}
			})
		}
		wishes.Wait()
		n := 0
		names.Range(func(any, any) bool { n++; return true })
		if n != 1 || len(w.all(i.ID)) != 1 {
			w.t.Fatalf("%d accepted, %d there", n, len(w.all(i.ID)))
		}
		w.close(i)
		w.policy()
		if got := w.all(i.ID)[0]; got.State != ops.InvestigationSuperseded {
			w.t.Errorf("%+v", got)
		}
		if _, err := w.v.Ask(w.t.Context(), i.ID, "user:ann", ""); ops.KindOf(err) != ops.Conflict || !strings.Contains(err.Error(), "closed") {
			w.t.Error(err)
		}
	})
}

// close lets an incident be over.
func (w *world) close(i ops.Incident) {
	w.t.Helper()
	w.tx(time.Now(), func(ctx context.Context, tx *store.Tx) error {
		now, err := tx.Incident(ctx, i.ID)
		for _, on := range []ops.IncidentEvent{ops.IncidentMitigate, ops.IncidentClose} {
			if err == nil {
				now, err = tx.MoveIncident(ctx, now, on, store.Why{Actor: "watch"}, func(*ops.Incident) {})
			}
		}
		return err
	})
}

// An investigation that ran when the process ended is queued again, and after
// three starts it failed.
func TestInvestigationSurvivesRestarts(t *testing.T) {
	both(t, func(w *world) {
		i := w.incident("container_restart_loop", ops.Critical, time.Now())
		if _, err := w.v.Ask(w.t.Context(), i.ID, "user:ann", ""); err != nil {
			w.t.Fatal(err)
		}
		for start := int64(1); start <= maxStarts; start++ {
			w.tx(time.Now(), func(ctx context.Context, tx *store.Tx) error {
				got, ok, err := tx.ClaimInvestigation(ctx, 3, store.Why{Actor: actor})
				if !ok || got.Starts != start {
					w.t.Fatalf("start %d: %v %+v", start, ok, got)
				}
				got.Detail.Steps = []ops.InvestigationStep{{Kind: "runbook", Name: "half"}}
				_, err = tx.ProgressInvestigation(ctx, got)
				return err
			})
			w.open() // killed, and started again
		}
		got := w.all(i.ID)[0]
		if got.State != ops.InvestigationFailed || !strings.Contains(got.Err, "three times") {
			w.t.Fatalf("%+v", got)
		}
		w.policy()
		if _, err := w.v.Ask(w.t.Context(), i.ID, "user:ann", ""); err != nil {
			w.t.Fatal(err)
		}
		w.work()
		if got := w.all(i.ID)[0]; got.Attempt != 2 || got.State != ops.InvestigationNeedsPerson || got.Starts != 1 {
			w.t.Fatalf("%+v", got)
		}
	})
}

// A process that stops hands back what it began, and that counts as no start.
func TestStoppedProcessHandsBack(t *testing.T) {
	both(t, func(w *world) {
		i := w.incident("container_restart_loop", ops.Critical, time.Now())
		if _, err := w.v.Ask(w.t.Context(), i.ID, "user:ann", ""); err != nil {
			w.t.Fatal(err)
		}
		var got ops.Investigation
		w.tx(time.Now(), func(ctx context.Context, tx *store.Tx) (err error) {
			got, _, err = tx.ClaimInvestigation(ctx, 3, store.Why{Actor: actor})
			return err
		})
		stopped, stop := context.WithCancel(w.t.Context())
		stop()
		if err := w.v.carryOut(stopped, got); err != nil {
			w.t.Fatal(err)
		}
		if got := w.all(i.ID)[0]; got.State != ops.InvestigationQueued || got.Starts != 0 || len(got.Detail.Steps) != 0 {
			w.t.Fatalf("%+v", got)
		}
	})
}

// The policy looks into what it says, once for each time that it stirs, and
// never beyond its cursor twice.
func TestPolicyChoosesIncidents(t *testing.T) {
	both(t, func(w *world) {
		old := w.incident("container_unhealthy", ops.Critical, time.Now())
		w.policy() // the first time: what is open counts
		if len(w.all(old.ID)) != 1 {
			w.t.Error("what was open at the first start is not looked into")
		}
		critical, warning := w.incident("container_restart_loop", ops.Critical, time.Now()), w.incident("fs_full", ops.Warning, time.Now())
		for range 3 {
			w.policy()
		}
		if a := w.all(critical.ID); len(a) != 1 || a[0].Trigger != "policy" || a[0].NotBefore.Sub(critical.OpenedAt) != gathering {
			w.t.Errorf("%+v", a)
		}
		if a := w.all(warning.ID); len(a) != 0 {
			w.t.Errorf("%+v", a)
		}
		w.tx(time.Now(), func(ctx context.Context, tx *store.Tx) error {
			i, err := tx.Incident(ctx, warning.ID)
			if err == nil {
				_, err = tx.MoveIncident(ctx, i, ops.IncidentRise, store.Why{Actor: "watch"}, func(i *ops.Incident) { i.Severity = ops.Critical })
			}
			return err
		})
		w.policy()
		if a := w.all(warning.ID); len(a) != 1 {
			w.t.Errorf("it rose: %+v", a)
		}
		w.set.Auto = "none"
		w.open()
		none := w.incident("oom_kill", ops.Critical, time.Now())
		w.policy()
		if a := w.all(none.ID); len(a) != 0 {
			w.t.Errorf("%+v", a)
		}
		w.set.Auto = "all"
		w.open()
		w.policy()
		if a := w.all(none.ID); len(a) != 0 {
			w.t.Error("a cursor went back")
		}
		any := w.incident("zombies", ops.Warning, time.Now())
		w.policy()
		if a := w.all(any.ID); len(a) != 1 {
			w.t.Errorf("%+v", a)
		}
	})
}

// in runs f on a world in a bubble of fake time.
func in(t *testing.T, f func(w *world)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f(newWorld(t, storetest.Open(t, "sqlite:"+filepath.Join(dir, "reeve.db"))))
	})
}

func pass(d time.Duration) { <-time.After(d) }

func (w *world) rise(i ops.Incident) {
	w.tx(time.Now(), func(ctx context.Context, tx *store.Tx) error {
		now, err := tx.Incident(ctx, i.ID)
		if err == nil {
			_, err = tx.MoveIncident(ctx, now, ops.IncidentRise, store.Why{Actor: "watch"}, func(*ops.Incident) {})
		}
		return err
	})
}

// By itself an incident is looked into three times at most, an hour apart; a
// person waits for nothing.
func TestPausesAndAttemptsHold(t *testing.T) {
	in(t, func(w *world) {
		w.policy()
		i := w.incident("container_restart_loop", ops.Critical, time.Now())
		w.policy()
		w.work()
		if a := w.all(i.ID); len(a) != 1 || a[0].State != ops.InvestigationQueued {
			w.t.Fatalf("it is looked into before what belongs to it joined: %+v", a)
		}
		pass(gathering)
		w.work()
		first := w.all(i.ID)[0]
		if first.State != ops.InvestigationNeedsPerson {
			w.t.Fatalf("%+v", first)
		}
		pass(5 * time.Minute)
		w.rise(i)
		w.policy()
		w.open() // the pause survives a restart
		w.work()
		second := w.all(i.ID)[0]
		if second.State != ops.InvestigationQueued || !second.NotBefore.Equal(first.EndedAt.Add(time.Hour)) {
			w.t.Fatalf("%+v", second)
		}
		hastened, err := w.v.Ask(w.t.Context(), i.ID, "user:ann", "now")
		if err != nil || hastened.ID != second.ID {
			w.t.Fatal(hastened, err)
		}
		w.work()
		if second = w.all(i.ID)[0]; second.State != ops.InvestigationNeedsPerson || second.Trigger != "manual" {
			w.t.Fatalf("%+v", second)
		}
		for n := range 3 {
			w.rise(i)
			w.policy()
			pass(2 * time.Hour)
			w.work()
			if a := w.all(i.ID); len(a) != 3 || a[0].State != ops.InvestigationNeedsPerson {
				w.t.Fatalf("%d: %d attempts, the last %+v", n, len(a), a[0])
			}
		}
		if fourth, err := w.v.Ask(w.t.Context(), i.ID, "user:ann", ""); err != nil || fourth.Attempt != 4 {
			w.t.Fatal(fourth, err)
		}
	})
}

// What nobody wants to hear of is not looked into either.
func TestSuppressedIncidentIsLeftAlone(t *testing.T) {
	both(t, func(w *world) {
		w.policy()
		i := w.incident("container_restart_loop", ops.Critical, time.Now())
		w.tx(time.Now(), func(ctx context.Context, tx *store.Tx) error {
			f, err := tx.Finding(ctx, i.RootID)
			if err == nil {
				_, err = tx.NoteFinding(ctx, f, "suppress", store.Why{Actor: "user:ann"}, func(f *ops.Finding) {
					f.Suppression = &ops.Suppression{Kind: ops.SuppressAccepted, Reason: "known", Severity: ops.Critical}
				})
			}
			return err
		})
		w.policy()
		if a := w.all(i.ID); len(a) != 0 {
			w.t.Errorf("%+v", a)
		}
	})
}
