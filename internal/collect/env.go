package collect

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"time"
)

// An Env is everything that a collector may touch. Tests and recorded trees
// fill it with other roots; the code is the same.
type Env struct {
	Log *slog.Logger
	// Roots of the host's trees; "/proc", "/sys" and "/" on a live host.
	Proc, Sys, Root string
	// Live says that Proc, Sys and Root are those of the running kernel, so
	// that system calls (statfs, adjtimex) speak of the same machine. On a
	// recorded tree they do not, and a collector reads files in Root/.reeve
	// instead where it documents them.
	Live bool
	// DockerSockets and PodmanSockets are paths to try in order; a * in one
	// stands for any name.
	DockerSockets, PodmanSockets []string
	// Run starts one of the programs that Tools names, without a shell.
	Run Runner
	// Tools maps a program's name to its path; a name that is missing is not
	// installed.
	Tools func(name string) (path string, ok bool)
	// Dial reaches the network for checks and for reading certificates.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Checks answers the checks this host is to run now.
	Checks func() []Check
	// Option answers a setting of this collector from the configuration, ""
	// when it is not set.
	Option func(name string) string
	// StateDir is where a collector may keep a small cursor between starts,
	// "" for nowhere.
	StateDir string
}

// A Runner runs a program with arguments and answers its standard output,
// standard error and exit status; err is for programs that did not run. The
// output is bounded.
type Runner func(ctx context.Context, tool string, args ...string) (Output, error)

// An Output is what a program printed.
type Output struct {
	Stdout, Stderr []byte
	Exit           int
}

// ProcPath answers a path below the proc root.
func (e Env) ProcPath(elem ...string) string {
	return filepath.Join(append([]string{e.Proc}, elem...)...)
}

// SysPath answers a path below the sys root.
func (e Env) SysPath(elem ...string) string {
	return filepath.Join(append([]string{e.Sys}, elem...)...)
}

// RootPath answers a path below the root of the file system.
func (e Env) RootPath(elem ...string) string {
	return filepath.Join(append([]string{e.Root}, elem...)...)
}

// A Check is a probe that a person declared.
type Check struct {
	Name     string            `json:"name" koanf:"name" doc:"Unique name."`
	Type     string            `json:"type" koanf:"type" enum:"http,tcp,icmp,dns,tls,heartbeat" doc:"What is probed."`
	Target   string            `json:"target,omitempty" koanf:"target" doc:"URL for http, host:port for tcp and tls, host for icmp, name for dns; empty for heartbeat."`
	Every    time.Duration     `json:"every,omitempty" koanf:"every" doc:"Period of the probe, or how often the heartbeat is expected; default 1 m, heartbeat 1 h."`
	Timeout  time.Duration     `json:"timeout,omitempty" koanf:"timeout" doc:"Of one probe; default 10 s."`
	Grace    time.Duration     `json:"grace,omitempty" koanf:"grace" doc:"heartbeat: how late it may be; default 5 m."`
	Status   []int             `json:"status,omitempty" koanf:"status" doc:"http: accepted status codes; default 200-399."`
	Contains string            `json:"contains,omitempty" koanf:"contains" doc:"http: text the body must contain."`
	Method   string            `json:"method,omitempty" koanf:"method" doc:"http: GET or HEAD; default GET."`
	Headers  map[string]string `json:"headers,omitempty" koanf:"headers" doc:"http: headers to send."`
	Insecure bool              `json:"insecure,omitempty" koanf:"insecure" doc:"Accept any TLS certificate."`
	Server   string            `json:"server,omitempty" koanf:"server" doc:"dns: server to ask (host:port); default the system's."`
	Expect   []string          `json:"expect,omitempty" koanf:"expect" doc:"dns: answers, all of which must be there."`
	Labels   map[string]string `json:"labels,omitempty" koanf:"labels" doc:"Labels of the check."`
	// LastBeat is when the heartbeat last came; the server fills it in.
	LastBeat time.Time `json:"-" koanf:"-"`
}

// Words splits an option into its comma-separated words.
func Words(option string) []string {
	var words []string
	for w := range strings.SplitSeq(option, ",") {
		if w = strings.TrimSpace(w); w != "" {
			words = append(words, w)
		}
	}
	return words
}
