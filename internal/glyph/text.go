package glyph

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Columns answers how many columns of a terminal a text takes.
func Columns(text string) int {
	n := 0
	for _, r := range text {
		n += runeColumns(r)
	}
	return n
}

// wide are the ranges whose characters take two columns.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{{Lo: 0x1100, Hi: 0x115f, Stride: 1}, {Lo: 0x2e80, Hi: 0x303e, Stride: 1}, {Lo: 0x3041, Hi: 0xa4cf, Stride: 1},
		{Lo: 0xac00, Hi: 0xd7a3, Stride: 1}, {Lo: 0xf900, Hi: 0xfaff, Stride: 1}, {Lo: 0xfe30, Hi: 0xfe6f, Stride: 1}, {Lo: 0xff00, Hi: 0xff60, Stride: 1}, {Lo: 0xffe0, Hi: 0xffe6, Stride: 1}},
	R32: []unicode.Range32{{Lo: 0x1f300, Hi: 0x1f64f, Stride: 1}, {Lo: 0x1f900, Hi: 0x1f9ff, Stride: 1}, {Lo: 0x20000, Hi: 0x3fffd, Stride: 1}},
}

func runeColumns(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}

// Cut answers at most width columns of a text, marked where it was cut.
func Cut(text string, width int, ascii bool) string {
	if Columns(text) <= width {
		return text
	}
	mark := "…"
	if ascii {
		mark = "."
	}
	used, end := 0, 0
	for i, r := range text {
		if used+runeColumns(r) > width-1 {
			break
		}
		used += runeColumns(r)
		end = i + utf8.RuneLen(r)
	}
	return text[:end] + mark
}

// Fold breaks a text between words into lines of at most width columns, 0 or
// less for no limit.
func Fold(text string, width int) []string {
	if width <= 0 || Columns(text) <= width {
		return []string{text}
	}
	var lines []string
	now, used := "", 0
	for word := range strings.FieldsSeq(text) {
		w := Columns(word)
		if used > 0 && used+1+w > width {
			lines = append(lines, now)
			now, used = "", 0
		}
		if used > 0 {
			now, used = now+" ", used+1
		}
		now, used = now+word, used+w
	}
	return append(lines, now)
}

// Harmless puts spaces where a terminal would obey.
func Harmless(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// Escaped writes the characters that terminals may obey, and that JSON allows
// within texts as they are, in JSON's own escapes.
func Escaped(text string) string {
	dangerous := func(r rune) bool {
		return r != '\n' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
	}
	if strings.IndexFunc(text, dangerous) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if dangerous(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
