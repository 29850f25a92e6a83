package channels

import (
	"strings"
	"testing"
)

func TestNtfyPublishes(t *testing.T) {
	h := httpReceiver(t)
	c := open(t, "ntfy", map[string]any{"server": h.URL + "/", "topic": "ops", "token": "tk_1"})
	r := sent(t, h, c, opened)
	body := r.JSON()
	if r.Path != "/" || r.Header.Get("Authorization") != "Bearer tk_1" {
		t.Errorf("request %+v", r)
	}
	if body["topic"] != "ops" || body["priority"] != 5.0 || body["click"] != opened.URL || body["title"] != opened.Title || body["message"] != opened.Text {
		t.Errorf("body %v", body)
	}
	if r := sent(t, h, c, resolved()); r.JSON()["priority"] != 3.0 {
		t.Errorf("resolved body %s", r.Body)
	}
	bad := sent(t, h, c, nasty()).JSON()
	if strings.ContainsAny(bad["title"].(string), "\r\n\x1b\u202e") || strings.ContainsAny(bad["message"].(string), "\r\x1b") {
		t.Errorf("control characters: %v", bad)
	}
}

func TestNtfySignsInByPassword(t *testing.T) {
	h := httpReceiver(t)
	r := sent(t, h, open(t, "ntfy", map[string]any{"server": h.URL, "topic": "ops", "user": "u", "password": "p"}), opened)
	if r.Header.Get("Authorization") != "Basic dTpw" {
		t.Errorf("authorization %q", r.Header.Get("Authorization"))
	}
}
