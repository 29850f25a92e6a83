package channels

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"reeve/internal/notify"
	"reeve/internal/ops"
)

var _ = all.Add(notify.Definition{
	Name:     "discord",
	Doc:      "Posts to a Discord webhook. Nobody is mentioned, whatever a name looks like.",
	Settings: discordSettings{},
	Open:     notify.Typed(openDiscord),
})

type discordSettings struct {
	URL notify.Secret `json:"url" doc:"Address of the webhook, https://discord.com/api/webhooks/..."`
	notify.Reach
}

type discordChannel struct {
	url    string
	client *http.Client
}

func openDiscord(env notify.Env, s discordSettings) (notify.Channel, error) {
	at, err := url.Parse(s.URL.Reveal())
	if err != nil || at.Host == "" {
		return nil, ops.Errorf(ops.Invalid, "setting url: is not an http or https address")
	}
	// Discord answers only then whether the message was kept.
	query := at.Query()
	query.Set("wait", "true")
	at.RawQuery = query.Encode()
	client, err := env.HTTP(s.Reach)
	if err != nil {
		return nil, err
	}
	return &discordChannel{url: at.String(), client: client}, nil
}

type discordMessage struct {
	Embeds          []discordEmbed  `json:"embeds"`
	AllowedMentions discordMentions `json:"allowed_mentions"`
}

type discordEmbed struct {
	Title       string `json:"title"`
	Description string `json:"description"`
	URL         string `json:"url,omitempty"`
	Color       int    `json:"color"`
	Timestamp   string `json:"timestamp"`
}

type discordMentions struct {
	Parse []string `json:"parse"`
}

func (d *discordChannel) Send(ctx context.Context, m ops.Message) error {
	// Escaping at most doubles a text; Discord takes 256 and 4,096
	// characters.
	body := discordMessage{
		Embeds: []discordEmbed{{
			Title: discordEscape(heading(m, 125)), Description: discordEscape(manyLines(m.Text, 2000)),
			URL: m.URL, Color: discordColor(m), Timestamp: m.At.UTC().Format(time.RFC3339),
		}},
		AllowedMentions: discordMentions{Parse: []string{}},
	}
	_, err := notify.PostJSON(ctx, d.client, notify.Request{URL: d.url}, body)
	return err
}

// discordEscape masks markdown, mentions and masked links.
func discordEscape(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune("\\*_~`|>#[]()<@-:", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func discordColor(m ops.Message) int {
	switch {
	case m.Event == ops.MessageResolved:
		return 0x15803d
	case m.Severity == ops.Critical:
		return 0xb91c1c
	}
	return 0xb45309
}
