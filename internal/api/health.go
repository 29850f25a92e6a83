package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/store"
)

// healthz says that the process answers.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) error {
	return writeText(w, "ok\n")
}

// readyz says that the process can do its work: the database answers.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	if _, _, err := s.store.Head(r.Context()); err != nil {
		return ops.Because(ops.Unavailable, err, "the database does not answer")
	}
	if s.restores.staged.Load() {
		return ops.Errorf(ops.Unavailable, "Reeve starts again with a restored database")
	}
	if err := s.deps.Ready(); err != nil {
		return ops.Because(ops.Unavailable, err, "Reeve is not ready yet")
	}
	return writeText(w, "ready\n")
}

func writeText(w http.ResponseWriter, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, text) // The client went away; there is nobody to tell.
	return nil
}

// selfMetrics serves Prometheus metrics about Reeve: to whoever may read
// metrics, and to programs on this machine.
func (s *Server) selfMetrics() func(http.ResponseWriter, *http.Request) error {
	h := promhttp.HandlerFor(s.deps.Self, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4})
	return func(w http.ResponseWriter, r *http.Request) error {
		c := rest.CallerOf(r.Context())
		if !c.Local {
			if err := c.May(rest.MetricsRead); err != nil {
				return err
			}
		}
		h.ServeHTTP(w, r)
		return nil
	}
}

// downloadPrefix begins the names of the folders in which a download waits.
const downloadPrefix = ".download-"

// dropDownloads removes what a process that died left of its downloads.
func dropDownloads(dataDir string) error {
	left, err := filepath.Glob(filepath.Join(dataDir, downloadPrefix+"*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// backup streams a consistent copy of the database, made beside it first so
// that nothing waits for a slow download.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) (err error) {
	ctx := r.Context()
	dir, err := os.MkdirTemp(s.deps.DataDir, downloadPrefix)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "reeve.db")
	if err := s.store.Backup(ctx, path); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := s.recordBackup(ctx, info.Size()); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/vnd.sqlite3")
	h.Set("Content-Disposition", `attachment; filename="reeve-`+s.now().UTC().Format("20060102-150405")+`.db"`)
	h.Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	h.Set("Cache-Control", "no-store")
	_, _ = io.Copy(w, f) // The client went away; the length tells it that the copy is not whole.
	return nil
}

func (s *Server) recordBackup(ctx context.Context, size int64) error {
	return s.store.Tx(ctx, s.now(), func(tx *store.Tx) error {
		w := rest.CallerOf(ctx).Why("")
		tx.Record(ops.Transition{Actor: w.Actor, OnBehalf: w.OnBehalf, Verb: "backup", Object: "settings", ObjectID: "database",
			Facts: map[string]string{"size_bytes": strconv.FormatInt(size, 10)}})
		return nil
	})
}
