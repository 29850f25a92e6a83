// Package approver keeps the key with which a person approves changes, in a
// file of that person's, and what a host must know to believe it.
package approver

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"reeve/internal/authority"
	"reeve/internal/ops"
)

// The files of an approver, and of a host of which the server is a part.
const (
	KeyFile = "approver.key"
	PinFile = "approvers.pin"
)

// ApprovalLife is how long a signed approval counts.
const ApprovalLife = 15 * time.Minute

// A Key signs approvals.
type Key struct {
	Name    string             `json:"name"`
	Private ed25519.PrivateKey `json:"private_key"`
	Made    time.Time          `json:"made_at"`
}

// Public answers the key as others may know it.
func (k Key) Public() authority.ApproverKey {
	public := k.Private.Public().(ed25519.PublicKey)
	return authority.ApproverKey{ID: authority.KeyID(public), Public: public, Name: k.Name, Added: k.Made}
}

// Make makes a key and writes its file, which must not be there.
func Make(path, name string) (Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, err
	}
	k := Key{Name: name, Private: private, Made: time.Now().UTC().Truncate(time.Second)}
	text, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return k, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return k, ops.Because(ops.Unavailable, err, "the folder %s cannot be made", filepath.Dir(path))
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return k, ops.Errorf(ops.Conflict, "there is a key in %s already", path)
	}
	if err != nil {
		return k, ops.Because(ops.Unavailable, err, "%s cannot be written", path)
	}
	_, err = f.Write(append(text, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(path)
		return k, ops.Because(ops.Unavailable, err, "%s cannot be written", path)
	}
	return k, nil
}

// Read reads the key of the first of the files that is there; found is false
// when none is.
func Read(paths ...string) (k Key, found bool, err error) {
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return k, false, ops.Because(ops.Unavailable, err, "the approver's key %s cannot be read", path)
		}
		if err := json.Unmarshal(text, &k); err != nil || len(k.Private) != ed25519.PrivateKeySize || k.Name == "" {
			return k, false, ops.Errorf(ops.Invalid, "%s holds no approver's key; put it back from a copy", path)
		}
		return k, true, nil
	}
	return k, false, nil
}

// Approve answers a signed decision on a plan.
func (k Key) Approve(planHash, reason string, decision authority.Decision, now time.Time) authority.Approval {
	now = now.UTC().Truncate(time.Millisecond)
	return authority.Approval{PlanHash: planHash, Decision: decision, Reason: reason, SignedAt: now, Expiry: now.Add(ApprovalLife)}.Sign(k.Private)
}

// Root answers the first set of approvers, which the key alone is in.
func Root(k Key) authority.ApproverSet {
	return authority.ApproverSet{Version: 1, Keys: []authority.ApproverKey{k.Public()}}
}

// ReadPin answers the hash of the root of the approvers that a machine was
// given, "" for none.
func ReadPin(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, PinFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", ops.Because(ops.Unavailable, err, "%s cannot be read", filepath.Join(dir, PinFile))
	}
	return strings.TrimSpace(string(text)), nil
}

// WritePin gives a machine the hash of the root of the approvers.
func WritePin(dir, pin string) error {
	if err := os.WriteFile(filepath.Join(dir, PinFile), []byte(pin+"\n"), 0o600); err != nil {
		return ops.Because(ops.Unavailable, err, "%s cannot be written", filepath.Join(dir, PinFile))
	}
	return nil
}
