package tsdb

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"golang.org/x/sys/unix"

	"reeve/internal/ops"
)

// damagedPrefix begins the names of what was set aside because it could not
// be read. The databases do not look at such names.
const damagedPrefix = "damaged-"

// openOne opens a database. What a crash of the machine or a failing disk made
// unreadable is set aside, not deleted: samples that are left are worth more
// than a product that does not start.
func (e *embedded) openOne(name string, opts *promtsdb.Options) (*promtsdb.DB, error) {
	dir := filepath.Join(e.dir, name)
	log := slog.New(quiet{e.log.Handler(), e}).With("database", name)
	opts.NewCompactorFunc = newCompactor(dir)
	one, err := promtsdb.Open(dir, log, nil, opts, nil)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, ops.Because(ops.Conflict, err, "Another process has the metrics store in %s open.", e.dir)
	}
	for _, salvage := range []func(string) error{e.setBlocksAside, e.setLogAside} {
		if err == nil || isFull(err) {
			break
		}
		e.log.Error("metrics database cannot be opened; damaged parts are set aside", "database", name, "err", err)
		if failed := salvage(dir); failed != nil {
			return nil, errors.Join(fmt.Errorf("open the %s database of the metrics store: %w", name, err), failed)
		}
		one, err = promtsdb.Open(dir, log, nil, opts, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("open the %s database of the metrics store: %w", name, err)
	}
	return one, nil
}

// setBlocksAside renames the blocks that cannot be opened.
func (e *embedded) setBlocksAside(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look for damaged blocks: %w", err)
	}
	for _, entry := range entries {
		if _, err := ulid.ParseStrict(entry.Name()); err != nil || !entry.IsDir() {
			continue
		}
		block, err := promtsdb.OpenBlock(slog.New(slog.DiscardHandler), filepath.Join(dir, entry.Name()), nil, nil)
		if err == nil {
			err = block.Close()
		}
		if err == nil {
			continue
		}
		e.log.Error("block of the metrics store is damaged", "block", entry.Name(), "err", err)
		if err := setAside(dir, entry.Name(), entry.Name()); err != nil {
			return err
		}
	}
	return nil
}

// setLogAside renames everything that is not yet in blocks: the write-ahead
// logs and the chunks that belong to them.
func (e *embedded) setLogAside(dir string) error {
	stamp := time.Now().UTC().Format("20060102T150405")
	for _, part := range []string{"wal", "wbl", "chunks_head"} {
		err := setAside(dir, part, part+"-"+stamp)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func setAside(dir, name, as string) error {
	if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, damagedPrefix+as)); err != nil {
		return fmt.Errorf("set a damaged part of the metrics store aside: %w", err)
	}
	return nil
}

// damage says what was set aside and is still there.
func (e *embedded) damage() string {
	found, err := filepath.Glob(filepath.Join(e.dir, "*", damagedPrefix+"*"))
	if err != nil || len(found) == 0 {
		return ""
	}
	for i := range found {
		found[i], _ = filepath.Rel(e.dir, found[i])
	}
	return fmt.Sprintf("damaged parts of the metrics store were set aside in %s (%s); their samples are missing: restore or delete them", e.dir, strings.Join(found, ", "))
}
