package agent

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"reeve/internal/journal"
	"reeve/internal/ops"
	"reeve/internal/pki"
)

// The files of an agent in its data folder.
const (
	keyFile    = "agent.key"
	certFile   = "agent.crt"
	trustFile  = "trust.crt"
	serverFile = "server.json"
)

// A joined is what an agent keeps of having joined.
type joined struct {
	server server
	key    *ecdsa.PrivateKey
	cert   *tls.Certificate
	trust  []*x509.Certificate
}

// A server is where an agent belongs.
type server struct {
	Address string `json:"address"` // with which it joined
	// Others are addresses that servers named since, to be tried when the
	// first does not answer.
	Others []string `json:"others,omitempty"`
	Name   string   `json:"name"` // of this host there
}

// all answers every address, the one that it joined with first.
func (s server) all() []string { return append([]string{s.Address}, s.Others...) }

// notJoined says what to do about an agent without a server.
func notJoined(dir string) error {
	return ops.Errorf(ops.Conflict, "this host has not joined a Reeve server (nothing in %s): on the server, `reeve host add NAME` prints the line to paste here", dir)
}

// readJoined reads what was kept.
func readJoined(dir string) (j joined, err error) {
	text, err := os.ReadFile(filepath.Join(dir, serverFile))
	if errors.Is(err, fs.ErrNotExist) {
		return j, notJoined(dir)
	}
	if err != nil {
		return j, ops.Because(ops.Unavailable, err, "%s cannot be read; run as the agent's user, or name its folder with --data", filepath.Join(dir, serverFile))
	}
	if err := json.Unmarshal(text, &j.server); err != nil {
		return j, damaged(dir, err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, certFile), filepath.Join(dir, keyFile))
	if err != nil {
		return j, damaged(dir, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return j, damaged(dir, errors.New("the key is of another kind"))
	}
	j.key, j.cert = key, &pair
	text, err = os.ReadFile(filepath.Join(dir, trustFile))
	if err != nil {
		return j, damaged(dir, err)
	}
	if j.trust, err = pki.ParseTrust(blocks(text)); err != nil || len(j.trust) == 0 {
		return j, damaged(dir, err)
	}
	return j, nil
}

func damaged(dir string, err error) error {
	return ops.Because(ops.Invalid, err, "the identity of this agent in %s is damaged; let it join again: `reeve host add NAME` on the server", dir)
}

func blocks(text []byte) (all [][]byte) {
	for {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			return all
		}
		all = append(all, b.Bytes)
	}
}

// keepKey writes the agent's key.
func keepKey(dir string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return journal.Replace(filepath.Join(dir, keyFile), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

// keepCert writes a certificate, and the authorities to trust.
func keepCert(dir string, cert []byte, trust [][]byte) error {
	if err := keepTrust(dir, trust); err != nil {
		return err
	}
	return journal.Replace(filepath.Join(dir, certFile), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
}

func keepTrust(dir string, trust [][]byte) error {
	if _, err := pki.ParseTrust(trust); err != nil || len(trust) == 0 {
		return ops.Because(ops.Invalid, err, "the server names no authority that can be trusted")
	}
	var text []byte
	for _, der := range trust {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return journal.Replace(filepath.Join(dir, trustFile), text)
}

func keepServer(dir string, s server) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return journal.Replace(filepath.Join(dir, serverFile), append(text, '\n'))
}

// Forget drops who the agent is, so that it can join as a new host: for a
// copy of another machine's disk. An agent that runs would go on as who it was.
func Forget(dir string) error {
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	return forget(dir)
}

// forget is Forget for who holds the lock.
func forget(dir string) error {
	for _, name := range []string{serverFile, certFile, keyFile, trustFile, "host_key", sequenceFile, settingsFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return ops.Because(ops.Unavailable, err, "%s cannot be removed", filepath.Join(dir, name))
		}
	}
	for _, name := range []string{spoolFolder, collectorsFolder} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return ops.Because(ops.Unavailable, err, "%s cannot be removed", filepath.Join(dir, name))
		}
	}
	return nil
}
