package knowledge_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"reeve/internal/knowledge"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/test/storetest"
)

func each(t *testing.T, f func(t *testing.T, s *store.Store, k *knowledge.Knowledge)) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		do(t, s, time.Now(), func(tx *store.Tx) error {
			for _, id := range []string{"res_web", "res_db"} {
				r := ops.Resource{ID: id, Kind: ops.KindContainer, Name: id[4:], HostName: "alpha", Presence: ops.Present, Key: ops.ResourceKey{Host: "h", Source: "docker", Key: id}}
				if err := tx.SaveResource(t.Context(), r, ""); err != nil {
					return err
				}
			}
			return nil
		})
		f(t, s, knowledge.New(s, func(c string) bool { return c == "fs_full" || c == "container_restart_loop" }))
	})
}

func do(t *testing.T, s *store.Store, at time.Time, f func(*store.Tx) error) {
	t.Helper()
	if err := s.Tx(t.Context(), at, f); err != nil {
		t.Fatal(err)
	}
}

// A model's note is fed to nobody until a person accepts it, and never after
// one declined it.
func TestSuggestedNoteCountsOnceAccepted(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, k *knowledge.Knowledge) {
		ctx := t.Context()
		n, err := k.Suggest(ctx, ops.Note{Kind: knowledge.Fact, ResourceID: "res_web", Text: "restarts at 03:00 on purpose"}, "anthropic:x")
		if err != nil || n.State != ops.NoteSuggested || n.Author != "model:anthropic:x" {
			t.Fatalf("%+v %v", n, err)
		}
		fed := func() int {
			notes, err := k.ForScope(ctx, []string{"res_web"})
			if err != nil {
				t.Fatal(err)
			}
			return len(notes)
		}
		if fed() != 0 {
			t.Fatal("a suggestion is fed")
		}
		if _, err := k.Suggest(ctx, ops.Note{Kind: knowledge.Fact, ResourceID: "res_web", Text: "restarts at 03:00 on purpose "}, "y"); ops.KindOf(err) != ops.Conflict {
			t.Fatal(err)
		}
		if _, err := k.Accept(ctx, n.ID, "user:ann", ""); err != nil || fed() != 1 {
			t.Fatal(err, fed())
		}
		if _, err := k.Decline(ctx, n.ID, "user:ann", ""); ops.KindOf(err) != ops.Conflict {
			t.Fatal(err)
		}
		if _, err := k.Remove(ctx, n.ID, "user:ann", ""); err != nil || fed() != 0 {
			t.Fatal(err, fed())
		}
		m, err := k.Suggest(ctx, ops.Note{Kind: knowledge.Fact, Text: "another"}, "y")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Decline(ctx, m.ID, "user:ann", "not so"); err != nil || fed() != 0 {
			t.Fatal(err)
		}
	})
}

// Text is bounded and without secrets, and what makes no sense is refused by
// field.
func TestNotesAreBoundedAndRedacted(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, k *knowledge.Knowledge) {
		n, err := k.Write(t.Context(), ops.Note{Kind: knowledge.Fact, Text: " login with password=hunter2xyz\nthen \x1b[31mgo\u202e on "}, "user:ann")
		if err != nil || strings.Contains(n.Text, "hunter2") || strings.ContainsAny(n.Text, "\x1b\u202e") || !strings.Contains(n.Text, "\nthen") {
			t.Fatalf("%q %v", n.Text, err)
		}
		for what, n := range map[string]ops.Note{
			"text":      {Kind: knowledge.Fact, Text: strings.Repeat("x", knowledge.MaxText+1)},
			"kind":      {Kind: "poem", Text: "x"},
			"condition": {Kind: knowledge.Solution, Text: "x"},
		} {
			_, err := k.Write(t.Context(), n, "user:ann")
			if _, fields := ops.Shown(err); fields[what] == "" || ops.KindOf(err) != ops.Invalid {
				t.Errorf("%s: %v %v", what, err, fields)
			}
		}
		if _, err := k.Write(t.Context(), ops.Note{Kind: knowledge.Fact, Text: "x", ResourceID: "res_none"}, "user:ann"); ops.KindOf(err) != ops.NotFound {
			t.Error(err)
		}
	})
}

