package channels

import (
	"context"
	"net/http"
	"strings"

	"reeve/internal/notify"
	"reeve/internal/ops"
)

var _ = all.Add(notify.Definition{
	Name:     "slack",
	Doc:      "Posts to a Slack incoming webhook. Texts are shown as they are: names that look like mentions or links are neither.",
	Settings: slackSettings{},
	Open:     notify.Typed(openSlack),
})

type slackSettings struct {
	URL notify.Secret `json:"url" doc:"Address of the incoming webhook, https://hooks.slack.com/services/..."`
	notify.Reach
}

type slackChannel struct {
	url    string
	client *http.Client
}

func openSlack(env notify.Env, s slackSettings) (notify.Channel, error) {
	client, err := env.HTTP(s.Reach)
	if err != nil {
		return nil, err
	}
	return &slackChannel{url: s.URL.Reveal(), client: client}, nil
}

type slackText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type slackBlock struct {
	Type     string        `json:"type"`
	Text     *slackText    `json:"text,omitempty"`
	Elements []slackButton `json:"elements,omitempty"`
}

type slackButton struct {
	Type string    `json:"type"`
	Text slackText `json:"text"`
	URL  string    `json:"url"`
}

type slackAttachment struct {
	Color  string       `json:"color"`
	Blocks []slackBlock `json:"blocks"`
}

type slackMessage struct {
	Text        string            `json:"text"`
	Markdown    bool              `json:"mrkdwn"`
	Attachments []slackAttachment `json:"attachments"`
}

func (s *slackChannel) Send(ctx context.Context, m ops.Message) error {
	// plain_text is the one kind of text in which Slack reads no markup; a
	// block takes 3,000 characters of it.
	text := manyLines(m.Text, 2900)
	if text == "" {
		text = oneLine(m.Title, 2900)
	}
	blocks := []slackBlock{{Type: "section", Text: &slackText{Type: "plain_text", Text: text}}}
	if m.URL != "" {
		open := slackButton{Type: "button", Text: slackText{Type: "plain_text", Text: "Open the incident"}, URL: m.URL}
		blocks = append(blocks, slackBlock{Type: "actions", Elements: []slackButton{open}})
	}
	body := slackMessage{Text: slackEscape(heading(m, 300)), Attachments: []slackAttachment{{Color: slackColor(m), Blocks: blocks}}}
	_, err := notify.PostJSON(ctx, s.client, notify.Request{URL: s.url}, body)
	return err
}

// slackEscape masks the three characters that Slack reads in any text.
func slackEscape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

func slackColor(m ops.Message) string {
	switch {
	case m.Event == ops.MessageResolved:
		return "#15803d"
	case m.Severity == ops.Critical:
		return "#b91c1c"
	}
	return "#b45309"
}
