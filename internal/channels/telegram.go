package channels

import (
	"context"
	"html"
	"net/http"
	"strings"

	"reeve/internal/notify"
	"reeve/internal/ops"
)

var _ = all.Add(notify.Definition{
	Name:     "telegram",
	Doc:      "Sends through a Telegram bot to a person, a group or a channel. Make the bot with @BotFather and write to it once, or add it to the group.",
	Settings: telegramSettings{},
	Open:     notify.Typed(openTelegram),
})

type telegramSettings struct {
	Token  notify.Secret `json:"token" doc:"Token of the bot."`
	Chat   string        `json:"chat" doc:"ID of the chat, or @name of a public channel."`
	Topic  int           `json:"topic,omitempty" doc:"ID of a topic in the group."`
	Server string        `json:"server,omitempty" default:"https://api.telegram.org" doc:"Address of the Bot API server."`
	notify.Reach
}

type telegramChannel struct {
	settings telegramSettings
	client   *http.Client
}

func openTelegram(env notify.Env, s telegramSettings) (notify.Channel, error) {
	client, err := env.HTTP(s.Reach)
	if err != nil {
		return nil, err
	}
	return &telegramChannel{settings: s, client: client}, nil
}

type telegramMessage struct {
	Chat    string          `json:"chat_id"`
	Topic   int             `json:"message_thread_id,omitempty"`
	Text    string          `json:"text"`
	Mode    string          `json:"parse_mode"`
	Preview telegramPreview `json:"link_preview_options"`
	Silent  bool            `json:"disable_notification"`
}

type telegramPreview struct {
	Disabled bool `json:"is_disabled"`
}

func (t *telegramChannel) Send(ctx context.Context, m ops.Message) error {
	text := "<b>" + telegramEscape(heading(m, 300)) + "</b>\n" + telegramEscape(manyLines(m.Text, 3000))
	if m.URL != "" {
		text += "\n<a href=\"" + html.EscapeString(m.URL) + "\">Open the incident</a>"
	}
	body := telegramMessage{
		Chat: t.settings.Chat, Topic: t.settings.Topic, Text: text, Mode: "HTML",
		Preview: telegramPreview{Disabled: true}, Silent: m.Event == ops.MessageResolved,
	}
	address := strings.TrimRight(t.settings.Server, "/") + "/bot" + t.settings.Token.Reveal() + "/sendMessage"
	_, err := notify.PostJSON(ctx, t.client, notify.Request{URL: address}, body)
	return err
}

// telegramEscape masks markup and mentions. Telegram finds @names in any
// text; an invisible word joiner after the sign hides them from it.
func telegramEscape(s string) string {
	return strings.ReplaceAll(html.EscapeString(s), "@", "@\u2060")
}
