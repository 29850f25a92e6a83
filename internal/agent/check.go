package agent

import (
	"context"

	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"reeve/internal/collect"
	"reeve/internal/collectors"
	"reeve/internal/command"
	"reeve/internal/gather"
	"reeve/internal/link"
	"reeve/internal/linkpb"
	"reeve/internal/ops"
)

// A Checked says what an agent can and cannot see and do on its host.
type Checked struct {
	Host         string             `json:"host"`
	Name         string             `json:"name,omitempty" doc:"Under which the server knows it."`
	Server       string             `json:"server,omitempty"`
	Joined       bool               `json:"joined"`
	CertUntil    time.Time          `json:"certificate_until,omitzero"`
	Reached      bool               `json:"server_reached"`
	Problem      string             `json:"problem,omitempty"`
	ReadOnly     bool               `json:"read_only"`
	User         int                `json:"user_id"`
	Capabilities []string           `json:"capabilities" doc:"Of the process, by name."`
	Machine      []string           `json:"machine"`
	Collectors   []CheckedCollector `json:"collectors"`
}

// A CheckedCollector is what one collector saw in one pass.
type CheckedCollector struct {
	Name  string    `json:"name"`
	State string    `json:"state" doc:"ok, absent, gap or failing."`
	Seen  int       `json:"resources"`
	Err   string    `json:"error,omitempty"`
	Gaps  []ops.Gap `json:"gaps,omitempty"`
}

const (
	// checkTimeout bounds one collector.
	checkTimeout = 15 * time.Second
	// reachTimeout bounds the tries to reach any server.
	reachTimeout = time.Minute
)

// Check runs every collector once and tries the way to the server. It changes
// nothing and may run beside the agent.
func Check(ctx context.Context, o Options, progress func(collector string)) Checked {
	log := slog.New(slog.DiscardHandler)
	env := o.env(log)
	env.StateDir = ""
	c := Checked{ReadOnly: command.ReadOnly, User: os.Geteuid(), Capabilities: capabilities(env), Machine: machine(env), Collectors: []CheckedCollector{}}
	id := ops.HostIdentity{Key: "host", Name: "this host"}
	if name, err := os.Hostname(); err == nil {
		c.Host = name
	}
	if j, err := readJoined(o.Data); err != nil {
		c.Problem = err.Error()
	} else {
		c.Joined, c.Name, c.Server, c.CertUntil = true, j.server.Name, j.server.Address, j.cert.Leaf.NotAfter
		if err := reach(ctx, j); err != nil {
			c.Problem = err.Error()
		} else {
			c.Reached = true
		}
	}
	for _, d := range collectors.All() {
		progress(d.Name)
		c.Collectors = append(c.Collectors, tryOne(ctx, d, env, id))
	}
	return c
}

// reach tries the servers as the agent would, and answers why the first is not
// reached when none is.
func reach(ctx context.Context, j joined) (why error) {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	for _, where := range j.server.all() {
		err := reachOne(ctx, j, where)
		if err == nil {
			return nil
		}
		if why == nil {
			why = err
		}
	}
	return why
}

// reachOne opens a connection and says nothing on it.
func reachOne(ctx context.Context, j joined, where string) error {
	address, err := link.ParseAddress(where)
	if err != nil {
		return err
	}
	conn, err := link.Dialer{Address: address, Cert: j.cert, Trust: j.trust, Now: time.Now}.Dial(ctx, down{&Agent{}})
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	// A heartbeat before the hello is refused by whoever understands it.
	_, err = conn.Up.Heartbeat(ctx, &linkpb.HeartbeatRequest{})
	if err = link.FromWire(err); ops.KindOf(err) == ops.Forbidden {
		return nil
	}
	return err
}

func tryOne(ctx context.Context, d collect.Definition, env collect.Env, id ops.HostIdentity) CheckedCollector {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	x := CheckedCollector{Name: d.Name, State: "ok"}
	obs, absent := gather.Once(ctx, d, env, id)
	x.Seen, x.Gaps, x.Err = len(obs.Sightings), obs.Gaps, obs.Err
	switch {
	case absent:
		x.State = "absent"
	case obs.Err != "":
		x.State = "failing"
	case len(obs.Gaps) > 0:
		x.State = "gap"
	}
	return x
}

// capabilityNames are those of Linux that matter to collectors, by their bit.
var capabilityNames = map[uint]string{1: "CAP_DAC_OVERRIDE", 2: "CAP_DAC_READ_SEARCH", 12: "CAP_NET_ADMIN", 13: "CAP_NET_RAW",
	17: "CAP_SYS_RAWIO", 19: "CAP_SYS_PTRACE", 21: "CAP_SYS_ADMIN", 34: "CAP_SYSLOG", 38: "CAP_PERFMON", 39: "CAP_BPF"}

func capabilities(env collect.Env) []string {
	names := []string{}
	text, _ := os.ReadFile(filepath.Join(env.Proc, "self", "status")) // without it none is known
	for line := range strings.SplitSeq(string(text), "\n") {
		hex, ok := strings.CutPrefix(line, "CapEff:")
		if !ok {
			continue
		}
		bits, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
		if err != nil {
			break
		}
		for bit := range uint(41) {
			if name := capabilityNames[bit]; name != "" && bits&(1<<bit) != 0 {
				names = append(names, name)
			}
		}
	}
	return names
}
