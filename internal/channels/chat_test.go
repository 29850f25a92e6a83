package channels

import (
	"encoding/json"
	"html"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/test/receiver"
)

func TestSlackReadsNoMarkup(t *testing.T) {
	h := httpReceiver(t)
	c := open(t, "slack", overHTTP(h.URL)["slack"])
	r := sent(t, h, c, nasty())
	var got slackMessage
	if err := json.Unmarshal(r.Body, &got); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(got.Text, "<>\n") || !strings.Contains(got.Text, "&lt;!channel&gt;") || got.Markdown {
		t.Errorf("text %q", got.Text)
	}
	for _, b := range got.Attachments[0].Blocks {
		if b.Text != nil && b.Text.Type != "plain_text" {
			t.Errorf("block %+v", b)
		}
	}
	if !strings.Contains(string(sent(t, h, c, opened).Body), opened.URL) || got.Attachments[0].Color != "#b91c1c" {
		t.Errorf("body %s", r.Body)
	}
}

func TestDiscordMentionsNobody(t *testing.T) {
	h := httpReceiver(t)
	c := open(t, "discord", overHTTP(h.URL)["discord"])
	r := sent(t, h, c, nasty())
	var got discordMessage
	if err := json.Unmarshal(r.Body, &got); err != nil {
		t.Fatal(err)
	}
	if got.AllowedMentions.Parse == nil || len(got.AllowedMentions.Parse) != 0 || r.Query != "wait=true" {
		t.Errorf("request %+v", r)
	}
	for _, text := range []string{got.Embeds[0].Title, got.Embeds[0].Description} {
		for _, bad := range []string{"**b**", " _i_", " `c`", "](http", " @everyone", "<@U1"} {
			if strings.Contains(text, bad) {
				t.Errorf("%q holds %q", text, bad)
			}
		}
	}
	long := opened
	long.Title, long.Text = strings.Repeat("*", 5000), strings.Repeat("*", 50000)
	if err := json.Unmarshal(sent(t, h, c, long).Body, &got); err != nil {
		t.Fatal(err)
	}
	if len([]rune(got.Embeds[0].Title)) > 256 || len([]rune(got.Embeds[0].Description)) > 4096 {
		t.Error("longer than Discord takes")
	}
}

func TestTelegramIsHTMLWithoutMentions(t *testing.T) {
	h := httpReceiver(t)
	c := open(t, "telegram", overHTTP(h.URL)["telegram"])
	r := sent(t, h, c, nasty())
	body := r.JSON()
	if r.Path != "/bots3cr3t-value/sendMessage" || body["chat_id"] != "-100" || body["parse_mode"] != "HTML" {
		t.Errorf("request %+v", r)
	}
	text := body["text"].(string)
	if strings.Contains(text, "<script") || strings.Contains(text, "@here") {
		t.Errorf("text %q", text)
	}
	if plain := html.UnescapeString(text); !strings.Contains(plain, "<script>") {
		t.Errorf("a person does not see the name: %q", plain)
	}
}

func TestMatrixTransactionIsTheDelivery(t *testing.T) {
	h := httpReceiver(t)
	c := open(t, "matrix", overHTTP(h.URL)["matrix"])
	for range 2 {
		r := sent(t, h, c, nasty())
		if r.Method != "PUT" || r.Path != "/_matrix/client/v3/rooms/%21r:x/send/m.room.message/"+opened.ID || r.Header.Get("Authorization") != "Bearer s3cr3t-value" {
			t.Errorf("request %s %s", r.Method, r.Path)
		}
		body := r.JSON()
		if mentions, ok := body["m.mentions"].(map[string]any); !ok || len(mentions) != 0 {
			t.Errorf("mentions %v", body["m.mentions"])
		}
		if strings.Contains(body["formatted_body"].(string), "<script") {
			t.Errorf("html %v", body["formatted_body"])
		}
	}
	d, _ := Get("matrix")
	if _, err := d.Open(env(), map[string]any{"server": h.URL, "token": "x", "room": "#alias:x"}); ops.KindOf(err) != ops.Invalid {
		t.Errorf("an alias: %v", err)
	}
}

