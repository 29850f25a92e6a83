package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"reeve/internal/journal"
	"reeve/internal/ops"
)

// A program that was just put in place is on trial until it has reached the
// server once. All of it lies beside the program: whoever may write there may
// replace the program anyway.
const (
	previousSuffix = ".previous" // the program before
	trialSuffix    = ".upgrade"  // the trial that is under way
	failedSuffix   = ".rolled-back"
)

const (
	// TrialTime is how long a new program may take to reach the server.
	TrialTime = 5 * time.Minute
	// trialStarts is how often it may be started for that.
	trialStarts = 3
	// reachedFile in the data folder holds the trial that was passed.
	reachedFile = "reached"
)

// A trial is what the file beside the program says. The program before reads
// it too: fields are added, never changed.
type trial struct {
	ID         string    `json:"id"`
	Version    string    `json:"version"`
	Previous   string    `json:"previous"` // version
	At         time.Time `json:"at"`
	FirstStart time.Time `json:"first_start,omitzero"`
	Starts     int       `json:"starts"`
}

// A RolledBack is a trial that was not passed.
type RolledBack struct {
	From string    `json:"from"`
	To   string    `json:"to"`
	At   time.Time `json:"at"`
	Why  string    `json:"why"`
}

// Program answers where the running program is.
func Program() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// InPlace answers where a program belongs that may run under its second name.
func InPlace(program string) string { return strings.TrimSuffix(program, previousSuffix) }

func readBeside(program, suffix string, v any) error {
	text, err := readTrusted(program + suffix)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

func writeBeside(program, suffix string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := journal.Replace(program+suffix, append(text, '\n')); err != nil {
		return err
	}
	return os.Chmod(program+suffix, 0o644)
}

// reached reports whether the trial was passed, as the watching part says.
func (t trial) reached(data string) bool {
	text, err := os.ReadFile(filepath.Join(data, reachedFile))
	return err == nil && t.ID != "" && strings.TrimSpace(string(text)) == t.ID
}

// RollBack puts the program before back.
func RollBack(program, why string, now time.Time) (RolledBack, error) {
	r, _, err := putBack(program, why, now)
	return r, err
}

// putBack is done when the program before is in its place, though it may not
// be on record then.
func putBack(program, why string, now time.Time) (r RolledBack, done bool, err error) {
	var t trial
	if readBeside(program, trialSuffix, &t) != nil {
		t = trial{} // it only tells the versions
	}
	r = RolledBack{From: t.Version, To: t.Previous, At: now.UTC(), Why: why}
	err = os.Rename(program+previousSuffix, program)
	if errors.Is(err, fs.ErrNotExist) {
		return r, false, ops.Errorf(ops.NotFound, "there is no program before this one: no %s", program+previousSuffix)
	}
	if err != nil {
		return r, false, ops.Because(ops.Forbidden, err, "%s cannot be replaced; run `%s rollback` as root, where its folder can be written", program, program+previousSuffix)
	}
	return r, true, errors.Join(writeBeside(program, failedSuffix, r), endTrial(program))
}

func endTrial(program string) error {
	err := os.Remove(program + trialSuffix)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return ops.Because(ops.Unavailable, err, "the trial of the new program is over, but %s is still there; remove it once its folder can be written", program+trialSuffix)
}

// RollBackIfNeeded is asked by root before every start of the agent. It counts
// the starts of a program on trial, and puts the one before back when those
// were enough. Without a trial, or with one that was passed, it does nothing.
//
// No error is a reason not to start: at every moment a whole program is in
// place, and the worst that can run is one which failed its trial. That one may
// reach the server now; an agent that is not started never does.
func RollBackIfNeeded(program, data string, now time.Time) (r RolledBack, done bool, err error) {
	var t trial
	switch err := readBeside(program, trialSuffix, &t); {
	case errors.Is(err, fs.ErrNotExist):
		return r, false, nil
	case err != nil:
		return r, false, unknownTrial(program, err)
	}
	if t.reached(data) {
		return r, false, endTrial(program)
	}
	why := ""
	switch {
	case t.Starts >= trialStarts:
		why = "it was started three times and did not reach the server"
	case !t.FirstStart.IsZero() && now.Sub(t.FirstStart) >= TrialTime:
		why = "it did not reach the server within " + TrialTime.String()
	}
	if why != "" {
		r, done, err = putBack(program, why, now)
		if ops.KindOf(err) == ops.NotFound {
			return r, false, endTrial(program) // it was put back already
		}
		return r, done, err
	}
	t.Starts++
	if t.FirstStart.IsZero() {
		t.FirstStart = now.UTC()
	}
	return r, false, writeBeside(program, trialSuffix, t)
}

// unknownTrial says what to do about a trial that cannot be read.
func unknownTrial(program string, err error) error {
	if _, ok := errors.AsType[*ops.Error](err); ok {
		return err
	}
	return ops.Because(ops.Invalid, err, "%s cannot be read, so this program is not on trial any more; remove that file if it works, or run `reeve-agent rollback`", program+trialSuffix)
}

// Again says that the program before was put back and shall go on in the place
// of this process.
type Again struct{ program string }

func (a *Again) Error() string { return "the program before was put back: " + a.program }

// Exec goes on as the program that was put back; it answers only an error.
func (a *Again) Exec() error {
	return syscall.Exec(a.program, os.Args, os.Environ())
}

// onTrial is the trial of the running program, if there is one.
type onTrial struct {
	trial   trial
	program string
	passed  chan struct{}
}

// openTrial looks whether the running program is on trial, and says so to the
// server when another did not pass its own.
func (a *Agent) openTrial() {
	program := a.o.Program
	if program == "" {
		var err error
		if program, err = Program(); err != nil {
			return // it cannot have been replaced either
		}
	}
	var failed RolledBack
	if err := readBeside(program, failedSuffix, &failed); err == nil {
		a.log.Warn("an upgrade was taken back", "from", failed.From, "to", failed.To, "at", failed.At, "why", failed.Why)
		labels := map[string]string{"agent_rolled_back_from": cmp.Or(failed.From, "unknown")}
		maps.Copy(labels, a.o.Labels)
		a.o.Labels = labels
	}
	var t trial
	err := readBeside(program, trialSuffix, &t)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.log.Error("the trial of the new program cannot be read", "err", err)
	}
	if err != nil || t.Version != a.o.Version || t.reached(a.o.Data) {
		return
	}
	a.trial = &onTrial{t, program, make(chan struct{})}
	a.log.Info("this program is on trial until it reaches the server", "version", t.Version, "within", a.o.trialTime())
}

