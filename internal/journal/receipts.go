package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"reeve/internal/ops"
)

// The ends of the names of the two kinds of files.
const (
	receiptFile = ".receipt"
	nonceFile   = ".nonce"
)

// Receipts are the records of the actions of this host by idempotency key,
// and the nonces of tickets that were used. Each is one small file, named by
// the digest of its key, so that nothing from outside gets into a path.
type Receipts struct {
	dir  string
	disk disk
	mu   sync.Mutex
}

// OpenReceipts opens the receipts in the folder dir, which it makes.
func OpenReceipts(dir string) (*Receipts, error) { return openReceipts(dir, disk{}) }

func openReceipts(dir string, d disk) (*Receipts, error) {
	if err := d.makeDir(dir); err != nil {
		return nil, ops.Because(ops.Unavailable, err, "the folder of receipts %s cannot be made; check who owns the one above it", dir)
	}
	r := &Receipts{dir: dir, disk: d}
	return r, r.each(temporary, d.remove)
}

// Begin records durably that the action with the given key is starting. Call
// it before the action runs, and run it only when both answers are nil.
//
// When the key is known, old is its record and nothing is written. Old in
// state Running, unless this process is running it, means that a process died
// in the middle: nobody knows what the action did, and it must not be run
// again. A fence below the recorded one, or another ticket for the same key,
// is a conflict.
func (r *Receipts) Begin(key string, fence int64, deadline time.Time, ticketDigest string) (old *Receipt, err error) {
	if key == "" || ticketDigest == "" {
		return nil, ops.Errorf(ops.Invalid, "an action needs an idempotency key and the digest of its ticket")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok, err := r.read(key)
	if err != nil {
		return nil, err
	}
	if ok {
		return known.again(fence, ticketDigest)
	}
	begun := kept{Deadline: deadline.UTC().Round(0), Receipt: Receipt{
		Key: key, TicketDigest: ticketDigest, Fence: fence, State: Running, StartedAt: time.Now().UTC().Round(0),
	}}
	if err := r.write(begun); err != nil {
		// The action will not run, so its record should not stay. If it does,
		// the action is never run, which is the safe side.
		return nil, errors.Join(err, r.disk.remove(r.path(key, receiptFile)))
	}
	return nil, nil
}

// again answers the record for a key that comes a second time.
func (k kept) again(fence int64, ticketDigest string) (*Receipt, error) {
	switch {
	case k.Receipt.TicketDigest != ticketDigest:
		return nil, ops.Errorf(ops.Conflict, "action %s was begun with another ticket; propose it anew", k.Receipt.Key)
	case fence < k.Receipt.Fence:
		return nil, ops.Errorf(ops.Conflict, "action %s comes with the fence %d, and one with %d was here before; ask for its receipt", k.Receipt.Key, fence, k.Receipt.Fence)
	}
	return &k.Receipt, nil
}

// Finish stores durably what an action came to. Of the outcome it takes
// State, EndedAt (zero is now), Output, Err, Before and After. To store the
// same outcome twice is harmless; a final outcome does not become another.
func (r *Receipts) Finish(key string, outcome Receipt) error {
	switch outcome.State {
	case Succeeded, Failed, Unknown, Refused:
	default:
		return ops.Errorf(ops.Invalid, "an action cannot end as %q", outcome.State)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok, err := r.read(key)
	if err != nil {
		return err
	}
	if !ok {
		return ops.Errorf(ops.NotFound, "action %s was never begun on this host", key)
	}
	ended := known.ended(outcome, time.Now())
	if was := known.Receipt.State; was != Running && was != Unknown && !same(known, ended) {
		return ops.Errorf(ops.Conflict, "action %s has ended as %s already", key, was)
	}
	return r.write(ended)
}

func same(a, b kept) bool {
	x, errX := a.text()
	y, errY := b.text()
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// Get answers the receipt of a key; false when the action was never begun
// here, or its receipt was pruned.
func (r *Receipts) Get(key string) (Receipt, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, ok, err := r.read(key)
	return k.Receipt, ok, err
}

// Prune removes receipts of actions that ended before the given time, and
// nonces, once their tickets ended before it too. A receipt in state Running
// stays until it is finished. What cannot be read stays, and is in the error.
func (r *Receipts) Prune(before time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	receipts := r.each(receiptFile, func(path string) error {
		k, ok, err := r.load(path)
		if err != nil || !ok || !k.over(before) {
			return err
		}
		return r.disk.remove(path)
	})
	return errors.Join(receipts, r.each(nonceFile, func(path string) error {
		until, err := r.nonceEnds(path)
		if err != nil || !until.Before(before) {
			return err
		}
		return r.disk.remove(path)
	}))
}

// each calls do with the path of each file whose name has the given end, and
// answers all errors together.
func (r *Receipts) each(end string, do func(path string) error) error {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return r.unreadable(err)
	}
	var all []error
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), end) {
			all = append(all, do(filepath.Join(r.dir, e.Name())))
		}
	}
	return errors.Join(all...)
}

// path answers where the record of a key is.
func (r *Receipts) path(key, end string) string {
	digest := sha256.Sum256([]byte(key))
	return filepath.Join(r.dir, hex.EncodeToString(digest[:])+end)
}

func (r *Receipts) read(key string) (kept, bool, error) {
	k, ok, err := r.load(r.path(key, receiptFile))
	if err == nil && ok && k.Receipt.Key != key {
		err = ops.Errorf(ops.Invalid, "%s holds the receipt of another action; remove it once you know what became of both", r.path(key, receiptFile))
	}
	return k, ok, err
}

func (r *Receipts) load(path string) (k kept, ok bool, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return kept{}, false, nil
	}
	if err != nil {
		return kept{}, false, r.unreadable(err)
	}
	const remedy = "an action was begun and what it came to is not known: look at its target, then remove the file"
	body, err := open("receipt", path, text, remedy)
	if err != nil {
		return kept{}, false, err
	}
	if err := json.Unmarshal(body, &k); err != nil {
		return kept{}, false, ops.Because(ops.Invalid, err, "%s is damaged (it holds no receipt); %s", path, remedy)
	}
	return k, true, nil
}

func (r *Receipts) write(k kept) error {
	text, err := k.text()
	if err != nil {
		return ops.Because(ops.Invalid, err, "the receipt of action %s cannot be written down", k.Receipt.Key)
	}
	if err := r.disk.replace(r.path(k.Receipt.Key, receiptFile), text); err != nil {
		return r.unwritable(err)
	}
	return nil
}

func (r *Receipts) unreadable(err error) error {
	return ops.Because(ops.Unavailable, err, "the receipts in %s cannot be read; check who owns the folder and the disk it is on", r.dir)
}

func (r *Receipts) unwritable(err error) error {
	return ops.Because(ops.Unavailable, err, "the receipts in %s cannot be written; make room on its disk", r.dir)
}
