package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"reeve/internal/glyph"
	"reeve/internal/ops"
	"reeve/internal/redact"
)

// A style is how a text looks on a terminal; every style says nothing that the
// text does not say too.
type style string

// The styles, as the parameters of the terminal's sequence.
const (
	plainText style = ""
	bold      style = "1"
	faint     style = "2"
	red       style = "1;31"
	green     style = "32"
	yellow    style = "33"
	blue      style = "34"
	magenta   style = "35"
	cyan      style = "36"
)

// A page is where the answers are printed.
type page struct {
	out    io.Writer
	width  int  // columns of the terminal, 0 for no limit
	colour bool // the terminal shows colours
	ascii  bool // it shows only ASCII
}

func newPage(out io.Writer, env []string, plain bool) *page {
	p := &page{out: out}
	if w, ok := terminal(out); ok {
		p.width = max(w, 40)
		p.colour = !plain && lookup(env, "NO_COLOR") == "" && lookup(env, "TERM") != "dumb"
	} else if n, err := strconv.Atoi(lookup(env, "COLUMNS")); err == nil && n >= 40 {
		p.width = n
	}
	locale := strings.ToUpper(first(lookup(env, "LC_ALL"), lookup(env, "LC_CTYPE"), lookup(env, "LANG")))
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

// safe answers text from elsewhere as one bounded line that a terminal shows
// and does not obey. It masks nothing: the server did that before it stored
// the text, and who acted is written token:NAME.
func safe(text string) string { return redact.Cut(strings.TrimSpace(glyph.Harmless(text)), maxText) }

// paint puts a text that is safe already into a style.
func (p *page) paint(s style, text string) string {
	if !p.colour || s == plainText || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// line prints one line of our own words; the arguments must be safe.
func (p *page) line(format string, args ...any) {
	fmt.Fprintf(p.out, format+"\n", args...)
}

// heading prints the title of a part.
func (p *page) heading(text string) { p.line("\n%s", p.paint(bold, text)) }

// paragraph prints text from elsewhere, line by line, folded to the width and
// indented.
func (p *page) paragraph(indent, text string) {
	for part := range strings.SplitSeq(text, "\n") {
		for _, l := range glyph.Fold(safe(part), p.width-len(indent)) {
			p.line("%s%s", indent, l)
		}
	}
}

// document prints one JSON document as the API answered it, indented.
func (p *page) document(text json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(text), "", "  "); err != nil {
		return fmt.Errorf("the answer is not JSON (%w); is the server a Reeve?", err)
	}
	b.WriteByte('\n')
	_, err := io.WriteString(p.out, glyph.Escaped(b.String()))
	return err
}

// value prints a value of our own as one JSON document.
func (p *page) value(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return p.document(text)
}

// severityStyle marks a severity beside its word.
func severityStyle(s ops.Severity) style {
	switch s {
	case ops.Critical:
		return red
	case ops.Warning:
		return yellow
	}
	return plainText
}

// stateStyle marks the states of parts.
func stateStyle(state string) style {
	switch state {
	case "ok", "online", "present", "resolved", "closed", "delivered", "yes":
		return green
	case "failing", "stuck", "dead", "removed", "broken":
		return red
	case "degraded", "gap", "unproven", "absent", "unknown", "queued", "sending":
		return yellow
	}
	return plainText
}
