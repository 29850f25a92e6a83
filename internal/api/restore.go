package api

import (
	"net/http"
	"path"
	"sync"
	"sync/atomic"

	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/rest"
	"reeve/internal/store"
)

const (
	// restoreBytes bounds an uploaded backup. Where the disk has less room the
	// upload ends there.
	restoreBytes = 64 << 30
	// uploadType is what the body says that it is, so that no form of a page
	// can be taken for a backup.
	uploadType = "application/vnd.sqlite3"
)

// restores lets one backup at a time be uploaded, and none after one that is
// staged: this server ends.
type restores struct {
	busy   sync.Mutex
	staged atomic.Bool
}

// restore checks a backup and stages it, then asks the process to start again
// with it. The answer goes out before the listeners close.
func (s *Server) restore(w http.ResponseWriter, r *http.Request) error {
	if r.Header.Get("Content-Type") != uploadType {
		return rest.WithStatus(http.StatusUnsupportedMediaType, ops.Errorf(ops.Invalid, "the body must be a backup and say so: Content-Type: %s", uploadType))
	}
	if r.ContentLength < 0 {
		return rest.WithStatus(http.StatusLengthRequired, ops.Errorf(ops.Invalid, "the request must say how long the backup is: Content-Length"))
	}
	if !s.restores.busy.TryLock() {
		return ops.Errorf(ops.Conflict, "another backup is being restored; wait until it is done")
	}
	defer s.restores.busy.Unlock()
	if s.restores.staged.Load() {
		return ops.Errorf(ops.Conflict, "another backup was restored just now; wait until the server is ready again")
	}
	name := "the backup"
	if given := r.URL.Query().Get("name"); given != "" && rest.PlainText(given) {
		name = redact.Line(path.Base(given), 100)
	}
	backup := store.Backup{Name: name, Size: r.ContentLength, Content: r.Body}
	done, err := s.store.StageRestore(r.Context(), s.now(), backup, rest.CallerOf(r.Context()).Why(""))
	if err != nil {
		return err
	}
	s.restores.staged.Store(true)
	defer s.deps.Restart()
	s.log.InfoContext(r.Context(), "a backup is staged; starting again with it", "backup", name, "kept", done.Kept)
	return rest.Reply(w, r, done)
}
