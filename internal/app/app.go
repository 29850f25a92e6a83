// Package app joins the parts into the processes that people start. It alone
// knows everyone.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reeve/internal/act"
	"reeve/internal/agent"
	"reeve/internal/api"
	"reeve/internal/collectors"
	"reeve/internal/config"
	"reeve/internal/detectors"
	"reeve/internal/fleet"
	"reeve/internal/gather"
	"reeve/internal/ingest"
	"reeve/internal/investigate"
	"reeve/internal/knowledge"
	"reeve/internal/llm"
	"reeve/internal/loop"
	"reeve/internal/notify"
	"reeve/internal/ops"
	"reeve/internal/patrol"
	"reeve/internal/reconcile"
	"reeve/internal/secret"
	"reeve/internal/signin"
	"reeve/internal/store"
	"reeve/internal/tsdb"
	"reeve/internal/watch"
)

// Options are what a process is started with.
type Options struct {
	Config     config.Config
	ConfigFile string // "" for none
	Log        *slog.Logger
	Version    string
	Page       http.Handler
}

// A Server is the server, with the agent for this machine inside unless it is
// switched off.
type Server struct {
	log      *slog.Logger
	options  Options
	config   config.Config
	started  time.Time
	version  string
	again    chan struct{} // see Again
	store    *store.Store
	keeper   *secret.Keeper
	sealed   notify.Opener
	metrics  *tsdb.DB
	ingest   *ingest.Ingest
	watch    *watch.Watch
	worker   *gather.Worker // nil without the agent
	notifier *notify.Notify
	router   *llm.Router
	exams    *exams
	know     *knowledge.Knowledge
	patrol   *patrol.Patrol
	fleet    *fleet.Fleet
	serverID string
	duty     duty
	act      *act.Act
	hands    *agent.Hands // of the agent inside; nil without

	reconcile *reconcile.Reconcile
	missing   map[string]bool // of the pass that declares: hosts that it told of

	investigate *investigate.Investigate

	host     ops.HostIdentity
	logs     localLogs // read by tools
	api      *api.Server
	loops    *loop.Group
	woken    woken
	checks   checkList
	web      web
	cleanups []cleanup
}

type cleanup struct {
	name string
	run  func(context.Context) error
}

// woken are the loops that others wake.
type woken struct{ watch, checks, declare, deadman *loop.Loop } // deadman is nil without one

// New opens the stores, builds every part and listens. On an error everything
// that was opened is closed again.
func New(ctx context.Context, o Options) (*Server, error) {
	if err := addressErrors(o.Config); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Config.Data, 0o700); err != nil {
		return nil, ops.Because(ops.Invalid, err, "the data folder %s cannot be made; choose another with --data DIR", o.Config.Data)
	}
	unlock, err := lockData(o.Config.Data)
	if err != nil {
		return nil, err
	}
	return build(ctx, o, cleanup{"data folder lock", func(context.Context) error { return unlock() }})
}

// build builds a server on a data folder that is held already.
func build(ctx context.Context, o Options, held cleanup) (s *Server, err error) {
	s = &Server{log: o.Log, options: o, config: o.Config, started: time.Now().UTC(), version: o.Version, again: make(chan struct{}, 1), cleanups: []cleanup{held}}
	defer func() {
		if err != nil {
			s.close(context.WithoutCancel(ctx))
			s = nil
		}
	}()
	if err := s.openDatabase(ctx); err != nil {
		return s, err
	}
	if err := s.openSecrets(ctx); err != nil {
		return s, err
	}
	if s.serverID, err = serverID(o.Config.Data); err != nil {
		return s, err
	}
	m := o.Config.Metrics
	s.metrics, err = tsdb.Open(ctx, o.Log, tsdb.Options{Dir: filepath.Join(o.Config.Data, "metrics"), URL: m.URL, WriteURL: m.WriteURL,
		Retention: time.Duration(m.Retention), RollupRetention: time.Duration(m.RollupRetention), MaxSize: int64(m.MaxSize)})
	if err != nil {
		return s, fmt.Errorf("open the metrics store: %w", err)
	}
	s.push("metrics store", func(context.Context) error { return s.metrics.Close() })

	if s.ingest, err = ingest.New(ctx, o.Log, s.store, s.metrics, func() { s.woken.watch.Wake() }); err != nil {
		return s, err
	}
	rules, err := rulesOf(o.Config, detectors.All())
	if err != nil {
		return s, err
	}
	s.watch = watch.New(o.Log, s.store, s.metrics, detectors.All(), rules)
	if err := s.declareChecks(ctx); err != nil {
		return s, err
	}
	if err := s.openNotifier(); err != nil {
		return s, err
	}
	if err := s.openAgent(ctx); err != nil {
		return s, err
	}
	if err := s.mayShare(ctx); err != nil {
		return s, err
	}
	s.push("place among the servers", s.leave)
	if err := s.openFleet(ctx); err != nil {
		return s, err
	}
	if err := s.leaveFormer(ctx); err != nil {
		return s, err
	}
	if err := s.openWork(ctx); err != nil {
		return s, err
	}
	if err := s.openModels(ctx); err != nil {
		return s, err
	}
	if err := s.openPatrol(); err != nil {
		return s, err
	}
	if err := s.openInvestigate(ctx); err != nil {
		return s, err
	}
	if err := s.openAPI(ctx, o); err != nil {
		return s, err
	}
	s.addLoops()
	return s, s.listen(ctx)
}

