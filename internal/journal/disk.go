package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"reeve/internal/ops"
)

// A disk does every step that changes a file. Tests look at each step before
// it is done, and may refuse it.
type disk struct {
	before func(step) error
}

// A step is one change of a file or a folder.
type step struct {
	op   string // create, write, truncate, sync, rename, remove, make_dir, sync_dir
	path string
	to   string // the new name, of rename
	at   int64  // the offset, of write; the size, of truncate
	data []byte
}

func (d disk) step(s step) error {
	if d.before == nil {
		return nil
	}
	return d.before(s)
}

// create answers a new and empty file in place of what has its name.
func (d disk) create(path string) (*os.File, error) {
	if err := d.step(step{op: "create", path: path}); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
}

func (d disk) write(f *os.File, data []byte, at int64) error {
	if err := d.step(step{op: "write", path: f.Name(), at: at, data: data}); err != nil {
		return err
	}
	_, err := f.WriteAt(data, at)
	return err
}

func (d disk) truncate(f *os.File, size int64) error {
	if err := d.step(step{op: "truncate", path: f.Name(), at: size}); err != nil {
		return err
	}
	return f.Truncate(size)
}

func (d disk) sync(f *os.File) error {
	if err := d.step(step{op: "sync", path: f.Name()}); err != nil {
		return err
	}
	return f.Sync()
}

func (d disk) rename(path, to string) error {
	if err := d.step(step{op: "rename", path: path, to: to}); err != nil {
		return err
	}
	return os.Rename(path, to)
}

// remove takes a file away; one that is not there is no error.
func (d disk) remove(path string) error {
	if err := d.step(step{op: "remove", path: path}); err != nil {
		return err
	}
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncDir makes the names in a folder durable, where the file system knows
// of that.
func (d disk) syncDir(path string) error {
	if err := d.step(step{op: "sync_dir", path: path}); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// makeDir makes a folder and those above it durably.
func (d disk) makeDir(path string) error {
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(path)
	if err := d.makeDir(parent); err != nil {
		return err
	}
	if err := d.step(step{op: "make_dir", path: path}); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.syncDir(parent)
}

// temporary ends the names of files that are not finished.
const temporary = ".tmp"

// replace leaves either the whole new file or what was there before. The new
// one is durable when it answers nil.
func (d disk) replace(path string, data []byte) error {
	f, err := d.create(path + temporary)
	if err != nil {
		return err
	}
	err = d.write(f, data, 0)
	if err == nil {
		err = d.sync(f)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = d.rename(path+temporary, path)
	}
	if err != nil {
		return errors.Join(err, d.remove(path+temporary))
	}
	return d.syncDir(filepath.Dir(path))
}

// Replace leaves at a path either the whole new file, for its owner alone, or
// what was there before. The new one is durable when it answers nil.
func Replace(path string, data []byte) error {
	if err := (disk{}).replace(path, data); err != nil {
		return ops.Because(ops.Unavailable, err, "%s cannot be written; see who owns its folder, and the room on its disk", path)
	}
	return nil
}
