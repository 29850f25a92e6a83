package channels

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"reeve/internal/notify"
	"reeve/internal/ops"
	"reeve/test/receiver"
)

// hostile is a name from the estate that tries every receiver's markup.
const hostile = "db\r\nBcc: evil@example.org\x1b[31m <script>alert(1)</script> <!channel> <@U1> @everyone @here **b** _i_ `c` [x](http://evil.example) & \u202egnp"

var opened = ops.Message{
	ID: "dlv_0fnrk5q2x1m3c4v5b6n7m8a", Event: ops.MessageOpened, Severity: ops.Critical,
	Title: "File system / of web1 is 96 % full", Text: "/ of web1 is 96 % full (95 % is critical).\nSince 08:02.",
	IncidentID: "inc_0fnrk5q2x1m3c4v5b6n7m8b", URL: "https://reeve.example.org/incidents/inc_0fnrk5q2x1m3c4v5b6n7m8b",
	At: time.Date(2026, 3, 4, 8, 2, 0, 0, time.UTC),
	Findings: []ops.MessageFinding{{
		ID: "fnd_0fnrk5q2x1m3c4v5b6n7m8c", Condition: "fs_full", Severity: ops.Critical, State: ops.FindingOpen,
		Resource: "/", Kind: ops.KindFilesystem, Host: "web1", Summary: "/ is 96 % full", Since: time.Date(2026, 3, 4, 8, 0, 0, 0, time.UTC),
		Labels: map[string]string{"team": "shop"},
	}},
}

func resolved() ops.Message {
	m := opened
	m.ID, m.Event, m.Title = "dlv_0fnrk5q2x1m3c4v5b6n7m8d", ops.MessageResolved, "Resolved: "+opened.Title
	m.Findings = []ops.MessageFinding{opened.Findings[0]}
	m.Findings[0].State = ops.FindingResolved
	m.At = m.At.Add(time.Hour)
	return m
}

func nasty() ops.Message {
	m := opened
	m.Title, m.Text = "Container "+hostile+" restarts", "Container "+hostile+" restarts.\nAgain."
	m.Findings = []ops.MessageFinding{opened.Findings[0]}
	m.Findings[0].Resource, m.Findings[0].Summary = hostile, hostile
	m.Findings[0].Labels = map[string]string{hostile: hostile}
	return m
}

func env() notify.Env {
	e := notify.NewEnv(slog.New(slog.DiscardHandler), notify.NothingSealed, "https://reeve.example.org")
	return e
}

func open(t *testing.T, kind string, settings map[string]any) notify.Channel {
	t.Helper()
	d, ok := Get(kind)
	if !ok {
		t.Fatalf("no channel type %s", kind)
	}
	c, err := d.Open(env(), settings)
	if err != nil {
		t.Fatalf("open %s: %v", kind, err)
	}
	return c
}

