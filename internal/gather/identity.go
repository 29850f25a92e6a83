package gather

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"reeve/internal/collect"
	"reeve/internal/journal"
	"reeve/internal/ops"
	"reeve/internal/redact"
)

// Identity answers who this host is. Its key is made once and kept in the
// file host_key of dataDir: names and addresses may change, the key does not.
func Identity(dataDir string, env collect.Env) (ops.HostIdentity, error) {
	key, err := hostKey(filepath.Join(dataDir, hostKeyFile))
	if err != nil {
		return ops.HostIdentity{}, err
	}
	return ops.HostIdentity{Key: key, Name: hostName(env), BootID: firstLine(env.ProcPath("sys", "kernel", "random", "boot_id"))}, nil
}

const hostKeyFile = "host_key"

// Forget drops the identity of dataDir: this host is a new one then.
func Forget(dataDir string) error {
	if err := os.Remove(filepath.Join(dataDir, hostKeyFile)); err != nil {
		return fmt.Errorf("forget the host key: %w", err)
	}
	return nil
}

func hostKey(path string) (string, error) {
	key := firstLine(path)
	switch _, err := os.Stat(path); {
	case err == nil && ops.IDKind(key) == ops.HostID:
		return key, nil
	case err == nil:
		return "", ops.Errorf(ops.Invalid, "%s does not hold a host key; put it back from a backup, or remove it to appear as a new host", path)
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	key = ops.NewID(ops.HostID)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("keep the host key: %w", err)
	}
	if err := journal.Replace(path, []byte(key+"\n")); err != nil {
		return "", fmt.Errorf("keep the host key: %w", err)
	}
	return key, nil
}

// hostName answers the host's name: that of its tree, since the process may
// be in a container with a name of its own.
func hostName(env collect.Env) string {
	if name := firstLine(env.RootPath("etc", "hostname")); name != "" {
		return name
	}
	if name, err := os.Hostname(); env.Live && err == nil && name != "" {
		return redact.Line(name, 253)
	}
	if name := filepath.Base(env.Root); !env.Live && name != "." && name != "/" {
		return redact.Line(name, 253)
	}
	return "localhost"
}

// firstLine answers the first line of a file that is neither empty nor a
// comment, "" when there is none.
func firstLine(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, 4096))
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(b) {
		if text := strings.TrimSpace(string(line)); text != "" && text[0] != '#' {
			return redact.Line(text, 253)
		}
	}
	return ""
}
