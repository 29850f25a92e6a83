package api

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/rest"
	"reeve/internal/signin"
	"reeve/internal/store"
)

// A Check is a declared probe as the API shows and takes it.
type Check struct {
	Name      string            `json:"name,omitempty" doc:"Unique name."`
	Type      string            `json:"type" enum:"http,tcp,icmp,dns,tls,heartbeat" doc:"What is probed."`
	Target    string            `json:"target,omitempty" doc:"URL for http (only operators see its user and the values of its query), host:port for tcp and tls, host for icmp, name for dns; empty for heartbeat."`
	EveryMS   int64             `json:"every_ms,omitempty" doc:"Period of the probe, or how often the heartbeat is expected; default a minute, heartbeat an hour."`
	TimeoutMS int64             `json:"timeout_ms,omitempty" doc:"Of one probe; default 10 s."`
	GraceMS   int64             `json:"grace_ms,omitempty" doc:"heartbeat: how late it may be; default 5 minutes."`
	Status    []int             `json:"status,omitempty" doc:"http: accepted status codes; default 200-399."`
	Contains  string            `json:"contains,omitempty" doc:"http: text the body must contain."`
	Method    string            `json:"method,omitempty" doc:"http: GET or HEAD; default GET."`
	Headers   map[string]string `json:"headers,omitempty" doc:"http: headers to send; their values are never shown again."`
	Insecure  bool              `json:"insecure,omitempty" doc:"Accept any TLS certificate."`
	Server    string            `json:"server,omitempty" doc:"dns: server to ask (host:port); default the system's."`
	Expect    []string          `json:"expect,omitempty" doc:"dns: answers, all of which must be there."`
	Labels    map[string]string `json:"labels,omitempty" doc:"Labels of the check."`
}

// A CheckView is a check with what is known of it.
type CheckView struct {
	Check
	FromConfig bool      `json:"from_config" doc:"Declared in the configuration: it changes there."`
	BeatURL    string    `json:"heartbeat_url,omitempty" doc:"What the job calls when it is done; only operators see it."`
	LastBeatAt time.Time `json:"last_beat_at,omitzero"`
	ResourceID string    `json:"resource_id,omitempty"`
	Up         *bool     `json:"up,omitempty" doc:"Absent until it was first probed."`
	Err        string    `json:"error,omitempty"`
	Version    int64     `json:"version"`
}

// EntityVersion is what If-Match is compared with.
func (v CheckView) EntityVersion() int64 { return v.Version }

func (c Check) definition() collect.Check {
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	return collect.Check{Name: c.Name, Type: c.Type, Target: c.Target, Every: ms(c.EveryMS), Timeout: ms(c.TimeoutMS), Grace: ms(c.GraceMS),
		Status: c.Status, Contains: c.Contains, Method: c.Method, Headers: c.Headers, Insecure: c.Insecure, Server: c.Server,
		Expect: c.Expect, Labels: c.Labels}
}

func checkOf(c collect.Check) Check {
	shown := map[string]string{}
	for name := range c.Headers {
		shown[name] = redact.Mask
	}
	return Check{Name: c.Name, Type: c.Type, Target: c.Target, EveryMS: c.Every.Milliseconds(), TimeoutMS: c.Timeout.Milliseconds(),
		GraceMS: c.Grace.Milliseconds(), Status: c.Status, Contains: c.Contains, Method: c.Method, Headers: shown, Insecure: c.Insecure,
		Server: c.Server, Expect: c.Expect, Labels: c.Labels}
}

// checkContext is what a view of a check needs besides its row.
type checkContext struct {
	resources map[string]*ops.Resource // by name
	base      string
	operator  bool
}

func (s *Server) checkContext(ctx context.Context) (checkContext, error) {
	p, err := s.estate.look(ctx)
	if err != nil {
		return checkContext{}, err
	}
	v := checkContext{resources: map[string]*ops.Resource{}, base: rest.CallerOf(ctx).Base, operator: rest.CallerOf(ctx).May(rest.Operate) == nil}
	for i := range p.resources {
		if r := &p.resources[i]; r.Kind == ops.KindCheck {
			v.resources[r.Name] = r
		}
	}
	return v, nil
}

func (v checkContext) view(row store.CheckDef) (CheckView, error) {
	var def collect.Check
	if err := json.Unmarshal(row.Def, &def); err != nil {
		return CheckView{}, err
	}
	def.Name = row.Name
	if !v.operator && def.Type == "http" {
		def.Target = redact.URL(def.Target)
	}
	out := CheckView{Check: checkOf(def), FromConfig: row.Origin == "config", LastBeatAt: row.LastBeat, Version: row.Version}
	if row.BeatToken != "" && v.operator {
		out.BeatURL = v.base + "/beat/" + row.BeatToken
	}
	if r := v.resources[row.Name]; r != nil {
		out.ResourceID, out.Err = r.ID, r.Observed["error"]
		if up, ok := r.Observed.Bool("up"); ok {
			out.Up = &up
		}
	}
	return out, nil
}

