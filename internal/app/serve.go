package app

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"time"

	"reeve/internal/api"
	"reeve/internal/channels"
	"reeve/internal/collectors"
	"reeve/internal/config"
	"reeve/internal/detectors"
	"reeve/internal/loop"
	"reeve/internal/notify"
	"reeve/internal/ops"
	"reeve/internal/signin"
	"reeve/internal/store"
	"reeve/internal/tsdb"
	"reeve/internal/watch"
)

// openAPI builds the API over the parts.
func (s *Server) openAPI(ctx context.Context, o Options) (err error) {
	oidc, err := oidcOf(o.Config, s.sealed)
	switch {
	case ops.KindOf(err) == ops.Unavailable:
		s.log.Error("nobody can sign in through the provider", "err", err)
	case err != nil:
		return err
	}
	deps := api.Deps{
		Log: s.log, Store: s.store, Metrics: s.metricsOfAPI(), Models: s.modelsOfAPI(), Patrol: s.patrol, Desk: deskOf(s.watch), Fleet: s.fleetOfAPI(), Work: s.workOfAPI(),
		Investigate: s.investigate, Knowledge: s.know,
		Stores: s.storeStatuses, Channels: s.channelStatuses, TestChannel: s.notifier.Test, Coverage: s.coverage,
		ConfigView: func() any { return configView(o.Config, o.ConfigFile) },
		Ready:      s.ready, ChecksEdited: func() { s.woken.checks.Wake() }, Restart: s.restart, Seal: s.seal, DeleteSecret: s.deleteSecret,
		Detectors: detectors.All(), Collectors: collectors.All(), ChannelTypes: channelTypes(), Tools: toolViews(),
		Self: s.registry(), Page: o.Page, Version: o.Version, Started: s.started, DataDir: s.config.Data,
		PublicURL: s.config.PublicURL, HostNames: s.hostNames(), OIDC: oidc,
	}
	deps.Loops = func() []loop.Status { return s.loops.Statuses() }
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

// ready says whether the server can do its work. One that is not on duty
// takes agents and answers people, and does not look at the estate.
func (s *Server) ready() error {
	if s.watch.Status().At.IsZero() && !s.duty.elsewhere() {
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

// openNotifier opens the channels of the configuration.
func (s *Server) openNotifier() error {
	all, err := notify.OpenChannels(notify.NewEnv(s.log, s.sealed, s.config.PublicURL), channels.Get, s.config.Channels)
	if err != nil {
		return err
	}
	if err := channelErrors(s.config, all); err != nil {
		return err
	}
	for _, c := range all {
		if c.Err != nil {
			s.log.Error("channel cannot send", "channel", c.Name, "err", c.Err)
		}
	}
	policy, err := notify.NewPolicy(s.config.Notify, notify.Names(all))
	if err != nil {
		return s.config.Because(keyOf("notify", err), err)
	}
	s.notifier = notify.New(s.log, s.store, notify.Options{Channels: all, Policy: policy, PublicURL: s.config.PublicURL, Advice: s.advice})
	return nil
}

// advice answers what is known about a condition, for messages.
func (s *Server) advice(condition string) notify.Advice {
	d, _ := s.watch.Definition(condition)
	return notify.Advice{Title: d.Title, Causes: d.Causes, Checks: d.Checks}
}

func (s *Server) channelStatuses(ctx context.Context) []api.ChannelStatus {
	list, err := s.notifier.Statuses(ctx)
	if err != nil {
		s.log.Error("channels cannot be counted", "err", err)
	}
	all := []api.ChannelStatus{}
	for _, c := range list {
		doc := ""
		if d, ok := channels.Get(c.Type); ok {
			doc = d.Doc
		}
		all = append(all, api.ChannelStatus{Name: c.Name, Type: c.Type, State: c.State, LastDeliveredAt: c.LastDelivered, Queued: c.Queued, Dead: c.Dead, Err: c.Err, Doc: doc})
	}
	return all
}

func oidcOf(c config.Config, sealed notify.Opener) (*signin.OIDCOptions, error) {
	o := c.OIDC
	if o.Issuer == "" {
		return nil, nil
	}
	secret, err := notify.ReadSecret(o.ClientSecret, sealed)
	if err != nil {
		return nil, c.Because("oidc.client_secret", err)
	}
	roles := map[string]store.Role{}
	for value, role := range o.Roles {
		roles[value] = store.Role(role)
	}
	return &signin.OIDCOptions{Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: secret.Reveal(), RedirectURL: o.RedirectURL, RoleClaim: o.RoleClaim,
		Roles: roles, DefaultRole: store.Role(o.DefaultRole)}, nil
}
