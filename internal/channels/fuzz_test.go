package channels

import (
	"bytes"
	"encoding/json"
	"io"
	"net/mail"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
)

// Whatever texts a message holds, the mail has exactly the headers that it
// should have.
func FuzzMailHeaders(f *testing.F) {
	f.Add("title", "text", "dlv_1", "inc_1", "https://x")
	f.Add("a\r\nBcc: b@c", "\r\n.\r\nDATA", "x>\r\nX: y", "\x00", "javascript:x")
	f.Add(strings.Repeat("é", 400), "=?utf-8?q?x?=", "", "", "http://\"><b>")
	f.Fuzz(func(t *testing.T, title, text, id, incident, url string) {
		from := &mail.Address{Name: "Reeve", Address: "reeve@example.org"}
		e := &emailChannel{from: from, to: []*mail.Address{{Address: "a@example.org"}}, env: env()}
		e.env.Now = func() time.Time { return opened.At }
		raw, err := e.compose(ops.Message{ID: id, Event: ops.MessageOpened, Severity: ops.Critical, Title: title, Text: text, IncidentID: incident, URL: url})
		if err != nil {
			t.Fatal(err)
		}
		m, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("%v in %q", err, raw)
		}
		want := 12
		if incident != "" {
			want = 14
		}
		if len(m.Header) != want {
			t.Fatalf("%d headers: %v", len(m.Header), m.Header)
		}
		body, err := io.ReadAll(m.Body)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.SplitSeq(body, []byte("\r\n")) {
			if len(line) > 998 || bytes.ContainsAny(line, "\r\n\x00") {
				t.Fatalf("line %q", line)
			}
		}
	})
}

// Escaped text holds none of what a receiver would read as more than text.
func FuzzEscapes(f *testing.F) {
	f.Add("@everyone <!here> **b** [a](b) <b>&")
	f.Add("\\@x \\<y")
	f.Fuzz(func(t *testing.T, s string) {
		if got := slackEscape(s); strings.ContainsAny(got, "<>") {
			t.Errorf("slack %q", got)
		}
		if got := telegramEscape(s); strings.ContainsAny(got, "<>") || mentions(got) {
			t.Errorf("telegram %q", got)
		}
		plain := false
		for _, r := range discordEscape(s) {
			if !plain && strings.ContainsRune("*_~`|>#[]()<@", r) {
				t.Errorf("discord %q", discordEscape(s))
			}
			plain = r == '\\' && !plain
		}
		if name := alertmanagerName(s); name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") != "" {
			t.Errorf("label %q", name)
		}
		if got := manyLines(s, 100); len(got) > 100 || strings.ContainsAny(got, "\r\x00\x1b\u202e") {
			t.Errorf("lines %q", got)
		}
		if _, err := json.Marshal(manyLines(s, 100)); err != nil {
			t.Error(err)
		}
	})
}

func mentions(s string) bool {
	for i, r := range s {
		if r == '@' && !strings.HasPrefix(s[i+1:], "\u2060") {
			return true
		}
	}
	return false
}
