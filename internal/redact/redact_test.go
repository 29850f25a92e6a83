package redact_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"reeve/internal/redact"
)

func TestSecretsAreMasked(t *testing.T) {
	for text, secret := range map[string]string{
		`Authorization: Bearer abcdef123456`:                                   "abcdef123456",
		`password=hunter2 next`:                                                "hunter2",
		`"api_key": "k-99-xyz"`:                                                "k-99-xyz",
		`DB_PASSWORD: "s3cr3t"`:                                                "s3cr3t",
		`mysql --password=abc123 -u x`:                                         "abc123",
		`postgres://ann:tiger@db/x`:                                            "tiger",
		`token eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeKKF2QT`:                    "SflKxwRJSMeKKF2QT",
		`push with ghp_abcdefghijklmnopqrstuvwxyz0123456789`:                   "ghp_abcdefghij",
		"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----": "MIIE",
	} {
		got := redact.Text(text)
		if strings.Contains(got, secret) || !strings.Contains(got, redact.Mask) {
			t.Errorf("%q became %q", text, got)
		}
	}
	for _, text := range []string{"the disk is full", "user ann signed in", "passwords are rotated monthly"} {
		if got := redact.Text(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestURLsKeepOnlyWhatMayBeShown(t *testing.T) {
	got := redact.URL("https://ann:tiger@example.org/hook?key=abc")
	if strings.Contains(got, "tiger") || strings.Contains(got, "abc") || !strings.Contains(got, "example.org/hook") {
		t.Error(got)
	}
	if got := redact.URL("not a url"); got != redact.Mask {
		t.Error(got)
	}
}

func FuzzLine(f *testing.F) {
	f.Add("a\x00b\x1b[31m\u202e password=x", 20)
	f.Add("\xff\xfe", 1)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 0 || limit > 1000 {
			return
		}
		got := redact.Line(s, limit)
		if !utf8.ValidString(got) || len(got) > max(limit, len("…")) || strings.ContainsAny(got, "\x00\x1b\n\r\u202e") {
			t.Errorf("%q", got)
		}
	})
}
