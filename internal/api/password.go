package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"reeve/internal/ops"
)

// The cost of a password's hash.
const (
	argonMemoryKiB = 19 * 1024
	argonPasses    = 2
	argonLanes     = 1
	argonKeyBytes  = 32
)

const (
	minPasswordRunes = 10
	maxPasswordBytes = 256
	hashersAtOnce    = 2
	hasherWait       = 5 * time.Second
)

// hashers bounds the memory of hashing: a flood of sign-ins waits, then is
// refused.
type hashers chan struct{}

func (h hashers) enter(ctx context.Context) error {
	wait := time.NewTimer(hasherWait)
	defer wait.Stop()
	select {
	case h <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-wait.C:
		return tooManyError{5, ops.Errorf(ops.TooMany, "too many people sign in at once; try again in a few seconds")}
	}
}

func (h hashers) leave() { <-h }

// checkPassword answers what is wrong with a new password.
func checkPassword(password string) error {
	switch {
	case utf8.RuneCountInString(password) < minPasswordRunes:
		return invalid("password", "a password has at least %d characters", minPasswordRunes)
	case len(password) > maxPasswordBytes:
		return invalid("password", "a password has at most %d bytes", maxPasswordBytes)
	}
	return nil
}

// hash answers a password's hash in the usual text form.
func (h hashers) hash(ctx context.Context, password string) (string, error) {
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	salt := make([]byte, 16)
	rand.Read(salt)
	key := argon2.IDKey([]byte(password), salt, argonPasses, argonMemoryKiB, argonLanes, argonKeyBytes)
	text := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemoryKiB, argonPasses, argonLanes, text(salt), text(key)), nil
}

// nobodysHash stands in for the hash of accounts that do not exist or have no
// password, so that refusing them takes as long as refusing a wrong password.
var nobodysHash = fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemoryKiB, argonPasses, argonLanes,
	strings.Repeat("A", 22), strings.Repeat("A", 43))

// matches reports whether a password has the hash. It takes the same time for
// every hash, "" included, which matches nothing.
func (h hashers) matches(ctx context.Context, hash, password string) (bool, error) {
	real := hash != ""
	if !real {
		hash = nobodysHash
	}
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave()
	var version, memory, passes int
	var lanes uint8
	parts := strings.Split(hash, "$")
	if len(parts) != 6 {
		return false, fmt.Errorf("stored password hash has %d parts", len(parts))
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &passes, &lanes); err != nil {
		return false, fmt.Errorf("stored password hash: %w", err)
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, fmt.Errorf("stored password hash: %w", err)
	}
	key, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil {
		return false, fmt.Errorf("stored password hash: %w", err)
	}
	got := argon2.IDKey([]byte(password), salt, uint32(passes), uint32(memory), lanes, uint32(len(key)))
	return subtle.ConstantTimeCompare(got, key) == 1 && real, nil
}

// fingerprint ties a session to the password it began with: when that
// changes, the session ends.
func fingerprint(passwordHash string) string { return digest("session\x00" + passwordHash)[:16] }

// digest answers how a secret with enough randomness of its own is stored.
func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func newSecret(prefix string) string {
	b := make([]byte, 32)
	rand.Read(b)
	return prefix + base64.RawURLEncoding.EncodeToString(b)
}

// equal compares secrets in constant time; "" equals nothing.
func equal(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}
