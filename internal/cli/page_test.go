package cli

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"reeve/internal/glyph"
	"reeve/internal/ops"
)

func paper(width int, colour bool) (*page, *bytes.Buffer) {
	var b bytes.Buffer
	return &page{out: &b, width: width, colour: colour}, &b
}

func TestTablesFitThePage(t *testing.T) {
	for _, width := range []int{50, 60, 80, 200} {
		p, out := paper(width, true)
		table := p.table("!ID", "NAME", ">VALUE", "SUMMARY")
		table.add(of("fnd_06h04gg563xw4"), of(strings.Repeat("long name ", 9)), cell{"97%", red}, of("磁盘已满 "+strings.Repeat("ä", 90)))
		table.add(of("fnd_1"), of(""), of("1"), of("short"))
		table.print()
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
	table := p.table("!PART", "DETAIL")
	table.folds = true
	table.add(of("collector smart"), of("smartctl is not installed; apt install smartmontools, or switch the collector off"))
	table.note("and a note that is far too long for one line of this narrow page")
	table.print()
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
	table := p.table("A", "B")
	table.add(of(long), of("1"))
	table.print()
	if !strings.Contains(out.String(), long) {
		t.Fatal(out.String())
	}
}

func TestTextFromTheEstateCannotDriveTheTerminal(t *testing.T) {
	hostile := "a\x1b[2J\x1b]0;owned\x07b\u009b31mc\u202ed\r\ne"
	p, out := paper(0, false)
	table := p.table("A")
	table.add(of(hostile))
	table.print()
	p.paragraph("  ", hostile)
	text, err := json.Marshal(map[string]string{"x": hostile})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.document(text); err != nil {
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

func TestColoursOnlyWhereTheyAreWanted(t *testing.T) {
	var b bytes.Buffer
	if p := newPage(&b, nil, false); p.colour || p.width != 0 {
		t.Errorf("a buffer is no terminal: %+v", p)
	}
	if p := newPage(&b, []string{"COLUMNS=90", "LANG=C"}, false); p.width != 90 || !p.ascii {
		t.Errorf("%+v", p)
	}
	p, _ := paper(80, false)
	if got := p.paint(red, "x"); got != "x" {
		t.Errorf("%q", got)
	}
	p.colour = true
	if got := p.paint(red, "critical"); !strings.Contains(got, "critical") || got == "critical" {
		t.Errorf("%q", got)
	}
}

func sine(n int) []ops.Point {
	at := time.Date(2026, 1, 2, 10, 0, 0, 0, time.Local)
	var all []ops.Point
	for i := range n {
		all = append(all, ops.Point{At: at.Add(time.Duration(i) * time.Minute), Value: math.Sin(float64(i)/float64(n)*2*math.Pi)/2 + 0.5})
	}
	return all
}

func TestChartDrawsTheCourse(t *testing.T) {
	points := sine(121)
	for _, ascii := range []bool{false, true} {
		p, out := paper(60, false)
		p.ascii = ascii
		p.charts([]chartLine{{"x", "cpu_busy_ratio", points}}, points[0].At, points[120].At)
		lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
		if len(lines) != chartRows+2 {
			t.Fatalf("%d lines:\n%s", len(lines), out)
		}
		for _, l := range lines {
			if glyph.Columns(l) > 60 {
				t.Errorf("too wide: %q", l)
			}
		}
		for _, want := range []string{"100%", "0%", "10:00", "11:00", "12:00"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %s in\n%s", want, out)
			}
		}
		// The crest is in the left half, the trough in the right one.
		if crest := firstMark(lines[0]); crest < 0 || crest > 30 {
			t.Errorf("crest at %d\n%s", crest, out)
		}
		if trough := firstMark(lines[chartRows-1]); trough < 30 {
			t.Errorf("trough at %d\n%s", trough, out)
		}
	}
}

// firstMark answers the column of the first dot after the axis.
func firstMark(line string) int {
	axis := strings.IndexAny(line, "│|")
	if axis < 0 {
		return -1
	}
	for i, r := range []rune(line[axis:]) {
		if i > 0 && r != ' ' {
			return i
		}
	}
	return -1
}

func TestChartBreaksWhereReadingsAreMissing(t *testing.T) {
	points := sine(121)
	kept := append(append([]ops.Point{}, points[:30]...), points[90:]...)
	p, out := paper(60, false)
	p.chart([]chartLine{{"x", "x_ratio", kept}}, points[0].At, points[120].At, 10)
	for _, l := range strings.Split(out.String(), "\n")[:10] {
		if cells := []rune(l); len(cells) > 31 && cells[31] != ' ' {
			t.Errorf("something is drawn in the gap: %q", l)
		}
	}
}

func TestChartsBearAnything(t *testing.T) {
	at := time.Now()
	for name, points := range map[string][]ops.Point{
		"none": nil, "one": {{At: at, Value: 1}}, "constant": {{At: at.Add(-time.Minute), Value: 7}, {At: at, Value: 7}},
		"nan": {{At: at.Add(-time.Minute), Value: math.NaN()}, {At: at, Value: math.Inf(1)}}, "huge": {{At: at.Add(-time.Minute), Value: -math.MaxFloat64}, {At: at, Value: math.MaxFloat64}},
		"outside": {{At: at.Add(-time.Hour), Value: 1}, {At: at.Add(time.Hour), Value: 2}}, "tiny": {{At: at.Add(-time.Minute), Value: 1e-300}, {At: at, Value: 2e-300}},
	} {
		p, out := paper(50, true)
		p.charts([]chartLine{{name, "x", points}, {name, "x", points}}, at.Add(-10*time.Minute), at)
		if out.Len() == 0 {
			t.Error(name)
		}
		p.charts([]chartLine{{name, "x", points}}, at, at)
	}
}

func TestReadingsAreWrittenInTheirUnit(t *testing.T) {
	for _, c := range []struct {
		metric string
		v      float64
		want   string
	}{
		{"cpu_busy_ratio", 0.5, "50%"}, {"x_ratio", 0.012, "1.2%"}, {"x_ratio", 0, "0%"}, {"memory_total_bytes", 25 << 30, "25.0 GiB"}, {"x_bytes", 512, "512 B"},
		{"net_receive_bytes_per_s", 2048, "2.0 KiB/s"}, {"temperature_celsius", 41.5, "41.5 C"}, {"uptime_seconds", 3700, "1h 1m"}, {"x_seconds", 0.25, "0.25 s"},
		{"load1", 1.23456, "1.235"}, {"x", 13214.7, "13215"}, {"x", 1e12, "1e+12"}, {"x", math.NaN(), "NaN"}, {"x", math.Inf(-1), "-Inf"}, {"x", 0.0001, "0.0001"},
	} {
		if got := reading(c.metric, c.v); got != c.want {
			t.Errorf("%s %v: %q, want %q", c.metric, c.v, got, c.want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", 90 * time.Second: "1m 30s", 26 * time.Hour: "1d 2h", 40 * 24 * time.Hour: "40d", 1500 * time.Microsecond: "1ms", -time.Minute: "-1m"} {
		if got := span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestEndsAreSpansOrTimes(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{"2h": now.Add(2 * time.Hour), "1d12h": now.Add(36 * time.Hour), "2026-06-01T00:00:00Z": time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC),
		"2026-06-01": time.Date(2026, 6, 1, 0, 0, 0, 0, time.Local)} {
		if got, err := parseUntil(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	if _, err := parseUntil("tomorrow", now); exitCode(err) != exitWrongUse {
		t.Error(err)
	}
}
