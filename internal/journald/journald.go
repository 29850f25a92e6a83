// Package journald reads what is new in the systemd journal of a host,
// through journalctl.
package journald

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"time"

	"reeve/internal/collect"
)

// ErrAbsent says that the host keeps no journal, or that journalctl cannot
// read it.
var ErrAbsent = errors.New("no journal")

// maxOutput bounds what is parsed of one answer of journalctl, in bytes.
const maxOutput = 4 << 20

// settled is how long after a file was written its time says that all was
// read: within it another entry may have come at the same time.
const settled = 2 * time.Second

// A Reader reads a journal from where it last ended.
type Reader struct {
	Env collect.Env
	// Lines and Bytes bound one reading; of more the newest are answered.
	Lines, Bytes int
	// Cursor is the last entry that was read, "" before the first. A reading
	// without a cursor only finds the end of the journal.
	Cursor string

	written time.Time // when the journal had last been written at the last reading, zero to read it anyhow
	partial bool
}

// Partial reports whether the last reading lacked the permission to see every
// entry.
func (r *Reader) Partial() bool { return r.partial }

// Read answers what was written since the last reading, oldest first. It runs
// journalctl only where a file of the journal was touched since: on a quiet
// host starting it costs more than all that is read.
func (r *Reader) Read(ctx context.Context, now time.Time) ([]Entry, error) {
	written := r.lastWritten(now)
	if written.IsZero() {
		return nil, ErrAbsent
	}
	if written.Equal(r.written) {
		return nil, nil
	}
	r.written = time.Time{}
	entries, whole, err := r.ask(ctx)
	if err == nil && whole && now.Sub(written) >= settled {
		r.written = written
	}
	return entries, err
}

// lastWritten answers when a file of the journal was last written, added or
// removed: its service touches a file after it wrote to it through its memory
// (journal_file_post_change of systemd). It is now where that cannot be told,
// and zero without a journal.
func (r *Reader) lastWritten(now time.Time) (at time.Time) {
	for _, dir := range []string{"var/log/journal", "run/log/journal"} {
		root := r.Env.RootPath(dir)
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if path == root && errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err == nil && info.ModTime().After(at) {
				at = info.ModTime()
			}
			return err
		})
		if err != nil {
			return now
		}
	}
	return at
}

// ask runs journalctl. Whole is false where the cursor is of a journal that is
// gone: the next reading has to find the end of the new one.
func (r *Reader) ask(ctx context.Context) (entries []Entry, whole bool, err error) {
	args := []string{"--output=json", "--no-pager", "--lines=1"}
	if r.Cursor != "" {
		args = []string{"--output=json", "--no-pager", "--lines=" + strconv.Itoa(r.Lines), "--after-cursor=" + r.Cursor}
	}
	answer, err := r.Env.Run(ctx, "journalctl", args...)
	if err != nil {
		return nil, false, fmt.Errorf("read the journal: %w", err)
	}
	r.partial = bytes.Contains(answer.Stderr, []byte("not seeing messages from other users"))
	if answer.Exit != 0 && len(answer.Stdout) == 0 {
		if r.Cursor != "" && bytes.Contains(bytes.ToLower(answer.Stderr), []byte("cursor")) {
			r.Cursor = ""
			return nil, false, nil
		}
		return nil, false, ErrAbsent
	}
	entries, cursor := parse(answer.Stdout[:min(len(answer.Stdout), maxOutput)], r.Bytes)
	if r.Cursor == "" {
		entries = nil
	}
	r.Cursor = cmp.Or(cursor, r.Cursor)
	return entries, true, nil
}
