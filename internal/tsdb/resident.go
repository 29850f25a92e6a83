package tsdb

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
	promclient "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/procfs"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"reeve/internal/resident"
)

// A database maps its files, and what was read of them counts as memory of the
// process until they are unmapped, hours later: a merge of blocks would count
// with all that it reads. So what was read is let go of. It stays in the page
// cache, where who reads it next finds it.
//
// To let go of what was unmapped meanwhile, with something else in its place,
// would destroy that. Hence the two who do it: the compactor of a database,
// which is called under the lock under which blocks and the files of the head
// are unmapped (DB.cmtx of Prometheus, in the version of go.mod; DB.Close waits
// for it), and who reads blocks that are not unmapped before it is done. Files
// of a block that is being written are no business of theirs.

// mappingOf answers where files that are ours are mapped.
func mappingOf(ours func(path string) bool) (resident.Mapping, error) {
	return resident.Of(func(m *procfs.ProcMap) bool { return m.Perms.Shared && ours(m.Pathname) })
}

// partOf answers the name of the part of a database that a file belongs to:
// the first below its directory.
func partOf(dir, path string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(path, dir+string(filepath.Separator))
	name, _, deep := strings.Cut(rest, string(filepath.Separator))
	return name, ok && deep
}

// settled tells the parts that are unmapped under the lock of the database:
// blocks, unless they are being written, and the files of the head.
func settled(name string) bool {
	_, err := ulid.ParseStrict(name)
	return err == nil || name == "chunks_head"
}

// heldBlocks is what a reader of a span holds of the blocks of a database.
type heldBlocks struct {
	one     *promtsdb.DB
	span    window
	before  []*promtsdb.Block // when the reader began
	known   bool
	mapping resident.Mapping
}

// release lets go of what was read so far. Where it cannot, the compactor says so.
func (h *heldBlocks) release() {
	if !h.known {
		h.known = true
		if dir, err := truePath(h.one.Dir()); err == nil {
			held := h.blocks()
			h.mapping, _ = mappingOf(func(path string) bool {
				name, ok := partOf(dir, path)
				return ok && slices.Contains(held, name)
			})
		}
	}
	_ = h.mapping.Release()
}

// blocks answers the names of the blocks that the reader holds.
func (h *heldBlocks) blocks() (names []string) {
	for _, b := range h.one.Blocks() {
		// One that was there before and is there now was there when the reader
		// began, which holds it.
		if b.OverlapsClosedInterval(h.span.from, h.span.to) && slices.Contains(h.before, b) {
			names = append(names, b.Meta().ULID.String())
		}
	}
	return names
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

// releaseEvery is the time between two of its looks while the head or blocks
// are read.
const releaseEvery = 200 * time.Millisecond

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

// Write reads the head: series by series, which are all over its files, so that
// all of them are in memory until it is done (100 MB with a thousand agents).
// Room is made for that by what else lies about.
func (c compactor) Write(dest string, b promtsdb.BlockReader, from, to int64, base *promtsdb.BlockMeta) ([]ulid.ULID, error) {
	if b.Meta().Stats.NumSeries >= manySeries {
		c.release(c.mapping()) // what a start read of it
		debug.FreeOSMemory()
	}
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

func (c compactor) mapping() resident.Mapping {
	m, err := mappingOf(func(path string) bool {
		name, ok := partOf(c.dir, path)
		return ok && settled(name)
	})
	c.tell(err)
	return m
}

func (c compactor) release(m resident.Mapping) {
	c.tell(m.Release())
}

func (c compactor) tell(err error) {
	if err != nil {
		c.told.Do(func() { c.log.Warn("what was read of the metrics store counts as memory for long", "err", err) })
	}
}
