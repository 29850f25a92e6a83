package agent

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"reeve/internal/journal"
	"reeve/internal/ops"
)

// pinFile says what the part that performs believes. It reads nothing that
// the watching part could have written.
const pinFile = "approvers.pin"

// A pin came with the line to join with and never from the server later.
type pin struct {
	// Host is the key of this host: an order for another one is refused, so
	// who could change it could turn an order for one host against another.
	Host string `json:"host"`
	// Approvers is the hash of the root of those who may approve changes.
	Approvers string `json:"approvers"`
}

// mayPin refuses to join with approvers whoever could not keep the pin, before
// the token is spent.
func mayPin(o Options, j Joining) error {
	if j.Approvers == "" {
		return nil
	}
	err := os.MkdirAll(o.etc(), 0o755)
	if err == nil {
		err = unix.Access(o.etc(), unix.W_OK)
	}
	if err != nil {
		return ops.Because(ops.Forbidden, err, "%s cannot be written, where root keeps who may approve changes; run as root, or leave out --approvers for a host where nothing is ever changed", o.etc())
	}
	return trustedFolders(o.etc())
}

// keepPin writes what the line to join with said. A host that joins without
// approvers has no pin.
func keepPin(o Options, p pin) error {
	path := filepath.Join(o.etc(), pinFile)
	if p.Approvers == "" {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return ops.Because(ops.Unavailable, err, "%s cannot be removed; run as root", path)
		}
		return nil
	}
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	if err := journal.Replace(path, append(text, '\n')); err != nil {
		return err
	}
	return os.Chmod(path, 0o644) // no secret: the watching part sees whether orders are taken
}

// readPin answers the pin, fs.ErrNotExist on a host where nothing is ever
// changed.
func readPin(o Options) (p pin, err error) {
	path := filepath.Join(o.etc(), pinFile)
	text, err := readTrusted(path)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(text, &p); err != nil || p.Host == "" || p.Approvers == "" {
		return p, ops.Errorf(ops.Invalid, "%s is damaged; let the host join again: `reeve host add NAME` on the server", path)
	}
	return p, nil
}

// orders answers the pin of an agent that takes orders; ok is false where it
// only watches. A pin that cannot be believed is no reason not to watch.
func (o Options) orders(log *slog.Logger) (p pin, ok bool) {
	if ReadOnly {
		return p, false
	}
	p, err := readPin(o)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Error("no orders are taken, this agent only watches", "err", err)
	}
	return p, err == nil
}

// ForgetPin drops whom a host believes.
func ForgetPin(o Options) error { return keepPin(o, pin{}) }

// giveBack makes the owner of the data folder own what join wrote there as
// root: the agent runs as that user.
func giveBack(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	info, err := root.Stat(".")
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	for _, name := range []string{serverFile, certFile, keyFile, trustFile, "host_key", "lock"} {
		if err := root.Lchown(name, int(owner.Uid), int(owner.Gid)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return ops.Because(ops.Unavailable, err, "%s cannot be given to the agent's user", filepath.Join(dir, name))
		}
	}
	return nil
}
