package show

import (
	"cmp"
	"time"

	"reeve/internal/ops"
	"reeve/internal/term"
)

// A Fleet is the fleet as a whole as the API answers it.
type Fleet struct {
	Blind struct {
		Tripped  bool      `json:"tripped"`
		Silent   int       `json:"silent"`
		Expected int       `json:"expected"`
		Since    time.Time `json:"since"`
	} `json:"blind"`
	Connected int          `json:"connected"`
	Servers   []ops.Server `json:"servers"`
}

// Servers lists the servers on a database, and says whether hosts are judged.
func Servers(p *term.Page, f Fleet, now time.Time) {
	t := p.Table("SERVER", "!STATE", "AGENTS REACH IT AT", "VERSION", ">SINCE", ">SEEN AGO")
	for _, x := range f.Servers {
		state := term.Of("stands by")
		switch {
		case x.Away:
			state = term.Painted("away", term.Yellow)
		case x.Duty:
			state = term.Painted("on duty", term.Green)
		}
		t.Add(term.Of(cmp.Or(x.Name, x.ID)), state, term.Of(cmp.Or(x.Address, "-")), term.Of(x.Version), term.Of(term.Age(now, x.Since)), term.Of(term.Age(now, x.SeenAt)))
	}
	t.Print()
	p.Line("\nConnected to the one that answers: %s.", term.Plural(f.Connected, "agent"))
	if f.Blind.Tripped {
		p.Line("%s %d of %d hosts are silent since %s. `reeve hosts` shows which; `reeve host release NAME` says of one that it is down.",
			p.Paint(term.Red, "No host is judged:"), f.Blind.Silent, f.Blind.Expected, term.Stamp(f.Blind.Since))
	}
}