func (s *Server) push(name string, run func(context.Context) error) {
	s.cleanups = append(s.cleanups, cleanup{name, run})
}

// Start starts the loops.
func (s *Server) Start(ctx context.Context) {
	s.loops.Start(ctx)
	s.push("loops", s.loops.Stop)
}

// SignInLink answers a one-time link while nobody can sign in otherwise, ""
// after.
func (s *Server) SignInLink(ctx context.Context) (string, error) {
	needs, err := signin.NeedsLink(ctx, s.store)
	if err != nil || !needs {
		return "", err
	}
	return s.NewSignInLink(ctx)
}

// NewSignInLink makes a one-time link for an admin on this machine.
func (s *Server) NewSignInLink(ctx context.Context) (string, error) {
	token, err := signin.NewLink(ctx, s.store, time.Now())
	return s.URL() + "/signin?token=" + token, err
}

// Accept takes in a report of an agent, as the agent inside hands its own.
func (s *Server) Accept(ctx context.Context, r ops.Report) error { return s.ingest.Accept(ctx, r) }

// Stop stops everything in reverse order under the deadline of ctx and says
// by name what was busy.
func (s *Server) Stop(ctx context.Context) error { return s.close(ctx) }

func (s *Server) close(ctx context.Context) error {
	var failed []error
	for _, c := range slices.Backward(s.cleanups) {
		if err := c.run(ctx); err != nil {
			failed = append(failed, fmt.Errorf("stop %s: %w", c.name, err))
		}
	}
	s.cleanups = nil
	return errors.Join(failed...)
}

func (s *Server) openAgent(ctx context.Context) error {
	a := s.config.Agent
	if !a.Enabled {
		return nil
	}
	roots := gather.Roots{Proc: a.Proc, Sys: a.Sys, Root: a.Root, DockerSockets: a.Docker, PodmanSockets: a.Podman,
		StateDir: filepath.Join(s.config.Data, "collectors"), Checks: s.checks.get}
	if err := os.MkdirAll(roots.StateDir, 0o700); err != nil {
		return fmt.Errorf("make the collectors' folder: %w", err)
	}
	env := gather.LiveEnv(s.log, roots)
	if a.Root != "/" {
		env = gather.RecordedEnv(s.log, roots)
	}
	host, err := s.identity(ctx, env)
	if err != nil {
		return err
	}
	if a.Name != "" {
		host.Name = a.Name
	}
	host.Labels = a.Labels
	s.host, s.logs = host, localLogs{host.Key, env}
	settings, err := settingsOf(s.config, collectors.All())
	if err != nil {
		return err
	}
	s.worker, err = gather.New(s.log, gather.Options{Host: host, Env: env, Definitions: collectors.All(), Settings: settings, Hand: s.ingest.Accept})
	if err == nil {
		s.push("agent", s.worker.Close)
	}
	return err
}

// registry answers the metrics about the process itself.
func (s *Server) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(selfMetrics{s})
	return r
}
