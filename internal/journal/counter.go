package journal

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"reeve/internal/ops"
)

// block is how many numbers are reserved on the disk at once. A restart
// leaves out what was not used of the last block.
const block = 1000

// A Counter answers numbers, each greater than all before it, of this process
// and of those before it.
type Counter struct {
	path string
	disk disk

	mu       sync.Mutex
	last     int64 // the last number that was answered
	reserved int64 // up to here no other process answers a number
}

// OpenCounter opens the counter in the file path, or a new one that begins at
// 1 when there is no such file.
func OpenCounter(path string) (*Counter, error) { return openCounter(path, disk{}) }

func openCounter(path string, d disk) (*Counter, error) {
	if err := d.makeDir(filepath.Dir(path)); err != nil {
		return nil, ops.Because(ops.Unavailable, err, "the folder of the counter %s cannot be made; check who owns the one above it", path)
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Counter{path: path, disk: d}, nil
	}
	if err != nil {
		return nil, ops.Because(ops.Unavailable, err, "the counter %s cannot be read; check who owns it and the disk it is on", path)
	}
	const remedy = "put back its copy from a backup only if it is of this host's last run; otherwise enrol the host anew, " +
		"because reports with numbers that the server knows already are ignored"
	body, err := open("counter", path, text, remedy)
	if err != nil {
		return nil, err
	}
	reserved, err := strconv.ParseInt(string(body), 10, 64)
	if err != nil || reserved < 0 {
		return nil, ops.Errorf(ops.Invalid, "%s is damaged (it holds no number); %s", path, remedy)
	}
	return &Counter{path: path, disk: d, last: reserved, reserved: reserved}, nil
}

// Next answers the next number. After an error none was used; call it again
// when the disk takes writes.
func (c *Counter) Next() (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == c.reserved {
		if err := c.reserve(); err != nil {
			return 0, err
		}
	}
	c.last++
	return c.last, nil
}

// reserve claims the next block. Nothing of it is answered before the claim
// is durable.
func (c *Counter) reserve() error {
	if c.reserved > math.MaxInt64-block {
		return ops.Errorf(ops.Unavailable, "the counter %s has no numbers left; enrol the host anew", c.path)
	}
	next := c.reserved + block
	if err := c.disk.replace(c.path, envelope("counter", strconv.AppendInt(nil, next, 10))); err != nil {
		return ops.Because(ops.Unavailable, err, "the counter %s cannot be written; make room on its disk", c.path)
	}
	c.reserved = next
	return nil
}

// AtLeast makes every later number greater than n: somebody knows of n that
// this counter has forgotten.
func (c *Counter) AtLeast(n int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n <= c.last {
		return nil
	}
	if n > math.MaxInt64-block {
		return ops.Errorf(ops.Invalid, "%d leaves the counter %s no numbers", n, c.path)
	}
	last, reserved := c.last, c.reserved
	c.last, c.reserved = n, max(n, c.reserved)
	if c.reserved == reserved {
		return nil
	}
	if err := c.reserve(); err != nil {
		c.last, c.reserved = last, reserved
		return err
	}
	return nil
}
