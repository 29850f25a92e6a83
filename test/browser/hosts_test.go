package browser

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"reeve/internal/api"
	"reeve/internal/ops"
	"reeve/test/program"
)

const wired = "listen_tls: 127.0.0.1:0\n"

// hostRow finds a host's row in a list by its name.
const hostRow = `n => [...document.querySelectorAll('[data-testid=host-row]')].find(r => r.querySelector('.cut').innerText === n)`

// TestHostJoinsFromThePage: a person invites a host in the page, its real
// agent joins with the line that is shown, and the page tells so by itself;
// then the host goes into maintenance and back, is revoked and removed, each
// with a reason that stands in its time-line.
func TestHostJoinsFromThePage(t *testing.T) {
	p := program.Start(t, wired)
	b := signIn(t, p)
	b.stay()
	b.press("gh")
	b.until("g h leads to the hosts", `location.pathname === '/hosts'`)
	b.says(`[data-testid=first-host]`, "paste the line there")
	b.press("n")
	b.shows(`[data-testid=add-form]`)
	b.enter(`[name=name]`, "atlas")
	b.press(kb.Enter)
	b.shows(`[data-testid=join-command]`)
	line := b.text(`[data-testid=join-command]`)
	b.says(`[data-testid=join-wait]`, "59 min")
	b.says(`[data-testid=invited-row]`, "atlas")

	agent := program.Join(t, line)
	b.says(`[data-testid=joined]`, "Start its agent there")
	if b.text(`[data-testid=join-command]`) != "" {
		t.Error("a line that was used is shown on")
	}
	agent.Run()
	b.within(40*time.Second, "the first report is there", `document.querySelector('[data-testid=joined]')?.innerText.includes('first report is here')`)
	b.click(`[data-testid=joined-link]`)
	b.shows(`[data-testid=host-agent][data-state=online]`)
	b.until("it is the host's page", `document.querySelector('h1').innerText === 'atlas'`)
	b.until("all three clocks tick", `(() => { const all = [...document.querySelectorAll('[data-testid=host-agent] .clocks dd')].map(e => e.innerText); return all.length === 3 && all.every(a => /^(now|\d+ s)$/.test(a)) })()`)
	b.says(`[data-testid=host-agent]`, "connected from 127.0.0.1")
	b.says(`[data-testid=host-story]`, "Joined")

	b.click(`[data-testid=host-maintenance]`)
	b.until("the reason has the focus", `document.activeElement?.name === 'reason'`)
	b.press("Disk is swapped")
	b.press(kb.Enter)
	b.shows(`[data-testid=host-agent][data-state=maintenance]`)
	b.says(`[data-testid=host-reason]`, "Disk is swapped")
	b.says(`[data-testid=host-story]`, "In maintenance")
	left := time.Until(hostNamed(t, p, "atlas").Fleet.MaintenanceUntil)
	if left < 3*time.Hour || left > 4*time.Hour {
		t.Errorf("the preset of 4 h ends in %v", left)
	}
	b.press("gh")
	b.until("the list tells of it", `n => (`+hostRow+`)(n)?.dataset.state === 'maintenance'`, "atlas")
	ask[bool](b, `n => ((`+hostRow+`)(n).click(), true)`, "atlas")
	b.answer("maintenance-end", "Disk is in")
	b.shows(`[data-testid=host-agent][data-state=online]`)

	b.answer("revoke", "A test")
	b.shows(`[data-testid=host-agent][data-state=pending]`)
	b.says(`[data-testid=host-agent]`, "New line to join")
	b.click(`[data-testid=host-remove]`)
	b.enter(`[name=confirm]`, "atla")
	b.until("the name is not typed in full", `document.querySelector('[data-testid=host-confirm]').disabled`)
	b.press("s")
	b.press(kb.Tab)
	b.press("Sold")
	b.press(kb.Enter)
	b.until("it leads back to the hosts", `location.pathname === '/hosts'`)
	b.until("it is gone", `n => !(`+hostRow+`)(n)`, "atlas")
	b.stayed()
	told := reasons(t, p)
	for _, reason := range []string{"Disk is swapped", "Disk is in", "A test", "Sold"} {
		if !strings.Contains(told, reason) {
			t.Errorf("the audit of hosts lacks %q: %s", reason, told)
		}
	}
}

// answer asks for a deed on the page of a host, and confirms it with a reason.
func (b *tab) answer(deed, reason string) {
	b.t.Helper()
	b.click(`[data-testid=host-` + deed + `]`)
	b.enter(`[data-testid=host-question] [name=reason]`, reason)
	b.click(`[data-testid=host-confirm]`)
	b.until("the question is answered", `!document.querySelector('dialog')`)
}

