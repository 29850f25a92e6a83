package notify

import (
	"io"
	"log/slog"
	"os"
	"strings"

	"reeve/internal/ops"
	"reeve/internal/redact"
)

const secretLimitBytes = 16 << 10

// A Secret is a setting that is never shown. A person writes the value
// itself, file:PATH, env:NAME or sealed:NAME.
type Secret struct{ value string }

// NewSecret makes a Secret of a value.
func NewSecret(value string) Secret { return Secret{value} }

// An Opener answers the value of a sealed setting by its name.
type Opener func(name string) (string, error)

// NothingSealed is the Opener of where no sealed setting can be.
func NothingSealed(string) (string, error) {
	return "", ops.Errorf(ops.Invalid, "a sealed setting cannot be used here")
}

// SealedName answers the name of the sealed setting that a setting names.
func SealedName(setting string) (name string, ok bool) { return strings.CutPrefix(setting, "sealed:") }

// ReadSecret answers the secret that a setting names. A file's trailing line
// break is not part of the secret.
func ReadSecret(setting string, open Opener) (Secret, error) {
	if name, ok := SealedName(setting); ok {
		value, err := open(name)
		return Secret{value}, err
	}
	if path, ok := strings.CutPrefix(setting, "file:"); ok {
		return readSecretFile(path)
	}
	if name, ok := strings.CutPrefix(setting, "env:"); ok {
		value, ok := os.LookupEnv(name)
		if !ok {
			return Secret{}, ops.Errorf(ops.Invalid, "the environment variable %s is not set", name)
		}
		return Secret{value}, nil
	}
	return Secret{setting}, nil
}

func readSecretFile(path string) (Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return Secret{}, ops.Because(ops.Invalid, err, "the secret file %s cannot be opened", path)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, secretLimitBytes+1))
	if err != nil {
		return Secret{}, ops.Because(ops.Invalid, err, "the secret file %s cannot be read", path)
	}
	if len(text) > secretLimitBytes {
		return Secret{}, ops.Errorf(ops.Invalid, "the secret file %s is larger than %d bytes", path, secretLimitBytes)
	}
	return Secret{strings.TrimRight(string(text), "\r\n")}, nil
}

// Reveal answers the value; use it only where it is sent.
func (s Secret) Reveal() string { return s.value }

// Set reports whether there is a value.
func (s Secret) Set() bool { return s.value != "" }

// String answers a mask.
func (s Secret) String() string {
	if s.value == "" {
		return ""
	}
	return redact.Mask
}

// GoString answers a mask.
func (s Secret) GoString() string { return s.String() }

// MarshalText answers a mask.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue answers a mask.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
