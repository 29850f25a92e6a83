// Package channels is the catalogue of channel types: ways to reach people.
// One file holds one type. A file gives the message the form that its
// receiver understands, escapes every text in it (names from the estate can
// hold markup, mentions and line breaks), and says whether a failure may
// pass.
package channels

import (
	"strings"
	"unicode"

	"reeve/internal/catalog"
	"reeve/internal/notify"
	"reeve/internal/ops"
	"reeve/internal/redact"
)

var all = catalog.New("channel type", func(d notify.Definition) string { return d.Name })

// All answers every channel type by name.
func All() []notify.Definition { return all.All() }

// Get answers the channel type with the given name.
func Get(name string) (notify.Definition, bool) { return all.Get(name) }

// oneLine answers a text as one line of at most limit bytes.
func oneLine(s string, limit int) string { return redact.Line(s, limit) }

// manyLines answers a text of at most limit bytes without control
// characters but line breaks.
func manyLines(s string, limit int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
	s = strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return ' '
		}
		return r
	}, s)
	return redact.Cut(strings.TrimSpace(s), limit)
}

// mark answers the word that stands before a title where a receiver shows no
// other sign of how much it matters. The titles of other messages say
// themselves what they are.
func mark(m ops.Message) string {
	switch m.Event {
	case ops.MessageResolved, ops.MessageDigest, ops.MessageTest:
		return ""
	}
	return strings.ToUpper(string(m.Severity))
}

// heading answers mark and title in one line.
func heading(m ops.Message, limit int) string {
	line := oneLine(m.Title, limit)
	if word := mark(m); word != "" {
		line = redact.Cut("["+word+"] "+line, limit)
	}
	return line
}
