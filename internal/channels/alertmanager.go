package channels

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"reeve/internal/notify"
	"reeve/internal/ops"
)

var _ = all.Add(notify.Definition{
	Name: "alertmanager",
	Doc: `Posts to a Prometheus Alertmanager, which routes further by labels: alertname (the condition), severity, host,
resource, kind and the resource's own labels. Every finding of an incident is one entry there; it ends when the finding
is resolved, or after expires_hours without word from Reeve.`,
	Settings: alertmanagerSettings{},
	Open:     notify.Typed(openAlertmanager),
})

type alertmanagerSettings struct {
	Server       string        `json:"server" doc:"Address of the Alertmanager."`
	Token        notify.Secret `json:"token,omitempty" doc:"Bearer token."`
	User         string        `json:"user,omitempty" doc:"User name for basic authentication."`
	Password     notify.Secret `json:"password,omitempty" doc:"Password of the user."`
	ExpiresHours int           `json:"expires_hours,omitempty" default:"168" doc:"How long an entry lives without word from Reeve."`
	notify.Reach
}

type alertmanagerChannel struct {
	settings alertmanagerSettings
	client   *http.Client
}

func openAlertmanager(env notify.Env, s alertmanagerSettings) (notify.Channel, error) {
	if s.ExpiresHours < 1 {
		return nil, ops.Errorf(ops.Invalid, "setting expires_hours: is at least 1")
	}
	client, err := env.HTTP(s.Reach)
	if err != nil {
		return nil, err
	}
	return &alertmanagerChannel{settings: s, client: client}, nil
}

type alertmanagerEntry struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

func (a *alertmanagerChannel) Send(ctx context.Context, m ops.Message) error {
	header := map[string]string{}
	switch s := a.settings; {
	case s.Token.Set():
		header["Authorization"] = "Bearer " + s.Token.Reveal()
	case s.User != "":
		header["Authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte(s.User+":"+s.Password.Reveal()))
	}
	address := strings.TrimRight(a.settings.Server, "/") + "/api/v2/alerts"
	_, err := notify.PostJSON(ctx, a.client, notify.Request{URL: address, Header: header}, a.entries(m))
	return err
}

func (a *alertmanagerChannel) entries(m ops.Message) []alertmanagerEntry {
	if len(m.Findings) == 0 {
		return []alertmanagerEntry{{
			Labels:      map[string]string{"alertname": "reeve_" + string(m.Event), "severity": string(m.Severity), "source": "reeve"},
			Annotations: map[string]string{"summary": oneLine(m.Title, 500), "description": manyLines(m.Text, 16<<10)},
			StartsAt:    m.At.UTC(), EndsAt: m.At.Add(time.Hour).UTC(), GeneratorURL: m.URL,
		}}
	}
	var entries []alertmanagerEntry
	for _, f := range m.Findings {
		ended := m.Event == ops.MessageResolved || f.State == ops.FindingResolved || f.State == ops.FindingClosed
		// Labels are the identity of an entry, severity among them: one that
		// rose ends the entry of the lower severity.
		for _, severity := range []ops.Severity{ops.Warning, ops.Critical} {
			ends := m.At
			if !ended && severity == f.Severity {
				ends = m.At.Add(time.Duration(a.settings.ExpiresHours) * time.Hour)
			}
			entries = append(entries, alertmanagerEntry{
				Labels:      alertmanagerLabels(f, severity),
				Annotations: map[string]string{"summary": oneLine(f.Summary, 500), "description": manyLines(m.Text, 16<<10), "incident": m.IncidentID},
				StartsAt:    alertmanagerStart(f.Since, m.At).UTC(), EndsAt: ends.UTC(), GeneratorURL: m.URL,
			})
		}
	}
	return entries
}

func alertmanagerLabels(f ops.MessageFinding, severity ops.Severity) map[string]string {
	labels := map[string]string{}
	for name, value := range f.Labels {
		labels[alertmanagerName(name)] = oneLine(value, 200)
	}
	labels["alertname"], labels["severity"], labels["source"] = f.Condition, string(severity), "reeve"
	labels["host"], labels["resource"], labels["kind"] = oneLine(f.Host, 200), oneLine(f.Resource, 200), string(f.Kind)
	return labels
}

// alertmanagerName answers a label name of the form that every version takes.
func alertmanagerName(s string) string {
	name := strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, s)
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "_" + name
	}
	return name
}

// alertmanagerStart answers since, but never later than the message nor unknown: an
// entry must not start after it ends.
func alertmanagerStart(since, at time.Time) time.Time {
	if since.IsZero() || since.After(at) {
		return at
	}
	return since
}
