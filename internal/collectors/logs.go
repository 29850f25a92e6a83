package collectors

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"reeve/internal/collect"
	"reeve/internal/containers"
	"reeve/internal/journald"
	"reeve/internal/learn"
	"reeve/internal/ops"
	"reeve/internal/redact"
)

var _ = all.Add(collect.Definition{
	Name: "logs",
	Doc: "Error lines of the logs of containers, of the systemd journal and of the files that option files=PATH,... names, " +
		"counted by form. A pass reads at most 2,000 lines and 1 MiB; of a log that is faster only the newest lines are read. " +
		"What comes within ten minutes after a log is first seen is not new.",
	Every: 10 * time.Second, Timeout: 30 * time.Second, Cost: collect.Moderate,
	Permissions: "group docker for containers, group systemd-journal for the journal",
	Metrics: []collect.Metric{
		{Name: "log_errors_count", Unit: "count", Doc: "Error lines since the last pass."},
	},
	Open: func(env collect.Env) collect.Collector {
		return &logs{
			env: env, entries: journald.Reader{Env: env, Lines: logLinesJournal, Bytes: logBytesJournal},
			engines: map[string]*containers.Engine{}, quiet: map[string]time.Time{}, tty: map[string]bool{},
			state: logState{Containers: map[string]time.Time{}, Files: map[string]logPlace{}, Logs: map[string]*learn.Log{}},
		}
	},
})

// The bounds of a pass. They add up to 2,000 lines and 1 MiB.
const (
	logLinesContainers, logBytesContainers = 800, 400 << 10
	logLinesJournal, logBytesJournal       = 800, 400 << 10
	logLinesFiles, logBytesFiles           = 400, 224 << 10
	logLogsAtOnce                          = 40 // containers read in one pass; the others are next
	logForms                               = 30 // forms told of a resource in one pass
	logLogs                                = 500
)

// logPause is how long a source that is not there is left alone.
const logPause = 10 * time.Minute

type logs struct {
	env     collect.Env
	loaded  bool
	saved   time.Time
	state   logState
	engines map[string]*containers.Engine
	quiet   map[string]time.Time // by source: until when it is left alone
	tty     map[string]bool      // by container ID
	turn    int
	entries journald.Reader
	found   map[ops.ResourceKey]*learn.LogErrors
}

// logState is what is kept between starts.
type logState struct {
	Journal    string                `json:"journal,omitempty"` // cursor
	Containers map[string]time.Time  `json:"containers"`        // by ID: the last line read
	Files      map[string]logPlace   `json:"files"`
	Logs       map[string]*learn.Log `json:"resources"`
}

type logPlace struct {
	Inode  uint64 `json:"inode"`
	Offset int64  `json:"offset"`
}

// Collect reads what was written since the last pass.
func (l *logs) Collect(ctx context.Context, out *collect.Batch) error {
	l.load()
	l.found = map[ops.ResourceKey]*learn.LogErrors{}
	var failed []error
	present := false
	for _, read := range []func(context.Context, *collect.Batch) error{
		func(ctx context.Context, out *collect.Batch) error { return l.engine(ctx, out, containers.Docker) },
		func(ctx context.Context, out *collect.Batch) error { return l.engine(ctx, out, containers.Podman) },
		l.journal, l.files,
	} {
		err := read(ctx, out)
		present = present || !errors.Is(err, collect.ErrAbsent)
		if err != nil && !errors.Is(err, collect.ErrAbsent) {
			failed = append(failed, err)
		}
	}
	if !present {
		return collect.ErrAbsent
	}
	l.tell(out)
	l.forget(out.Now)
	return errors.Join(append(failed, l.save(out.Now))...)
}

// take takes in one line. Broken says that its source calls it an error.
func (l *logs) take(ref ops.ResourceKey, at, now time.Time, text string, broken bool) {
	log, errors := l.watch(ref, now)
	log.Take(errors, at, now, text, broken)
}

// watch notes that the log of a resource is read, whatever is in it.
func (l *logs) watch(ref ops.ResourceKey, now time.Time) (*learn.Log, *learn.LogErrors) {
	id := ref.Source + "/" + ref.Key
	log := l.state.Logs[id]
	if log == nil {
		log = &learn.Log{Since: now}
		l.state.Logs[id] = log
	}
	log.Seen = now
	found := l.found[ref]
	if found == nil {
		found = &learn.LogErrors{}
		l.found[ref] = found
	}
	return log, found
}

