package authority

import (
	"crypto/ed25519"
	"time"
)

// An ApproverKey is a key that may approve.
type ApproverKey struct {
	ID     string            `json:"id" doc:"Follows from the key."`
	Public ed25519.PublicKey `json:"public"`
	Name   string            `json:"name" doc:"Whose it is."`
	Added  time.Time         `json:"added_at"`
}

// KeyID answers the ID of a key, which nobody can choose.
func KeyID(public ed25519.PublicKey) string {
	return "key_" + digest(canonical("reeve key v1", string(public)))[:32]
}

// An ApproverSet is the keys that may approve. The root has version 1 and no
// signature: an agent knows it by its hash.
type ApproverSet struct {
	Version      int           `json:"version"`
	Keys         []ApproverKey `json:"keys"`
	PreviousHash string        `json:"previous_hash,omitempty"`
	SignedBy     string        `json:"signed_by,omitempty" doc:"ID of a key of the set before."`
	Signature    []byte        `json:"signature,omitempty"`
}

const (
	setTag     = "reeve approvers v1"
	setSignTag = "reeve approvers signature v1"

	maxKeys = 64
)

// Hash answers what is pinned of a root set, and what the next set names as
// the one before it.
func (s ApproverSet) Hash() string {
	keys := make([]any, len(s.Keys))
	for i, k := range s.Keys {
		keys[i] = []any{plain(k.ID), plain(string(k.Public)), plain(k.Name), plain(k.Added)}
	}
	return digest(canonical(setTag, s.Version, keys, s.PreviousHash))
}

func (s ApproverSet) message() []byte { return canonical(setSignTag, s.Hash(), s.SignedBy) }

// Next answers the set that follows with other keys, signed by a key of s.
func (s ApproverSet) Next(keys []ApproverKey, by ed25519.PrivateKey) ApproverSet {
	next := ApproverSet{Version: s.Version + 1, Keys: keys, PreviousHash: s.Hash(), SignedBy: KeyID(by.Public().(ed25519.PublicKey))}
	next.Signature = ed25519.Sign(by, next.message())
	return next
}

// key answers a key of the set by its ID, which it has to be worth.
func (s ApproverSet) key(id string) (ApproverKey, bool) {
	for _, k := range s.Keys {
		if k.ID == id && len(k.Public) == ed25519.PublicKeySize && KeyID(k.Public) == id {
			return k, true
		}
	}
	return ApproverKey{}, false
}

// sound answers why a set is none. A set without keys would lock everybody
// out for good.
func (s ApproverSet) sound() error {
	if len(s.Keys) == 0 || len(s.Keys) > maxKeys {
		return refuse(BadSet, "a set of approvers has 1 to %d keys, not %d", maxKeys, len(s.Keys))
	}
	seen := map[string]bool{}
	for _, k := range s.Keys {
		if _, ok := s.key(k.ID); !ok || seen[k.ID] || k.Name == "" || !readable(k.Name) {
			return refuse(BadSet, "key %q is twice in the set, has no name, or is not what its ID says", k.ID)
		}
		seen[k.ID] = true
	}
	return nil
}

// Root refuses a first set that is not the one whose hash was pinned when the
// agent joined.
func Root(set ApproverSet, pin string) error {
	if set.Version != 1 || set.PreviousHash != "" {
		return refuse(WrongVersion, "a first set of approvers has version 1 and follows none")
	}
	if set.Hash() != pin || pin == "" {
		return refuse(WrongRoot, "the set of approvers is not the one that this host was joined with")
	}
	return set.sound()
}

// Follows refuses a set that is not the next one after current. What follows
// is signed by a key of current; a set that is older, or that skips one, or
// another one of the same version, is refused.
func Follows(current, next ApproverSet) error {
	if next.Version != current.Version+1 {
		return refuse(WrongVersion, "after version %d of the approvers comes %d, not %d", current.Version, current.Version+1, next.Version)
	}
	if next.PreviousHash != current.Hash() {
		return refuse(WrongPredecessor, "version %d of the approvers does not follow the version %d that is known", next.Version, current.Version)
	}
	key, ok := current.key(next.SignedBy)
	if !ok {
		return refuse(UnknownApprover, "key %q is not one that may change the approvers", next.SignedBy)
	}
	if !ed25519.Verify(key.Public, next.message(), next.Signature) {
		return refuse(BadSignature, "the signature is not %s's on this set of approvers", key.Name)
	}
	return next.sound()
}

// Chain walks from the pinned root to the newest set and answers it.
func Chain(pin string, sets []ApproverSet) (ApproverSet, error) {
	if len(sets) == 0 {
		return ApproverSet{}, refuse(BadSet, "there is no set of approvers")
	}
	if err := Root(sets[0], pin); err != nil {
		return ApproverSet{}, err
	}
	for i, next := range sets[1:] {
		if err := Follows(sets[i], next); err != nil {
			return ApproverSet{}, err
		}
	}
	return sets[len(sets)-1], nil
}
