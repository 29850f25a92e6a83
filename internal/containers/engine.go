// Package containers watches the container engines of a host, Docker and
// Podman, through their sockets: what containers there are, how they do, what
// ended them, and which compose services they add up to. The two collectors
// of the catalogue are made of it; the collector of log errors reads
// containers' logs through it.
//
// Engine asks an engine; parse.go reads its answers without asking anything;
// Collector turns them into an observation a pass, and record.go is what it
// remembers between passes and starts.
package containers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"reeve/internal/collect"
	"reeve/internal/redact"
)

// Bounds of what is taken from an engine: its answers hold texts that whoever
// made a container or an image chose.
const (
	maxAnswer = 64 << 20
	maxEvents = 20_000
)

// The runtimes.
const (
	Docker = "docker"
	Podman = "podman"
)

// An Engine is a container engine behind a socket.
type Engine struct {
	Runtime string
	Path    string
	libpod  string // version of Podman's own protocol
	api     *client.Client
	raw     *http.Client
}

// A Denied error says that a socket is there and may not be used.
type Denied struct{ Path string }

func (e *Denied) Error() string { return "no permission to use " + e.Path }

// Find answers the first engine of the given runtime that answers on one of
// the paths. Podman also speaks Docker's protocol and may stand behind
// Docker's path: each engine is taken for what it says it is. The error is
// collect.ErrAbsent when there is no such socket, *Denied when there is only
// one that may not be used, and otherwise says which socket did not answer.
func Find(ctx context.Context, runtime string, paths []string) (*Engine, error) {
	var failed, denied error
	var tried []string
	for _, path := range expand(paths) {
		real, err := filepath.EvalSymlinks(path)
		switch {
		case errors.Is(err, fs.ErrPermission):
			denied = &Denied{path}
			continue
		case err != nil || slices.Contains(tried, real):
			continue
		}
		tried = append(tried, real)
		e, err := open(ctx, path)
		if _, ok := errors.AsType[*Denied](err); ok {
			denied = err
			continue
		}
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		if e.Runtime == runtime {
			return e, nil
		}
		e.Close()
	}
	switch {
	case failed != nil:
		return nil, failed
	case denied != nil:
		return nil, denied
	}
	return nil, collect.ErrAbsent
}

// expand answers the paths with those that match in a pattern's place.
func expand(paths []string) (all []string) {
	for _, path := range paths {
		if !strings.Contains(path, "*") {
			all = append(all, path)
			continue
		}
		found, _ := filepath.Glob(path) // its error is of the pattern, which then matches nothing
		all = append(all, found...)
	}
	return all
}

// open asks the engine behind a socket what it is.
func open(ctx context.Context, path string) (*Engine, error) {
	if info, err := os.Stat(path); err != nil || info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("%s is not a socket", path)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if errors.Is(err, fs.ErrPermission) {
		return nil, &Denied{path}
	}
	if err != nil {
		return nil, fmt.Errorf("the engine at %s does not answer: %w", path, cause(err))
	}
	conn.Close()
	e, err := newEngine(path)
	if err != nil {
		return nil, err
	}
	if err := e.identify(ctx); err != nil {
		e.Close()
		return nil, fmt.Errorf("the engine at %s does not answer: %w", path, err)
	}
	return e, nil
}

// identify asks the engine what it is. A ping says it: Podman starts other
// programs to answer a question for its version, and needs long for that
// where there is much to do.
func (e *Engine) identify(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/_ping", nil)
	if err != nil {
		return err
	}
	resp, err := e.raw.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	e.Runtime = Docker
	if v := resp.Header.Get("Libpod-Api-Version"); v != "" {
		e.Runtime, e.libpod = Podman, "4.0.0"
		if len(v) < 20 && strings.Trim(v, "0123456789.") == "" {
			e.libpod = v
		}
	}
	return nil
}

func newEngine(path string) (*Engine, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	transport := &http.Transport{DialContext: dial, MaxIdleConns: 4, IdleConnTimeout: 30 * time.Second, DisableCompression: true}
	api, err := client.New(client.WithHost("unix://"+path),
		client.WithHTTPResponseHook(func(r *http.Response) { r.Body = bounded{io.LimitReader(r.Body, maxAnswer), r.Body} }))
	if err != nil {
		return nil, fmt.Errorf("use socket %s: %w", path, err)
	}
	return &Engine{Path: path, api: api, raw: &http.Client{Transport: transport}}, nil
}

type bounded struct {
	io.Reader
	io.Closer
}

// cause cuts the address, which the message already has, off a dial error.
func cause(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}

// Close lets go of idle connections.
func (e *Engine) Close() {
	e.api.Close()
	e.raw.CloseIdleConnections()
}

// List answers every container, running or not.
func (e *Engine) List(ctx context.Context) ([]Container, error) {
	answer, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	list := make([]Container, 0, len(answer.Items))
	for _, s := range answer.Items {
		if c, ok := fromSummary(s); ok {
			list = append(list, c)
		}
	}
	return list, nil
}

