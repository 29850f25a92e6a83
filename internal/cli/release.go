package cli

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"reeve/internal/ops"
	"reeve/internal/release"
	"reeve/internal/term"
)

func (s *session) releaseVerb() *cobra.Command {
	c := &cobra.Command{Use: "release", Short: "Make a key for releases, and sign programs that agents may upgrade to", Args: cobra.ArbitraryArgs, RunE: group,
		Example: "  reeve release key release.key\n  reeve release sign release.key dist/reeve-agent-linux-amd64 --version v1.2.3"}
	c.AddCommand(s.releaseKeyVerb(), s.releaseSignVerb())
	return c
}

func (s *session) releaseKeyVerb() *cobra.Command {
	return &cobra.Command{Use: "key FILE", Short: "Make a key: FILE to sign with, FILE.pub to pin on hosts as /etc/reeve-agent/release.pub", Args: takes(1, 1, "a file"),
		Example: "  reeve release key release.key",
		RunE: func(_ *cobra.Command, args []string) error {
			public, private, err := ed25519.GenerateKey(rand.Reader)
			if err != nil {
				return err
			}
			if err := writeNew(args[0], release.SecretText(private), 0o600); err != nil {
				return err
			}
			if err := writeNew(args[0]+".pub", release.PublicText(public), 0o644); err != nil {
				return err
			}
			return s.done(map[string]any{"key": args[0], "public": args[0] + ".pub"}, "%s signs releases: keep it where no server is. %s.pub goes to hosts.", term.Safe(args[0]), term.Safe(args[0]))
		}}
}

func (s *session) releaseSignVerb() *cobra.Command {
	var version string
	c := &cobra.Command{Use: "sign KEY FILE", Short: "Sign a program: writes FILE.sig", Args: takes(2, 2, "a key and a file"),
		Long: "Writes FILE.sig: which program FILE is, for which machine, in which version, with its SHA-256, signed. Which program\n" +
			"it is and for which machine is read from FILE; the version must be the one that it was built with.",
		Example: "  reeve release sign release.key dist/reeve-agent-linux-amd64 --version v1.2.3",
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return answered(ops.Because(ops.Invalid, err, "the key %s cannot be read", args[0]))
			}
			key, err := release.ParseSecret(text)
			if err != nil {
				return err
			}
			said, err := statementOf(args[1], version)
			if err != nil {
				return err
			}
			signed, err := said.Sign(key)
			if err != nil {
				return err
			}
			if err := os.WriteFile(args[1]+".sig", signed, 0o644); err != nil {
				return err
			}
			return s.done(map[string]any{"signature": args[1] + ".sig", "program": said.Program, "version": said.Version, "platform": said.Platform},
				"%s %s for %s is signed: %s.sig", said.Program, said.Version, said.Platform, term.Safe(args[1]))
		}}
	c.Flags().StringVar(&version, "version", "", "version of the program, like v1.2.3")
	return c
}

// statementOf reads from a program what it is.
func statementOf(file, version string) (said release.Statement, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return said, answered(ops.Because(ops.Invalid, err, "%s cannot be read", file))
	}
	info, err := buildinfo.Read(bytes.NewReader(text))
	if err != nil {
		return said, answered(ops.Because(ops.Invalid, err, "%s is no program of Reeve", file))
	}
	if !bytes.Contains(text, []byte(version)) {
		return said, answered(ops.Errorf(ops.Invalid, "%s was not built as version %q", file, version))
	}
	set := map[string]string{}
	for _, x := range info.Settings {
		set[x.Key] = x.Value
	}
	sum := sha256.Sum256(text)
	said = release.Statement{Program: path.Base(info.Path), Version: version, Platform: set["GOOS"] + "/" + set["GOARCH"], SHA256: hex.EncodeToString(sum[:])}
	for tag := range strings.SplitSeq(set["-tags"], ",") {
		if tag == "readonly" {
			said.Program += "-readonly"
		}
	}
	return said, nil
}

// writeNew writes a file that must not be there.
func writeNew(file string, text []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return answered(ops.Errorf(ops.Conflict, "%s is there already", file))
	}
	if err != nil {
		return answered(ops.Because(ops.Unavailable, err, "%s cannot be written", file))
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}