func hostNamed(t *testing.T, p *program.Program, name string) (h api.HostRow) {
	t.Helper()
	if err := p.Get("/api/v1/hosts/"+name, &h); err != nil || h.Fleet == nil {
		t.Fatalf("the API tells of %+v, %v", h, err)
	}
	return h
}

func reasons(t *testing.T, p *program.Program) string {
	t.Helper()
	var list struct{ Items []ops.Transition }
	if err := p.Get("/api/v1/audit?object=host", &list); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, tr := range list.Items {
		all = append(all, tr.Verb+": "+tr.Reason)
	}
	return strings.Join(all, "\n")
}

// TestInvitationIsWithdrawn: a host that is invited stands in the list with
// the time left, on a phone too, and its line counts no longer once it was
// withdrawn; the authority is rotated and finished from the page.
func TestInvitationIsWithdrawn(t *testing.T) {
	p := program.Start(t, wired)
	b := signIn(t, p)
	b.do(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch))
	b.visit(p.URL + "/hosts?add=1")
	b.enter(`[name=name]`, "no spaces")
	b.click(`[data-testid=add-submit]`)
	b.until("the browser refuses a name with a space", `document.querySelector('[name=name]').validity.patternMismatch`)
	b.enter(`[name=name]`, "birch")
	b.click(`summary`)
	b.enter(`[name=heartbeat]`, "60")
	b.enter(`[name=address]`, "reeve://`x`:1")
	b.click(`[data-testid=add-submit]`)
	b.expect("status of 422", "status of 400")
	b.says(`.wrong`, "reeve://HOST:PORT")
	b.enter(`[name=address]`, "reeve://birch-sees-this:7434")
	b.click(`[data-testid=add-submit]`)
	b.says(`[data-testid=join-command]`, "reeve://birch-sees-this:7434")
	b.until("nothing is wider than the phone", `document.documentElement.scrollWidth <= 390 && document.querySelector('dialog').scrollWidth <= 390`)
	b.press(kb.Escape)
	b.says(`[data-testid=invited-row]`, "min")
	b.click(`[data-testid=invited-row] button`)
	b.click(`[data-testid=withdraw-submit]`)
	b.until("it is gone", `!document.querySelector('[data-testid=invited-row]')`)
	b.says(`[data-testid=first-host]`, "Only the machine of the server")

	const authority = `[data-testid=authority]`
	before := b.text(authority + " code")
	b.click(authority + " .card-head button")
	b.click(`dialog .primary`)
	b.says(authority, "every host")
	b.click(authority + " .card-head button")
	b.click(`dialog .primary`)
	b.until("another one signs", `(s, before) => document.querySelector(s + ' code').innerText !== before && document.querySelector(s).innerText.includes(before)`, authority, before)
}

// TestViewerDecidesNothing: who may only look sees hosts and no buttons.
func TestViewerDecidesNothing(t *testing.T) {
	p := program.Start(t, wired)
	if err := p.Post("/api/v1/users", map[string]string{"name": "grace", "role": "viewer", "password": "three brown foxes"}, nil); err != nil {
		t.Fatal(err)
	}
	b := open(t)
	b.expect("status of 401")
	b.visit(p.URL)
	b.enter(`[name=name]`, "grace")
	b.enter(`[name=password]`, "three brown foxes")
	b.press(kb.Enter)
	b.live()
	b.press("gh")
	b.shows(`[data-testid=host-row]`)
	b.press("n")
	b.shows(`[data-testid=authority]`)
	if n := ask[int](b, `document.querySelectorAll('[data-testid=add-host], [data-testid=add-form], [data-testid=first-host] button, [data-testid=authority] .card-head button').length`); n > 0 {
		t.Errorf("a viewer has %d buttons", n)
	}
	b.click(`[data-testid=host-row]`)
	b.shows(`[data-testid=host-agent]`)
	if n := ask[int](b, `document.querySelectorAll('[data-testid=host-agent] button').length`); n > 0 {
		t.Errorf("a viewer has %d buttons on the page of a host", n)
	}
	b.press("gw")
	b.until("the workloads are drawn", settled)
	b.press("n")
	if n := ask[int](b, `document.querySelectorAll('main [data-testid=declare], [data-testid=declare-form], [data-testid=suggestions]').length`); n > 0 {
		t.Errorf("a viewer may declare what should be: %d", n)
	}
}
