package agent

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"reeve/internal/ops"
)

func pinned(t *testing.T) Options {
	t.Helper()
	o := Options{Data: t.TempDir(), Etc: filepath.Join(t.TempDir(), "etc")}
	if err := mayPin(o, Joining{Approvers: "root"}); err != nil {
		t.Fatal(err)
	}
	if err := keepPin(o, pin{Host: "host_1", Approvers: "root"}); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestPinIsReadAsItWasKept(t *testing.T) {
	o := pinned(t)
	if p, err := readPin(o); err != nil || p.Host != "host_1" || p.Approvers != "root" {
		t.Errorf("%+v %v", p, err)
	}
	// A host that joins anew without approvers takes orders of nobody.
	if err := keepPin(o, pin{Host: "host_1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := readPin(o); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestPinThatOthersCouldHaveWrittenIsRefused(t *testing.T) {
	spoils := map[string]func(file, dir string) error{
		"file that a group writes":   func(file, _ string) error { return os.Chmod(file, 0o664) },
		"file that all write":        func(file, _ string) error { return os.Chmod(file, 0o646) },
		"folder that a group writes": func(_, dir string) error { return os.Chmod(dir, 0o775) },
		"sticky folder of all":       func(_, dir string) error { return os.Chmod(dir, 0o777|fs.ModeSticky) },
		"folder above of all":        func(_, dir string) error { return os.Chmod(filepath.Dir(dir), 0o777) },
		"link": func(file, _ string) error {
			return errors.Join(os.Rename(file, file+"2"), os.Symlink(file+"2", file))
		},
		"folder in its place": func(file, _ string) error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o755)) },
	}
	if os.Geteuid() == 0 { // nobody else can give files away, and then nobody else's are in the way
		spoils["file of another"] = func(file, _ string) error { return os.Chown(file, 12345, 0) }
		spoils["folder of another"] = func(_, dir string) error { return os.Chown(dir, 12345, 0) }
		spoils["folder above of another"] = func(_, dir string) error { return os.Chown(filepath.Dir(dir), 12345, 0) }
	}
	for name, spoil := range spoils {
		o := pinned(t)
		if err := spoil(filepath.Join(o.Etc, pinFile), o.Etc); err != nil {
			t.Fatal(err)
		}
		if p, err := readPin(o); err == nil || p != (pin{}) {
			t.Errorf("%s: %+v is believed", name, p)
		}
		// The part that performs does not start, and the one that watches
		// takes no orders but watches.
		if _, ok := o.orders(slog.New(slog.DiscardHandler)); ok {
			t.Errorf("%s: orders are taken", name)
		}
		if err := Perform(t.Context(), slog.New(slog.DiscardHandler), o, filepath.Join(t.TempDir(), "s")); err == nil {
			t.Errorf("%s: orders are carried out", name)
		}
	}
}

// What the watching part may write says nothing to the part that performs.
func TestPerformReadsNothingOfTheWatchingPart(t *testing.T) {
	o := pinned(t)
	if err := os.Remove(filepath.Join(o.Etc, pinFile)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{pinFile, serverFile} {
		put(t, filepath.Join(o.Data, name), `{"host": "host_2", "approvers": "mine", "address": "reeve://x", "name": "x"}`)
	}
	if err := Perform(t.Context(), slog.New(slog.DiscardHandler), o, filepath.Join(t.TempDir(), "s")); ops.KindOf(err) != ops.Conflict {
		t.Errorf("%v", err)
	}
}
