package channels

import (
	"context"
	"html"
	"net/http"
	"net/url"
	"strings"

	"reeve/internal/notify"
	"reeve/internal/ops"
)

var _ = all.Add(notify.Definition{
	Name:     "matrix",
	Doc:      "Sends to a Matrix room that the user of the token has joined. The delivery's ID is the transaction's, so a message that is sent again appears once. The room must not be encrypted.",
	Settings: matrixSettings{},
	Open:     notify.Typed(openMatrix),
})

type matrixSettings struct {
	Server string        `json:"server" doc:"Address of the homeserver, https://matrix.example.org."`
	Token  notify.Secret `json:"token" doc:"Access token of the user that sends."`
	Room   string        `json:"room" doc:"Internal ID of the room, such as !abc:example.org."`
	notify.Reach
}

type matrixChannel struct {
	settings matrixSettings
	client   *http.Client
}

func openMatrix(env notify.Env, s matrixSettings) (notify.Channel, error) {
	if !strings.HasPrefix(s.Room, "!") {
		return nil, ops.Errorf(ops.Invalid, "setting room: is the room's internal ID, which begins with !")
	}
	client, err := env.HTTP(s.Reach)
	if err != nil {
		return nil, err
	}
	return &matrixChannel{settings: s, client: client}, nil
}

type matrixMessage struct {
	Type     string   `json:"msgtype"`
	Body     string   `json:"body"`
	Format   string   `json:"format"`
	HTML     string   `json:"formatted_body"`
	Mentions struct{} `json:"m.mentions"` // empty: nobody, whatever the text says
}

func (x *matrixChannel) Send(ctx context.Context, m ops.Message) error {
	title, text := heading(m, 300), manyLines(m.Text, 16<<10)
	plain := title + "\n" + text
	rich := "<strong>" + html.EscapeString(title) + "</strong><br>" + strings.ReplaceAll(html.EscapeString(text), "\n", "<br>")
	if m.URL != "" {
		plain += "\n" + m.URL
		rich += "<br><a href=\"" + html.EscapeString(m.URL) + "\">Open the incident</a>"
	}
	address := strings.TrimRight(x.settings.Server, "/") + "/_matrix/client/v3/rooms/" +
		url.PathEscape(x.settings.Room) + "/send/m.room.message/" + url.PathEscape(m.ID)
	_, err := notify.PostJSON(ctx, x.client, notify.Request{
		Method: http.MethodPut, URL: address, Header: map[string]string{"Authorization": "Bearer " + x.settings.Token.Reveal()},
	}, matrixMessage{Type: "m.text", Body: plain, Format: "org.matrix.custom.html", HTML: rich})
	return err
}
