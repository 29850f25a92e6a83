package brief

import (
	"regexp"
	"strings"
	"unicode"

	"reeve/internal/redact"
)

// The marks around text from the estate in what a model is given.
const (
	FenceOpen  = "<estate_data>"
	FenceClose = "</estate_data>"
)

// markLike is whatever could be taken for a mark.
var markLike = regexp.MustCompile(`(?i)estate[\W_]{0,3}data`)

// Fence puts text from the estate between marks that nothing within can
// close.
func Fence(text string) string {
	return FenceOpen + "\n" + Defuse(strings.TrimRight(text, "\n")) + "\n" + FenceClose
}

// Defuse takes out of a text what could be taken for a mark, and characters
// that cannot be seen.
func Defuse(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, text)
	return markLike.ReplaceAllString(text, "estate-text")
}

// cell answers text from the estate as one bounded cell of a table: no line
// ends within, and no new cell begins.
func cell(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '|':
			return '/'
		case unicode.In(r, unicode.Zl, unicode.Zp):
			return ' '
		case unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, s)
	return redact.Line(s, limit)
}