func TestScopeGetsItsNotesThoseOfTheEstateAndAcceptedProblems(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, k *knowledge.Knowledge) {
		ctx := t.Context()
		for id, text := range map[string]string{"": "estate", "res_web": "web", "res_db": "db"} {
			if _, err := k.Write(ctx, ops.Note{Kind: knowledge.Fact, ResourceID: id, Text: text}, "user:ann"); err != nil {
				t.Fatal(err)
			}
		}
		f := finding("res_web", time.Now())
		do(t, s, time.Now(), func(tx *store.Tx) error {
			if err := tx.OpenFinding(ctx, f, store.Why{Actor: "watch"}); err != nil {
				return err
			}
			_, err := tx.NoteFinding(ctx, f, "suppress", store.Why{Actor: "user:ann", Reason: "replaced in May", Facts: map[string]string{"kind": "accepted"}}, func(f *ops.Finding) {
				f.Suppression = &ops.Suppression{Kind: ops.SuppressAccepted, Reason: "replaced in May", Actor: "user:ann", Severity: ops.Warning}
			})
			return err
		})
		texts := func(scope ...string) string {
			notes, err := k.ForScope(ctx, scope)
			if err != nil {
				t.Fatal(err)
			}
			var all []string
			for _, n := range notes {
				all = append(all, n.Kind+" "+n.Text)
			}
			return strings.Join(all, ",")
		}
		if got := texts("res_web"); !strings.Contains(got, "note estate") || !strings.Contains(got, "note web") || !strings.Contains(got, "dismissal replaced in May") || strings.Contains(got, "db") {
			t.Error(got)
		}
		if got := texts("res_db"); strings.Contains(got, "web") || strings.Contains(got, "May") || !strings.Contains(got, "estate") {
			t.Error(got)
		}
		many := make([]string, 5000)
		if got := texts(append(many, "res_db")...); strings.Contains(got, "web") || !strings.Contains(got, "note db") {
			t.Error(got)
		}
		dismissed, _, err := k.Dismissals(ctx, knowledge.DismissalFilter{Condition: "fs_full"})
		if err != nil || len(dismissed) != 1 || dismissed[0].FindingID != f.ID || dismissed[0].Author != "user:ann" || dismissed[0].Text != "replaced in May" {
			t.Errorf("%+v %v", dismissed, err)
		}
		if other, _, err := k.Dismissals(ctx, knowledge.DismissalFilter{Resource: "res_db"}); err != nil || len(other) != 0 {
			t.Errorf("%+v %v", other, err)
		}
	})
}

func finding(resource string, at time.Time) ops.Finding {
	at = at.UTC().Truncate(time.Millisecond)
	return ops.Finding{ID: ops.NewID(ops.FindingID), ResourceID: resource, Condition: "fs_full", State: ops.FindingOpen, Severity: ops.Warning,
		Peak: ops.Warning, Origin: "rule", Summary: "/var is 91 % full", FirstSeen: at, LastSeen: at, OpenedAt: at, Count: 1, Episode: 1, Version: 1}
}

// What solved a problem is told from what changed and was said until it
// ended, and from notes of people; the time that goes on now is not the past.
func TestPastTellsWhatSolvedIt(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, k *knowledge.Knowledge) {
		ctx, began := t.Context(), time.Now().UTC().Add(-100*time.Hour).Truncate(time.Millisecond)
		past, err := k.Before(ctx, "fs_full", "res_web")
		if err != nil || past.Text != "" || len(past.Times) != 0 {
			t.Fatalf("%+v %v", past, err)
		}
		f := finding("res_web", began)
		move := func(after time.Duration, on ops.FindingEvent, why store.Why) {
			do(t, s, began.Add(after), func(tx *store.Tx) (err error) {
				f, err = tx.MoveFinding(ctx, f, on, why, func(*ops.Finding) {})
				return err
			})
		}
		do(t, s, began, func(tx *store.Tx) error { return tx.OpenFinding(ctx, f, store.Why{Actor: "watch", Reason: "held"}) })
		move(time.Hour, ops.FindingAcknowledge, store.Why{Actor: "user:ann", Reason: "a log grows"})
		change := func(after time.Duration, what string) {
			do(t, s, began.Add(after), func(tx *store.Tx) error {
				tx.Record(ops.Transition{Actor: "ingest", Verb: "change", Object: "resource", ObjectID: "res_web", Facts: map[string]string{"image": what}})
				return nil
			})
		}
		change(-time.Minute, "0 → 1")
		change(90*time.Minute, "1 → 2")
		move(2*time.Hour, ops.FindingRecover, store.Why{Actor: "watch"})
		change(3*time.Hour, "2 → 3")
		move(20*time.Hour, ops.FindingRegress, store.Why{Actor: "watch"})
		if _, err := k.Write(ctx, ops.Note{Kind: knowledge.Solution, FindingID: f.ID, Text: "rotate the log"}, "user:bob"); err != nil {
			t.Fatal(err)
		}
		past, err = k.Before(context.Background(), "fs_full", "res_web")
		if err != nil || len(past.Times) != 1 || past.Times[0].Ended.Sub(past.Times[0].Began) != 2*time.Hour {
			t.Fatalf("%+v %v", past, err)
		}
		for _, want := range []string{"once before", "lasted 2 h", "image: 1 → 2", "user:ann: a log grows", "user:bob wrote: rotate the log"} {
			if !strings.Contains(past.Text, want) {
				t.Errorf("%q is not in %q", want, past.Text)
			}
		}
		if strings.Contains(past.Text, "0 → 1") || strings.Contains(past.Text, "2 → 3") {
			t.Error("it names changes from before or after: " + past.Text)
		}
	})
}
