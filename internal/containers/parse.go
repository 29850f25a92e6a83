package containers

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	"reeve/internal/redact"
)

// A Container is what the list says of a container.
type Container struct {
	ID, Name       string
	Image, ImageID string
	State, Health  string
	Labels         map[string]string
	Created        time.Time
}

// A Detail is what an inspection says of a container beyond the list.
type Detail struct {
	State, Health string
	ExitCode      int
	OOMKilled     bool
	Error         string
	StartedAt     time.Time
	FinishedAt    time.Time
	RestartCount  int
	Policy        string // no, always, unless-stopped, on-failure
	MemoryLimit   uint64 // 0 for none
	TTY           bool
	PID           int // of its first process, 0 when it does not run
}

// A Usage is one reading of a container's use of the machine. A figure that
// the engine does not give is nil: unknown is not 0.
type Usage struct {
	At     time.Time
	CPU    uint64 // nanoseconds of one core since the start
	Memory *uint64
	// Gross says that Memory holds the file pages that the kernel would give
	// back before it kills anything; the engine does not tell how many.
	Gross                   bool
	Pids                    *uint64
	Received, Sent          *uint64
	BlockRead, BlockWritten *uint64
}

// An Event is something that happened to a container.
type Event struct {
	ID, Name string
	Action   string // start, die, kill, stop, oom, health_status
	At       time.Time
	ExitCode int    // of die
	Signal   string // of kill
	// Unsure says that the engine does not always tell of a stop.
	Unsure bool
	// Seq is the number of the kernel's record that tells of it, of an oom
	// that the engine did not tell of.
	Seq uint64
}

// source answers what marks the event, however often it is read.
func (v Event) source() string {
	if v.Seq != 0 {
		return v.ID + "/" + v.Action + "/kernel/" + strconv.FormatUint(v.Seq, 10)
	}
	return v.ID + "/" + v.Action + "/" + strconv.FormatInt(v.At.UnixNano(), 10)
}

// A Line is one line of a container's log.
type Line struct {
	At   time.Time
	Text string
}

func fromSummary(s container.Summary) (Container, bool) {
	if s.ID == "" || len(s.Names) == 0 {
		return Container{}, false
	}
	// A container that others link to has more names, each under another
	// container's name; its own has no slash inside.
	name := strings.TrimPrefix(s.Names[0], "/")
	for _, n := range s.Names {
		if n = strings.TrimPrefix(n, "/"); !strings.Contains(n, "/") {
			name = n
			break
		}
	}
	c := Container{
		ID: s.ID, Name: redact.Line(name, 128), Image: redact.Line(s.Image, 256), ImageID: s.ImageID,
		State: stateWord(string(s.State)), Health: healthIn(s.Status), Labels: s.Labels, Created: time.Unix(s.Created, 0).UTC(),
	}
	if s.Health != nil {
		c.Health = health(string(s.Health.Status))
	}
	return c, c.Name != ""
}

// stateWord answers Docker's word for a state; Podman has some of its own.
func stateWord(word string) string {
	switch word {
	case "configured", "initialized":
		return "created"
	case "stopping":
		return "running"
	case "stopped":
		return "exited"
	}
	return redact.Line(word, 32)
}

// healthIn reads the health out of a status like "Up 2 hours (healthy)".
func healthIn(status string) string {
	switch {
	case strings.HasSuffix(status, "(healthy)"):
		return "healthy"
	case strings.HasSuffix(status, "(unhealthy)"):
		return "unhealthy"
	case strings.HasSuffix(status, "(health: starting)"), strings.HasSuffix(status, "(starting)"):
		return "starting"
	}
	return "none"
}

func health(word string) string {
	switch word {
	case "starting", "healthy", "unhealthy":
		return word
	}
	return "none"
}

// parseInspect reads the answer of GET /containers/ID/json, of which it knows
// only what it needs.
func parseInspect(b []byte) (Detail, error) {
	var a struct {
		State struct {
			Status, Error, StartedAt, FinishedAt string
			OOMKilled                            bool
			ExitCode, Pid                        int
			Health                               *struct{ Status string }
		}
		RestartCount int
		HostConfig   struct {
			Memory        int64
			RestartPolicy struct{ Name string }
		}
		Config struct{ Tty bool }
	}
	if err := json.Unmarshal(b, &a); err != nil {
		return Detail{}, fmt.Errorf("parse inspection: %w", err)
	}
	d := Detail{
		State: stateWord(a.State.Status), Health: "none", ExitCode: a.State.ExitCode, OOMKilled: a.State.OOMKilled,
		Error: a.State.Error, StartedAt: moment(a.State.StartedAt), FinishedAt: moment(a.State.FinishedAt),
		RestartCount: max(0, a.RestartCount), Policy: a.HostConfig.RestartPolicy.Name,
		MemoryLimit: uint64(max(0, a.HostConfig.Memory)), TTY: a.Config.Tty, PID: a.State.Pid,
	}
	if a.State.Health != nil {
		d.Health = health(a.State.Health.Status)
	}
	if d.Policy == "" {
		d.Policy = "no"
	}
	if d.State == "" {
		return Detail{}, fmt.Errorf("parse inspection: it has no state")
	}
	return d, nil
}

// moment reads a time; the engines write year 1 for never, which stays the
// zero time.
func moment(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() < 1971 || t.Year() > 9000 {
		return time.Time{}
	}
	return t.UTC()
}

