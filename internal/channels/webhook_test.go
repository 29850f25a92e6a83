package channels

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"reeve/internal/ops"
	"reeve/test/receiver"
)

func TestWebhookIsSignedAndCarriesTheWholeMessage(t *testing.T) {
	h := httpReceiver(t)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("s3cr3t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOOK_TOKEN", "abc")
	c := open(t, "webhook", map[string]any{
		"url": h.URL + "/hook?x=1", "secret": "file:" + key, "headers": map[string]any{"X-Token": "env:HOOK_TOKEN"},
	})
	for _, m := range []ops.Message{opened, nasty()} {
		r := sent(t, h, c, m)
		mac := hmac.New(sha256.New, []byte("s3cr3t"))
		mac.Write([]byte(r.Header.Get("Reeve-Timestamp") + "." + string(r.Body)))
		if want := "v1=" + hex.EncodeToString(mac.Sum(nil)); r.Header.Get("Reeve-Signature") != want {
			t.Errorf("signature %s, want %s", r.Header.Get("Reeve-Signature"), want)
		}
		if r.Header.Get("Reeve-Delivery") != m.ID || r.Header.Get("X-Token") != "abc" || r.Path != "/hook" || r.Query != "x=1" {
			t.Errorf("request %+v", r)
		}
		var got ops.Message
		if err := json.Unmarshal(r.Body, &got); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("body %s: %v", r.Body, err)
		}
	}
}

func TestWebhookFollowsAllowedRedirectWithItsBody(t *testing.T) {
	inner, outer := httpReceiver(t), httpReceiver(t)
	outer.Answer(func(int, receiver.Request) receiver.Answer {
		return receiver.Answer{Status: 308, Header: map[string]string{"Location": inner.URL + "/moved"}}
	})
	c := open(t, "webhook", map[string]any{
		"url": outer.URL, "allow_private_redirects": "true", "headers": map[string]any{"X-Token": "abc"},
	})
	r := sent(t, inner, c, opened)
	if r.Path != "/moved" || r.Method != "POST" || r.JSON()["id"] != opened.ID {
		t.Errorf("request %+v", r)
	}
	if r.Header.Get("X-Token") != "" {
		t.Error("the token went to another host")
	}
}

func TestWebhookRefusesRedirectsThatLoseTheMessage(t *testing.T) {
	for _, status := range []int{301, 302, 303} {
		inner, outer := httpReceiver(t), httpReceiver(t)
		outer.Answer(func(int, receiver.Request) receiver.Answer {
			return receiver.Answer{Status: status, Header: map[string]string{"Location": inner.URL}}
		})
		c := open(t, "webhook", map[string]any{"url": outer.URL, "allow_private_redirects": true})
		if f := failure(t, c, opened); !f.Permanent {
			t.Errorf("%d: %+v", status, f)
		}
		if len(inner.Requests()) != 0 {
			t.Errorf("%d was followed", status)
		}
	}
}

func TestWebhookEndsRedirectLoops(t *testing.T) {
	h := httpReceiver(t)
	h.Answer(func(int, receiver.Request) receiver.Answer {
		return receiver.Answer{Status: 307, Header: map[string]string{"Location": h.URL}}
	})
	c := open(t, "webhook", map[string]any{"url": h.URL, "allow_private_redirects": true})
	failure(t, c, opened)
	if n := len(h.Requests()); n != 4 {
		t.Errorf("%d requests, want the first and 3 redirects", n)
	}
}

func TestWebhookRefusesWhatIsNoAddress(t *testing.T) {
	d, _ := Get("webhook")
	for _, url := range []string{"", "ftp://x/", "/path", "http://", "::"} {
		if _, err := d.Open(env(), map[string]any{"url": url}); err == nil {
			t.Errorf("%q was taken", url)
		}
	}
}
