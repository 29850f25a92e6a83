package journal

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"reeve/internal/ops"
)

// UseNonce records durably that a ticket's nonce is used; a second use is a
// conflict. It is remembered until the ticket ends and Prune comes by. After
// an error the nonce may or may not count as used.
func (r *Receipts) UseNonce(nonce string, until time.Time) error {
	if nonce == "" {
		return ops.Errorf(ops.Invalid, "a ticket needs a nonce")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	path := r.path(nonce, nonceFile)
	// A file that is damaged still says that the nonce was used.
	switch _, err := os.Lstat(path); {
	case err == nil:
		return ops.Errorf(ops.Conflict, "this ticket was used before; ask for a new one")
	case !errors.Is(err, fs.ErrNotExist):
		return r.unreadable(err)
	}
	if err := r.disk.replace(path, envelope("nonce", []byte(until.UTC().Format(time.RFC3339Nano)))); err != nil {
		return r.unwritable(err)
	}
	return nil
}

// nonceEnds answers when the ticket of a nonce ends.
func (r *Receipts) nonceEnds(path string) (time.Time, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return time.Time{}, r.unreadable(err)
	}
	const remedy = "remove it when its ticket has ended"
	body, err := open("nonce", path, text, remedy)
	if err != nil {
		return time.Time{}, err
	}
	until, err := time.Parse(time.RFC3339Nano, string(body))
	if err != nil {
		return time.Time{}, ops.Because(ops.Invalid, err, "%s is damaged (it holds no time); %s", path, remedy)
	}
	return until, nil
}
