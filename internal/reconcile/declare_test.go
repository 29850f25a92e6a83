package reconcile_test

import (
	"strings"
	"testing"

	"reeve/internal/ops"
	"reeve/internal/reconcile"
	"reeve/internal/store"
	"reeve/internal/workload"
)

// TestWhatIsNotDeclaredIsNotTakenBack, and no row is made of a mistyped name.
func TestWhatIsNotDeclaredIsNotTakenBack(t *testing.T) {
	each(t, func(b *bench) {
		back := func(name string) error {
			_, err := b.r.Declare(b.t.Context(), reconcile.Declaration{Host: "web1", Driver: "docker", Name: name, Desired: workload.Undeclared, Source: store.FromPerson}, store.Why{Actor: "user:anna"})
			return err
		}
		if err := back("ngnix"); ops.KindOf(err) != ops.NotFound {
			b.t.Errorf("%v", err)
		}
		if w, err := b.store.Workload(b.t.Context(), "web1/ngnix"); ops.KindOf(err) != ops.NotFound {
			b.t.Errorf("there is a row: %+v, %v", w, err)
		}
		b.declare("web1", "nginx", workload.Running)
		if err := back("nginx"); err != nil {
			b.t.Error(err)
		}
		if err := back("nginx"); ops.KindOf(err) != ops.NotFound {
			b.t.Errorf("taken back twice: %v", err)
		}
	})
}

// TestWhatToDoAboutAStrangerIsACommand that there is.
func TestWhatToDoAboutAStrangerIsACommand(t *testing.T) {
	each(t, func(b *bench) {
		h := b.hosts["web1"]
		h.things["nginx"], h.things["guest"] = "running", "running"
		b.declare("web1", "nginx", workload.Running)
		b.pass("web1")
		if why := b.see("guest").Problems["unowned"]; !strings.Contains(why, "`reeve workload declare HOST/guest --driver docker --desired running`") || !strings.Contains(why, "`reeve suppress FINDING --kind accepted --reason WHY`") {
			b.t.Error(why)
		}
	})
}
