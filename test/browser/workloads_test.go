package browser

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"reeve/internal/api"
	"reeve/internal/ops"
	"reeve/test/dockerd"
	"reeve/test/program"
)

const (
	// listed is how long a list of an agent may take to be judged on a busy
	// machine: it is asked every half a minute.
	listed = 75 * time.Second
	// shop is the row of the container in a list.
	shop = `[data-testid=workload-row][data-name=shop]`
)

// commanded starts a server and the agent of atlas, which carries out orders
// on a Docker Engine with one container.
func commanded(t *testing.T) (*program.Program, *dockerd.Daemon) {
	t.Helper()
	d := dockerd.Start(t)
	d.Run(t, dockerd.Options{Name: "shop", Command: []string{"sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done"}})
	p := program.Start(t, wired)
	var joining api.Joining
	if err := p.Post("/api/v1/hosts", map[string]string{"name": "atlas"}, &joining); err != nil {
		t.Fatal(err)
	}
	program.Join(t, joining.Command).Run("--perform", "--docker-socket", d.Socket)
	return p, d
}

// TestWorkloadIsStartedFromThePage: a container that should run is stopped
// behind Reeve's back, which the page tells by itself; a person plans its start
// there, an approver signs on the command line, and it runs again.
func TestWorkloadIsStartedFromThePage(t *testing.T) {
	p, d := commanded(t)
	b := signIn(t, p)
	b.stay()
	b.press("gw")
	b.until("g w leads to the workloads", `location.pathname === '/workloads'`)
	b.within(listed, "the container is listed", `s => document.querySelector(s + '[data-observed=running]')`, shop)
	b.declare()
	b.until("it should be running", `s => document.querySelector(s + ' .should').innerText.includes('running')`, shop)

	d.Stop(t, "shop")
	b.within(listed, "the list tells that it stopped", `s => document.querySelector(s + '[data-observed=stopped]')?.innerText.includes('stopped unexpectedly')`, shop)
	b.click(`[data-testid=only-problem]`)
	b.until("only what has a problem is left", `document.querySelectorAll('[data-testid=workload-row]').length === 1`)
	b.click(shop)
	b.says(`[data-testid=problem]`, "Stopped unexpectedly")
	b.says(`[data-testid=workload-story]`, "Is stopped")
	b.takesBack()
	id, hash := b.starts(t, p)

	if out, err := p.Command("approve", id, "--yes", "--hash", hash); err != nil || !strings.Contains(out, "it is running now") {
		t.Fatalf("reeve approve: %v\n%s", err, out)
	}
	b.shows(`[data-testid=action][data-state=succeeded]`)
	b.says(`[data-testid=receipt]`, "succeeded")
	b.until("the receipt tells before and after", `/stopped\s+running/.test(document.querySelector('[data-testid=receipt] table').innerText)`)
	b.shows(`[data-testid=workload][data-observed=running]`)
	b.within(listed, "nothing is wrong with it", `!document.querySelector('[data-testid=problem]')`)
	b.click(`[data-testid=action] h2 a`)
	b.until("it leads to the action", `id => location.pathname === '/actions/' + id`, id)
	b.says("main", "Begun by the agent")
	b.stayed()
	b.looksOver(p, id)
}

// declare says on the page that the container should run.
func (b *tab) declare() {
	b.t.Helper()
	b.press("n")
	b.shows(`[data-testid=declare-form]`)
	ask[bool](b, `(() => { const s = document.querySelector('[name=host]'); s.value = [...s.options].find(o => o.text === 'atlas').value; return s.dispatchEvent(new Event('change', {bubbles: true})) })()`)
	b.enter(`[data-testid=declare-form] [name=name]`, "shop")
	b.click(`[data-testid=desired-absent]`)
	b.says(`[data-testid=desired-text]`, "removes nothing yet")
	b.click(`[data-testid=desired-running]`)
	b.enter(`[data-testid=declare-form] [name=reason]`, "Customers need it")
	b.press(kb.Enter)
	b.until("it is declared", `!document.querySelector('dialog')`)
}

// takesBack proposes a snapshot and withdraws it.
func (b *tab) takesBack() {
	b.t.Helper()
	b.click(`[data-testid=op-snapshot]`)
	b.shows(`[data-testid=action][data-state=awaiting_approval]`)
	b.click(`[data-testid=action-withdraw]`)
	b.shows(`[data-testid=action][data-state=withdrawn]`)
}

// starts proposes the start and answers the ID of the action and the hash of
// its plan, as the line for the approver has them.
func (b *tab) starts(t *testing.T, p *program.Program) (id, hash string) {
	t.Helper()
	if n := ask[int](b, `document.querySelectorAll('[data-testid=op-stop], [data-testid=op-pause]').length`); n > 0 {
		t.Error("what is stopped can be stopped or paused")
	}
	b.enter(`[data-testid=operations] [name=reason]`, "It was stopped by mistake")
	b.click(`[data-testid=op-start]`)
	b.shows(`[data-testid=action][data-state=awaiting_approval]`)
	b.says(`[data-testid=plan]`, "It was stopped by mistake")
	b.until("the plan has the focus", `document.activeElement?.querySelector('[data-testid=approve-line]')`)
	line := b.text(`[data-testid=approve-line]`)
	rest, ok := strings.CutPrefix(line, "reeve approve ")
	id, hash, hashed := strings.Cut(rest, " --hash ")
	if !ok || !hashed {
		t.Fatalf("the line to approve with is %q", line)
	}
	var a ops.Action
	if err := p.Get("/api/v1/actions/"+id, &a); err != nil || a.Verb != "workload.start" || !strings.HasPrefix(a.PlanHash, hash) || b.text(`[data-testid=plan-hash]`) != a.PlanHash {
		t.Fatalf("the page shows another plan than %+v, %v", a, err)
	}
	return id, hash
}

// looksOver visits the other places that tell of it, in both themes and on a
// phone.
func (b *tab) looksOver(p *program.Program, action string) {
	b.t.Helper()
	b.visit(p.URL + "/actions")
	b.until("both actions are listed, the newest first", `[...document.querySelectorAll('[data-testid=action-row]')].map(r => r.dataset.state).join() === 'succeeded,withdrawn'`)
	b.visit(p.URL + "/hosts")
	b.says(`[data-testid=approvers]`, "reeve approver add")
	b.until("the root is told", `/^[0-9a-f]{64}$/.test(document.querySelector('[data-testid=approvers-root]').innerText)`)
	b.visit(p.URL + "/hosts/atlas")
	b.until("the page of its host has it", `s => document.querySelector('[data-testid=host-workloads] ' + s)`, shop) // rows out of sight have no text
	for _, page := range []string{"workloads", "workloads/atlas/shop", "actions", "actions/" + action, "hosts", "hosts/atlas"} {
		b.do(chromedp.EmulateViewport(1440, 900))
		b.visit(p.URL + "/" + page)
		b.until("/"+page+" is drawn", settled)
		for range 2 {
			b.until("the colours have settled", `document.getAnimations().every(a => a.effect.getTiming().iterations === Infinity)`)
			if faint := ask[[]string](b, legible); len(faint) > 0 {
				b.t.Errorf("hard to read on /%s: %s", page, strings.Join(faint, "; "))
			}
			b.press("t")
		}
		b.do(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch))
		b.until("/"+page+" is no wider than a phone", `document.documentElement.scrollWidth <= 390`)
		if list := ask[[]string](b, unnamed); len(list) > 0 {
			b.t.Errorf("/%s has controls without a name: %s", page, strings.Join(list, "\n"))
		}
	}
}
