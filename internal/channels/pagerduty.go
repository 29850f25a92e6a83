package channels

import (
	"context"
	"net/http"
	"strings"
	"time"

	"reeve/internal/notify"
	"reeve/internal/ops"
)

var _ = all.Add(notify.Definition{
	Name:     "pagerduty",
	Doc:      "Opens and resolves PagerDuty incidents through the Events API v2. One incident here is one there, by its ID. Digests and tests open one of their own, which a person closes.",
	Settings: pagerdutySettings{},
	Open:     notify.Typed(openPagerduty),
})

type pagerdutySettings struct {
	Key    notify.Secret `json:"key" doc:"Integration key (routing key) of the service."`
	Server string        `json:"server,omitempty" default:"https://events.pagerduty.com" doc:"Address of the API; https://events.eu.pagerduty.com in Europe."`
	notify.Reach
}

type pagerdutyChannel struct {
	settings pagerdutySettings
	client   *http.Client
}

func openPagerduty(env notify.Env, s pagerdutySettings) (notify.Channel, error) {
	client, err := env.HTTP(s.Reach)
	if err != nil {
		return nil, err
	}
	return &pagerdutyChannel{settings: s, client: client}, nil
}

type pagerdutyEvent struct {
	Key     string            `json:"routing_key"`
	Action  string            `json:"event_action"`
	Dedup   string            `json:"dedup_key"`
	Client  string            `json:"client"`
	Payload *pagerdutyPayload `json:"payload,omitempty"`
	Links   []pagerdutyLink   `json:"links,omitempty"`
}

type pagerdutyPayload struct {
	Summary   string            `json:"summary"`
	Source    string            `json:"source"`
	Severity  string            `json:"severity"`
	Timestamp string            `json:"timestamp"`
	Component string            `json:"component,omitempty"`
	Class     string            `json:"class,omitempty"`
	Details   map[string]string `json:"custom_details"`
}

type pagerdutyLink struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

func (p *pagerdutyChannel) Send(ctx context.Context, m ops.Message) error {
	event := pagerdutyEvent{Key: p.settings.Key.Reveal(), Action: "trigger", Dedup: m.IncidentID, Client: "Reeve"}
	if event.Dedup == "" {
		event.Dedup = m.ID
	}
	if m.Event == ops.MessageResolved {
		event.Action = "resolve"
	} else {
		event.Payload = pagerdutyPayloadOf(m)
		if m.URL != "" {
			event.Links = []pagerdutyLink{{Href: m.URL, Text: "Open the incident"}}
		}
	}
	address := strings.TrimRight(p.settings.Server, "/") + "/v2/enqueue"
	_, err := notify.PostJSON(ctx, p.client, notify.Request{URL: address}, event)
	return err
}

func pagerdutyPayloadOf(m ops.Message) *pagerdutyPayload {
	payload := &pagerdutyPayload{
		Summary: oneLine(m.Title, 1000), Source: "reeve", Severity: "warning", Timestamp: m.At.UTC().Format(time.RFC3339),
		Details: map[string]string{"text": manyLines(m.Text, 8<<10), "delivery": m.ID},
	}
	switch {
	case m.Event == ops.MessageTest:
		payload.Severity = "info"
	case m.Severity == ops.Critical:
		payload.Severity = "critical"
	}
	if len(m.Findings) > 0 {
		root := m.Findings[0]
		payload.Component, payload.Class = oneLine(root.Resource, 200), root.Condition
		if root.Host != "" {
			payload.Source = oneLine(root.Host, 200)
		}
	}
	return payload
}
