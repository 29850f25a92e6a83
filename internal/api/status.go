package api

import (
	"context"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"reeve/internal/loop"
	"reeve/internal/ops"
	"reeve/internal/rest"
)

// Status is one screen: what is watched, what is wrong, and how Reeve itself
// is doing.
type Status struct {
	Version    string            `json:"version"`
	StartedAt  time.Time         `json:"started_at"`
	Now        time.Time         `json:"now"`
	Host       string            `json:"host" doc:"The machine that this server runs on."`
	Hosts      []HostRow         `json:"hosts"`
	Counts     Counts            `json:"counts"`
	Loops      []loop.Status     `json:"loops"`
	Stores     []StoreStatus     `json:"stores"`
	Collectors []CollectorStatus `json:"collectors"`
	Channels   []ChannelStatus   `json:"channels"`
	Patrol     PatrolState       `json:"patrol"`
	Coverage   map[string]any    `json:"coverage" doc:"How much is seen: metrics_series, samples_per_s and more."`
}

// Counts are the numbers of the overview.
type Counts struct {
	Resources        int              `json:"resources"`
	ResourcesByKind  map[string]int64 `json:"resources_by_kind"`
	FindingsOpen     int64            `json:"findings_open" doc:"Open or acknowledged."`
	FindingsCritical int64            `json:"findings_critical"`
	IncidentsOpen    int64            `json:"incidents_open" doc:"Open or acknowledged."`
	IncidentsByState map[string]int64 `json:"incidents_by_state"`
}

// A StoreStatus says how a database is doing.
type StoreStatus struct {
	Name   string         `json:"name"`
	State  string         `json:"state" doc:"ok, degraded or failing."`
	Detail string         `json:"detail,omitempty"`
	Size   int64          `json:"size_bytes"`
	Facts  map[string]any `json:"facts,omitempty"`
}

// A ChannelStatus says how a channel is doing.
type ChannelStatus struct {
	Name            string    `json:"name"`
	Type            string    `json:"type"`
	State           string    `json:"state" doc:"ok, failing or unproven."`
	LastDeliveredAt time.Time `json:"last_delivered_at,omitzero"`
	Queued          int64     `json:"queued"`
	Dead            int64     `json:"dead"`
	Err             string    `json:"error,omitempty"`
	Doc             string    `json:"doc,omitempty"`
}

// A CollectorStatus says how a collector on a host is doing.
type CollectorStatus struct {
	Host       string    `json:"host"`
	Name       string    `json:"name"`
	State      string    `json:"state" doc:"ok, failing, gap, stuck or disabled."`
	Err        string    `json:"error,omitempty"`
	Gaps       []ops.Gap `json:"gaps"`
	EveryMS    int64     `json:"every_ms"`
	LastOK     time.Time `json:"last_ok_at,omitzero"`
	ResourceID string    `json:"resource_id"`
	TookMS     float64   `json:"took_ms"`
}

func (s *Server) status(ctx context.Context, _ rest.NoInput) (Status, error) {
	host, _ := os.Hostname() // Without one the field is empty.
	st := Status{Version: s.deps.Version, StartedAt: s.deps.Started, Now: s.now().UTC(), Host: host,
		Loops: s.deps.Loops(), Stores: s.deps.Stores(ctx), Channels: s.deps.Channels(ctx), Coverage: s.deps.Coverage()}
	var err error
	if st.Hosts, err = s.estate.hosts(ctx); err != nil {
		return st, err
	}
	if st.Collectors, err = s.collectors(ctx); err != nil {
		return st, err
	}
	if st.Counts, err = s.counts(ctx); err != nil {
		return st, err
	}
	if st.Patrol, err = s.patrolState(ctx); err != nil {
		return st, err
	}
	st.Loops, st.Stores, st.Channels = rest.Full(st.Loops), rest.Full(st.Stores), rest.Full(st.Channels)
	if st.Coverage == nil {
		st.Coverage = map[string]any{}
	}
	return st, nil
}

