package agent

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"reeve/internal/collect"
	"reeve/internal/linkpb"
)

// TestListsOfAMachineThatWentBackAreNewer: a snapshot of a machine brings back
// an old counter.
func TestListsOfAMachineThatWentBackAreNewer(t *testing.T) {
	dir := t.TempDir()
	env := collect.Env{Root: dir, Tools: func(string) (string, bool) { return "", false }, Option: func(string) string { return "" }}
	synctest.Test(t, func(t *testing.T) {
		begin := func() *Hands {
			h, err := NewHands(slog.New(slog.DiscardHandler), dir, env)
			if err != nil {
				t.Fatal(err)
			}
			return h
		}
		list := func(h *Hands) int64 {
			l, err := h.Workloads(t.Context(), &linkpb.WorkloadsRequest{})
			if err != nil {
				t.Fatal(err)
			}
			return l.GetSequence()
		}
		h := begin()
		last := list(h)
		snapshot, err := os.ReadFile(filepath.Join(dir, listsFile))
		if err != nil {
			t.Fatal(err)
		}
		for range 3000 { // a day
			time.Sleep(30 * time.Second)
			n := list(h)
			if n <= last {
				t.Fatalf("list %d after list %d", n, last)
			}
			last = n
		}
		if err := os.WriteFile(filepath.Join(dir, listsFile), snapshot, 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if n := list(begin()); n <= last {
			t.Errorf("after the machine went back its list is %d, not above %d", n, last)
		}
	})
}
