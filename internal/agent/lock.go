package agent

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"reeve/internal/ops"
)

// lock keeps a second agent off a folder.
func lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, ops.Because(ops.Unavailable, err, "the folder %s cannot be written; run as the agent's user, or choose another with --data DIR", dir)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ops.Errorf(ops.Conflict, "another agent runs on the folder %s; stop it first: `systemctl stop reeve-agent`", dir)
		}
		return nil, err
	}
	return func() { f.Close() }, nil
}
