package term

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"reeve/internal/glyph"
)

func paper(width int, colour bool) (*Page, *bytes.Buffer) {
	var b bytes.Buffer
	return &Page{out: &b, width: width, colour: colour}, &b
}

func TestTablesFitThePage(t *testing.T) {
	for _, width := range []int{50, 60, 80, 200} {
		p, out := paper(width, true)
		table := p.Table("!ID", "NAME", ">VALUE", "SUMMARY")
		table.Add(Of("fnd_06h04gg563xw4"), Of(strings.Repeat("long name ", 9)), Painted("97%", Red), Of("磁盘已满 "+strings.Repeat("ä", 90)))
		table.Add(Of("fnd_1"), Of(""), Of("1"), Of("short"))
		table.Print()
		for _, l := range strings.Split(strings.TrimRight(out.String(), "\n"), "\n") {
			plain := uncoloured(l)
			if glyph.Columns(plain) > width {
				t.Errorf("%d: %d columns: %q", width, glyph.Columns(plain), plain)
			}
			if strings.Contains(l, "06h04") && !strings.Contains(l, "fnd_06h04gg563xw4") {
				t.Errorf("the ID was cut: %q", l)
			}
		}
	}
}

// uncoloured takes our own sequences out.
func uncoloured(s string) string {
	for {
		before, rest, ok := strings.Cut(s, "\x1b[")
		if !ok {
			return s
		}
		_, after, _ := strings.Cut(rest, "m")
		s = before + after
	}
}

func TestFoldedTablesLoseNothing(t *testing.T) {
	p, out := paper(50, false)
	table := p.Table("!PART", "DETAIL")
	table.FoldLast()
	table.Add(Of("collector smart"), Of("smartctl is not installed; apt install smartmontools, or switch the collector off"))
	table.Note("and a note that is far too long for one line of this narrow page")
	table.Print()
	for _, l := range strings.Split(out.String(), "\n") {
		if glyph.Columns(l) > 50 {
			t.Errorf("too wide: %q", l)
		}
	}
	words := strings.Join(strings.Fields(out.String()), " ")
	if !strings.Contains(words, "smartmontools, or switch the collector off and a note that") {
		t.Error(out.String())
	}
}

func TestTablesWithoutATerminalAreNotCut(t *testing.T) {
	p, out := paper(0, false)
	long := strings.Repeat("x", 500)
	table := p.Table("A", "B")
	table.Add(Of(long), Of("1"))
	table.Print()
	if !strings.Contains(out.String(), long) {
		t.Fatal(out.String())
	}
}

func TestTextFromTheEstateCannotDriveTheTerminal(t *testing.T) {
	hostile := "a\x1b[2J\x1b]0;owned\x07b\u009b31mc\u202ed\r\ne"
	p, out := paper(0, false)
	table := p.Table("A")
	table.Add(Of(hostile))
	table.Print()
	p.Paragraph("  ", hostile)
	text, err := json.Marshal(map[string]string{"x": hostile})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Document(text); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"\x1b", "\x07", "\u009b", "\u202e", "\r"} {
		if strings.Contains(out.String(), bad) {
			t.Errorf("%q went through: %q", bad, out.String())
		}
	}
	var back map[string]string
	_, document, _ := strings.Cut(out.String(), "{")
	if err := json.Unmarshal([]byte("{"+document), &back); err != nil || back["x"] != hostile {
		t.Errorf("the document changed: %q %v", back["x"], err)
	}
}

func environment(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestColoursOnlyWhereTheyAreWanted(t *testing.T) {
	var b bytes.Buffer
	if p := NewPage(&b, environment(nil), false); p.colour || p.width != 0 {
		t.Errorf("a buffer is no terminal: %+v", p)
	}
	if p := NewPage(&b, environment(map[string]string{"COLUMNS": "90", "LANG": "C"}), false); p.width != 90 || !p.ascii {
		t.Errorf("%+v", p)
	}
	p, _ := paper(80, false)
	if got := p.Paint(Red, "x"); got != "x" {
		t.Errorf("%q", got)
	}
	p.colour = true
	if got := p.Paint(Red, "critical"); !strings.Contains(got, "critical") || got == "critical" {
		t.Errorf("%q", got)
	}
}
