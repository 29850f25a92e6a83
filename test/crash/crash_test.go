package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/test/invariants"
	"reeve/test/storetest"
)

const childEnv = "REEVE_CRASH_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		fmt.Fprintln(os.Stderr, child(dir, os.Getenv("REEVE_CRASH_RECEIVER")))
		os.Exit(1)
	}
	if dir := os.Getenv(stormEnv); dir != "" {
		fmt.Fprintln(os.Stderr, stormChild(dir))
		os.Exit(1)
	}
	registerFaulty()
	os.Exit(m.Run())
}

// life is a finding from open to resolved with all that belongs to it: it
// stops at the first error, as a process does that dies.
func life(ctx context.Context, e *estate) error {
	return errors.Join(
		first(
			func() error { return e.look(ctx, 0.5) },
			func() error { return e.look(ctx, 0.97) },
			func() error { return e.ack(ctx) },
			func() error { return e.look(ctx, 0.97) },
			func() error { return e.look(ctx, 0.5) },
		))
}

func first(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// TestDiesAtEveryStatement lets the process die at its first, second, third
// ... statement of a whole life of a finding, starts it again, finishes the
// life and checks that nothing is lost, doubled or torn.
func TestDiesAtEveryStatement(t *testing.T) {
	ctx := t.Context()
	points := 0
	for die := int64(0); ; die++ {
		dir, in := t.TempDir(), newInbox(t)
		left.Store(1 << 40)
		e, err := open(ctx, dir, in.server.URL, sqlite(dir, faultyName))
		if err != nil {
			t.Fatal(err)
		}
		left.Store(die)
		err = life(ctx, e)
		left.Store(1 << 40)
		e.close()
		if err == nil {
			break
		}
		points++
		if e, err = open(ctx, dir, in.server.URL, sqlite(dir, faultyName)); err != nil {
			t.Fatalf("died at statement %d and does not start again: %v", die, err)
		}
		if err := life(ctx, e); err != nil {
			t.Fatalf("died at statement %d and does not go on: %v", die, err)
		}
		verify(t, e, in, die)
		e.close()
	}
	if points < 100 {
		t.Fatalf("only %d crash points: the life under test is too short", points)
	}
	t.Logf("%d crash points", points)
}

// TestLifeOnPostgres lives the same life on PostgreSQL.
func TestLifeOnPostgres(t *testing.T) {
	in := newInbox(t)
	e, err := open(t.Context(), t.TempDir(), in.server.URL, store.Options{URL: storetest.PostgresURL(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	for range 5 {
		if err := life(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	verify(t, e, in, -1)
}

func verify(t *testing.T, e *estate, in *inbox, die int64) {
	t.Helper()
	if err := invariants.Check(t.Context(), e.store, true); err != nil {
		t.Fatalf("died at statement %d: %v", die, err)
	}
	waiting, err := e.store.CountDeliveries(t.Context(), store.DeliveryFilter{States: []string{"queued", "sending"}})
	if err != nil {
		t.Fatal(err)
	}
	opened, resolved := in.count(ops.MessageOpened), in.count(ops.MessageResolved)
	if opened == 0 || resolved == 0 && waiting == 0 {
		t.Fatalf("died at statement %d: %d opened and %d resolved messages reached the receiver, %d wait", die, opened, resolved, waiting)
	}
}

// child is a process that lives a finding's life again and again until it is
// killed.
func child(dir, receiver string) error {
	ctx := context.Background()
	e, err := open(ctx, dir, receiver, sqlite(dir, ""))
	if err != nil {
		return err
	}
	for {
		if err := life(ctx, e); err != nil {
			return err
		}
	}
}

// kills is how often TestSurvivesKills kills; make soak sets 10,000.
func kills(t *testing.T) int {
	text := os.Getenv("REEVE_CRASH_KILLS")
	if text == "" {
		return 200
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestSurvivesKills kills a real process at random instants, again and again
// over one folder, and checks the invariants after each.
func TestSurvivesKills(t *testing.T) {
	dir, in := t.TempDir(), newInbox(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	n := kills(t)
	for i := range n {
		ctx, kill := context.WithTimeout(t.Context(), time.Duration(30+rand.IntN(220))*time.Millisecond)
		cmd := exec.CommandContext(ctx, self)
		cmd.Env = append(os.Environ(), childEnv+"="+dir, "REEVE_CRASH_RECEIVER="+in.server.URL)
		out, err := cmd.CombinedOutput()
		kill()
		if ctx.Err() == nil {
			t.Fatalf("life %d ended by itself: %v\n%s", i, err, out)
		}
		if i%20 != 19 && i != n-1 {
			continue
		}
		s, err := store.Open(t.Context(), quiet, store.Options{URL: "sqlite:" + dir + "/reeve.db"})
		if err != nil {
			t.Fatalf("after %d kills: %v", i+1, err)
		}
		if err := checkRunning(t.Context(), s); err != nil {
			t.Fatalf("after %d kills: %v", i+1, err)
		}
		s.Close()
	}
	e, err := open(t.Context(), dir, in.server.URL, sqlite(dir, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	if err := life(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if err := invariants.Check(t.Context(), e.store, true); err != nil {
		t.Fatal(err)
	}
	head, _, _ := e.store.Head(t.Context())
	t.Logf("%d kills, %d transitions, %d messages", n, head, len(in.got))
}

// checkRunning checks what must hold at any instant, also before the next
// pass wrote the deliveries of the last change.
func checkRunning(ctx context.Context, s *store.Store) error {
	if good, broken, err := s.VerifyAudit(ctx, func(int64, int64) {}); err != nil || broken != nil {
		return fmt.Errorf("audit: %d good, %+v, %v", good, broken, err)
	}
	_, err := invariants.Replay(ctx, s)
	return err
}
