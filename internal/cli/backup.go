package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"reeve/internal/dial"
	"reeve/internal/term"
)

func (s *session) backupVerb() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Download a consistent copy of the database while the server runs", Args: takes(1, 1, "a file to write"),
		Long: `Downloads a consistent copy of the database while the server goes on. The file is
readable only for you: it holds accounts, tokens as hashes, and all findings. It
must not exist. Metrics are not in it; they are files below the data folder.`,
		Example: "  reeve backup /backup/reeve-$(date +%F).db",
		RunE: func(c *cobra.Command, args []string) error {
			size, err := s.download(c.Context(), args[0])
			if err != nil {
				return err
			}
			return s.done(map[string]any{"file": args[0], "size_bytes": size}, "%s holds the database (%s); `reeve restore` puts it back", term.Safe(args[0]), term.Bytes(float64(size)))
		},
	}
}

// download writes the backup beside its place first, so that the file is whole
// or not there.
func (s *session) download(ctx context.Context, path string) (size int64, err error) {
	if err := mustBeFree(path); err != nil {
		return 0, err
	}
	c, err := s.server.Connect()
	if err != nil {
		return 0, err
	}
	answer, err := c.Do(ctx, http.MethodPost, "/api/v1/backup", nil)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	part := path + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, fmt.Errorf("%s cannot be written (%s); another backup may be under way, or one was interrupted and left this file", part, dial.LastReason(err))
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part))
		}
	}()
	size, err = io.Copy(f, answer.Body)
	if err == nil && answer.ContentLength >= 0 && size != answer.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, errors.Join(fmt.Errorf("the download broke off after %s: %s", term.Bytes(float64(size)), dial.LastReason(err)), f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return 0, fmt.Errorf("write %s: %w", part, err)
	}
	if err := mustBeFree(path); err != nil {
		return 0, err
	}
	return size, os.Rename(part, path)
}

func mustBeFree(path string) error {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if folder, err := os.Stat(filepath.Dir(path)); err != nil || !folder.IsDir() {
			return wrongUse("there is no folder %s", filepath.Dir(path))
		}
		return nil
	}
	if err != nil {
		return wrongUse("%s cannot be written (%s)", path, dial.LastReason(err))
	}
	return wrongUse("%s exists already; name a new file", path)
}
