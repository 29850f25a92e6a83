package browser

import (
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/test/disks"
	"reeve/test/program"
)

// TestPatrolFromThePage: with a real file system full, a person asks for a
// patrol, watches it, reads what it found, has the incident looked into, and
// leaves a note; all without a model and without the page being loaded again.
func TestPatrolFromThePage(t *testing.T) {
	at := disks.Mount(t, 64<<20)
	p := program.Start(t, quick+"\npatrol: {startup: false, events: []}\ninvestigate: {auto: none}\n")
	b := signIn(t, p)
	b.stay()
	disks.Fill(t, at, 0.97)
	b.within(30*time.Second, "the incident arrives", row, at)

	b.press("gp")
	b.until("g p leads to the patrols", `location.pathname === '/patrol'`)
	b.says(`main`, "no model is set for patrol")
	b.click(`[data-testid=patrol-run]`)
	b.shows(`[data-testid=scope-resources]`)
	b.click(`[data-testid=preview-button]`)
	b.says(`[data-testid=preview]`, "Nothing is sent anywhere")
	b.click(`[data-testid=run-button]`)
	b.until("the run has a page", `location.pathname.startsWith('/patrol/run_')`)
	b.says(`[data-testid=run-verdict]`, "critical")
	b.until("it found the file system", `t => [...document.querySelectorAll('[data-testid=run-item]')].some(i => i.innerText.includes(t))`, at)
	b.says(`[data-testid=run-tokens]`, "no tokens")
	var runs struct{ Items []ops.Run }
	if err := p.Get("/api/v1/runs?state=done", &runs); err != nil || len(runs.Items) != 1 || runs.Items[0].Health != ops.RunCritical {
		t.Errorf("the API tells of %+v, %v", runs.Items, err)
	}
	b.press("gp")
	b.until("the run is in the history", `document.querySelectorAll('[data-testid=run-row]').length === 1`)

	f := p.Await(time.Second, "active", "fs_full", at)
	b.press("gi")
	b.until("the incident is in the list", row, at)
	b.until("it opens", `t => { (`+row+`)(t).querySelector('a').click(); return location.pathname.startsWith('/incidents/inc_') }`, at)
	b.click(`[data-testid=investigate-button]`)
	b.within(30*time.Second, "the inquiry ends with its steps", `/step/.test(document.querySelector('[data-testid=investigations]')?.innerText) && !/running|queued/.test(document.querySelector('[data-testid=investigations]').innerText)`)
	var inquiries struct{ Items []ops.Investigation }
	if err := p.Get("/api/v1/investigations?incident="+f.IncidentID, &inquiries); err != nil || len(inquiries.Items) != 1 {
		t.Fatalf("the API tells of %+v, %v", inquiries.Items, err)
	}

	b.press("gp")
	b.shows(`[data-testid=note-text]`)
	b.enter(`[data-testid=note-text]`, "The archive disk is on order")
	b.press("\r")
	b.says(`main`, "The archive disk is on order")
	var notes struct{ Items []ops.Note }
	if err := p.Get("/api/v1/notes", &notes); err != nil || len(notes.Items) != 1 || notes.Items[0].Text != "The archive disk is on order" {
		t.Errorf("the API tells of %+v, %v", notes.Items, err)
	}
	b.stayed()
}
