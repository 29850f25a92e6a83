package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/test/storetest"
)

func record(s *store.Store, ctx context.Context, id string, pause time.Duration) error {
	return s.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		tx.Record(ops.Transition{Actor: "test", Verb: "move", Object: "thing", ObjectID: id, Facts: map[string]string{"k": "v"}})
		if pause > 0 {
			select { // keep the transaction open for a while, as real ones are
			case <-time.After(pause):
			case <-ctx.Done():
			}
		}
		return nil
	})
}

// Eight writers commit at random times while a reader follows its cursor: it
// must see every row, in order.
func TestNoReaderMissesARow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		const writers, each = 8, 60
		var wg sync.WaitGroup
		done := make(chan struct{})
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					pause := time.Duration(rand.IntN(3)) * time.Millisecond
					if err := record(s, t.Context(), fmt.Sprintf("%d/%d", w, i), pause); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		go func() { wg.Wait(); close(done) }()
		var cursor int64
		seen := map[string]bool{}
		for finished := false; !finished || len(seen) < writers*each; {
			select {
			case <-done:
				finished = true
			default:
			}
			page, err := s.Transitions(t.Context(), store.TransitionFilter{After: cursor, Limit: 50})
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range page {
				if x.Seq != cursor+1 {
					t.Fatalf("after %d the reader saw %d", cursor, x.Seq)
				}
				cursor, seen[x.ObjectID] = x.Seq, true
			}
			if finished && len(page) == 0 {
				break
			}
		}
		if len(seen) != writers*each {
			t.Fatalf("%d of %d rows seen", len(seen), writers*each)
		}
		if good, broken, err := s.VerifyAudit(t.Context(), func(int64, int64) {}); err != nil || broken != nil || good != writers*each {
			t.Fatal(good, broken, err)
		}
	})
}

func TestVerifyNamesTheFirstBrokenEntry(t *testing.T) {
	for name, tamper := range map[string]string{
		"changed": `UPDATE audit SET reason = 'forged' WHERE seq = 4`,
		"missing": `DELETE FROM audit WHERE seq = 4`,
		"cut off": `DELETE FROM audit WHERE seq > 3`,
		"rehung":  `UPDATE audit SET prev_hash = '' WHERE seq = 4`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			s := storetest.Open(t, "sqlite:"+path)
			for i := range 6 {
				if err := record(s, t.Context(), fmt.Sprint(i), 0); err != nil {
					t.Fatal(err)
				}
			}
			db, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.Exec(tamper); err != nil {
				t.Fatal(err)
			}
			good, broken, err := s.VerifyAudit(t.Context(), func(int64, int64) {})
			if err != nil || broken == nil || good != 3 {
				t.Fatalf("%d good, %+v, %v", good, broken, err)
			}
		})
	}
}

func TestCursorMovesOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		move := func(from, to int64) error {
			return s.Tx(t.Context(), t0, func(tx *store.Tx) error { return tx.Advance(t.Context(), "notify", from, to) })
		}
		if err := move(0, 5); err != nil {
			t.Fatal(err)
		}
		if err := move(0, 7); ops.KindOf(err) != ops.Conflict {
			t.Fatal(err)
		}
		if at, err := s.Cursor(t.Context(), "notify"); at != 5 || err != nil {
			t.Fatal(at, err)
		}
	})
}

func TestBackupIsWholeWhileWritersGoOn(t *testing.T) {
	s := storetest.SQLite(t)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			if err := record(s, ctx, fmt.Sprint(i), 0); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	for {
		if head, _, _ := s.Head(t.Context()); head > 20 {
			break
		}
	}
	path := filepath.Join(t.TempDir(), "sub", "it's a copy.db")
	err := s.Backup(t.Context(), path)
	stop()
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), path); ops.KindOf(err) != ops.Conflict {
		t.Fatalf("a backup was overwritten: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info, err)
	}
	restored := storetest.Open(t, "sqlite:"+path)
	good, broken, err := restored.VerifyAudit(t.Context(), func(int64, int64) {})
	if err != nil || broken != nil || good < 20 {
		t.Fatal(good, broken, err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	for url, kind := range map[string]ops.ErrorKind{
		"mysql://x": ops.Invalid,
		"postgres://reeve:secret@127.0.0.1:1/none?connect_timeout=1": ops.Unavailable,
	} {
		_, err := store.Open(t.Context(), slog.New(slog.DiscardHandler), store.Options{URL: url})
		if ops.KindOf(err) != kind {
			t.Errorf("%s: %v", url, err)
		}
		if message, _ := ops.Shown(err); message == "" || containsSecret(message) {
			t.Errorf("%s: message %q", url, message)
		}
	}
}

func containsSecret(s string) bool {
	for i := range s {
		if len(s)-i >= 6 && s[i:i+6] == "secret" {
			return true
		}
	}
	return false
}

func TestDatabaseClockAgreesWithOurs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		now, err := s.Now(t.Context())
		if d := time.Since(now).Abs(); err != nil || d > 2*time.Second {
			t.Fatal(d, err)
		}
	})
}
