package agent

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"reeve/internal/command"
	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/release"
)

const (
	releaseKeyFile  = "release.pub"
	versionWithin   = 20 * time.Second
	checkWithin     = 3 * time.Minute
	maxProgramBytes = 256 << 20
)

// An Upgrade is a file that shall take the place of the running program.
type Upgrade struct {
	File, Signature string
	Downgrade       bool // it may be older
	Offline         bool // it need not reach the server now
}

// An Upgraded is a program that was put in place and is on trial.
type Upgraded struct {
	Program  string `json:"program"`
	From     string `json:"from"`
	To       string `json:"to"`
	Previous string `json:"previous_kept_as"`
	id       string
}

// Upgrade puts a signed program in the place of the running one. Nothing is
// changed unless the file is believed and has shown that it works here.
func (o Options) Upgrade(ctx context.Context, u Upgrade) (done Upgraded, err error) {
	program := o.Program
	if program == "" {
		if program, err = Program(); err != nil {
			return done, err
		}
	}
	if err := trustedFolders(filepath.Dir(program)); err != nil {
		return done, err
	}
	said, err := o.statement(u)
	if err != nil {
		return done, err
	}
	staged, err := stage(program, u.File, said.SHA256)
	if err != nil {
		return done, err
	}
	defer os.Remove(staged) // gone when it took the program's place
	if err := o.try(ctx, staged, said, u); err != nil {
		return done, err
	}
	return o.swap(program, staged, said)
}

// statement answers what is said of the file by the key that root pinned, if
// it may take this program's place.
func (o Options) statement(u Upgrade) (release.Statement, error) {
	path := filepath.Join(o.etc(), releaseKeyFile)
	text, err := readTrusted(path)
	if errors.Is(err, fs.ErrNotExist) {
		return release.Statement{}, ops.Errorf(ops.Forbidden, "this host believes no releases: put the release key into %s (`reeve release key` makes one)", path)
	}
	if err != nil {
		return release.Statement{}, err
	}
	key, err := release.ParsePublic(text)
	if err != nil {
		return release.Statement{}, err
	}
	signature, err := os.ReadFile(u.Signature)
	if err != nil {
		return release.Statement{}, ops.Because(ops.Invalid, err, "there is no signature %s beside the file", u.Signature)
	}
	said, err := release.Open(signature, key)
	if err != nil {
		return said, err
	}
	running := release.Running{Program: "reeve-agent", Version: o.Version, Platform: runtime.GOOS + "/" + runtime.GOARCH, Downgrade: u.Downgrade}
	if ReadOnly {
		running.Program = "reeve-agent-readonly"
	}
	return said, said.Fits(running)
}

// stage copies a file beside the program, where nobody else can change it,
// and refuses it unless it has the hash.
func stage(program, file, hash string) (path string, err error) {
	from, err := os.Open(file)
	if err != nil {
		return "", ops.Because(ops.Invalid, err, "%s cannot be read", file)
	}
	defer from.Close()
	to, err := os.CreateTemp(filepath.Dir(program), "."+filepath.Base(program)+".new-*")
	if err != nil {
		return "", ops.Because(ops.Forbidden, err, "the folder %s cannot be written; run as root", filepath.Dir(program))
	}
	defer func() {
		if err != nil {
			os.Remove(to.Name())
		}
	}()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, sum), io.LimitReader(from, maxProgramBytes))
	if err := errors.Join(err, to.Chmod(0o755), to.Sync(), to.Close()); err != nil {
		return "", ops.Because(ops.Unavailable, err, "%s cannot be written", to.Name())
	}
	if hex.EncodeToString(sum.Sum(nil)) != hash {
		return "", ops.Errorf(ops.Forbidden, "%s (%d bytes) is not the file that was signed", file, n)
	}
	return to.Name(), nil
}

// try lets the new program show that it runs here, is what was signed, and
// gets through to the server.
func (o Options) try(ctx context.Context, staged string, said release.Statement, u Upgrade) error {
	var is struct {
		Version  string `json:"version"`
		ReadOnly bool   `json:"read_only"`
	}
	if err := ask(ctx, staged, versionWithin, &is, "version", "-o", "json"); err != nil {
		return err
	}
	if is.Version != said.Version || is.ReadOnly != ReadOnly {
		return ops.Errorf(ops.Forbidden, "the new program calls itself %q and was signed as %s", redact.Line(is.Version, 100), said.Version)
	}
	var found Checked
	if err := ask(ctx, staged, checkWithin, &found, "check", "-o", "json", "--data", o.Data); err != nil {
		return err
	}
	if found.Joined && !found.Reached && !u.Offline {
		return ops.Errorf(ops.Unavailable, "the new program does not reach the server, so nothing was changed (--offline does without): %s", redact.Line(found.Problem, 300))
	}
	return nil
}

