// Package term prints on a terminal, or into a file or a pipe: lines, tables,
// charts, and values in the words of people. A Page knows what the terminal can
// show. Whatever comes from the estate goes through Safe, which takes control
// characters out; tables, paragraphs and fields do that themselves.
package term

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"reeve/internal/glyph"
	"reeve/internal/redact"
)

// A Page is where the answers are printed.
type Page struct {
	out    io.Writer
	width  int  // columns of the terminal, 0 for no limit
	colour bool // the terminal shows colours
	ascii  bool // it shows only ASCII
}

// NewPage makes the page on a writer; env answers the variables of the
// environment, which say what a terminal can show. plain wants no colours.
func NewPage(out io.Writer, env func(name string) string, plain bool) *Page {
	p := &Page{out: out}
	if w, ok := terminal(out); ok {
		p.width = max(w, 40)
		p.colour = !plain && env("NO_COLOR") == "" && env("TERM") != "dumb"
	} else if n, err := strconv.Atoi(env("COLUMNS")); err == nil && n >= 40 {
		p.width = n
	}
	locale := strings.ToUpper(cmp.Or(env("LC_ALL"), env("LC_CTYPE"), env("LANG")))
	p.ascii = locale == "C" || locale == "POSIX"
	return p
}

// terminal answers the width of a terminal; ok is false for files and pipes.
func terminal(w any) (width int, ok bool) {
	f, ok := w.(interface{ Fd() uintptr })
	if !ok {
		return 0, false
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, false
	}
	if size.Col == 0 {
		return 80, true
	}
	return int(size.Col), true
}

// maxText bounds what is printed of one text.
const maxText = 16 << 10

// Safe answers text from elsewhere as one bounded line that a terminal shows
// and does not obey. It masks nothing: the server did that before it stored
// the text, and who acted is written token:NAME.
func Safe(text string) string { return redact.Cut(strings.TrimSpace(glyph.Harmless(text)), maxText) }

// Paint puts a text that is safe already into a style.
func (p *Page) Paint(s Style, text string) string {
	if !p.colour || s == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// Line prints one line of our own words; the arguments must be safe.
func (p *Page) Line(format string, args ...any) {
	fmt.Fprintf(p.out, format+"\n", args...)
}

// Heading prints the title of a part.
func (p *Page) Heading(text string) { p.Line("\n%s", p.Paint(Bold, text)) }

// Paragraph prints text from elsewhere, line by line, folded to the width and
// indented.
func (p *Page) Paragraph(indent, text string) {
	for part := range strings.SplitSeq(text, "\n") {
		for _, l := range p.Fold(part, len(indent)) {
			p.Line("%s%s", indent, l)
		}
	}
}

// Fold makes text from elsewhere safe and folds it to what the width leaves
// beside taken columns.
func (p *Page) Fold(text string, taken int) []string { return glyph.Fold(Safe(text), p.width-taken) }

// Narrower reports whether the page has fewer columns than these.
func (p *Page) Narrower(columns int) bool { return p.width > 0 && p.width < columns }

// Fields prints names with values, one a line.
func (p *Page) Fields(rows [][2]string) {
	width := 0
	for _, r := range rows {
		width = max(width, glyph.Columns(Safe(r[0])))
	}
	for _, r := range rows {
		if r[1] == "" {
			continue
		}
		name := Safe(r[0])
		for i, l := range p.Fold(r[1], width+4) {
			if i > 0 {
				name = ""
			}
			p.Line("  %s%s  %s", p.Paint(Faint, name), strings.Repeat(" ", width-glyph.Columns(name)), l)
		}
	}
}

// Document prints one JSON document as the API answered it, indented.
func (p *Page) Document(text json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(text), "", "  "); err != nil {
		return fmt.Errorf("the answer is not JSON (%w); is the server a Reeve?", err)
	}
	b.WriteByte('\n')
	_, err := io.WriteString(p.out, glyph.Escaped(b.String()))
	return err
}

// Value prints a value of our own as one JSON document.
func (p *Page) Value(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return p.Document(text)
}
