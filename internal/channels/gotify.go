package channels

import (
	"context"
	"net/http"
	"strings"

	"reeve/internal/notify"
	"reeve/internal/ops"
)

var _ = all.Add(notify.Definition{
	Name:     "gotify",
	Doc:      "Sends to a Gotify server as one of its applications.",
	Settings: gotifySettings{},
	Open:     notify.Typed(openGotify),
})

type gotifySettings struct {
	Server string        `json:"server" doc:"Address of the server."`
	Token  notify.Secret `json:"token" doc:"Token of the application."`
	notify.Reach
}

type gotifyChannel struct {
	settings gotifySettings
	client   *http.Client
}

func openGotify(env notify.Env, s gotifySettings) (notify.Channel, error) {
	client, err := env.HTTP(s.Reach)
	if err != nil {
		return nil, err
	}
	return &gotifyChannel{settings: s, client: client}, nil
}

type gotifyMessage struct {
	Title    string         `json:"title"`
	Message  string         `json:"message"`
	Priority int            `json:"priority"`
	Extras   map[string]any `json:"extras"`
}

func (g *gotifyChannel) Send(ctx context.Context, m ops.Message) error {
	body := gotifyMessage{
		Title: heading(m, 300), Message: manyLines(m.Text, 16<<10), Priority: gotifyPriority(m),
		Extras: map[string]any{"client::display": map[string]string{"contentType": "text/plain"}},
	}
	if m.URL != "" {
		body.Extras["client::notification"] = map[string]any{"click": map[string]string{"url": m.URL}}
	}
	address := strings.TrimRight(g.settings.Server, "/") + "/message"
	_, err := notify.PostJSON(ctx, g.client, notify.Request{URL: address, Header: map[string]string{"X-Gotify-Key": g.settings.Token.Reveal()}}, body)
	return err
}

func gotifyPriority(m ops.Message) int {
	switch {
	case m.Event == ops.MessageResolved, m.Event == ops.MessageTest:
		return 4
	case m.Severity == ops.Critical:
		return 10
	}
	return 6
}