func TestGotifyAndPushoverShowUrgency(t *testing.T) {
	h := httpReceiver(t)
	r := sent(t, h, open(t, "gotify", overHTTP(h.URL)["gotify"]), opened)
	if r.Path != "/message" || r.Header.Get("X-Gotify-Key") != "s3cr3t-value" || r.JSON()["priority"] != 10.0 || !strings.Contains(string(r.Body), "text/plain") {
		t.Errorf("request %+v %s", r, r.Body)
	}
	settings := overHTTP(h.URL)["pushover"]
	r = sent(t, h, open(t, "pushover", settings), nasty())
	if r.Path != "/1/messages.json" || r.JSON()["priority"] != 1.0 || r.JSON()["html"] != nil {
		t.Errorf("request %+v %s", r, r.Body)
	}
	settings["emergency"] = true
	c := open(t, "pushover", settings)
	if got := sent(t, h, c, opened).JSON(); got["priority"] != 2.0 || got["retry"] == nil || got["expire"] == nil {
		t.Errorf("emergency %v", got)
	}
	if got := sent(t, h, c, resolved()).JSON(); got["priority"] != 0.0 {
		t.Errorf("resolved %v", got)
	}
}

func TestTeamsShowsTextAsItIs(t *testing.T) {
	h := httpReceiver(t)
	r := sent(t, h, open(t, "teams", overHTTP(h.URL)["teams"]), nasty())
	var got teamsMessage
	if err := json.Unmarshal(r.Body, &got); err != nil {
		t.Fatal(err)
	}
	card := got.Attachments[0].Content
	for _, b := range card.Body {
		if b.Type != "RichTextBlock" {
			t.Errorf("block %+v reads markdown", b)
		}
	}
	if len(card.Body) < 3 || card.Actions[0].URL != opened.URL || card.Type != "AdaptiveCard" {
		t.Errorf("card %+v", card)
	}
}

func TestPagerdutyOpensAndResolvesOneIncident(t *testing.T) {
	h := httpReceiver(t)
	h.Answer(func(int, receiver.Request) receiver.Answer { return receiver.Answer{Status: 202} })
	c := open(t, "pagerduty", overHTTP(h.URL)["pagerduty"])
	first, second := sent(t, h, c, opened).JSON(), sent(t, h, c, resolved()).JSON()
	if first["event_action"] != "trigger" || second["event_action"] != "resolve" || first["dedup_key"] != opened.IncidentID || second["dedup_key"] != opened.IncidentID {
		t.Errorf("%v, %v", first, second)
	}
	payload := first["payload"].(map[string]any)
	if payload["severity"] != "critical" || payload["source"] != "web1" || payload["class"] != "fs_full" || payload["summary"] != opened.Title {
		t.Errorf("payload %v", payload)
	}
}

func TestAlertmanagerEntriesEndWithTheFinding(t *testing.T) {
	h := httpReceiver(t)
	c := open(t, "alertmanager", overHTTP(h.URL)["alertmanager"])
	read := func(m ops.Message) (entries []alertmanagerEntry) {
		r := sent(t, h, c, m)
		if r.Path != "/api/v2/alerts" {
			t.Errorf("path %s", r.Path)
		}
		if err := json.Unmarshal(r.Body, &entries); err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.EndsAt.Before(e.StartsAt) {
				t.Errorf("ends before it starts: %+v", e)
			}
			for name := range e.Labels {
				if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") != "" {
					t.Errorf("label %q", name)
				}
			}
		}
		return entries
	}
	active := func(m ops.Message) (n int, last map[string]string) {
		for _, e := range read(m) {
			if e.EndsAt.After(m.At) {
				n, last = n+1, e.Labels
			}
		}
		return n, last
	}
	n, labels := active(opened)
	if n != 1 || labels["alertname"] != "fs_full" || labels["severity"] != "critical" || labels["team"] != "shop" || labels["host"] != "web1" {
		t.Errorf("%d active: %v", n, labels)
	}
	if n, _ := active(resolved()); n != 0 {
		t.Errorf("%d active after it was resolved", n)
	}
	if n, _ := active(nasty()); n != 1 {
		t.Errorf("%d active", n)
	}
	if n, _ := active(ops.Message{ID: "dlv_1", Event: ops.MessageTest, Severity: ops.Warning, Title: "Test", At: time.Now()}); n != 1 {
		t.Errorf("%d active for a test", n)
	}
}