// Inspect answers what the list does not say of a container. ok is false when
// the container is gone.
func (e *Engine) Inspect(ctx context.Context, id string) (d Detail, ok bool, err error) {
	answer, err := e.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if cerrdefs.IsNotFound(err) {
		return Detail{}, false, nil
	}
	if err == nil {
		d, err = parseInspect(answer.Raw)
	}
	if err != nil {
		return Detail{}, false, fmt.Errorf("inspect container %s: %w", short(id), err)
	}
	return d, true, nil
}

// Usage answers one reading of a running container's use of the machine. ok
// is false when the container is gone or has stopped.
func (e *Engine) Usage(ctx context.Context, id string) (u Usage, ok bool, err error) {
	answer, err := e.api.ContainerStats(ctx, id, client.ContainerStatsOptions{})
	if cerrdefs.IsNotFound(err) || cerrdefs.IsConflict(err) {
		return Usage{}, false, nil
	}
	if err != nil {
		return Usage{}, false, fmt.Errorf("read use of container %s: %w", short(id), err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, 4<<20))
	if err == nil {
		u, err = parseUsage(b)
	}
	if err != nil {
		return Usage{}, false, fmt.Errorf("read use of container %s: %w", short(id), err)
	}
	return u, !u.At.IsZero(), nil
}

// Digest answers the registry's digest of an image, "" for an image that is
// from no registry.
func (e *Engine) Digest(ctx context.Context, imageID, name string) (string, error) {
	answer, err := e.api.ImageInspect(ctx, imageID)
	if cerrdefs.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("inspect image %s: %w", short(imageID), err)
	}
	return pickDigest(answer.RepoDigests, name), nil
}

// ErrNoEvents says that an engine is set up to keep no events.
var ErrNoEvents = errors.New("the engine keeps no events")

// Events answers what happened to containers between two times, oldest first.
func (e *Engine) Events(ctx context.Context, since, until time.Time) ([]Event, error) {
	path := "/events?until=" + stamp(until) + "&since=" + stamp(since)
	if e.Runtime == Podman {
		// Podman's form of Docker's /events answers nothing when until is
		// given (4.3) and never ends when it is not; its own form ends.
		path = "/v" + e.libpod + "/libpod/events?stream=false&since=" + strconv.FormatInt(since.Unix(), 10)
	}
	events, total, err := e.readEvents(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("read events of %s: %w", e.Runtime, err)
	}
	if total >= dockerKeeps {
		// Older events may have been lost, with them who asked for an end.
		for i := range events {
			events[i].Unsure = true
		}
	}
	return slices.DeleteFunc(events, func(v Event) bool { return v.At.After(until) || v.At.Before(since) }), nil
}

// dockerKeeps is how many events Docker remembers. Health checks make three
// each; that is why the query asks for all events and counts them.
const dockerKeeps = 256

// readEvents answers the events that are about containers' lives, and how
// many there were in all.
func (e *Engine) readEvents(ctx context.Context, path string) (events []Event, total int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine"+path, nil)
	if err != nil {
		return nil, 0, err
	}
	resp, err := e.raw.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return nil, 0, fmt.Errorf("status %d: %s", resp.StatusCode, redact.Line(string(said), 200))
	}
	dec := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer))
	for ; ; total++ {
		var m message
		err := dec.Decode(&m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, 0, err
		}
		if m.Response >= http.StatusBadRequest {
			// Podman has sent the status before it finds out.
			if strings.Contains(m.Message, `"none"`) {
				return nil, 0, ErrNoEvents
			}
			return nil, 0, errors.New(redact.Line(m.Message, 200))
		}
		if v, ok := m.event(); ok {
			events = append(events, v)
		}
		if len(events) >= maxEvents {
			events = append(events[:0], events[maxEvents/2:]...)
		}
	}
	slices.SortStableFunc(events, func(a, b Event) int { return a.At.Compare(b.At) })
	return events, total, nil
}

// ErrNoLog says that a container's log cannot be read at all: it goes
// somewhere else.
var ErrNoLog = errors.New("the log goes where the engine cannot read it")

// Logs answers the last lines, at most lines of them and limit bytes, of what
// a container wrote since a time, oldest first. tty says that the container
// has a terminal, whose log has another form. The engine finds the last lines
// from the end of the log; without their number it would read all of it.
func (e *Engine) Logs(ctx context.Context, id string, since time.Time, tty bool, lines int, limit int64) ([]Line, error) {
	body, err := e.api.ContainerLogs(ctx, id, client.ContainerLogsOptions{
		ShowStdout: true, ShowStderr: true, Timestamps: true, Since: stamp(since), Tail: strconv.Itoa(lines),
	})
	if cerrdefs.IsNotImplemented(err) || err != nil && strings.Contains(err.Error(), "does not support reading") {
		return nil, ErrNoLog
	}
	if cerrdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read log of container %s: %w", short(id), err)
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, limit))
	if err != nil && len(b) == 0 {
		return nil, fmt.Errorf("read log of container %s: %w", short(id), err)
	}
	return parseLog(b, tty), nil
}

// stamp is a time as the engines' queries take it.
func stamp(t time.Time) string {
	return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond())
}

func short(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(12, len(id))]
}
