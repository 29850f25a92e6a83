// Package api is the server's HTTP edge: the JSON API under /api/v1, its
// event stream and description, the addresses for heartbeats, health and
// Prometheus, and the server that answers them together with the page.
//
// Start reading in routes.go: it is the list of everything that can be asked
// about the estate, with who may ask it; what concerns accounts is listed in
// package signin, which also finds out who asks. A handler is a method that
// takes a struct of inputs and answers a value or an error; package rest makes
// routes of them.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reeve/internal/collect"
	"reeve/internal/detect"
	"reeve/internal/investigate"
	"reeve/internal/knowledge"
	"reeve/internal/loop"
	"reeve/internal/ops"
	"reeve/internal/patrol"
	"reeve/internal/rest"
	"reeve/internal/signin"
	"reeve/internal/store"
)

// Deps are the parts that the API speaks for. All of them are needed, except
// where it says otherwise.
type Deps struct {
	Log     *slog.Logger
	Store   *store.Store
	Metrics Metrics
	Models  Models
	Desk    Desk
	Fleet   Fleet
	Work    Work

	Investigate *investigate.Investigate
	Knowledge   *knowledge.Knowledge
	Patrol      *patrol.Patrol

	Loops        func() []loop.Status
	Stores       func(context.Context) []StoreStatus
	Channels     func(context.Context) []ChannelStatus
	TestChannel  func(ctx context.Context, name string) error
	Coverage     func() map[string]any
	ConfigView   func() any // secrets masked
	Ready        func() error
	ChecksEdited func() // a check was declared, changed or withdrawn
	Restart      func() // a backup is staged: stop, and start again with it
	Seal         func(ctx context.Context, name, value string, why store.Why) (ops.SealedSetting, error)
	DeleteSecret func(ctx context.Context, name string, why store.Why) error

	Detectors    []detect.Definition
	Collectors   []collect.Definition
	ChannelTypes []ChannelType
	Tools        []ToolView
	Self         prometheus.Gatherer
	Page         http.Handler

	Version string
	Started time.Time
	// DataDir holds what outlives a request but not a backup download.
	DataDir string
	// PublicURL is where people reach this server, "" when nobody said.
	PublicURL string
	// HostNames are further names under which it may be reached.
	HostNames []string
	// OIDC lets people sign in through a provider; nil without one.
	OIDC *signin.OIDCOptions
}

// Metrics is what the API asks of the time-series store.
type Metrics struct {
	// Prometheus serves the Prometheus HTTP API below /prometheus/.
	Prometheus http.Handler
	// Range answers the course of metrics of a resource in at most points
	// steps.
	Range func(ctx context.Context, resourceID string, metrics []string, from, to time.Time, points int) ([]ChartSeries, error)
	// Latest answers the newest readings by resource.
	Latest func(ctx context.Context, metrics []string, maxAge time.Duration) (map[string][]ops.Series, error)
	// Names answers the metrics that a resource has.
	Names func(ctx context.Context, resourceID string) ([]string, error)
}

// Desk is where people's decisions about findings and incidents go. seen are
// the versions that they may be about; none for any. Another one is a
// watch.StaleError.
type Desk struct {
	AckFinding  func(ctx context.Context, id, actor, reason string, seen ...int64) (ops.Finding, error)
	Suppress    func(ctx context.Context, id string, s ops.Suppression, seen ...int64) (ops.Finding, error)
	Unsuppress  func(ctx context.Context, id, actor, reason string, seen ...int64) (ops.Finding, error)
	Resolve     func(ctx context.Context, id, actor, reason string, seen ...int64) (ops.Finding, error)
	AckIncident func(ctx context.Context, id, actor, reason string, seen ...int64) (ops.Incident, error)
	// Explain says why a condition of a resource is or is not open, delivered,
	// suppressed; Story tells an incident.
	Explain func(ctx context.Context, resourceID, condition string) (any, error)
	Story   func(ctx context.Context, incidentID string) (any, error)
}

// A Server answers HTTP requests. Run its Loops.
type Server struct {
	deps     Deps
	log      *slog.Logger
	store    *store.Store
	mux      *http.ServeMux
	routes   []rest.Route
	allowed  map[string]bool // host names
	public   *url.URL
	sign     *signin.SignIn
	hub      *hub
	estate   *estate
	openapi  []byte
	handler  http.Handler
	now      func() time.Time
	patterns map[string]bool
	beats    *rest.Limiter // heartbeats by address: many jobs of one machine come at the same minute
	jobs     *rest.Limiter // heartbeats by token
	// verifying lets one at a time read the whole audit chain.
	verifying sync.Mutex
	restores  restores
}

// New makes the server of the API.
func New(deps Deps) (*Server, error) {
	s := &Server{deps: deps, log: deps.Log, store: deps.Store, mux: http.NewServeMux(), now: time.Now,
		allowed: map[string]bool{"localhost": true}, patterns: map[string]bool{},
		beats: rest.NewLimiter(300, 50*time.Millisecond), jobs: rest.NewLimiter(10, time.Second)}
	if err := errors.Join(s.allowHosts(), dropDownloads(deps.DataDir)); err != nil {
		return nil, err
	}
	sign, err := signin.New(signin.Deps{Log: deps.Log, Store: deps.Store, Now: func() time.Time { return s.now() },
		DataDir: deps.DataDir, Public: s.public, OIDC: deps.OIDC})
	if err != nil {
		return nil, err
	}
	s.sign = sign
	s.estate = newEstate(deps)
	s.hub = newHub(s)
	s.routes = s.table()
	for _, r := range s.routes {
		s.mux.Handle(r.Method+" "+r.Pattern, s.sign.Admit(r.Needs, r.Handler(s.log)))
		s.patterns[r.Method+" "+r.Pattern] = true
	}
	s.mux.Handle("/api/", s.nothing())
	s.mux.Handle("/", deps.Page)
	if s.openapi, err = describe(s.routes); err != nil {
		return nil, err
	}
	s.handler = s.guard(s.mux)
	return s, nil
}

// allowHosts gathers the names under which requests may come.
func (s *Server) allowHosts() error {
	for _, name := range s.deps.HostNames {
		s.allowed[strings.ToLower(name)] = true
	}
	if s.deps.PublicURL == "" {
		return nil
	}
	u, err := url.Parse(s.deps.PublicURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ops.Errorf(ops.Invalid, "public_url %q is not an address like https://reeve.example.org", s.deps.PublicURL)
	}
	s.public = u
	s.allowed[strings.ToLower(u.Hostname())] = true
	return nil
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Loops answers the background passes of the API for the process to run.
func (s *Server) Loops() []*loop.Loop {
	return []*loop.Loop{
		{Name: "stream", Doc: "Hands every committed change to those who listen to the event stream.",
			Every: streamPause, Timeout: time.Minute, Pass: s.hub.pass},
		{Name: "sessions", Doc: "Deletes browser sessions that ended.", Every: time.Hour,
			Pass: func(ctx context.Context) error { return s.store.PruneSessions(ctx, s.now()) }},
	}
}
