package cli

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"reeve/internal/approver"
	"reeve/internal/authority"
	"reeve/internal/ops"
	"reeve/internal/show"
	"reeve/internal/term"
)

// keyVariable names a file with the approver's key.
const keyVariable = "REEVE_APPROVER_KEY"

// A signer is a key with the file that it is from.
type signer struct {
	approver.Key
	file string
}

// ownKeyFile is where a person's key is.
func (s *session) ownKeyFile() (string, error) {
	if path := s.at.Variable(keyVariable); path != "" {
		return path, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("there is no folder for the key: %w", err)
	}
	return filepath.Join(dir, "reeve", approver.KeyFile), nil
}

// signers answers the keys of this machine, the one that is used first: one's
// own, then on the server's machine the one that its first start made.
func (s *session) signers() (all []signer, err error) {
	own, err := s.ownKeyFile()
	if err != nil {
		return nil, err
	}
	paths := []string{own}
	if dir := s.at.Folder(); dir != "" {
		paths = append(paths, filepath.Join(dir, approver.KeyFile))
	}
	for _, path := range paths {
		key, found, err := approver.Read(path)
		if err != nil && len(all) == 0 {
			return nil, err // it would be used, so no other is used in its stead
		}
		if err == nil && found {
			all = append(all, signer{key, path})
		}
	}
	return all, nil
}

// approverKey answers the key to sign with.
func (s *session) approverKey() (signer, error) {
	all, err := s.signers()
	if err == nil && len(all) == 0 {
		err = answered(ops.Errorf(ops.Forbidden, "you have no key to approve with: `reeve approver init NAME` makes one, and an approver adds it"))
	}
	if err != nil {
		return signer{}, err
	}
	return all[0], nil
}

// refusedKey answers an error about a signature in words that help where the
// key is not one that may approve.
func (s *session) refusedKey(ctx context.Context, key signer, err error) error {
	var a show.ApproversAnswer
	if ops.KindOf(err) != ops.Forbidden || s.server.Get(ctx, "/api/v1/approvers", &a) != nil || len(a.Sets) == 0 {
		return err
	}
	newest := a.Sets[len(a.Sets)-1].Keys
	if mayApprove(newest, key) {
		return err
	}
	public := key.Public()
	hint := "or name the file of another key in " + keyVariable
	if all, err := s.signers(); err == nil {
		for _, other := range all {
			if mayApprove(newest, other) {
				hint = fmt.Sprintf("or sign with the key of this machine that may, %s=%s", keyVariable, term.Safe(other.file))
			}
		}
	}
	return answered(ops.Errorf(ops.Forbidden, "the key that was used, of %s in %s (%s), is not one that may approve: an approver lets it count with `reeve approver add %s %s`, %s",
		term.Safe(key.Name), term.Safe(key.file), public.ID, term.Safe(key.Name), publicText(public.Public), hint))
}

func mayApprove(keys []authority.ApproverKey, key signer) bool {
	id := key.Public().ID
	return slices.ContainsFunc(keys, func(k authority.ApproverKey) bool { return k.ID == id })
}

// publicText writes a public key for a command line.
func publicText(public ed25519.PublicKey) string { return base64.RawURLEncoding.EncodeToString(public) }

// parsePublic reads a public key as `reeve approver init` prints it, or as JSON
// has it.
func parsePublic(text string) (ed25519.PublicKey, error) {
	plain := strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(strings.TrimSpace(text))
	public, err := base64.RawURLEncoding.DecodeString(plain)
	if err != nil || len(public) != ed25519.PublicKeySize {
		return nil, wrongUse("the public key is the text that `reeve approver init` prints")
	}
	return public, nil
}
