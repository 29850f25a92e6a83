// Package redact takes secrets out of text before it is logged, stored or
// shown. It knows the forms that secrets usually have; it is a net under
// careful code, not a licence to log secrets.
package redact

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Mask stands where a secret stood.
const Mask = "[redacted]"

var rules = []struct {
	form *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)`), Mask},
	{regexp.MustCompile(`(?i)\b(authorization\s*[:=]\s*"?(?:bearer|basic|digest|token)\s+)[^\s"',;]+`), "${1}" + Mask},
	{regexp.MustCompile(`(?i)\b(bearer\s+)[a-z0-9._~+/=-]{12,}`), "${1}" + Mask},
	{regexp.MustCompile(`(?i)([a-z0-9_.-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)[a-z0-9_.-]*["']?\s*[:=]\s*["']?)[^\s"',;&]+`), "${1}" + Mask},
	{regexp.MustCompile(`(?i)(--(?:password|passwd|token|secret|api-key)[ =])\S+`), "${1}" + Mask},
	{regexp.MustCompile(`\b([a-z][a-z0-9+.-]*://[^/\s:@]*:)[^@\s/]+@`), "${1}" + Mask + "@"},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}`), Mask},
	{regexp.MustCompile(`\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|sk-[A-Za-z0-9_-]{16,}|AKIA[0-9A-Z]{16}|glpat-[A-Za-z0-9_-]{16,})`), Mask},
}

// Text answers s with every secret that it recognises masked.
func Text(s string) string {
	for _, r := range rules {
		s = r.form.ReplaceAllString(s, r.with)
	}
	return s
}

// URL answers a URL that can be shown: user information and every query value
// masked. A text that is no URL is masked whole.
func URL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return Mask
	}
	if u.User != nil {
		u.User = url.User("redacted")
	}
	if u.RawQuery != "" {
		q := u.Query()
		for k := range q {
			q.Set(k, "redacted")
		}
		u.RawQuery = q.Encode()
	}
	return u.String()
}

// Line answers text from the estate as one bounded line of valid UTF-8 that
// is safe to store and to print: control and bidirectional-override
// characters become spaces, secrets are masked, at most limit bytes remain.
func Line(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, s)
	return Cut(Text(strings.TrimSpace(s)), limit)
}

// Cut answers at most limit bytes of s, never half a character.
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	cut := max(0, limit-len("…"))
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
