// Package release states which program a file is, signed by whoever releases
// it: an agent puts a new program in its own place only when a statement of
// the key that root pinned on its host fits the file.
//
// A statement is six lines of text, in this order and no other:
//
//	reeve-release 1
//	program reeve-agent
//	version v1.2.3
//	platform linux/amd64
//	sha256 HEX
//	signature BASE64
//
// The signature is Ed25519 over all bytes before its own line.
package release

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/mod/semver"

	"reeve/internal/ops"
)

// A Statement says which program a file is.
type Statement struct {
	Program  string // reeve-agent, reeve-agent-readonly or reeve
	Version  string // v1.2.3
	Platform string // linux/amd64
	SHA256   string // of the file, in hex
}

const (
	heading   = "reeve-release 1\n"
	publicTag = "reeve-release-key"
	secretTag = "reeve-release-secret"
	maxText   = 4 << 10
)

var word = regexp.MustCompile(`^[A-Za-z0-9._+/-]{1,100}$`)

// text answers what is signed.
func (s Statement) text() string {
	return fmt.Sprintf("%sprogram %s\nversion %s\nplatform %s\nsha256 %s\n", heading, s.Program, s.Version, s.Platform, s.SHA256)
}

func (s Statement) check() error {
	sum, err := hex.DecodeString(s.SHA256)
	switch {
	case !semver.IsValid(s.Version) || !word.MatchString(s.Version):
		return ops.Errorf(ops.Invalid, "the version %q is not one like v1.2.3", s.Version)
	case !word.MatchString(s.Program), !word.MatchString(s.Platform), err != nil, len(sum) != 32:
		return ops.Errorf(ops.Invalid, "the statement does not name a program, its platform and its SHA-256")
	}
	return nil
}

// Sign answers the statement as text with its signature.
func (s Statement) Sign(key ed25519.PrivateKey) ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	text := s.text()
	return []byte(text + "signature " + base64.StdEncoding.EncodeToString(ed25519.Sign(key, []byte(text))) + "\n"), nil
}

// Open answers a statement that the key signed.
func Open(text []byte, key ed25519.PublicKey) (s Statement, err error) {
	broken := ops.Errorf(ops.Invalid, "the signature file is not one of `reeve release sign`")
	if len(text) > maxText {
		return s, broken
	}
	at := bytes.LastIndex(text, []byte("signature "))
	if at < 0 || !bytes.HasSuffix(text, []byte("\n")) {
		return s, broken
	}
	signature, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(string(text[at+len("signature "):]), "\n"))
	if err != nil {
		return s, broken
	}
	if !ed25519.Verify(key, text[:at], signature) {
		return s, ops.Errorf(ops.Forbidden, "the file is not signed by the release key of this host")
	}
	if _, err := fmt.Sscanf(string(text[:at]), heading+"program %s\nversion %s\nplatform %s\nsha256 %s\n", &s.Program, &s.Version, &s.Platform, &s.SHA256); err != nil || s.text() != string(text[:at]) {
		return Statement{}, broken
	}
	return s, s.check()
}

// A Running says what a new program shall replace.
type Running struct {
	Program, Version, Platform string
	Downgrade                  bool // an older one may take its place
}

// Fits answers why a program may not take the place of the running one, nil
// when it may. A running program without a version is older than any other.
func (s Statement) Fits(r Running) error {
	switch {
	case s.Program != r.Program:
		return ops.Errorf(ops.Forbidden, "the file is %s and this is %s: one never takes the place of the other", s.Program, r.Program)
	case s.Platform != r.Platform:
		return ops.Errorf(ops.Invalid, "the file is for %s and this machine is %s", s.Platform, r.Platform)
	case semver.IsValid(r.Version) && semver.Compare(s.Version, r.Version) < 0 && !r.Downgrade:
		return ops.Errorf(ops.Forbidden, "the file is %s, older than the running %s; with --allow-downgrade it is put in all the same", s.Version, r.Version)
	}
	return nil
}

// PublicText answers the file that is pinned on hosts.
func PublicText(key ed25519.PublicKey) []byte {
	return []byte(publicTag + " " + base64.StdEncoding.EncodeToString(key) + "\n")
}

// SecretText answers the file to sign with.
func SecretText(key ed25519.PrivateKey) []byte {
	return []byte(secretTag + " " + base64.StdEncoding.EncodeToString(key.Seed()) + "\n")
}

// ParsePublic reads what PublicText wrote.
func ParsePublic(text []byte) (ed25519.PublicKey, error) {
	key, err := parseKey(text, publicTag, ed25519.PublicKeySize)
	return key, err
}

// ParseSecret reads what SecretText wrote.
func ParseSecret(text []byte) (ed25519.PrivateKey, error) {
	seed, err := parseKey(text, secretTag, ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

func parseKey(text []byte, tag string, size int) ([]byte, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(string(text)), tag+" ")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) != size {
		return nil, ops.Errorf(ops.Invalid, "the file holds no key of the kind %s: `reeve release key` makes a pair", tag)
	}
	return key, nil
}
