package tsdb

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
	promclient "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/procfs"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"golang.org/x/sys/unix"
)

// A database maps its files, and what was read of them counts as memory of the
// process until they are unmapped, hours later: a merge of blocks would count
// with all that it reads. So what was read is let go of. It stays in the page
// cache, where who reads it next finds it.
//
// To let go of what was unmapped meanwhile, with something else in its place,
// would destroy that. Hence the two who do it: the compactor, which is called
// under the lock under which everything is unmapped (DB.cmtx of Prometheus, in
// the version of go.mod), and who reads blocks that are not unmapped before it
// is done.

// mapping is where files are mapped.
type mapping []*procfs.ProcMap

// mappingOf answers where the files below directories are mapped, for reading
// only; nothing where there is no /proc.
func mappingOf(dirs ...string) (m mapping, err error) {
	self, err := procfs.Self()
	if err != nil {
		return nil, fmt.Errorf("read what is mapped: %w", err)
	}
	all, err := self.ProcMaps()
	if err != nil {
		return nil, fmt.Errorf("read what is mapped: %w", err)
	}
	for _, one := range all {
		within := func(dir string) bool { return strings.HasPrefix(one.Pathname, dir+string(filepath.Separator)) }
		if one.Perms.Shared && !one.Perms.Write && slices.ContainsFunc(dirs, within) {
			m = append(m, one)
		}
	}
	return m, nil
}

// release lets go of what was read.
func (m mapping) release() error {
	for _, one := range m {
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, one.StartAddr, one.EndAddr-one.StartAddr, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("let go of %s: %w", one.Pathname, errno)
		}
	}
	return nil
}

// heldBlocks is what a reader of a span holds of the blocks of a database.
type heldBlocks struct {
	one    *promtsdb.DB
	span   window
	before []*promtsdb.Block // when the reader began
	known  bool
	mapping
}

// release lets go of what was read so far. Where it cannot, the compactor says so.
func (h *heldBlocks) release() {
	if !h.known {
		h.known = true
		h.mapping, _ = mappingOf(h.dirs()...)
	}
	_ = h.mapping.release()
}

func (h *heldBlocks) dirs() (dirs []string) {
	for _, b := range h.one.Blocks() {
		// One that was there before and is there now was there when the reader
		// began, which holds it.
		if !b.OverlapsClosedInterval(h.span.from, h.span.to) || !slices.Contains(h.before, b) {
			continue
		}
		if dir, err := truePath(b.Dir()); err == nil {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// truePath answers a path as the kernel knows it.
func truePath(path string) (string, error) {
	whole, err := filepath.Abs(path)
	if err == nil {
		whole, err = filepath.EvalSymlinks(whole)
	}
	if err != nil {
		return "", fmt.Errorf("find a directory of the metrics store: %w", err)
	}
	return whole, nil
}

// compactor lets go of what was read of a database whenever it is called.
type compactor struct {
	promtsdb.Compactor
	dir  string
	log  *slog.Logger
	told *sync.Once // that it cannot
}

// releaseEvery is the time between two of its looks while blocks are read.
const releaseEvery = time.Second

func newCompactor(dir string) promtsdb.NewCompactorFunc {
	return func(ctx context.Context, r promclient.Registerer, log *slog.Logger, ranges []int64, pool chunkenc.Pool, o *promtsdb.Options) (promtsdb.Compactor, error) {
		whole, err := truePath(dir)
		if err != nil {
			return nil, err
		}
		c, err := promtsdb.NewLeveledCompactorWithOptions(ctx, r, log, ranges, pool, promtsdb.LeveledCompactorOptions{
			MaxBlockChunkSegmentSize:    o.MaxBlockChunkSegmentSize,
			EnableOverlappingCompaction: o.EnableOverlappingCompaction,
		})
		if err != nil {
			return nil, err
		}
		return compactor{Compactor: c, dir: whole, log: log, told: new(sync.Once)}, nil
	}
}

// Plan is called every minute.
func (c compactor) Plan(dir string) ([]string, error) {
	c.release(c.mapping())
	return c.Compactor.Plan(dir)
}

// Write reads the head.
func (c compactor) Write(dest string, b promtsdb.BlockReader, from, to int64, base *promtsdb.BlockMeta) ([]ulid.ULID, error) {
	defer c.meanwhile()()
	return c.Compactor.Write(dest, b, from, to, base)
}

// Compact reads blocks.
func (c compactor) Compact(dest string, dirs []string, open []*promtsdb.Block) ([]ulid.ULID, error) {
	defer c.meanwhile()()
	return c.Compactor.Compact(dest, dirs, open)
}

// meanwhile lets go of what is read until end is called.
func (c compactor) meanwhile() (end func()) {
	// What is mapped now stays so for as long; what the compactor itself maps
	// may not.
	m, stop, done := c.mapping(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(releaseEvery)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				c.release(m)
			}
		}
	}()
	return func() {
		close(stop)
		<-done
		c.release(m)
	}
}

func (c compactor) mapping() mapping {
	m, err := mappingOf(c.dir)
	c.tell(err)
	return m
}

func (c compactor) release(m mapping) {
	c.tell(m.release())
}

func (c compactor) tell(err error) {
	if err != nil {
		c.told.Do(func() { c.log.Warn("what was read of the metrics store counts as memory for long", "err", err) })
	}
}