func (s *Server) counts(ctx context.Context) (Counts, error) {
	p, err := s.estate.look(ctx)
	if err != nil {
		return Counts{}, err
	}
	findings, err := s.store.CountFindings(ctx)
	if err != nil {
		return Counts{}, err
	}
	incidents, err := s.store.CountIncidents(ctx)
	if err != nil {
		return Counts{}, err
	}
	c := Counts{Resources: len(p.resources), ResourcesByKind: p.countsByKind(), IncidentsByState: map[string]int64{},
		FindingsOpen: findings[ops.Warning] + findings[ops.Critical], FindingsCritical: findings[ops.Critical],
		IncidentsOpen: incidents[ops.IncidentOpen] + incidents[ops.IncidentAcknowledged]}
	for state, n := range incidents {
		c.IncidentsByState[string(state)] = n
	}
	return c, nil
}

const collectorPrefix = "collector:"

// collectors answers how the collectors of all hosts are doing, from the
// resources that stand for them.
func (s *Server) collectors(ctx context.Context) ([]CollectorStatus, error) {
	p, err := s.estate.look(ctx)
	if err != nil {
		return nil, err
	}
	latest, err := s.deps.Metrics.Latest(ctx, []string{"collector_duration_seconds"}, time.Hour)
	if err != nil {
		return nil, err
	}
	all := []CollectorStatus{}
	for _, r := range p.resources {
		name, ok := strings.CutPrefix(r.Key.Key, collectorPrefix)
		if r.Kind != ops.KindComponent || !ok {
			continue
		}
		c := collectorStatus(r, name)
		for _, series := range latest[r.ID] {
			if last, ok := series.Last(); ok && finite(last.Value) {
				c.TookMS = math.Round(last.Value*1e6) / 1e3
			}
		}
		all = append(all, c)
	}
	return all, nil
}

func collectorStatus(r ops.Resource, name string) CollectorStatus {
	a := r.Observed
	c := CollectorStatus{Host: r.HostName, Name: name, State: a["state"], Err: a["error"], Gaps: gapsOf(a), ResourceID: r.ID}
	c.EveryMS, _ = strconv.ParseInt(a["every_ms"], 10, 64)
	c.TookMS, _ = strconv.ParseFloat(a["took_ms"], 64)
	if at, err := time.Parse(time.RFC3339, a["last_ok_at"]); err == nil {
		c.LastOK = at
	} else if c.State == "ok" || c.State == "gap" {
		c.LastOK = r.ObservedAt
	}
	return c
}

// gapsOf reads the gaps of a collector, one a line: what, why and a remedy.
func gapsOf(a ops.Attrs) []ops.Gap {
	gaps := []ops.Gap{}
	for line := range strings.Lines(a["gap"]) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		what, why, _ := strings.Cut(line, ": ")
		why, remedy, _ := strings.Cut(why, "; ")
		gaps = append(gaps, ops.Gap{What: what, Why: why, Remedy: remedy})
	}
	return gaps
}

func (s *Server) hosts(ctx context.Context, _ rest.NoInput) (rest.List[HostRow], error) {
	rows, err := s.estate.hosts(ctx)
	return rest.ListOf(rows, ""), err
}

// HostDetail is one host with what is on it in counts.
type HostDetail struct {
	HostRow
	Labels    map[string]string `json:"labels,omitempty"`
	Resources map[string]int64  `json:"resources_by_kind" doc:"What is on it, itself left out."`
}

// host answers one host, by its ID, its resource or its name.
func (s *Server) host(ctx context.Context, q rest.ByID) (HostDetail, error) {
	rows, err := s.estate.hosts(ctx)
	if err != nil {
		return HostDetail{}, err
	}
	for _, r := range rows {
		if q.ID == r.ID || q.ID == r.ResourceID || q.ID == r.Name {
			return s.hostDetail(ctx, r)
		}
	}
	return HostDetail{}, ops.Errorf(ops.NotFound, "there is no host %s", rest.Short(q.ID))
}

func (s *Server) hostDetail(ctx context.Context, row HostRow) (HostDetail, error) {
	d := HostDetail{HostRow: row, Resources: map[string]int64{}}
	p, err := s.estate.look(ctx)
	if err != nil || row.ResourceID == "" {
		return d, err
	}
	for _, r := range p.resources {
		switch {
		case r.ID == row.ResourceID:
			d.Labels = r.Labels
		case r.HostID == row.ResourceID:
			d.Resources[string(r.Kind)]++
		}
	}
	return d, nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
