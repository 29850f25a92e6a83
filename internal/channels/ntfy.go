package channels

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"

	"reeve/internal/notify"
	"reeve/internal/ops"
)

var _ = all.Add(notify.Definition{
	Name:     "ntfy",
	Doc:      "Publishes to a topic of ntfy.sh or of a server of your own. Critical messages have the highest priority; a tap opens the incident.",
	Settings: ntfySettings{},
	Open:     notify.Typed(openNtfy),
})

type ntfySettings struct {
	Server   string        `json:"server,omitempty" default:"https://ntfy.sh" doc:"Address of the server."`
	Topic    string        `json:"topic" doc:"Topic to publish to. Whoever knows it can read it, unless the server protects it."`
	Token    notify.Secret `json:"token,omitempty" doc:"Access token."`
	User     string        `json:"user,omitempty" doc:"User name, where there is no token."`
	Password notify.Secret `json:"password,omitempty" doc:"Password of the user."`
	notify.Reach
}

type ntfyChannel struct {
	settings ntfySettings
	client   *http.Client
}

func openNtfy(env notify.Env, s ntfySettings) (notify.Channel, error) {
	client, err := env.HTTP(s.Reach)
	if err != nil {
		return nil, err
	}
	return &ntfyChannel{settings: s, client: client}, nil
}

// ntfyLimitBytes is what the server takes before it makes a message an
// attachment.
const ntfyLimitBytes = 3900

type ntfyMessage struct {
	Topic    string   `json:"topic"`
	Title    string   `json:"title"`
	Message  string   `json:"message"`
	Priority int      `json:"priority"`
	Tags     []string `json:"tags,omitempty"`
	Click    string   `json:"click,omitempty"`
}

func (n *ntfyChannel) Send(ctx context.Context, m ops.Message) error {
	priority, tag := ntfyLook(m)
	// JSON to the server's root: names with line breaks cannot become
	// headers, and the text is not read as markup.
	body := ntfyMessage{
		Topic: n.settings.Topic, Title: oneLine(m.Title, 250), Message: manyLines(m.Text, ntfyLimitBytes),
		Priority: priority, Tags: []string{tag}, Click: m.URL,
	}
	if body.Message == "" {
		body.Message = body.Title
	}
	header := map[string]string{}
	switch s := n.settings; {
	case s.Token.Set():
		header["Authorization"] = "Bearer " + s.Token.Reveal()
	case s.User != "":
		header["Authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte(s.User+":"+s.Password.Reveal()))
	}
	_, err := notify.PostJSON(ctx, n.client, notify.Request{URL: strings.TrimRight(n.settings.Server, "/") + "/", Header: header}, body)
	return err
}

func ntfyLook(m ops.Message) (priority int, tag string) {
	switch {
	case m.Event == ops.MessageResolved:
		return 3, "white_check_mark"
	case m.Event == ops.MessageTest:
		return 3, "bell"
	case m.Severity == ops.Critical:
		return 5, "rotating_light"
	case m.Event == ops.MessageDigest:
		return 3, "clipboard"
	}
	return 4, "warning"
}