func (s *Server) checks(ctx context.Context, _ rest.NoInput) (rest.List[CheckView], error) {
	rows, err := s.store.Checks(ctx)
	if err != nil {
		return rest.List[CheckView]{}, err
	}
	in, err := s.checkContext(ctx)
	if err != nil {
		return rest.List[CheckView]{}, err
	}
	var all []CheckView
	for _, row := range rows {
		v, err := in.view(row)
		if err != nil {
			return rest.List[CheckView]{}, err
		}
		all = append(all, v)
	}
	return rest.ListOf(all, ""), nil
}

type addCheckInput struct {
	Body Check `body:""`
}

func (s *Server) addCheck(ctx context.Context, q addCheckInput) (CheckView, error) {
	if _, err := s.store.Check(ctx, q.Body.Name); err == nil {
		return CheckView{}, ops.Errorf(ops.Conflict, "there is a check %s already; change it on the page or with PUT, or remove it first", rest.Short(q.Body.Name))
	}
	return s.saveCheck(ctx, q.Body, store.CheckDef{Name: q.Body.Name, Origin: "page"})
}

type changeCheckInput struct {
	Name    string `path:"name"`
	IfMatch string `header:"If-Match"`
	Body    Check  `body:""`
}

func (s *Server) changeCheck(ctx context.Context, q changeCheckInput) (CheckView, error) {
	row, err := s.store.Check(ctx, q.Name)
	if err != nil {
		return CheckView{}, err
	}
	if err := ownCheck(row, q.IfMatch); err != nil {
		return CheckView{}, err
	}
	if q.Body.Name != "" && q.Body.Name != q.Name {
		return CheckView{}, rest.Invalid("name", "a check keeps its name; withdraw it and declare another")
	}
	q.Body.Name = q.Name
	var before collect.Check
	if err := json.Unmarshal(row.Def, &before); err != nil {
		return CheckView{}, err
	}
	if err := q.Body.keepHeaders(before); err != nil {
		return CheckView{}, err
	}
	return s.saveCheck(ctx, q.Body, row)
}

// keepHeaders puts back the values of headers that came as they are shown.
// They go only where they were declared for: whoever could point them at
// another target would read them there.
func (c Check) keepHeaders(before collect.Check) error {
	changed := ""
	switch {
	case c.Target != before.Target:
		changed = "the target changed"
	case c.Type != before.Type:
		changed = "the type changed"
	case c.Insecure && !before.Insecure:
		changed = "insecure was turned on"
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		if c.Headers[name] != redact.Mask {
			continue
		}
		if changed != "" {
			return rest.Invalid("headers", "write the value of %s anew: %s", rest.Short(name), changed)
		}
		c.Headers[name] = before.Headers[name]
	}
	return nil
}

// ownCheck refuses to change what the configuration declares, or what changed
// since it was read.
func ownCheck(row store.CheckDef, match string) error {
	if row.Origin == "config" {
		return ops.Errorf(ops.Conflict, "the check %s is declared in the configuration; change it there", row.Name)
	}
	return rest.CheckMatch(match, "the check", row.Version)
}

func (s *Server) saveCheck(ctx context.Context, c Check, row store.CheckDef) (CheckView, error) {
	if err := c.valid(); err != nil {
		return CheckView{}, err
	}
	def, err := json.Marshal(c.definition())
	if err != nil {
		return CheckView{}, err
	}
	row.Def = def
	if c.Type == "heartbeat" && row.BeatToken == "" {
		row.BeatToken = signin.NewSecret("")
	}
	err = s.store.Tx(ctx, s.now(), func(tx *store.Tx) error {
		now, err := tx.Check(ctx, row.Name)
		if err != nil && ops.KindOf(err) != ops.NotFound {
			return err
		}
		if now.Version != row.Version {
			return rest.Stale("the check", now.Version)
		}
		if err := tx.SaveCheck(ctx, row, rest.CallerOf(ctx).Why("")); err != nil {
			return err
		}
		row, err = tx.Check(ctx, row.Name)
		return err
	})
	if err != nil {
		return CheckView{}, err
	}
	s.deps.ChecksEdited()
	in, err := s.checkContext(ctx)
	if err != nil {
		return CheckView{}, err
	}
	return in.view(row)
}

