package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"reeve/internal/api"
	"reeve/internal/channels"
	"reeve/internal/collectors"
	"reeve/internal/config"
	"reeve/internal/detectors"
	"reeve/internal/ops"
	"reeve/internal/tsdb"
	"reeve/internal/watch"
)

// openAPI builds the API over the parts.
func (s *Server) openAPI(ctx context.Context, o Options) (err error) {
	deps := api.Deps{
		Log: s.log, Store: s.store, Metrics: s.metricsOfAPI(), Desk: deskOf(s.watch),
		Stores: s.storeStatuses, Channels: s.channelStatuses, TestChannel: s.notifier.Test, Coverage: s.coverage,
		ConfigView: func() any { return configView(o.Config, o.ConfigFile) },
		Ready:      s.ready, ChecksEdited: func() { s.woken.checks.Wake() },
		Detectors: detectors.All(), Collectors: collectors.All(), ChannelTypes: channelTypes(),
		Self: s.registry(), Page: o.Page, Version: o.Version, Started: s.started, DataDir: s.config.Data,
		PublicURL: s.config.PublicURL, HostNames: s.hostNames(), OIDC: oidcOf(s.config),
	}
	deps.Loops = func() []loopStatus { return s.loops.Statuses() }
	s.api, err = api.New(deps)
	return err
}

// deskOf gives people's decisions to package watch.
func deskOf(w *watch.Watch) api.Desk {
	return api.Desk{
		AckFinding: w.AckFinding, Suppress: w.Suppress, Unsuppress: w.Unsuppress, Resolve: w.Resolve, AckIncident: w.AckIncident,
		Explain: func(ctx context.Context, resource, condition string) (any, error) {
			return w.Explain(ctx, resource, condition)
		},
		Story: func(ctx context.Context, incident string) (any, error) { return w.Story(ctx, incident) },
	}
}

func (s *Server) metricsOfAPI() api.Metrics {
	return api.Metrics{Prometheus: s.metrics.Handler(), Range: s.chart, Latest: s.metrics.Latest, Names: s.metricNames}
}

// chart answers the course of metrics of one resource.
func (s *Server) chart(ctx context.Context, resourceID string, metrics []string, from, to time.Time, points int) ([]api.ChartSeries, error) {
	all := []api.ChartSeries{}
	for _, m := range metrics {
		bands, err := s.metrics.Range(ctx, tsdb.BandQuery{Selector: watch.Selector(m, resourceID, nil), From: from, To: to, MaxPoints: points})
		if err != nil {
			return nil, err
		}
		for _, b := range bands {
			all = append(all, chartOf(b))
		}
	}
	return all, nil
}

func chartOf(b tsdb.Band) api.ChartSeries {
	labels := maps.Clone(b.Labels)
	delete(labels, tsdb.HostLabel)
	delete(labels, tsdb.ResourceLabel)
	c := api.ChartSeries{Metric: b.Metric, Labels: labels}
	for _, p := range b.Points {
		c.Points = append(c.Points, ops.Point{At: p.At, Value: p.Avg})
		c.Min = append(c.Min, p.Min)
		c.Max = append(c.Max, p.Max)
		c.Rolled = c.Rolled || p.Min != p.Max
	}
	return c
}

// metricNames answers the metrics that a resource had lately.
func (s *Server) metricNames(ctx context.Context, resourceID string) ([]string, error) {
	series, err := s.metrics.Query(ctx, fmt.Sprintf(`group by (__name__) (last_over_time({__name__!="",resource=%q}[1h]))`, resourceID), time.Now())
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, x := range series {
		names = append(names, x.Metric)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// ready says whether the server can do its work.
func (s *Server) ready() error {
	if s.watch.Status().At.IsZero() {
		return ops.Errorf(ops.Unavailable, "the first look at the estate is not done yet")
	}
	return nil
}

func (s *Server) hostNames() []string {
	names := []string{s.host.Name}
	for _, addr := range []string{s.config.Listen, s.config.ListenTLS} {
		if host, _, err := net.SplitHostPort(addr); err == nil && host != "" {
			names = append(names, host)
		}
	}
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	return slices.DeleteFunc(names, func(n string) bool { return n == "" })
}

func channelTypes() []api.ChannelType {
	var all []api.ChannelType
	for _, d := range channels.All() {
		all = append(all, api.ChannelType{Name: d.Name, Doc: d.Doc, Settings: d.Settings})
	}
	return all
}

// configView answers the effective configuration without its secrets.
func configView(c config.Config, file string) any {
	text, err := json.Marshal(config.Masked(c))
	if err != nil {
		return map[string]any{"file": file}
	}
	view := map[string]any{}
	if err := json.Unmarshal(text, &view); err != nil {
		return map[string]any{"file": file}
	}
	return map[string]any{"file": file, "settings": view}
}

// listen binds the addresses before anything runs, so that a taken port is an
// error of the start.
func (s *Server) listen() (err error) {
	if s.listener, err = net.Listen("tcp", s.config.Listen); err != nil {
		return ops.Because(ops.Unavailable, err, "the address %s cannot be listened on (%s); choose another with --listen ADDR", s.config.Listen, reason(err))
	}
	s.push("listener", func(context.Context) error { return ignoreClosed(s.listener.Close()) })
	if s.config.ListenTLS == "" {
		return nil
	}
	s.secure, err = api.ListenTLS(s.config.ListenTLS, api.TLSFiles{DataDir: s.config.Data, Cert: s.config.TLSCert, Key: s.config.TLSKey, Names: s.hostNames()})
	if err != nil {
		return err
	}
	s.push("TLS listener", func(context.Context) error { return ignoreClosed(s.secure.Close()) })
	return nil
}

func reason(err error) string {
	parts := strings.Split(err.Error(), ": ")
	return parts[len(parts)-1]
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// serve answers requests until the process stops.
func (s *Server) serve() {
	for _, l := range []net.Listener{s.listener, s.secure} {
		if l == nil {
			continue
		}
		server := api.NewHTTPServer(s.log, s.api)
		s.servers = append(s.servers, server)
		go func() {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				s.failed <- fmt.Errorf("answer requests on %s: %w", l.Addr(), err)
			}
		}()
		s.push("requests on "+l.Addr().String(), func(ctx context.Context) error { return shutdown(ctx, server) })
	}
}

// shutdown lets requests under way end; event streams never do by themselves
// and are cut after a moment.
func shutdown(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return server.Close()
	}
	return nil
}
