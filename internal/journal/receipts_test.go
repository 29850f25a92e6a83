package journal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"reeve/internal/ops"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func openTestReceipts(t testing.TB, dir string, d disk) *Receipts {
	t.Helper()
	r, err := openReceipts(dir, d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func begin(t testing.TB, r *Receipts, key string) {
	t.Helper()
	if old, err := r.Begin(key, 3, noon, "digest"); old != nil || err != nil {
		t.Fatal(old, err)
	}
}

func TestBegunActionIsFoundAndNotBegunAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "receipts")
	r := openTestReceipts(t, dir, disk{})
	if _, ok, err := r.Get("../../etc/passwd"); ok || err != nil {
		t.Fatal(ok, err)
	}
	begin(t, r, "../../etc/passwd")
	r = openTestReceipts(t, dir, disk{})
	old, err := r.Begin("../../etc/passwd", 4, noon.Add(time.Hour), "digest")
	if err != nil || old == nil || old.State != Running || old.Fence != 3 || old.StartedAt.IsZero() {
		t.Fatalf("%+v, %v", old, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || len(entries[0].Name()) != 64+len(receiptFile) {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestLowerFenceOrOtherTicketIsRefused(t *testing.T) {
	r := openTestReceipts(t, t.TempDir(), disk{})
	begin(t, r, "k")
	if old, err := r.Begin("k", 2, noon, "digest"); old != nil || ops.KindOf(err) != ops.Conflict {
		t.Error(old, err)
	}
	if old, err := r.Begin("k", 5, noon, "another"); old != nil || ops.KindOf(err) != ops.Conflict {
		t.Error(old, err)
	}
	for _, empty := range [][2]string{{"", "d"}, {"k", ""}} {
		if _, err := r.Begin(empty[0], 1, noon, empty[1]); ops.KindOf(err) != ops.Invalid {
			t.Error(err)
		}
	}
}

func TestOutcomeIsKeptAndFinal(t *testing.T) {
	dir := t.TempDir()
	r := openTestReceipts(t, dir, disk{})
	begin(t, r, "k")
	outcome := Receipt{
		Key: "another", Fence: 99, State: Succeeded, Output: strings.Repeat("ä", maxOutputBytes) + " password=hunter2",
		Before: ops.Attrs{"state": "running"}, After: ops.Attrs{"state": "stopped"},
	}
	if err := errors.Join(r.Finish("k", outcome), r.Finish("k", outcome)); err != nil {
		t.Fatal(err)
	}
	got, ok, err := openTestReceipts(t, dir, disk{}).Get("k")
	if !ok || err != nil || got.Key != "k" || got.Fence != 3 || got.TicketDigest != "digest" || got.State != Succeeded {
		t.Fatalf("%+v, %v, %v", got, ok, err)
	}
	if len(got.Output) > maxOutputBytes || len(got.Output) < maxOutputBytes-8 || got.EndedAt.Before(got.StartedAt) || !got.After.Is("state", "stopped") {
		t.Errorf("%d bytes, %v", len(got.Output), got.EndedAt)
	}
	for _, state := range []ReceiptState{Failed, Unknown, Refused} {
		if err := r.Finish("k", Receipt{State: state}); ops.KindOf(err) != ops.Conflict {
			t.Error(state, err)
		}
	}
	if err := r.Finish("never", Receipt{State: Failed}); ops.KindOf(err) != ops.NotFound {
		t.Error(err)
	}
	if err := r.Finish("k", Receipt{State: Running}); ops.KindOf(err) != ops.Invalid {
		t.Error(err)
	}
}

func TestUnknownOutcomeMayBecomeKnown(t *testing.T) {
	r := openTestReceipts(t, t.TempDir(), disk{})
	begin(t, r, "k")
	err := errors.Join(r.Finish("k", Receipt{State: Unknown}), r.Finish("k", Receipt{State: Failed, Err: "token=abcdef"}))
	if got, ok, getErr := r.Get("k"); err != nil || getErr != nil || !ok || got.State != Failed || strings.Contains(got.Err, "abcdef") {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestPruneKeepsWhatMayComeAgain(t *testing.T) {
	dir := t.TempDir()
	r := openTestReceipts(t, dir, disk{})
	for key, deadline := range map[string]time.Time{"old": noon, "running": noon, "late ticket": noon.Add(time.Hour), "new": noon} {
		if _, err := r.Begin(key, 1, deadline, "d"); err != nil {
			t.Fatal(err)
		}
		ended := noon
		if key == "new" {
			ended = noon.Add(time.Hour)
		}
		if key == "running" {
			continue
		}
		if err := r.Finish(key, Receipt{State: Failed, EndedAt: ended}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(r.UseNonce("n1", noon), r.UseNonce("n2", noon.Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.path("damaged", receiptFile), []byte("?"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Prune(noon.Add(time.Minute)); ops.KindOf(err) != ops.Invalid {
		t.Errorf("the damaged file is not told: %v", err)
	}
	for key, want := range map[string]bool{"old": false, "running": true, "late ticket": true, "new": true} {
		if _, ok, err := r.Get(key); ok != want || err != nil {
			t.Error(key, ok, err)
		}
	}
	if err := r.UseNonce("n1", noon); err != nil {
		t.Error(err)
	}
	if err := r.UseNonce("n2", noon); ops.KindOf(err) != ops.Conflict {
		t.Error(err)
	}
}

func TestNonceIsUsedOnce(t *testing.T) {
	dir := t.TempDir()
	if err := openTestReceipts(t, dir, disk{}).UseNonce("n", noon); err != nil {
		t.Fatal(err)
	}
	r := openTestReceipts(t, dir, disk{})
	if err := r.UseNonce("n", noon); ops.KindOf(err) != ops.Conflict {
		t.Error(err)
	}
	if err := r.UseNonce("", noon); ops.KindOf(err) != ops.Invalid {
		t.Error(err)
	}
}

func TestDamagedReceiptIsNeverRunAgain(t *testing.T) {
	dir := t.TempDir()
	r := openTestReceipts(t, dir, disk{})
	begin(t, r, "k")
	path := r.path("k", receiptFile)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(good) + 1 {
		bad := append([]byte{}, good[:i]...)
		if i == len(good) {
			bad = envelope("receipt", []byte(`{"receipt":{"key":"another"}}`))
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		old, err := r.Begin("k", 3, noon, "digest")
		if message, _ := ops.Shown(err); old != nil || ops.KindOf(err) != ops.Invalid || !strings.Contains(message, "remove") {
			t.Fatalf("%d bytes: %v, %v", i, old, err)
		}
		if err := r.Finish("k", Receipt{State: Failed}); ops.KindOf(err) != ops.Invalid {
			t.Fatal(err)
		}
	}
}

func TestOneOfManyBegins(t *testing.T) {
	r := openTestReceipts(t, t.TempDir(), disk{})
	var begun, nonces atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if old, err := r.Begin("k", 1, noon, "d"); err == nil && old == nil {
				begun.Add(1)
			}
			if r.UseNonce("n", noon) == nil {
				nonces.Add(1)
			}
		})
	}
	wg.Wait()
	if begun.Load() != 1 || nonces.Load() != 1 {
		t.Errorf("begun %d times, nonce used %d times", begun.Load(), nonces.Load())
	}
}

// receiptsScript begins and ends actions; told says what was promised.
func receiptsScript(r *Receipts, told map[string]ReceiptState, nonces map[string]bool) {
	for _, key := range []string{"a", "b", "c"} {
		if old, err := r.Begin(key, 1, noon, "d"); err == nil && old == nil {
			told[key] = Running
		}
		if key == "b" {
			continue
		}
		if r.Finish(key, Receipt{State: Succeeded, Output: key}) == nil {
			told[key] = Succeeded
		}
		if r.UseNonce(key, noon) == nil {
			nonces[key] = true
		}
	}
}

func brokenReceipts(r *Receipts, told map[string]ReceiptState, nonces map[string]bool) error {
	for key, state := range told {
		got, ok, err := r.Get(key)
		if err != nil || !ok || got.State != state && (state != Running || got.State != Succeeded) {
			return errors.Join(err, errors.New(key+" is "+string(got.State)+", told "+string(state)))
		}
		if old, err := r.Begin(key, 1, noon, "d"); old == nil || err != nil {
			return errors.Join(err, errors.New(key+" begins again"))
		}
	}
	for nonce := range nonces {
		if ops.KindOf(r.UseNonce(nonce, noon)) != ops.Conflict {
			return errors.New("nonce " + nonce + " is used again")
		}
	}
	return nil
}

// TestReceiptsSurviveACrashAtEveryStep: what was begun is found, what has an
// outcome keeps it.
func TestReceiptsSurviveACrashAtEveryStep(t *testing.T) {
	top := fastDir(t)
	dir, copied := filepath.Join(top, "receipts"), filepath.Join(top, "copy")
	sh, d := follow(t, dir)
	told, nonces := map[string]ReceiptState{}, map[string]bool{}
	sh.before = func(op step) error {
		for _, m := range sh.moments(op) {
			fill(t, copied, m.files)
			if err := brokenReceipts(openTestReceipts(t, copied, disk{}), told, nonces); err != nil {
				t.Fatalf("before %s, %s: %v", m.step, m.how, err)
			}
		}
		return nil
	}
	receiptsScript(openTestReceipts(t, dir, d), told, nonces)
	if len(told) != 3 || len(nonces) != 2 || sh.steps < 7*5 {
		t.Errorf("%v, %v, %d steps", told, nonces, sh.steps)
	}
}

func TestReceiptsSurviveAFullDiskAtEveryStep(t *testing.T) {
	for width := 1; width <= 3; width++ {
		for at := 3; ; at++ {
			sh, d := follow(t, filepath.Join(fastDir(t), "receipts"))
			sh.before = func(step) error {
				if sh.steps >= at && sh.steps < at+width {
					return syscall.ENOSPC
				}
				return nil
			}
			r := openTestReceipts(t, sh.dir, d)
			told, nonces := map[string]ReceiptState{}, map[string]bool{}
			receiptsScript(r, told, nonces)
			if sh.steps < at {
				break
			}
			if err := brokenReceipts(openTestReceipts(t, sh.dir, disk{}), told, nonces); err != nil {
				t.Fatalf("steps %d+%d: %v", at, width, err)
			}
		}
	}
}
