package channels

import (
	"context"
	"net/http"
	"strings"

	"reeve/internal/notify"
	"reeve/internal/ops"
)

var _ = all.Add(notify.Definition{
	Name:     "teams",
	Doc:      "Posts an adaptive card to a Microsoft Teams workflow that begins with \"When a Teams webhook request is received\".",
	Settings: teamsSettings{},
	Open:     notify.Typed(openTeams),
})

type teamsSettings struct {
	URL notify.Secret `json:"url" doc:"Address of the workflow."`
	notify.Reach
}

type teamsChannel struct {
	url    string
	client *http.Client
}

func openTeams(env notify.Env, s teamsSettings) (notify.Channel, error) {
	client, err := env.HTTP(s.Reach)
	if err != nil {
		return nil, err
	}
	return &teamsChannel{url: s.URL.Reveal(), client: client}, nil
}

type teamsMessage struct {
	Type        string            `json:"type"`
	Attachments []teamsAttachment `json:"attachments"`
}

type teamsAttachment struct {
	ContentType string    `json:"contentType"`
	Content     teamsCard `json:"content"`
}

type teamsCard struct {
	Schema  string        `json:"$schema"`
	Type    string        `json:"type"`
	Version string        `json:"version"`
	Body    []teamsBlock  `json:"body"`
	Actions []teamsAction `json:"actions,omitempty"`
}

// A teamsBlock is a RichTextBlock, because a TextBlock reads markdown.
type teamsBlock struct {
	Type    string     `json:"type"`
	Inlines []teamsRun `json:"inlines"`
}

type teamsRun struct {
	Type   string `json:"type"`
	Text   string `json:"text"`
	Weight string `json:"weight,omitempty"`
	Size   string `json:"size,omitempty"`
	Color  string `json:"color,omitempty"`
}

type teamsAction struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

func (t *teamsChannel) Send(ctx context.Context, m ops.Message) error {
	title := teamsRun{Type: "TextRun", Text: heading(m, 300), Weight: "Bolder", Size: "Medium", Color: teamsColor(m)}
	card := teamsCard{
		Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4",
		Body: []teamsBlock{{Type: "RichTextBlock", Inlines: []teamsRun{title}}},
	}
	for line := range strings.SplitSeq(manyLines(m.Text, 8<<10), "\n") {
		if line != "" {
			card.Body = append(card.Body, teamsBlock{Type: "RichTextBlock", Inlines: []teamsRun{{Type: "TextRun", Text: line}}})
		}
	}
	if m.URL != "" {
		card.Actions = []teamsAction{{Type: "Action.OpenUrl", Title: "Open the incident", URL: m.URL}}
	}
	body := teamsMessage{Type: "message", Attachments: []teamsAttachment{{ContentType: "application/vnd.microsoft.card.adaptive", Content: card}}}
	_, err := notify.PostJSON(ctx, t.client, notify.Request{URL: t.url}, body)
	return err
}

func teamsColor(m ops.Message) string {
	switch {
	case m.Event == ops.MessageResolved:
		return "Good"
	case m.Severity == ops.Critical:
		return "Attention"
	}
	return "Warning"
}
