package agent

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
)

func TestALineThatWasCutOffSpendsNoToken(t *testing.T) {
	s := startServer(t)
	line := s.line("web-1")
	line.Approvers = strings.Repeat("ab", 32)
	for name, cut := range map[string]func(*Joining){
		"authority":          func(j *Joining) { j.Authority = j.Authority[:20] },
		"authority's prefix": func(j *Joining) { j.Authority = strings.TrimPrefix(j.Authority, "sha256:") },
		"approvers":          func(j *Joining) { j.Approvers = "zz" },
		"approvers' end":     func(j *Joining) { j.Approvers = j.Approvers[1:] },
		"approvers in capitals": func(j *Joining) {
			j.Approvers = strings.ToUpper(j.Approvers) // the hash is compared as text
		},
	} {
		j := line
		cut(&j)
		if _, err := Join(t.Context(), Options{Data: t.TempDir()}, j); ops.KindOf(err) != ops.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Join(t.Context(), Options{Data: t.TempDir(), Etc: filepath.Join(t.TempDir(), "etc")}, line); err != nil {
		t.Errorf("the token is spent: %v", err)
	}
}

func TestOrdersAreTakenWhereThePartThatPerformsAnswers(t *testing.T) {
	if c := CheckOrders(t.Context(), Options{Data: t.TempDir()}); c != (Orders{}) {
		t.Errorf("without a pin: %+v", c)
	}
	o := pinned(t)
	o.Socket = filepath.Join(t.TempDir(), "s")
	if c := CheckOrders(t.Context(), o); !c.Taken || c.Approvers != "root" || c.Answers || c.Problem == "" {
		t.Errorf("without the part that performs: %+v", c)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Perform(ctx, slog.New(slog.DiscardHandler), o, o.Socket) }() // ends below
	until := time.Now().Add(10 * time.Second)
	c := CheckOrders(t.Context(), o)
	for ; !c.Answers && time.Now().Before(until); c = CheckOrders(t.Context(), o) {
	}
	if !c.Taken || !c.Answers || c.Problem != "" {
		t.Errorf("with it: %+v", c)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	// A pin that others could have written is not believed.
	if err := os.Chmod(filepath.Join(o.Etc, pinFile), 0o666); err != nil {
		t.Fatal(err)
	}
	if c := CheckOrders(t.Context(), o); c.Taken || c.Problem == "" {
		t.Errorf("a pin of anybody: %+v", c)
	}
}