type deleteCheckInput struct {
	Name    string `path:"name"`
	IfMatch string `header:"If-Match"`
}

func (s *Server) deleteCheck(ctx context.Context, q deleteCheckInput) (rest.None, error) {
	err := s.store.Tx(ctx, s.now(), func(tx *store.Tx) error {
		row, err := tx.Check(ctx, q.Name)
		if err != nil {
			return err
		}
		if err := ownCheck(row, q.IfMatch); err != nil {
			return err
		}
		return tx.DeleteCheck(ctx, q.Name, rest.CallerOf(ctx).Why(""))
	})
	if err == nil {
		s.deps.ChecksEdited()
	}
	return rest.None{}, err
}

var checkName = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N} ._:@+-]*$`)

// The bounds of a check's times.
const (
	minEveryMS = 5_000
	maxEveryMS = 366 * 24 * 3600 * 1000
	maxWaitMS  = 120_000
)

// valid answers what is wrong with a check that a person declares.
func (c Check) valid() error {
	switch {
	case utf8.RuneCountInString(c.Name) > 100 || !checkName.MatchString(c.Name):
		return rest.Invalid("name", "a name has letters, digits, spaces and . _ : @ + -, at most 100, and begins with a letter or digit")
	case c.EveryMS != 0 && (c.EveryMS < minEveryMS || c.EveryMS > maxEveryMS):
		return rest.Invalid("every_ms", "every_ms is at least 5000 and at most a year")
	case c.TimeoutMS < 0 || c.TimeoutMS > maxWaitMS:
		return rest.Invalid("timeout_ms", "timeout_ms is at most 120000")
	case c.GraceMS < 0 || c.GraceMS > maxEveryMS:
		return rest.Invalid("grace_ms", "grace_ms is at most a year")
	case c.Method != "" && c.Method != http.MethodGet && c.Method != http.MethodHead:
		return rest.Invalid("method", "method is GET or HEAD")
	case len(c.Headers) > 50 || len(c.Labels) > 50 || len(c.Expect) > 50 || len(c.Status) > 50:
		return rest.Invalid("headers", "at most 50 headers, labels, expected answers and status codes")
	case slices.ContainsFunc(c.Status, func(n int) bool { return n < 100 || n > 599 }):
		return rest.Invalid("status", "a status code is between 100 and 599")
	}
	return c.validTarget()
}

func (c Check) validTarget() error {
	if strings.ContainsFunc(c.Target, func(r rune) bool { return r <= ' ' || r == 0x7f }) || len(c.Target) > 2000 {
		return rest.Invalid("target", "the target has no spaces and at most 2000 bytes")
	}
	switch c.Type {
	case "heartbeat":
		if c.Target != "" {
			return rest.Invalid("target", "a heartbeat has no target: the job calls its heartbeat_url")
		}
	case "http":
		u, err := url.Parse(c.Target)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return rest.Invalid("target", "the target is an address like https://example.org/health")
		}
	case "tcp", "tls":
		if _, port, err := net.SplitHostPort(c.Target); err != nil || port == "" {
			return rest.Invalid("target", "the target is host:port")
		}
	default:
		if c.Target == "" {
			return rest.Invalid("target", "name what is probed")
		}
	}
	return nil
}

// beat takes in a heartbeat: whoever knows the address is the job.
func (s *Server) beat(w http.ResponseWriter, r *http.Request) error {
	ctx, now := r.Context(), s.now()
	c := rest.CallerOf(ctx)
	token := r.PathValue("token")
	if len(token) > 200 || !rest.PlainText(token) {
		return ops.Errorf(ops.NotFound, "no heartbeat has this address")
	}
	if err := errors.Join(s.beats.Take(rest.Sender(c.Addr), now), s.jobs.Take(token, now)); err != nil {
		return err
	}
	if err := s.store.Tx(ctx, now, func(tx *store.Tx) error {
		_, err := tx.Beat(ctx, token, now)
		return err
	}); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte("ok\n")) // The job went away; the beat counts.
	}
	return nil
}

// CheckDefinition answers what is wrong with a check of the configuration,
// in its words: there times are spans, not milliseconds.
func CheckDefinition(c collect.Check) error {
	message, fields := ops.Shown(checkOf(c).valid())
	if message == "" {
		return nil
	}
	var why []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		why = append(why, fields[name])
	}
	if len(why) > 0 {
		message = strings.Join(why, "; ")
	}
	message = strings.NewReplacer("every_ms is at least 5000", "every is at least 5s", "_ms", "").Replace(message)
	return ops.Errorf(ops.Invalid, "check %s: %s", c.Name, message)
}
