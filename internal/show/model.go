package show

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/term"
)

// Calls lists calls of models.
func Calls(p *term.Page, all []ops.ModelCall) {
	t := p.Table("!WHEN", "MODEL", "USE", "!OUTCOME", ">IN", ">OUT", ">COST", ">TOOK", "ERROR")
	for _, c := range all {
		t.Add(term.Of(term.Stamp(c.At)), term.Of(c.Model), term.Of(string(c.Use)), term.Of(c.Outcome), term.Of(fmt.Sprint(c.Tokens.Input)), term.Of(fmt.Sprint(c.Tokens.Output)), term.Of(term.Dollars(c.CostMicroUSD)), term.Of(term.SpanMS(c.LatencyMS)), term.Of(c.Err))
	}
	t.Print()
}

// A UsageAnswer is what models took, and what is left below the ceilings.
type UsageAnswer struct {
	By    string    `json:"by"`
	Since time.Time `json:"since"`
	Items []struct {
		ops.Usage
		Name string `json:"name"`
	} `json:"items"`
	Total    ops.Spend `json:"total"`
	Ceilings []struct {
		Name  string `json:"name"`
		Unit  string `json:"unit"`
		Limit int64  `json:"limit"`
		Spent int64  `json:"spent"`
		Left  int64  `json:"left"`
	} `json:"ceilings"`
}

// Usage prints what models took, and what is left.
func Usage(p *term.Page, u UsageAnswer) {
	if len(u.Items) == 0 {
		p.Line("no calls of models since %s", term.Stamp(u.Since))
	} else {
		t := p.Table("!"+strings.ToUpper(u.By), ">CALLS", ">FAILED", ">IN", ">CACHED", ">OUT", ">UNPRICED", ">COST")
		for _, x := range u.Items {
			t.Add(term.Of(cmp.Or(x.Name, x.Key)), term.Of(fmt.Sprint(x.Calls)), term.Of(fmt.Sprint(x.Failed)), term.Of(fmt.Sprint(x.Input)), term.Of(fmt.Sprint(x.Cached)), term.Of(fmt.Sprint(x.Output)), term.Of(fmt.Sprint(x.Unpriced)), term.Of(term.USD(x.MicroUSD)))
		}
		t.Print()
		p.Line("since %s: %d calls, %d tokens, %s", term.Stamp(u.Since), u.Total.Calls, u.Total.Input+u.Total.Output, term.USD(u.Total.MicroUSD))
	}
	if len(u.Ceilings) > 0 {
		p.Heading("Ceilings")
		t := p.Table("!CEILING", ">LIMIT", ">SPENT", ">LEFT")
		for _, c := range u.Ceilings {
			show := func(n int64) term.Cell { return term.Of(fmt.Sprint(n)) }
			if c.Unit == "micro_usd" {
				show = func(n int64) term.Cell { return term.Of(term.USD(n)) }
			}
			t.Add(term.Of(c.Name), show(c.Limit), show(c.Spent), show(c.Left))
		}
		t.Print()
	}
}