func (o Options) trialTime() time.Duration {
	if o.TrialTime != 0 {
		return o.TrialTime
	}
	return TrialTime
}

// passTrial notes that the server took the hello of this program.
func (a *Agent) passTrial() {
	t := a.trial
	if t == nil || t.trial.reached(a.o.Data) {
		return
	}
	if err := journal.Replace(filepath.Join(a.o.Data, reachedFile), []byte(t.trial.ID+"\n")); err != nil {
		a.log.Error("it cannot be kept that this program reached the server", "err", err)
		return
	}
	a.log.Info("this program has passed its trial", "version", t.trial.Version)
	close(t.passed)
}

// watchTrial ends the agent when it does not pass its trial in time. Who may
// put the program before back does so; otherwise the service does, with the
// rights of root, before it starts it again.
func (a *Agent) watchTrial(ctx context.Context) error {
	if a.trial == nil {
		return nil
	}
	timer := time.NewTimer(a.o.trialTime())
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil
	case <-a.trial.passed:
		return nil
	case <-timer.C:
	}
	why := "it did not reach the server within " + a.o.trialTime().String()
	program := a.trial.program
	if unix.Access(filepath.Dir(program), unix.W_OK) != nil {
		return ops.Errorf(ops.Unavailable, "this program is on trial and ends: %s; `%s rollback` as root puts the one before back", why, program+previousSuffix)
	}
	r, err := RollBack(program, why, time.Now())
	if err != nil {
		return err
	}
	a.log.Error("the program before was put back", "from", r.From, "to", r.To, "why", why)
	return &Again{program}
}