// tell reports what the pass found, of each resource the most frequent forms.
func (l *logs) tell(out *collect.Batch) {
	for ref, found := range l.found {
		out.Add(ref, "log_errors_count", float64(found.Lines))
		for _, f := range found.Forms(logForms) {
			out.Happen(ops.Event{
				Resource: ref, Type: ops.EventLogError, At: f.At, Count: f.Count, Text: redact.Line(f.Sample, 500),
				SourceID: ref.Source + "/" + ref.Key + "/" + f.Group.ID + "/" + strconv.FormatInt(f.At.UnixNano(), 10),
				Facts: map[string]string{
					"template": redact.Line(f.Group.Template(), 300), "template_id": f.Group.ID, "new": truth(f.New),
				},
			})
		}
	}
}

// engine reads the logs of one engine's containers, a share of the lines for
// each.
func (l *logs) engine(ctx context.Context, out *collect.Batch, runtime string) error {
	e := l.engines[runtime]
	if e == nil {
		if out.Now.Before(l.quiet[runtime]) {
			return collect.ErrAbsent
		}
		var err error
		if e, err = containers.Find(ctx, runtime, containers.Sockets(l.env, runtime)); err != nil {
			// The collector of the engine says what is wrong with it.
			l.quiet[runtime] = out.Now.Add(time.Minute)
			return collect.ErrAbsent
		}
		l.engines[runtime] = e
	}
	list, err := e.List(ctx)
	if err != nil {
		e.Close()
		delete(l.engines, runtime)
		return err
	}
	list = slices.DeleteFunc(list, func(c containers.Container) bool {
		_, begun := l.state.Containers[c.ID]
		_, met := l.tty[c.ID]
		return !writes(c) && met && !begun || out.Now.Before(l.quiet[c.ID])
	})
	slices.SortFunc(list, func(a, b containers.Container) int { return cmp.Compare(a.ID, b.ID) })
	if len(list) > logLogsAtOnce {
		from := l.turn % len(list)
		l.turn = from + logLogsAtOnce
		list = append(slices.Clone(list[from:]), list[:from]...)[:logLogsAtOnce]
	}
	var failed error
	for _, c := range list {
		failed = cmp.Or(failed, l.container(ctx, out, e, c, len(list)))
	}
	return failed
}

// container reads what a container wrote since it was last read.
func (l *logs) container(ctx context.Context, out *collect.Batch, e *containers.Engine, c containers.Container, of int) error {
	tty, ok := l.tty[c.ID]
	if !ok {
		d, found, err := e.Inspect(ctx, c.ID)
		if err != nil || !found {
			return err
		}
		tty = d.TTY
		l.tty[c.ID] = tty
		if !writes(c) && out.Now.Sub(d.FinishedAt) > time.Minute {
			return nil // it ended before our time
		}
	}
	since, ok := l.state.Containers[c.ID]
	if !ok {
		since = out.Now.Add(-time.Minute)
	}
	lines, err := e.Logs(ctx, c.ID, since, tty, max(20, logLinesContainers/of), max(8<<10, logBytesContainers/int64(of)))
	if errors.Is(err, containers.ErrNoLog) {
		l.quiet[c.ID] = out.Now.Add(logPause)
		return nil
	}
	if err != nil {
		return err
	}
	ref := out.Ref(e.Runtime, c.Name)
	l.watch(ref, out.Now)
	for _, line := range lines {
		if line.At.After(since) {
			l.take(ref, line.At, out.Now, line.Text, false)
		}
	}
	if len(lines) > 0 {
		since = later(since, lines[len(lines)-1].At)
	}
	l.state.Containers[c.ID] = since
	if !writes(c) {
		delete(l.state.Containers, c.ID)
	}
	return nil
}

// writes reports whether a container may write more.
func writes(c containers.Container) bool { return c.State == "running" || c.State == "restarting" }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// journal reads what is new in the systemd journal.
func (l *logs) journal(ctx context.Context, out *collect.Batch) error {
	if _, ok := l.env.Tools("journalctl"); !ok {
		return collect.ErrAbsent
	}
	err := collect.ErrAbsent
	if !out.Now.Before(l.quiet["journal"]) {
		err = l.journalNews(ctx, out)
	}
	if l.entries.Partial() {
		out.Gap("logs of system units", "no permission to read the whole journal", "usermod -aG systemd-journal USER for the agent's user, then restart the agent")
		if errors.Is(err, collect.ErrAbsent) {
			return nil
		}
	}
	return err
}

func (l *logs) journalNews(ctx context.Context, out *collect.Batch) error {
	l.entries.Cursor = l.state.Journal
	entries, err := l.entries.Read(ctx, out.Now)
	l.state.Journal = l.entries.Cursor
	for _, e := range entries {
		ref := out.HostRef()
		if e.Unit != "" {
			ref = out.Ref("systemd", e.Unit)
		}
		l.take(ref, e.At, out.Now, e.Text, e.Failed)
	}
	if errors.Is(err, journald.ErrAbsent) {
		l.quiet["journal"] = out.Now.Add(logPause)
		return collect.ErrAbsent
	}
	return err
}