func ask(ctx context.Context, program string, within time.Duration, answer any, args ...string) error {
	out, err := command.Try(ctx, program, within, args...)
	if err == nil && out.Exit != 0 {
		err = fmt.Errorf("exit status %d: %s", out.Exit, redact.Line(string(out.Stderr), 300))
	}
	if err == nil {
		err = json.Unmarshal(out.Stdout, answer)
	}
	if err != nil {
		return ops.Because(ops.Invalid, err, "the new program does not work here, so nothing was changed: its `%s` failed", args[0])
	}
	return nil
}

// swap puts the staged program in place. At every moment a whole program is
// there; the trial is on record before the new one can be started.
func (o Options) swap(program, staged string, said release.Statement) (done Upgraded, err error) {
	done = Upgraded{Program: program, From: o.Version, To: said.Version, Previous: program + previousSuffix, id: rand.Text()}
	next := trial{ID: done.id, Version: said.Version, Previous: o.Version, At: time.Now().UTC()}
	var old trial
	unproven := readBeside(program, trialSuffix, &old) == nil && !old.reached(o.Data)
	if unproven {
		next.Previous = old.Previous // one that never reached the server is no way back
	} else if err := keepPrevious(program); err != nil {
		return done, err
	}
	if err := os.Remove(program + failedSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return done, err
	}
	if err := writeBeside(program, trialSuffix, next); err != nil {
		return done, err
	}
	if err := os.Rename(staged, program); err != nil {
		return done, errors.Join(err, endTrial(program))
	}
	return done, syncFolder(filepath.Dir(program))
}

// keepPrevious keeps the running program under its second name as well.
func keepPrevious(program string) error {
	kept := program + previousSuffix
	if err := os.Remove(kept); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ops.Because(ops.Forbidden, err, "%s cannot be replaced; run as root", kept)
	}
	if err := os.Link(program, kept); err != nil {
		return ops.Because(ops.Unavailable, err, "%s cannot be kept as %s", program, kept)
	}
	return nil
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// The services of a host that runs them under systemd.
const (
	watchUnit   = "reeve-agent.service"
	performUnit = "reeve-agent-perform.service"
)

// Restart restarts the services, and waits until the new program has passed
// its trial. One that does not is taken back here and now, by the program that
// it replaced and that still runs.
func (o Options) Restart(ctx context.Context, done Upgraded) error {
	if err := restart(ctx, "restart", watchUnit); err != nil {
		return err
	}
	if err := restart(ctx, "try-restart", performUnit); err != nil {
		return err
	}
	t, within := trial{ID: done.id}, o.trialTime()+lookEvery
	for end := time.Now().Add(within); time.Now().Before(end); {
		if t.reached(o.Data) {
			return nil
		}
		var now trial
		if readBeside(done.Program, trialSuffix, &now) != nil || now.ID != done.id {
			return ops.Errorf(ops.Unavailable, "%s did not work and was taken back: `journalctl -u %s` says why", done.To, watchUnit)
		}
		if !sleep(ctx, lookEvery) {
			return ctx.Err()
		}
	}
	if _, err := RollBack(done.Program, "it did not reach the server within "+o.trialTime().String(), time.Now()); err != nil {
		return err
	}
	RestartServices(ctx)
	return ops.Errorf(ops.Unavailable, "%s did not reach the server and was taken back: `journalctl -u %s` says why", done.To, watchUnit)
}

const lookEvery = 2 * time.Second

// RestartServices lets services that run go on with the program that is in
// place now; without systemd there are none.
func RestartServices(ctx context.Context) {
	for _, unit := range []string{watchUnit, performUnit} {
		_ = restart(ctx, "try-restart", unit) // what does not run needs no restart
	}
}

// RestartPerform is RestartServices for the part that performs, from before a
// start of the other: it does not wait.
func RestartPerform(ctx context.Context) {
	_ = restart(ctx, "try-restart", "--no-block", performUnit) // what does not run needs no restart
}

func restart(ctx context.Context, args ...string) error {
	out, err := command.New().Run(ctx, "systemctl", args...)
	if err == nil && out.Exit != 0 {
		err = fmt.Errorf("exit status %d: %s", out.Exit, redact.Line(string(out.Stderr), 300))
	}
	if err != nil {
		return ops.Because(ops.Unavailable, err, "the service cannot be restarted: restart the agent yourself; the new program is on trial from its first start")
	}
	return nil
}
