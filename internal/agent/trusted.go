package agent

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"reeve/internal/ops"
)

// EtcFolder is where root keeps what an agent believes: who may approve
// changes, and whose releases are good. The watching part, which talks with
// the network, must not be able to write there.
const EtcFolder = "/etc/reeve-agent"

// etc answers the folder of what is believed. An agent of one process in a
// folder of its own keeps it there.
func (o Options) etc() string {
	if o.Etc != "" {
		return o.Etc
	}
	return o.Data
}

const maxTrusted = 64 << 10

// readTrusted reads a file that nobody but root, or the user that this process
// runs as, can have written. Without one it answers fs.ErrNotExist.
func readTrusted(path string) ([]byte, error) {
	if err := trustedFolders(filepath.Dir(path)); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := trusted(path, info, 0); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, maxTrusted))
}

// trustedFolders refuses a folder in which, or above which, others can put
// something of theirs in another's place.
func trustedFolders(dir string) error {
	whole, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	resolved, err := filepath.EvalSymlinks(whole)
	if err != nil {
		return err
	}
	for _, leaf := range []string{whole, resolved} {
		for d := leaf; ; d = filepath.Dir(d) {
			info, err := os.Lstat(d)
			if err != nil {
				return err
			}
			// In a sticky folder others cannot take away what is not theirs,
			// but could have put the file there.
			forgiven := fs.FileMode(0)
			if d != leaf {
				forgiven = fs.ModeSticky
			}
			if err := trusted(d, info, forgiven); err != nil {
				return err
			}
			if d == filepath.Dir(d) {
				break
			}
		}
	}
	return nil
}

// trusted refuses what others than root and this process's user can write.
func trusted(path string, info fs.FileInfo, forgiven fs.FileMode) error {
	distrust := func(why string) error {
		return ops.Errorf(ops.Forbidden, "%s is not believed: %s; it must be of root and writable by root alone", path, why)
	}
	switch owner := ownerOf(info); {
	case owner != 0 && owner != os.Geteuid():
		return distrust(fmt.Sprintf("user %d owns it", owner))
	case info.Mode()&fs.ModeSymlink != 0:
		return nil // what it leads to is looked at too
	case !info.IsDir() && !info.Mode().IsRegular():
		return distrust("it is no plain file")
	case info.Mode().Perm()&0o022 != 0 && info.Mode()&forgiven == 0:
		return distrust(fmt.Sprintf("others may write it (%v)", info.Mode()))
	}
	return nil
}

func ownerOf(info fs.FileInfo) int {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1
	}
	return int(s.Uid)
}
