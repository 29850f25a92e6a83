package browser

import (
	"os"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/test/disks"
	"reeve/test/program"
)

const quick = `
detectors: {fs_full: {hold: 1s, clear: 5s}}
collectors: {filesystem: {every: 1s}}
`

// stay marks the document, so that a reload would be seen.
func (b *tab) stay() {
	b.t.Helper()
	ask[bool](b, `window.stayed = true`)
}

func (b *tab) stayed() {
	b.t.Helper()
	if !ask[bool](b, `window.stayed === true`) {
		b.t.Error("the page was loaded again")
	}
}

// row is the selector of an incident's row by what its title contains.
const row = `t => [...document.querySelectorAll('[data-testid=incident-row]')].find(r => r.innerText.includes(t))`

// drawn is whether every chart has ink on it; a copy is read, for the browser
// complains of charts that are read themselves.
const drawn = `(() => {
	const ink = c => {
		const copy = Object.assign(document.createElement('canvas'), {width: c.width, height: c.height}).getContext('2d', {willReadFrequently: true})
		copy.drawImage(c, 0, 0)
		return new Uint32Array(copy.getImageData(0, 0, c.width, c.height).data.buffer).some(x => x !== 0)
	}
	const all = [...document.querySelectorAll('[data-testid=chart] canvas')]
	return all.length > 0 && all.every(c => c.width > 0 && ink(c))
})()`

// TestFullDiskComesAndGoes: a real file system is filled; the open page tells,
// shows why, takes the acknowledgement, and tells when it is over, all without
// being loaded again.
func TestFullDiskComesAndGoes(t *testing.T) {
	at := disks.Mount(t, 64<<20)
	p := program.Start(t, quick)
	b := signIn(t, p)
	b.stay()
	p.Until(20*time.Second, "the file system is a resource", func() bool {
		var list struct{ Items []ops.Resource }
		return p.Get("/api/v1/resources?q="+at, &list) == nil && len(list.Items) > 0
	})
	filler := disks.Fill(t, at, 0.97)
	b.within(30*time.Second, "the incident arrives", row, at)
	f := p.Await(time.Second, "active", "fs_full", at)

	b.press("gi")
	b.until("g i lists the incidents", `location.pathname === '/incidents'`)
	b.until("the incident is in the list", row, at)
	b.until("j moves to it", `t => {
		document.dispatchEvent(new KeyboardEvent('keydown', {key: 'j', bubbles: true}))
		return document.activeElement.innerText.includes(t)
	}`, at)
	b.press("\r")
	b.until("enter opens it", `id => location.pathname === '/incidents/' + id`, f.IncidentID)
	b.says(`[data-testid=explain-what]`, at)
	b.says(`[data-testid=incident-state]`, "open")
	b.until("its chart is drawn", drawn)
	if why := b.text(`[aria-label=Explanation]`); !strings.Contains(why, "Likely causes") || !strings.Contains(why, "What to check") {
		t.Errorf("the explanation has no causes or no advice: %s", why)
	}

	b.press("a")
	b.says(`[data-testid=incident-state]`, "acknowledged")
	b.says(`main`, "acknowledged by "+lastLine(b.text(`.who`)))
	b.until("there is nothing left to acknowledge", `!document.querySelector('[data-testid=ack-button]')`)
	var incident ops.Incident
	if err := p.Get("/api/v1/incidents/"+f.IncidentID, &incident); err != nil || !strings.Contains(incident.AckedBy, lastLine(b.text(`.who`))) {
		t.Errorf("acknowledged by %v, %v", incident.AckedBy, err)
	}

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	b.within(30*time.Second, "it resolves", `document.querySelector('[data-testid=incident-state]')?.innerText === 'mitigated'`)
	b.says(`main`, "Every finding recovered")
	if g, ok := p.Finding("resolved", "fs_full", at); !ok || g.ID != f.ID {
		t.Errorf("the API tells of %+v", g)
	}
	b.stayed()
}

// TestServerGoesAndComesBack: while the server is away the page says so and
// keeps what it knew; then it goes on by itself, with what happened meanwhile.
func TestServerGoesAndComesBack(t *testing.T) {
	at := disks.Mount(t, 64<<20)
	p := program.Start(t, quick)
	b := signIn(t, p)
	b.shows(`[data-testid=host-row]`)
	b.stay()
	b.expect("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET", "status of 503")
	p.Stop()
	b.shows(`[data-testid=live-state][data-state=stale]`)
	b.says(`main`, "The live connection is lost")
	b.says(`[data-testid=live-state]`, "Reconnecting")
	b.shows(`[data-testid=host-row]`)
	disks.Fill(t, at, 0.97)
	p.Again()
	b.live()
	b.until("the warning goes", `!document.querySelector('main').innerText.includes('The live connection is lost')`)
	b.within(30*time.Second, "what happened meanwhile is told", row, at)
	b.stayed()
}
