package cli

import (
	"strings"

	"reeve/internal/glyph"
)

// A cell is a text from anywhere, and how it looks.
type cell struct {
	text  string
	style style
}

// of makes a cell without a style.
func of(text string) cell { return cell{text: text} }

// A table prints rows in columns that fit the page.
type table struct {
	page  *page
	heads []string
	rows  [][]cell
	right map[int]bool // columns of numbers
	whole map[int]bool // columns that are never cut: IDs, states
	pad   string       // before every row
	folds bool         // the last column is folded instead of cut
	notes map[int]string
}

// table begins a table. In a head, a leading > aligns to the right, a leading
// ! keeps the column from being cut.
func (p *page) table(heads ...string) *table {
	t := &table{page: p, right: map[int]bool{}, whole: map[int]bool{}, notes: map[int]string{}}
	for i, h := range heads {
		for strings.HasPrefix(h, ">") || strings.HasPrefix(h, "!") {
			t.right[i] = t.right[i] || h[0] == '>'
			t.whole[i] = t.whole[i] || h[0] == '!'
			h = h[1:]
		}
		t.heads = append(t.heads, h)
	}
	return t
}

// add adds a row. Its texts are made safe here, so that none is forgotten.
func (t *table) add(cells ...cell) {
	row := make([]cell, len(t.heads))
	for i := range row {
		if i < len(cells) {
			row[i] = cell{safe(cells[i].text), cells[i].style}
		}
		if row[i].text == "" {
			row[i].text = "-"
		}
	}
	t.rows = append(t.rows, row)
}

// note puts a text under the row that was added last.
func (t *table) note(text string) { t.notes[len(t.rows)-1] = text }

// gap is what stands between two columns.
const gap = "  "

// minColumn is how narrow a column may become.
const minColumn = 8

// print writes the table.
func (t *table) print() {
	widths := t.widths()
	head := make([]cell, len(t.heads))
	for i, h := range t.heads {
		head[i] = cell{h, faint}
	}
	t.printRow(head, widths)
	for i, row := range t.rows {
		t.printRow(row, widths)
		if text, ok := t.notes[i]; ok {
			t.page.paragraph(t.pad+"    ", text)
		}
	}
}

func (t *table) printRow(row []cell, widths []int) {
	var b strings.Builder
	b.WriteString(t.pad)
	for i, c := range row {
		if i > 0 {
			b.WriteString(gap)
		}
		text, rest := glyph.Cut(c.text, widths[i], t.page.ascii), []string(nil)
		if last := i == len(row)-1; last && t.folds {
			lines := glyph.Fold(c.text, widths[i])
			text, rest = lines[0], lines[1:]
		}
		space := strings.Repeat(" ", max(0, widths[i]-glyph.Columns(text)))
		switch {
		case t.right[i]:
			b.WriteString(space + t.page.paint(c.style, text))
		case i == len(row)-1:
			margin := strings.Repeat(" ", t.margin(widths))
			b.WriteString(t.page.paint(c.style, text))
			for _, l := range rest {
				b.WriteString("\n" + margin + t.page.paint(c.style, l))
			}
		default:
			b.WriteString(t.page.paint(c.style, text) + space)
		}
	}
	t.page.line("%s", strings.TrimRight(b.String(), " "))
}

// margin answers where the last column begins.
func (t *table) margin(widths []int) int {
	at := len(t.pad)
	for _, w := range widths[:len(widths)-1] {
		at += w + len(gap)
	}
	return at
}

// widths answers the width of every column: as wide as its widest text, and
// while the row is wider than the page, the widest column that may be cut
// gives way.
func (t *table) widths() []int {
	widths := make([]int, len(t.heads))
	for i, h := range t.heads {
		widths[i] = glyph.Columns(h)
		for _, row := range t.rows {
			widths[i] = max(widths[i], glyph.Columns(row[i].text))
		}
	}
	if t.page.width == 0 {
		return widths
	}
	over := len(t.pad) + len(gap)*(len(widths)-1) - t.page.width
	for _, w := range widths {
		over += w
	}
	for ; over > 0; over-- {
		widest := -1
		for i, w := range widths {
			if !t.whole[i] && w > max(minColumn, glyph.Columns(t.heads[i])) && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return widths
		}
		widths[widest]--
	}
	return widths
}
