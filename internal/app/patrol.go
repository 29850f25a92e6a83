package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reeve/internal/brief"
	"reeve/internal/config"
	"reeve/internal/detectors"
	"reeve/internal/knowledge"
	"reeve/internal/llm"
	"reeve/internal/ops"
	"reeve/internal/patrol"
	"reeve/internal/tool"
)

// openPatrol builds what looks the estate over.
func (s *Server) openPatrol() error {
	digest, err := digestOf(s.config)
	if err != nil {
		return err
	}
	name, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("ask for the name of this machine: %w", err)
	}
	if s.router == nil {
		s.router = llm.New(s.log, llm.Options{}) // No models are set.
	}
	known := func(condition string) bool { _, ok := detectors.Get(condition); return ok }
	s.know = knowledge.New(s.store, known)
	m := s.config.Models
	if err := patrolErrors(s.config); err != nil {
		return err
	}
	s.patrol, err = patrol.New(patrol.Options{
		Log: s.log, Store: s.store, Metrics: s.metrics, Router: s.router, Definitions: detectors.All(), Hold: s.watch.Hold, Tools: s.toolsOf,
		Knowledge: patrol.Knowledge{Notes: s.know.ForScope, Before: s.before, Suggest: s.know.Suggest},
		Settings:  patrolSettings(s.config.Patrol), ConfigDigest: digest, Node: name + ":" + s.config.Data,
		Modelling: patrol.Modelling{Withhold: withheld(m.Withhold), Pseudonymise: m.Pseudonymise, RunInput: m.Ceilings.RunInput, RunTokens: m.Ceilings.RunTokens},
	})
	return err
}

// patrolErrors answers the first mistake in the settings of patrols, with
// where it stands.
func patrolErrors(c config.Config) error {
	err := patrolSettings(c.Patrol).Check()
	return c.Because(keyOf("patrol", err), err)
}

// before tells the last time of a condition.
func (s *Server) before(ctx context.Context, condition, resourceID string) (string, error) {
	past, err := s.know.Before(ctx, condition, resourceID)
	return past.Text, err
}

// toolsOf answers the tools of one conversation of a profile.
func (s *Server) toolsOf(profile tool.Profile, desk tool.Desk) tool.Toolbox {
	return s.openTools(profile, desk, true)
}

func withheld(c config.Withhold) brief.Withhold {
	w := brief.Withhold{Hosts: c.Hosts, Kinds: c.Kinds, Fields: map[string]bool{}}
	for _, f := range c.Fields {
		w.Fields[f] = true
	}
	return w
}

// patrolSettings reads the settings; no events named are all of them, and the
// word none is none.
func patrolSettings(c config.Patrol) patrol.Settings {
	set := patrol.Settings{Every: time.Duration(c.Every), Startup: c.Startup, Events: patrol.Events, MinSeverity: ops.Severity(c.MinSeverity),
		Spacing: time.Duration(c.Spacing), Pacing: time.Duration(c.Pacing), QuietRuns: c.QuietRuns, Timeout: time.Duration(c.Timeout), Keep: time.Duration(c.Keep)}
	if c.Events != nil {
		set.Events = nil
	}
	for _, e := range c.Events {
		if len(c.Events) != 1 || e != "none" {
			set.Events = append(set.Events, ops.TriggerKind(e))
		}
	}
	return set
}

// digestOf answers what changes with the configuration and tells nothing of
// it.
func digestOf(c config.Config) (string, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("digest the configuration: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// patrolSighting reports the outcomes of patrols as a part of Reeve: when
// three failed in a row that is a finding, as with a loop.
func (s *Server) patrolSighting(ctx context.Context, host ops.HostIdentity) (ops.Sighting, error) {
	failures, why, err := s.patrol.Failing(ctx)
	state := "ok"
	if failures >= failuresToReport {
		state = "failing"
	}
	return component(host, "loop", "patrol_runs", state, why, failures), err
}

const failuresToReport = 3

var (
	runsTotal    = prometheus.NewDesc("reeve_patrol_runs", "Patrols that are kept, by how they ended or that they wait.", []string{"state"}, nil)
	runsFailures = prometheus.NewDesc("reeve_patrol_failures", "Patrols that failed since the last that was done.", nil, nil)
	runLastAt    = prometheus.NewDesc("reeve_patrol_last_timestamp_seconds", "When a patrol was last done or failed.", nil, nil)
	runNextAt    = prometheus.NewDesc("reeve_patrol_next_timestamp_seconds", "When the next patrol is due by the clock.", nil, nil)
)

// collectPatrol sends the metrics of patrols. What the database does not
// answer now is left out.
func (s *Server) collectPatrol(send func(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string)) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	counts, err := s.store.CountRuns(ctx)
	if err != nil {
		s.log.Warn("patrols cannot be counted", "err", err)
		return
	}
	for _, state := range ops.RunFlow.States() {
		send(runsTotal, prometheus.GaugeValue, float64(counts[state]), string(state))
	}
	st, err := s.patrol.Status(ctx)
	if err != nil {
		s.log.Warn("patrols do not tell how they are doing", "err", err)
		return
	}
	send(runsFailures, prometheus.GaugeValue, float64(st.Failures))
	if st.Last != nil {
		send(runLastAt, prometheus.GaugeValue, float64(st.Last.EndedAt.UnixMilli())/1000)
	}
	if !st.NextAt.IsZero() {
		send(runNextAt, prometheus.GaugeValue, float64(st.NextAt.UnixMilli())/1000)
	}
}