// files reads what was appended to the files that the option names.
func (l *logs) files(_ context.Context, out *collect.Batch) error {
	paths := collect.Words(l.env.Option("files"))
	if len(paths) == 0 {
		return collect.ErrAbsent
	}
	ref := out.HostRef()
	l.watch(ref, out.Now)
	for _, path := range paths {
		text, err := l.appended(l.env.RootPath(path), int64(logBytesFiles/len(paths)))
		if errors.Is(err, os.ErrPermission) {
			out.Gap("log "+path, "no permission to read it", "setfacl -m u:USER:r "+path+" for the agent's user")
			continue
		}
		if err != nil {
			out.Gap("log "+path, "it cannot be read: "+redact.Line(err.Error(), 120), "check the path in option files of collector logs")
			continue
		}
		lines := strings.Split(text, "\n")
		for _, line := range lines[max(0, len(lines)-max(20, logLinesFiles/len(paths))):] {
			l.take(ref, out.Now, out.Now, line, false)
		}
	}
	return nil
}

// appended answers the whole lines that were written to a file since the last
// pass, at most the newest limit bytes of them. A file that is new to us
// counts from its end, one that was replaced or cut from its start.
func (l *logs) appended(path string, limit int64) (string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return "", errors.New("not a plain file")
	}
	was, known := l.state.Files[path]
	if !known {
		l.state.Files[path] = logPlace{st.Ino, st.Size}
		return "", nil
	}
	if was.Inode != st.Ino || st.Size < was.Offset {
		was = logPlace{Inode: st.Ino}
	}
	from := max(was.Offset, st.Size-limit)
	b, err := io.ReadAll(io.NewSectionReader(f, from, st.Size-from))
	if err != nil {
		return "", err
	}
	end := bytes.LastIndexByte(b, '\n') + 1
	if end == 0 && int64(len(b)) == limit {
		end = len(b) // one endless line
	}
	l.state.Files[path] = logPlace{st.Ino, from + int64(end)}
	return string(b[:end]), nil
}

// forget drops what has not been seen for long, and what is too much.
func (l *logs) forget(now time.Time) {
	maps.DeleteFunc(l.state.Logs, func(_ string, m *learn.Log) bool { return now.Sub(m.Seen) > 7*24*time.Hour })
	for len(l.state.Logs) > logLogs {
		oldest := ""
		for id, m := range l.state.Logs {
			if oldest == "" || m.Seen.Before(l.state.Logs[oldest].Seen) {
				oldest = id
			}
		}
		delete(l.state.Logs, oldest)
	}
	maps.DeleteFunc(l.state.Containers, func(_ string, at time.Time) bool { return now.Sub(at) > 7*24*time.Hour })
	maps.DeleteFunc(l.quiet, func(_ string, until time.Time) bool { return now.After(until) })
	if len(l.tty) > 2000 {
		clear(l.tty)
	}
}

func (l *logs) file() string { return filepath.Join(l.env.StateDir, "logs.json") }

// load reads what the last run kept, once.
func (l *logs) load() {
	if l.loaded || l.env.StateDir == "" {
		return
	}
	l.loaded = true
	var s logState
	info, err := os.Stat(l.file())
	if err != nil || info.Size() > 64<<20 {
		return
	}
	b, err := os.ReadFile(l.file())
	if err != nil || json.Unmarshal(b, &s) != nil || s.Containers == nil || s.Files == nil || s.Logs == nil {
		return
	}
	maps.DeleteFunc(s.Logs, func(_ string, m *learn.Log) bool {
		return m == nil || slices.ContainsFunc(m.Templates.Groups, func(g *learn.Group) bool { return g == nil })
	})
	l.state = s
}

// save keeps the state once a minute: after a crash a minute of lines is read
// again, under the same source IDs.
func (l *logs) save(now time.Time) error {
	if l.env.StateDir == "" || now.Sub(l.saved).Abs() < time.Minute {
		return nil
	}
	b, err := json.Marshal(l.state)
	if err == nil {
		err = os.MkdirAll(l.env.StateDir, 0o700)
	}
	if err == nil {
		err = os.WriteFile(l.file()+".tmp", b, 0o600)
	}
	if err == nil {
		err = os.Rename(l.file()+".tmp", l.file())
	}
	if err != nil {
		return fmt.Errorf("keep the state of logs: %w", err)
	}
	l.saved = now
	return nil
}
