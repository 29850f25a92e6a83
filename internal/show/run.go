package show

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/term"
)

// Run prints one patrol in full.
func Run(p *term.Page, r ops.Run) {
	d := r.Detail
	p.Line("%s %s", p.Paint(healthStyle(r.Health), cmp.Or(string(r.Health), string(r.State))), p.Paint(term.Bold, term.Safe(cmp.Or(r.Summary, r.Err, r.Reason))))
	looked := int64(0)
	for _, n := range d.Counts {
		looked += n
	}
	took := ""
	if !r.EndedAt.IsZero() && !r.StartedAt.IsZero() {
		took = term.Micros(r.EndedAt.Sub(r.StartedAt).Microseconds())
	}
	p.Fields([][2]string{{"id", r.ID}, {"state", string(r.State)}, {"asked by", fmt.Sprintf("%s, %s", r.Actor, r.Trigger)}, {"why", r.Reason},
		{"answers", term.Plural(int(r.Triggers), "trigger")}, {"scope", scopeText(r.Asked)}, {"looked at", term.Plural(int(looked), "resource")},
		{"left out", leftOutText(d.LeftOut)}, {"not collected", strings.Join(d.Incomplete, "; ")}, {"began", term.Stamp(r.StartedAt)}, {"took", took},
		{"model", r.Model}, {"tokens", runTokens(r)}, {"error", r.Err}, {"went into", r.MergedInto}, {"replay of", d.ReplayOf}})
	for _, i := range d.Items {
		item(p, i)
	}
	runParts(p, d)
}

func leftOutText(out map[string]string) string {
	if len(out) == 0 {
		return ""
	}
	id := slices.Sorted(maps.Keys(out))[0]
	return fmt.Sprintf("%s, the first because it is %s", term.Plural(len(out), "resource"), out[id])
}

func runTokens(r ops.Run) string {
	if r.Tokens.Total() == 0 {
		return "none"
	}
	return fmt.Sprintf("%d in (%d cached), %d out, %s", r.Tokens.Input, r.Tokens.Cached, r.Tokens.Output, term.Dollars(r.Cost))
}

// item prints one thing that a run found with all that explains it.
func item(p *term.Page, i ops.RunItem) {
	p.Line("\n%s %s", p.Paint(term.SeverityStyle(i.Severity), string(i.Severity)), p.Paint(term.Bold, term.Safe(i.What)))
	p.Fields([][2]string{{"on", i.Place}, {"since", term.Stamp(i.Since) + ", " + term.Age(time.Now(), i.Since) + " ago"}, {"news", i.News},
		{"condition", i.Condition}, {"finding", i.FindingID}, {"before", i.Before}, {"model", i.Model}})
	for _, part := range []struct {
		title string
		lines []string
	}{{"Evidence", i.Evidence}, {"Likely causes", i.Causes}, {"What to check", i.Checks}, {"Affects", i.Affects}} {
		if len(part.lines) > 0 {
			p.Line("  %s", p.Paint(term.Faint, part.title))
		}
		for _, l := range part.lines {
			p.Paragraph("    - ", l)
		}
	}
}

func runParts(p *term.Page, d ops.RunDetail) {
	if x := d.Compared; x != nil {
		for _, part := range []struct {
			title string
			lines []string
		}{{"Only this time", x.New}, {"Not this time", x.Missing}, {"Other verdicts", x.Changed}} {
			if len(part.lines) > 0 {
				p.Heading(part.title)
			}
			for _, l := range part.lines {
				p.Paragraph("  - ", l)
			}
		}
		p.Line("\n%s; %s not recorded before; %d tokens in and %d out for %s, instead of %d and %d for %s", term.Plural(int(x.Same), "judgement")+" the same",
			term.Plural(int(x.NotRecorded), "call"), x.Tokens.Input, x.Tokens.Output, term.Dollars(x.Cost), x.TokensBefore.Input, x.TokensBefore.Output, term.Dollars(x.CostBefore))
	}
	for _, a := range d.Assessments {
		if a.Verdict == ops.AssessResolved {
			p.Paragraph("\nThe model thinks that this is over; it stays open until its detector does: ", a.FindingID+" "+a.Note)
		}
	}
	if len(d.Rejected) > 0 {
		p.Heading("Struck, because it could not be proven")
		for _, x := range d.Rejected {
			p.Paragraph("  - ", x.What+": "+x.Reason)
		}
	}
	if len(d.Tools) > 0 {
		p.Heading("Tools that the model called")
		t := p.Table("TOOL", ">TOOK", ">ANSWER", "ARGUMENTS", "ERROR")
		for _, x := range d.Tools {
			t.Add(term.Of(x.Tool), term.Of(term.Micros(x.TookUS)), term.Of(term.Bytes(float64(x.OutputBytes))), term.Of(string(x.Input)), term.Of(x.Err))
		}
		t.Print()
	}
	p.Heading("Stages")
	t := p.Table("!STAGE", ">TOOK", "WHAT CAME OF IT")
	t.FoldLast()
	for _, x := range d.Stages {
		t.Add(term.Of(x.Name), term.Of(term.Micros(x.TookUS)), term.Of(x.Note))
	}
	t.Print()
}
