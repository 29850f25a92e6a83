package agent

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"reeve/internal/gather"
	"reeve/internal/link"
	"reeve/internal/linkpb"
	"reeve/internal/ops"
	"reeve/internal/pki"
)

// A Joining is the line that a server printed.
type Joining struct {
	Address   string
	Token     string
	Authority string // fingerprint
	Approvers string // hash of the root of the approvers, "" for a host where nothing may be changed
}

// whole refuses a line of which something was cut off, before the token is
// spent: a server would seem to be another's, and no order would ever be taken.
func (j Joining) whole() error {
	if hash, ok := strings.CutPrefix(j.Authority, "sha256:"); !ok || !isHash(hash) {
		return ops.Errorf(ops.Invalid, "--authority %q is not sha256: and 64 hex digits; paste the whole line that `reeve host add NAME` prints on the server", j.Authority)
	}
	if j.Approvers != "" && !isHash(j.Approvers) {
		return ops.Errorf(ops.Invalid, "--approvers %q is not 64 hex digits; paste the whole line that `reeve host add NAME` prints on the server", j.Approvers)
	}
	return nil
}

// isHash says whether a text is a SHA-256 as a server prints it.
func isHash(text string) bool {
	sum, err := hex.DecodeString(text)
	return err == nil && len(sum) == sha256.Size && strings.ToLower(text) == text
}

// Join lets this host join a server and keeps what it needs from then on. It
// answers the host's name there. The key is made here and never leaves.
func Join(ctx context.Context, o Options, j Joining) (name string, err error) {
	address, err := link.ParseAddress(j.Address)
	if err != nil {
		return "", err
	}
	if err := j.whole(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return "", ops.Because(ops.Unavailable, err, "the folder %s cannot be made; run as root, or choose another with --data DIR", o.Data)
	}
	if err := mayPin(o, j); err != nil {
		return "", err
	}
	unlock, err := lock(o.Data)
	if err != nil {
		return "", err
	}
	defer unlock()
	key, err := pki.NewHostKey()
	if err != nil {
		return "", err
	}
	answer, err := enrol(ctx, o, j, address, key)
	if ops.KindOf(err) == ops.NotFound {
		// The host was removed: its name in reports is spent, this is a new one.
		if err := forget(o.Data); err != nil {
			return "", err
		}
		answer, err = enrol(ctx, o, j, address, key)
	}
	if err != nil {
		return "", err
	}
	if err := fits(key, answer.GetCertificate()); err != nil {
		return "", err
	}
	if err := keepKey(o.Data, key); err != nil {
		return "", err
	}
	if err := keepCert(o.Data, answer.GetCertificate(), answer.GetTrust()); err != nil {
		return "", err
	}
	id, err := gather.Identity(o.Data, o.env(slog.New(slog.DiscardHandler)))
	if err != nil {
		return "", err
	}
	if err := keepPin(o, pin{Host: id.Key, Approvers: j.Approvers}); err != nil {
		return "", err
	}
	// The server's file comes last: with it the agent has joined.
	if err := keepServer(o.Data, server{Address: j.Address, Name: answer.GetName()}); err != nil {
		return "", err
	}
	return answer.GetName(), giveBack(o.Data)
}

func enrol(ctx context.Context, o Options, j Joining, address link.Address, key *ecdsa.PrivateKey) (*linkpb.EnrolResponse, error) {
	env := o.env(slog.New(slog.DiscardHandler))
	id, err := gather.Identity(o.Data, env)
	if err != nil {
		return nil, err
	}
	request, err := pki.Request(key, id.Key)
	if err != nil {
		return nil, err
	}
	host := link.PackHost(id)
	host.Machine = machine(env)
	d := link.Dialer{Address: address, Now: time.Now}
	return d.Enrol(ctx, j.Authority, &linkpb.EnrolRequest{Token: j.Token, Request: request, Host: host, Version: o.Version})
}

// fits refuses a certificate that is not for the key.
func fits(key *ecdsa.PrivateKey, der []byte) error {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return ops.Because(ops.Invalid, err, "the server answered with a certificate that cannot be read")
	}
	public, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok || !public.Equal(key.Public()) {
		return ops.Errorf(ops.Invalid, "the server answered with a certificate for another key")
	}
	return nil
}

// digest names a state of settings.
func digest(b []byte) [32]byte { return sha256.Sum256(b) }

func (o Options) collectorsDir() string { return filepath.Join(o.Data, collectorsFolder) }
