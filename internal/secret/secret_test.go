package secret

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"reeve/internal/ops"
)

const canary = "sk-canary-0c9d8e7f6a5b"

func seal(t *testing.T, k *Keeper, name, value string) string {
	t.Helper()
	sealed, err := k.Seal(name, value)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// refused checks an error: what it says, that it is for people, and that it
// does not tell the value.
func refused(t *testing.T, err error, want string) {
	t.Helper()
	message, _ := ops.Shown(err)
	if err == nil || !strings.Contains(message, want) || strings.Contains(err.Error(), canary) {
		t.Errorf("%v, want %q", err, want)
	}
}

func TestWhatIsSealedOpensUnderItsName(t *testing.T) {
	k := New(t.TempDir())
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z0-9][a-z0-9._-]{0,63}`).Draw(t, "name")
		value := rapid.StringN(1, -1, MaxBytes).Draw(t, "value")
		sealed, err := k.Seal(name, value)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.Open(name, sealed); err != nil || got != value {
			t.Fatalf("%q %v", got, err)
		}
		if again, err := k.Seal(name, value); err != nil || again == sealed {
			t.Fatalf("sealed twice the same: %v", err)
		}
	})
}

func TestSealedTextOfAnotherNameIsRefused(t *testing.T) {
	k := New(t.TempDir())
	sealed := seal(t, k, "openai", canary)
	for _, name := range []string{"openaj", "open", "openai2", ""} {
		_, err := k.Open(name, sealed)
		refused(t, err, "sealed for another name")
	}
}

func TestDamagedTextIsRefused(t *testing.T) {
	k := New(t.TempDir())
	sealed := seal(t, k, "openai", canary)
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || strings.Contains(string(raw), canary) || strings.Contains(string(raw), "openai") {
		t.Fatalf("it is not sealed: %v", err)
	}
	for i := range raw {
		raw[i] ^= 1
		if got, err := k.Open("openai", base64.StdEncoding.EncodeToString(raw)); err == nil {
			t.Errorf("byte %d changed: %q", i, got)
		}
		raw[i] ^= 1
	}
	for _, text := range []string{"", "x", sealed[:len(sealed)/2], sealed[:len(sealed)-4]} {
		_, err := k.Open("openai", text)
		refused(t, err, "seal the value anew: `reeve secret set openai`")
	}
}

func TestAnotherMachineSaysWhatToDo(t *testing.T) {
	old, other := New(t.TempDir()), New(t.TempDir())
	sealed := seal(t, old, "openai", canary)
	_, err := other.Open("openai", sealed)
	refused(t, err, "secret.key is missing; put back the one of the machine that the database comes from, or seal the value anew")
	if _, err := os.Stat(other.path); err == nil {
		t.Error("opening made an identity")
	}
	fresh := seal(t, other, "openai", "new")
	_, err = other.Open("openai", sealed)
	refused(t, err, "sealed with another key")

	// A new key before the old one: both open, the new one seals.
	text, err := os.ReadFile(old.path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(other.path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Write(text)
	f.Close()
	for want, sealed := range map[string]string{canary: sealed, "new": fresh} {
		if got, err := other.Open("openai", sealed); err != nil || got != want {
			t.Errorf("%q %v", got, err)
		}
	}
	if _, err = old.Open("x", seal(t, other, "x", "y")); err == nil {
		t.Error("the old key still seals")
	}
}

func TestIdentityThatOthersReadIsRefused(t *testing.T) {
	k := New(t.TempDir())
	sealed := seal(t, k, "openai", canary)
	info, err := os.Stat(k.path)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("%v %v", info.Mode(), err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o644} {
		if err := os.Chmod(k.path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := k.Open("openai", sealed)
		refused(t, err, "chmod 600")
		_, err = k.Seal("openai", canary)
		refused(t, err, "chmod 600")
	}
	if err := os.Chmod(k.path, 0o400); err != nil {
		t.Fatal(err)
	}
	if got, err := k.Open("openai", sealed); err != nil || got != canary {
		t.Errorf("%q %v", got, err)
	}
}

func TestUnusableIdentityIsNeitherReplacedNorQuoted(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", canary, "AGE-SECRET-KEY-1" + canary} {
		k := New(t.TempDir())
		if err := os.WriteFile(k.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := k.Seal("openai", "value")
		refused(t, err, "cannot be used")
		if left, err := os.ReadFile(k.path); err != nil || string(left) != text {
			t.Errorf("%q %v", left, err)
		}
	}
}

func TestOneIdentityIsMadeByMany(t *testing.T) {
	dir := t.TempDir()
	k := New(dir)
	texts := make([]string, 8)
	var all sync.WaitGroup
	for i := range texts {
		all.Go(func() { texts[i], _ = k.Seal("openai", canary) })
	}
	all.Wait()
	for _, text := range texts {
		if got, err := k.Open("openai", text); err != nil || got != canary {
			t.Errorf("%q %v", got, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 1 {
		t.Errorf("%v %v", left, err)
	}
}

func TestWrongNamesAndValuesAreRefused(t *testing.T) {
	k := New(t.TempDir())
	for _, name := range []string{"", "A", "-x", "a/b", "a b", "a\x00b", strings.Repeat("a", 65), "a\n"} {
		if _, err := k.Seal(name, "x"); ops.KindOf(err) != ops.Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, value := range []string{"", strings.Repeat("x", MaxBytes+1), "\xff"} {
		if _, err := k.Seal("openai", value); ops.KindOf(err) != ops.Invalid {
			t.Errorf("%d bytes: %v", len(value), err)
		}
	}
	if _, err := os.Stat(k.path); err == nil {
		t.Error("an identity was made for nothing")
	}
}
