package channels

import (
	"context"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/test/receiver"
)

func shoutrrrSettingsFor(h *receiver.HTTP) map[string]any {
	return map[string]any{"url": "mattermost://" + strings.TrimPrefix(h.URL, "http://") + "/s3cr3t-value?disabletls=yes"}
}

func TestShoutrrrSends(t *testing.T) {
	h := httpReceiver(t)
	c := open(t, "shoutrrr", shoutrrrSettingsFor(h))
	for range 3 {
		r := sent(t, h, c, nasty())
		text := r.JSON()["text"].(string)
		if r.Path != "/hooks/s3cr3t-value" || !strings.HasPrefix(text, "[CRITICAL]") || !strings.Contains(text, "Again.") {
			t.Errorf("request %+v %s", r, r.Body)
		}
		for _, mention := range []string{"@here", "@everyone", "<!channel", "<@U1"} {
			if strings.Contains(text, mention) {
				t.Errorf("%q mentions %s", text, mention)
			}
		}
	}
}

func TestShoutrrrFailuresMayPassAndHideTheAddress(t *testing.T) {
	h := httpReceiver(t)
	h.Answer(func(int, receiver.Request) receiver.Answer { return receiver.Answer{Status: 500} })
	c := open(t, "shoutrrr", shoutrrrSettingsFor(h))
	f := failure(t, c, opened)
	noSecret(t, f)
	if f.Permanent {
		t.Errorf("%+v", f)
	}
	h.Close()
	noSecret(t, failure(t, c, opened))
}

func TestShoutrrrLeavesWhenTheContextEnds(t *testing.T) {
	h := httpReceiver(t)
	h.Answer(func(int, receiver.Request) receiver.Answer { return receiver.Answer{Delay: time.Minute} })
	c := open(t, "shoutrrr", shoutrrrSettingsFor(h))
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		if err := c.Send(ctx, opened); err == nil {
			t.Error("no failure")
		}
		cancel()
	}
	if n := len(h.Requests()); n > 1 {
		t.Errorf("%d requests at once", n)
	}
}

func TestShoutrrrRefusesWhatItDoesNotSend(t *testing.T) {
	d, _ := Get("shoutrrr")
	for _, url := range []string{"smtp://u:p@h/", "generic://h", "logger://", "nothing://x", "::", ""} {
		if _, err := d.Open(env(), map[string]any{"url": url}); ops.KindOf(err) != ops.Invalid {
			t.Errorf("%s: %v", url, err)
		}
	}
	f := failure(t, open(t, "shoutrrr", map[string]any{"url": "mattermost://h"}), opened)
	if !f.Permanent {
		t.Errorf("a URL without a token: %+v", f)
	}
}
