package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"time"
	"unicode/utf8"

	"reeve/internal/rest"
	"reeve/internal/secret"
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
		return rest.TooMany(5, "too many people sign in at once; try again in a few seconds")
	}
}

func (h hashers) leave() { <-h }

// checkPassword answers what is wrong with a new password.
func checkPassword(password string) error {
	switch {
	case utf8.RuneCountInString(password) < minPasswordRunes:
		return rest.Invalid("password", "a password has at least %d characters", minPasswordRunes)
	case len(password) > maxPasswordBytes:
		return rest.Invalid("password", "a password has at most %d bytes", maxPasswordBytes)
	}
	return nil
}

// hash answers a password's hash in the usual text form.
func (h hashers) hash(ctx context.Context, password string) (string, error) {
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	return secret.HashPassword(password), nil
}

// matches reports whether a password has the hash.
func (h hashers) matches(ctx context.Context, hash, password string) (bool, error) {
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave()
	return secret.PasswordMatches(hash, password)
}

// fingerprint ties a session to the password it began with: when that
// changes, the session ends.
func fingerprint(passwordHash string) string { return digest("session\x00" + passwordHash)[:16] }

// digest answers how a secret with enough randomness of its own is stored.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// NewSecret answers a secret that nobody guesses, after a prefix that tells
// people what it is.
func NewSecret(prefix string) string {
	b := make([]byte, 32)
	rand.Read(b)
	return prefix + base64.RawURLEncoding.EncodeToString(b)
}

// equal compares secrets in constant time; "" equals nothing.
func equal(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}
