package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"reeve/internal/api"
	"reeve/internal/collect"
	"reeve/internal/containers"
	"reeve/internal/detectors"
	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/tool"
	"reeve/internal/tools"
)

// openTools opens the tools of one conversation of a profile. What is withheld
// from models is left out when one is to be shown the answers.
func (s *Server) openTools(profile tool.Profile, desk tool.Desk, forModel bool) tool.Toolbox {
	env := tools.Env{Now: time.Now, Store: s.store, Metrics: s.metrics, Desk: desk, Definitions: detectors.All(), Logs: s.logs.read}
	if !desk.Now.IsZero() {
		env.Now = func() time.Time { return desk.Now }
	}
	if forModel {
		w := withheld(s.config.Models.Withhold)
		env.Withheld, env.WithheldFields = w.Covers, w.Fields
	}
	return tool.NewSet(env, profile, tools.All(), tool.Limits{Trouble: func(name string, err error) {
		s.log.Warn("a tool failed", "tool", name, "err", err)
	}})
}

// toolViews describes the tools of this build.
func toolViews() []api.ToolView {
	words := func(profiles []tool.Profile) []string {
		all := []string{}
		for _, p := range profiles {
			all = append(all, string(p))
		}
		return all
	}
	var all []api.ToolView
	for _, d := range tools.All() {
		all = append(all, api.ToolView{Name: d.Name, Doc: d.Doc, Effect: string(d.Effect), Profiles: words(d.Profiles), Core: words(d.Core), Input: d.Schema})
	}
	return all
}

// localLogs reads logs of containers and units of this machine. The zero value
// reads none: there is no agent inside.
type localLogs struct {
	host string // key
	env  collect.Env
}

const (
	logTime  = 10 * time.Second
	logBytes = 1 << 20
	// logScan is how many lines are read to find those that contain a text.
	logScan = 2_000
)

func (l localLogs) read(ctx context.Context, r ops.Resource, q tools.LogQuery) ([]tools.LogLine, error) {
	if l.host == "" || r.Key.Host != l.host {
		return nil, tools.ErrNoLogs
	}
	ctx, cancel := context.WithTimeout(ctx, logTime)
	defer cancel()
	var lines []tools.LogLine
	var err error
	switch r.Kind {
	case ops.KindContainer:
		lines, err = l.container(ctx, r, q)
	case ops.KindUnit:
		lines, err = l.unit(ctx, r, q)
	default:
		return nil, tools.ErrNoLogs
	}
	if err != nil {
		return nil, err
	}
	return chosen(lines, q), nil
}

// scan answers how many lines must be read for those that are asked for.
func scan(q tools.LogQuery) int {
	if q.Contains != "" {
		return logScan
	}
	return q.Lines
}

// chosen answers the last lines that a query asks for, redacted.
func chosen(lines []tools.LogLine, q tools.LogQuery) []tools.LogLine {
	var kept []tools.LogLine
	want := strings.ToLower(q.Contains)
	for _, x := range lines {
		x.Text = redact.Line(x.Text, 1_000)
		if x.Text != "" && !x.At.Before(q.Since) && strings.Contains(strings.ToLower(x.Text), want) {
			kept = append(kept, x)
		}
	}
	return kept[max(0, len(kept)-q.Lines):]
}

func (l localLogs) container(ctx context.Context, r ops.Resource, q tools.LogQuery) ([]tools.LogLine, error) {
	runtime := r.Key.Source
	if runtime != containers.Docker && runtime != containers.Podman {
		return nil, tools.ErrNoLogs
	}
	engine, err := containers.Find(ctx, runtime, containers.Sockets(l.env, runtime))
	if err != nil {
		return nil, tools.ErrNoLogs // its collector says what is wrong with it
	}
	defer engine.Close()
	list, err := engine.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the log of %s: %w", r.Name, err)
	}
	for _, c := range list {
		if c.Name != r.Name {
			continue
		}
		detail, ok, err := engine.Inspect(ctx, c.ID)
		if err != nil || !ok {
			return nil, cmp.Or(err, tools.ErrNoLogs)
		}
		read, err := engine.Logs(ctx, c.ID, q.Since, detail.TTY, scan(q), logBytes)
		if errors.Is(err, containers.ErrNoLog) {
			return nil, tools.ErrNoLogs
		}
		lines := make([]tools.LogLine, len(read))
		for i, x := range read {
			lines[i] = tools.LogLine{At: x.At, Text: x.Text}
		}
		return lines, err
	}
	return nil, tools.ErrNoLogs
}

// unitForm is what may be asked of the journal: a unit's name as systemd
// writes it, no pattern, no option.
var unitForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:@\\-]{0,200}\.(?:service|timer|socket|mount|path|target|slice|scope)$`)

// journalArgs answers the arguments for the journal of one unit. Each is one
// word that begins with its option: nothing that was read from the estate or
// came from a model can become another one.
func journalArgs(unit string, q tools.LogQuery) ([]string, error) {
	if !unitForm.MatchString(unit) {
		return nil, tools.ErrNoLogs
	}
	return []string{"--output=json", "--no-pager", "--quiet", "--unit=" + unit, "--since=@" + strconv.FormatInt(q.Since.Unix(), 10),
		"--lines=" + strconv.Itoa(max(1, min(scan(q), logScan)))}, nil
}

func (l localLogs) unit(ctx context.Context, r ops.Resource, q tools.LogQuery) ([]tools.LogLine, error) {
	if _, ok := l.env.Tools("journalctl"); !ok {
		return nil, tools.ErrNoLogs
	}
	args, err := journalArgs(r.Name, q)
	if err != nil {
		return nil, err
	}
	out, err := l.env.Run(ctx, "journalctl", args...)
	if err != nil {
		return nil, fmt.Errorf("read the journal of %s: %w", r.Name, err)
	}
	if out.Exit != 0 && len(out.Stdout) == 0 {
		return nil, tools.ErrNoLogs // no journal here, or no permission
	}
	return journalLines(out.Stdout), nil
}

// journalLines reads what journalctl prints as JSON: one object a line. What
// is no such object is left out.
func journalLines(b []byte) []tools.LogLine {
	var lines []tools.LogLine
	for text := range bytes.Lines(b) {
		var entry struct {
			Micros  string          `json:"__REALTIME_TIMESTAMP"`
			Message json.RawMessage `json:"MESSAGE"`
		}
		if json.Unmarshal(text, &entry) != nil {
			continue
		}
		micros, err := strconv.ParseInt(entry.Micros, 10, 64)
		var message string
		var raw []uint8 // a message that is no valid text is a list of its bytes
		switch {
		case err != nil:
			continue
		case json.Unmarshal(entry.Message, &message) == nil:
		case json.Unmarshal(entry.Message, &raw) == nil:
			message = string(raw)
		}
		if message != "" {
			lines = append(lines, tools.LogLine{At: time.UnixMicro(micros).UTC(), Text: message[:min(len(message), 16<<10)]})
		}
	}
	return lines
}