func httpReceiver(t *testing.T) *receiver.HTTP {
	t.Helper()
	h, err := receiver.NewHTTP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// sent sends a message and answers the one request that it made.
func sent(t *testing.T, h *receiver.HTTP, c notify.Channel, m ops.Message) receiver.Request {
	t.Helper()
	before := len(h.Requests())
	if err := c.Send(t.Context(), m); err != nil {
		t.Fatalf("send: %v (%v)", err, errors.Unwrap(err))
	}
	got := h.Requests()
	if len(got) != before+1 {
		t.Fatalf("%d requests, want one more than %d", len(got), before)
	}
	return got[before]
}

func failure(t *testing.T, c notify.Channel, m ops.Message) *notify.Failure {
	t.Helper()
	err := c.Send(t.Context(), m)
	f, ok := errors.AsType[*notify.Failure](err)
	if !ok {
		t.Fatalf("send: %v, want a Failure", err)
	}
	return f
}

// overHTTP lists every channel type that posts to an address of ours, with
// settings that lead to the given server, so that what holds for all is
// tested for all. The secret is in each.
func overHTTP(url string) map[string]map[string]any {
	return map[string]map[string]any{
		"webhook":      {"url": url + "/hook/s3cr3t-value"},
		"ntfy":         {"server": url, "topic": "ops", "token": "s3cr3t-value"},
		"slack":        {"url": url + "/services/s3cr3t-value"},
		"discord":      {"url": url + "/api/webhooks/1/s3cr3t-value"},
		"telegram":     {"server": url, "token": "s3cr3t-value", "chat": "-100"},
		"matrix":       {"server": url, "token": "s3cr3t-value", "room": "!r:x"},
		"gotify":       {"server": url, "token": "s3cr3t-value"},
		"pushover":     {"server": url, "token": "s3cr3t-value", "user": "u"},
		"teams":        {"url": url + "/workflows/s3cr3t-value"},
		"pagerduty":    {"server": url, "key": "s3cr3t-value"},
		"alertmanager": {"server": url, "token": "s3cr3t-value"},
	}
}

func TestStatusDecidesWhetherToTryAgain(t *testing.T) {
	cases := []struct {
		status     int
		retryAfter string
		permanent  bool
		after      time.Duration
	}{
		{400, "", true, 0}, {401, "", true, 0}, {403, "", true, 0}, {404, "", true, 0}, {413, "", true, 0},
		{408, "", false, 0}, {425, "", false, 0}, {429, "7", false, 7 * time.Second}, {429, "999999", false, time.Hour},
		{500, "", false, 0}, {502, "", false, 0}, {503, "30", false, 30 * time.Second}, {304, "", true, 0},
	}
	for kind := range overHTTP("") {
		t.Run(kind, func(t *testing.T) {
			h := httpReceiver(t)
			c := open(t, kind, overHTTP(h.URL)[kind])
			for _, x := range cases {
				h.Answer(func(int, receiver.Request) receiver.Answer {
					return receiver.Answer{Status: x.status, Header: map[string]string{"Retry-After": x.retryAfter}, Body: "no\x00 good"}
				})
				f := failure(t, c, opened)
				if f.Permanent != x.permanent || f.RetryAfter != x.after {
					t.Errorf("%d: permanent %v after %v, want %v %v", x.status, f.Permanent, f.RetryAfter, x.permanent, x.after)
				}
				noSecret(t, f)
			}
		})
	}
}

func noSecret(t *testing.T, err error) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		if strings.Contains(e.Error(), "s3cr3t-value") {
			t.Errorf("the error shows the secret: %v", e)
		}
	}
}

func TestRedirectToPrivateAddressIsRefused(t *testing.T) {
	for kind := range overHTTP("") {
		t.Run(kind, func(t *testing.T) {
			inner, outer := httpReceiver(t), httpReceiver(t)
			outer.Answer(func(int, receiver.Request) receiver.Answer {
				return receiver.Answer{Status: 307, Header: map[string]string{"Location": inner.URL + "/inner"}}
			})
			f := failure(t, open(t, kind, overHTTP(outer.URL)[kind]), opened)
			if !f.Permanent || !strings.Contains(f.Message, "private") {
				t.Errorf("failure %+v", f)
			}
			if n := len(inner.Requests()); n != 0 {
				t.Errorf("the private address got %d requests", n)
			}
		})
	}
}

func TestNobodyThereMayPass(t *testing.T) {
	for kind := range overHTTP("") {
		t.Run(kind, func(t *testing.T) {
			h := httpReceiver(t)
			c := open(t, kind, overHTTP(h.URL)[kind])
			h.Close()
			f := failure(t, c, opened)
			if f.Permanent {
				t.Errorf("failure %+v", f)
			}
			noSecret(t, f)
		})
	}
}

func TestSlowReceiverEndsWithTheContext(t *testing.T) {
	for kind := range overHTTP("") {
		t.Run(kind, func(t *testing.T) {
			h := httpReceiver(t)
			h.Answer(func(int, receiver.Request) receiver.Answer { return receiver.Answer{Delay: time.Minute} })
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			err := open(t, kind, overHTTP(h.URL)[kind]).Send(ctx, opened)
			if f, ok := errors.AsType[*notify.Failure](err); !ok || f.Permanent {
				t.Errorf("send: %v", err)
			}
			noSecret(t, err)
		})
	}
}

func TestEveryTypeIsDocumentedAndRefusesUnknownSettings(t *testing.T) {
	for _, d := range All() {
		if len(d.Doc) < 20 || d.Settings == nil {
			t.Errorf("%s: no doc or no settings", d.Name)
		}
		_, err := d.Open(env(), map[string]any{"nonsense": "x"})
		if ops.KindOf(err) != ops.Invalid || !strings.Contains(err.Error(), "setting") {
			t.Errorf("%s: open with an unknown setting: %v", d.Name, err)
		}
	}
}
