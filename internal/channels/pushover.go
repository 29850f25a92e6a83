package channels

import (
	"context"
	"net/http"
	"strings"

	"reeve/internal/notify"
	"reeve/internal/ops"
)

var _ = all.Add(notify.Definition{
	Name:     "pushover",
	Doc:      "Pushes to the devices of a Pushover user or group. Critical messages have high priority, or sound until someone confirms them with emergency.",
	Settings: pushoverSettings{},
	Open:     notify.Typed(openPushover),
})

type pushoverSettings struct {
	Token     notify.Secret `json:"token" doc:"Token of the application."`
	User      notify.Secret `json:"user" doc:"Key of the user or group."`
	Device    string        `json:"device,omitempty" doc:"One device only."`
	Emergency bool          `json:"emergency,omitempty" doc:"Repeat critical messages every minute for an hour until someone confirms them."`
	Server    string        `json:"server,omitempty" default:"https://api.pushover.net" doc:"Address of the service."`
	notify.Reach
}

type pushoverChannel struct {
	settings pushoverSettings
	client   *http.Client
}

func openPushover(env notify.Env, s pushoverSettings) (notify.Channel, error) {
	client, err := env.HTTP(s.Reach)
	if err != nil {
		return nil, err
	}
	return &pushoverChannel{settings: s, client: client}, nil
}

type pushoverMessage struct {
	Token     string `json:"token"`
	User      string `json:"user"`
	Device    string `json:"device,omitempty"`
	Title     string `json:"title"`
	Message   string `json:"message"`
	URL       string `json:"url,omitempty"`
	URLTitle  string `json:"url_title,omitempty"`
	Priority  int    `json:"priority"`
	Retry     int    `json:"retry,omitempty"`
	Expire    int    `json:"expire,omitempty"`
	Timestamp int64  `json:"timestamp"`
}

func (p *pushoverChannel) Send(ctx context.Context, m ops.Message) error {
	body := pushoverMessage{
		Token: p.settings.Token.Reveal(), User: p.settings.User.Reveal(), Device: p.settings.Device,
		Title: heading(m, 240), Message: manyLines(m.Text, 1000), Timestamp: m.At.Unix(),
	}
	if body.Message == "" {
		body.Message = body.Title
	}
	if m.URL != "" && len(m.URL) <= 512 {
		body.URL, body.URLTitle = m.URL, "Open the incident"
	}
	if m.Severity == ops.Critical && m.Event != ops.MessageResolved && m.Event != ops.MessageTest {
		body.Priority = 1
		if p.settings.Emergency && m.Event != ops.MessageDigest {
			body.Priority, body.Retry, body.Expire = 2, 60, 3600
		}
	}
	_, err := notify.PostJSON(ctx, p.client, notify.Request{URL: strings.TrimRight(p.settings.Server, "/") + "/1/messages.json"}, body)
	return err
}
