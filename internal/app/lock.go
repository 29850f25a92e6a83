package app

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"reeve/internal/ops"
)

// lockData keeps a second process off a data folder: two writers would tear
// the metrics store apart.
func lockData(dir string) (unlock func() error, err error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, ops.Because(ops.Invalid, err, "the data folder %s cannot be written; choose another with --data DIR, or run as its owner", dir)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		who := make([]byte, 20)
		n, _ := f.ReadAt(who, 0)
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ops.Errorf(ops.Conflict, "another Reeve (process %s) uses the data folder %s; stop it, or choose another folder with --data DIR", strings.TrimSpace(string(who[:n])), dir)
		}
		return nil, ops.Because(ops.Internal, err, "the data folder %s cannot be locked", dir)
	}
	if err := errors.Join(f.Truncate(0), writeAt(f, strconv.Itoa(os.Getpid()))); err != nil {
		f.Close()
		return nil, ops.Because(ops.Invalid, err, "the data folder %s cannot be written", dir)
	}
	return f.Close, nil
}

// lockDatabase keeps a second server off a database file that is not in its
// own data folder.
func lockDatabase(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, ops.Because(ops.Invalid, err, "the folder of the database %s cannot be written", path)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ops.Errorf(ops.Conflict, "another Reeve uses the database %s: one SQLite file takes one server; stop the other, or keep the state of both in PostgreSQL (--database postgres://...)", path)
		}
		return nil, ops.Because(ops.Internal, err, "the database %s cannot be locked", path)
	}
	return f.Close, nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}