// parseUsage reads the answer of GET /containers/ID/stats in the shapes of
// cgroup v1, of v2, and of Podman.
func parseUsage(b []byte) (Usage, error) {
	var a container.StatsResponse
	if err := json.Unmarshal(b, &a); err != nil {
		return Usage{}, fmt.Errorf("parse stats: %w", err)
	}
	if a.Read.Year() < 1971 || a.Read.Year() > 9000 {
		// The engine answers with an empty reading when the container just
		// stopped.
		return Usage{}, nil
	}
	u := Usage{At: a.Read.UTC(), CPU: a.CPUStats.CPUUsage.TotalUsage}
	if a.MemoryStats.Usage > 0 {
		m := workingSet(a.MemoryStats)
		u.Memory, u.Gross = &m, len(a.MemoryStats.Stats) == 0
	}
	if n := a.PidsStats.Current; n > 0 {
		u.Pids = &n
	}
	if len(a.Networks) > 0 {
		var received, sent uint64
		for _, n := range a.Networks {
			received += n.RxBytes
			sent += n.TxBytes
		}
		u.Received, u.Sent = &received, &sent
	}
	if entries := a.BlkioStats.IoServiceBytesRecursive; len(entries) > 0 {
		var read, written uint64
		for _, e := range entries {
			switch strings.ToLower(e.Op) {
			case "read":
				read += e.Value
			case "write":
				written += e.Value
			}
		}
		u.BlockRead, u.BlockWritten = &read, &written
	}
	return u, nil
}

// workingSet answers the memory that a container cannot do without: its use
// without the file pages on the kernel's two lists, which are given back
// before anything is killed. tmpfs and shared memory are not on those lists
// and count. cgroup v1 has the figures of the whole tree under total_.
func workingSet(m container.MemoryStats) uint64 {
	var cache uint64
	for _, name := range []string{"inactive_file", "active_file"} {
		v, ok := m.Stats["total_"+name]
		if !ok {
			v = m.Stats[name]
		}
		cache += min(v, m.Usage)
	}
	return m.Usage - min(cache, m.Usage)
}

// A message is an event as an engine writes it.
type message struct {
	Type, Action string
	Actor        struct {
		ID         string
		Attributes map[string]string
	}
	Time     int64 `json:"time"`
	TimeNano int64 `json:"timeNano"`
	// Message and Response are of an error that Podman sends in an event's
	// place.
	Message  string `json:"message"`
	Response int    `json:"response"`
}

// event answers the event of a message; ok is false for those that say
// nothing of a container's life.
func (m message) event() (v Event, ok bool) {
	attrs := m.Actor.Attributes
	v = Event{ID: m.Actor.ID, Name: redact.Line(attrs["name"], 128), Action: m.Action, At: time.Unix(0, m.TimeNano).UTC()}
	if m.TimeNano == 0 {
		v.At = time.Unix(m.Time, 0).UTC()
	}
	switch m.Action {
	case "died", "die":
		// Podman (4.3) often loses the stop event to a race between those who
		// write it and the end.
		v.Unsure = m.Action == "died"
		v.Action = "die"
		code := attrs["exitCode"]
		if code == "" {
			code = attrs["containerExitCode"]
		}
		v.ExitCode, _ = strconv.Atoi(code)
	case "kill":
		v.Signal = attrs["signal"]
	case "start", "stop", "oom":
	case "health_status":
		// Podman's; Docker puts the health into the action, and into its list.
	default:
		return Event{}, false
	}
	return v, m.Type == "container" && v.ID != "" && v.Name != ""
}

// pickDigest answers the digest under which an image is known in the
// repository that the container names, or else the first.
func pickDigest(repoDigests []string, name string) string {
	repo := name
	if i := strings.LastIndexByte(repo, ':'); i > strings.LastIndexByte(repo, '/') {
		repo = repo[:i]
	}
	best := ""
	for _, d := range repoDigests {
		r, digest, ok := strings.Cut(d, "@")
		if !ok || len(digest) > 128 {
			continue
		}
		if r == repo || strings.HasSuffix(r, "/"+repo) {
			return redact.Line(digest, 128)
		}
		if best == "" {
			best = redact.Line(digest, 128)
		}
	}
	return best
}

// maxLine is how much of one line of a log is kept.
const maxLine = 16 << 10

// parseLog reads a log with time stamps: frames of eight bytes of header and
// a text each, or plain text for a terminal. A cut end is fine.
func parseLog(b []byte, tty bool) []Line {
	var lines []Line
	if tty {
		for text := range strings.SplitSeq(string(b), "\n") {
			lines = appendLine(lines, text)
		}
		return lines
	}
	for len(b) >= 8 {
		size := int(min(binary.BigEndian.Uint32(b[4:8]), uint32(len(b)-8)))
		for text := range strings.SplitSeq(string(b[8:8+size]), "\n") {
			lines = appendLine(lines, text)
		}
		b = b[8+size:]
	}
	return lines
}

func appendLine(lines []Line, text string) []Line {
	when, text, ok := strings.Cut(strings.TrimRight(text, "\r"), " ")
	at := moment(when)
	if !ok || at.IsZero() {
		return lines
	}
	return append(lines, Line{At: at, Text: text[:min(len(text), maxLine)]})
}
