package release

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"

	"reeve/internal/ops"
)

var (
	key   = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	other = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))
	next  = Statement{Program: "reeve-agent", Version: "v1.2.3", Platform: "linux/amd64", SHA256: strings.Repeat("ab", 32)}
)

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func TestOnlyWhatTheKeySignedIsBelieved(t *testing.T) {
	text, err := next.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Open(text, public(key)); err != nil || got != next {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := Open(text, public(other)); ops.KindOf(err) != ops.Forbidden {
		t.Errorf("another key: %v", err)
	}
	for i := range text {
		bad := bytes.Clone(text)
		bad[i] ^= 1
		if got, err := Open(bad, public(key)); err == nil {
			t.Fatalf("byte %d may be changed: %+v", i, got)
		}
	}
	for i := range text {
		if got, err := Open(text[:i], public(key)); err == nil {
			t.Fatalf("may end at %d: %+v", i, got)
		}
	}
	if _, err := Open(append(bytes.Clone(text), "more\n"...), public(key)); err == nil {
		t.Error("may be followed by more")
	}
}

// What is signed is read in one way only: a statement whose own text differs
// from what was signed is refused even with a good signature.
func TestSignedTextOfAnotherShapeIsRefused(t *testing.T) {
	for _, text := range []string{
		strings.Replace(next.text(), "program ", "program  ", 1), next.text() + "extra 1\n", strings.Replace(next.text(), "release 1", "release 2", 1),
		strings.Replace(next.text(), "v1.2.3", "1.2.3", 1), strings.Replace(next.text(), "ab", "zz", 1),
	} {
		signed := Statement{}
		signature := ed25519.Sign(key, []byte(text))
		if got, err := Open([]byte(text+"signature "+encode(signature)+"\n"), public(key)); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		} else if got != signed && got.check() == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestFits(t *testing.T) {
	running := Running{Program: "reeve-agent", Version: "v1.2.3", Platform: "linux/amd64"}
	for name, c := range map[string]struct {
		change func(*Running)
		kind   ops.ErrorKind
	}{
		"the same":          {func(r *Running) {}, ""},
		"newer":             {func(r *Running) { r.Version = "v1.2.2" }, ""},
		"no version":        {func(r *Running) { r.Version = "(devel)" }, ""},
		"older":             {func(r *Running) { r.Version = "v1.10.0" }, ops.Forbidden},
		"older but allowed": {func(r *Running) { r.Version, r.Downgrade = "v1.10.0", true }, ""},
		"after a candidate": {func(r *Running) { r.Version = "v1.2.3-rc.1" }, ""},
		"another machine":   {func(r *Running) { r.Platform = "linux/arm64" }, ops.Invalid},
		"read-only build":   {func(r *Running) { r.Program = "reeve-agent-readonly" }, ops.Forbidden},
	} {
		r := running
		c.change(&r)
		err := next.Fits(r)
		if err == nil && c.kind != "" || err != nil && ops.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeysAreReadAsWritten(t *testing.T) {
	if got, err := ParsePublic(PublicText(public(key))); err != nil || !got.Equal(public(key)) {
		t.Errorf("%v %v", got, err)
	}
	if got, err := ParseSecret(SecretText(key)); err != nil || !got.Equal(key) {
		t.Errorf("%v", err)
	}
	if _, err := ParsePublic(SecretText(key)); err == nil {
		t.Error("a secret key is taken for a public one")
	}
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
