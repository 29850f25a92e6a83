package term

import (
	"strings"

	"reeve/internal/glyph"
)

// A Cell is a text from anywhere, and how it looks.
type Cell struct {
	text  string
	style Style
}

// Of makes a cell without a style.
func Of(text string) Cell { return Cell{text: text} }

// Painted makes a cell with a style.
func Painted(text string, look Style) Cell { return Cell{text: text, style: look} }

// A Table prints rows in columns that fit the page.
type Table struct {
	page  *Page
	heads []string
	rows  [][]Cell
	right map[int]bool // columns of numbers
	whole map[int]bool // columns that are never cut: IDs, states
	pad   string       // before every row
	folds bool         // the last column is folded instead of cut
	notes map[int]string
}

// Table begins a table. In a head, a leading > aligns to the right, a leading
// ! keeps the column from being cut.
func (p *Page) Table(heads ...string) *Table {
	t := &Table{page: p, right: map[int]bool{}, whole: map[int]bool{}, notes: map[int]string{}}
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

// Add adds a row. Its texts are made safe here, so that none is forgotten.
func (t *Table) Add(cells ...Cell) {
	row := make([]Cell, len(t.heads))
	for i := range row {
		if i < len(cells) {
			row[i] = Cell{Safe(cells[i].text), cells[i].style}
		}
		if row[i].text == "" {
			row[i].text = "-"
		}
	}
	t.rows = append(t.rows, row)
}

// Note puts a text under the row that was added last.
func (t *Table) Note(text string) { t.notes[len(t.rows)-1] = text }

// FoldLast folds the last column instead of cutting it.
func (t *Table) FoldLast() { t.folds = true }

// Indent puts a text before every row.
func (t *Table) Indent(pad string) { t.pad = pad }

// gap is what stands between two columns.
const gap = "  "

// minColumn is how narrow a column may become.
const minColumn = 8

// Print writes the table.
func (t *Table) Print() {
	widths := t.widths()
	head := make([]Cell, len(t.heads))
	for i, h := range t.heads {
		head[i] = Cell{h, Faint}
	}
	t.printRow(head, widths)
	for i, row := range t.rows {
		t.printRow(row, widths)
		if text, ok := t.notes[i]; ok {
			t.page.Paragraph(t.pad+"    ", text)
		}
	}
}

func (t *Table) printRow(row []Cell, widths []int) {
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
			b.WriteString(space + t.page.Paint(c.style, text))
		case i == len(row)-1:
			margin := strings.Repeat(" ", t.margin(widths))
			b.WriteString(t.page.Paint(c.style, text))
			for _, l := range rest {
				b.WriteString("\n" + margin + t.page.Paint(c.style, l))
			}
		default:
			b.WriteString(t.page.Paint(c.style, text) + space)
		}
	}
	t.page.Line("%s", strings.TrimRight(b.String(), " "))
}

// margin answers where the last column begins.
func (t *Table) margin(widths []int) int {
	at := len(t.pad)
	for _, w := range widths[:len(widths)-1] {
		at += w + len(gap)
	}
	return at
}

// widths answers the width of every column: as wide as its widest text, and
// while the row is wider than the page, the widest column that may be cut
// gives way.
func (t *Table) widths() []int {
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
