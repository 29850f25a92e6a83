package show

import (
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/term"
)

// Notes lists notes with the resources that they are about, by ID.
func Notes(p *term.Page, all []ops.Note, names map[string]ops.Resource) {
	short, now := term.Shortened(all, func(n ops.Note) string { return n.ID }), time.Now()
	t := p.Table("!ID", "!STATE", "!KIND", "ABOUT", "CONDITION", "TEXT", "BY", ">AGO")
	for _, n := range all {
		t.Add(term.Of(short[n.ID]), term.Of(string(n.State)), term.Of(n.Kind), term.Of(aboutOf(n, names)), term.Of(n.Condition),
			term.Of(strings.ReplaceAll(n.Text, "\n", " ")), term.Of(n.Author), term.Of(term.Age(now, n.At)))
	}
	t.Print()
}

// aboutOf answers what a note is about.
func aboutOf(n ops.Note, names map[string]ops.Resource) string {
	if n.ResourceID == "" {
		return "the estate"
	}
	return nameOf(n.ResourceID, names[n.ResourceID])
}

// Note prints one note.
func Note(p *term.Page, n ops.Note, names map[string]ops.Resource) {
	p.Paragraph("", n.Text)
	p.Fields([][2]string{{"id", n.ID}, {"kind", n.Kind}, {"state", string(n.State)}, {"about", aboutOf(n, names)}, {"condition", n.Condition},
		{"finding", n.FindingID}, {"written", term.Stamp(n.At) + " by " + n.Author}, {"decided by", n.DecidedBy}})
}
