package browser

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/test/program"
)

const names = `[...document.querySelectorAll('[data-testid=resource-row] .strong')].map(e => e.innerText)`

// many declares heartbeats, each of which is a resource.
func many(n int) string {
	var s strings.Builder
	s.WriteString("checks:\n")
	for i := range n {
		fmt.Fprintf(&s, "  - {name: beat-%04d, type: heartbeat, every: 24h}\n", i)
	}
	return s.String()
}

// TestResources: the list is filtered, sorted, scrolled to its end and walked,
// and a resource opens with charts over the range that is chosen.
func TestResources(t *testing.T) {
	const beats = 700
	p := program.Start(t, many(beats))
	p.Until(30*time.Second, "every check is a resource", func() bool {
		var s struct {
			Counts struct {
				Kinds map[ops.Kind]int `json:"resources_by_kind"`
			}
		}
		return p.Get("/api/v1/status", &s) == nil && s.Counts.Kinds[ops.KindCheck] >= beats
	})
	b := signIn(t, p)
	b.press("gr")
	b.shows(`[data-testid=resource-row]`)

	scrolls(t, b, beats)
	sifts(t, b)
	ranges(t, b)
}

func scrolls(t *testing.T, b *tab, beats int) {
	b.until("every row has its room", `n => {
		const box = document.querySelector('[role=list][aria-label=Resources]')
		box.scrollTop = box.scrollHeight
		return box.scrollHeight > n * 40 && box.scrollTop + box.clientHeight > box.scrollHeight - 2
	}`, beats)
	b.until("the last row is drawn", `(() => {
		const rows = [...document.querySelectorAll('main [role=listitem]')]
		return rows.some(r => r.getAttribute('aria-posinset') === r.getAttribute('aria-setsize'))
	})()`)
	if n := ask[int](b, `document.querySelectorAll('[data-testid=resource-row]').length`); n > 100 {
		t.Errorf("%d rows exist at once", n)
	}
}

func sifts(t *testing.T, b *tab) {
	b.enter(`[data-testid=resource-search]`, "beat-001")
	b.until("ten match", `(() => { const n = `+names+`; return n.length === 10 && n[0] === 'beat-0010' && n[9] === 'beat-0019' })()`)
	b.click(`[aria-label^="Sort by Name"]`)
	b.until("the other way round", `(`+names+`)[0] === 'beat-0019'`)
	if at := ask[string](b, `location.search`); !strings.Contains(at, "q=beat-001") || !strings.Contains(at, "sort=-name") {
		t.Errorf("the address does not keep the filter: %s", at)
	}
	b.enter(`[data-testid=resource-search]`, "no-such-thing")
	b.says(`main`, "Nothing matches")
	b.click(`main .btn[href=resources]`)
	b.shows(`[data-testid=resource-row]`)
	ask[bool](b, `(() => {
		const kind = document.querySelector('.filters select')
		kind.value = 'host'
		return kind.dispatchEvent(new Event('change', {bubbles: true}))
	})()`)
	b.until("only the host is left", `(`+names+`).length === 1 && location.search.includes('kind=host')`)
}

func ranges(t *testing.T, b *tab) {
	b.click(`[data-testid=resource-row]`)
	b.until("the host opens", `location.pathname.startsWith('/resources/')`)
	b.until("its charts are drawn", drawn)
	b.until("an hour is shown", `document.querySelector('[aria-label="Time range"] [aria-pressed=true]').innerText === '1h'`)
	b.click(`[aria-label="Time range"] button:nth-child(3)`)
	b.until("a day is chosen", `document.querySelector('[aria-label="Time range"] [aria-pressed=true]').innerText === '24h' && location.search === '?range=24h'`)
	b.until("its charts are drawn again", `!document.querySelector('.plot.busy') && `+drawn)
	box := ask[[]float64](b, `(() => { const r = document.querySelector('.u-over').getBoundingClientRect(); return [r.x, r.y, r.width, r.height] })()`)
	b.drag(box[0]+box[2]*0.5, box[0]+box[2]*0.9, box[1]+box[3]/2)
	b.until("dragging looks closer", `location.search.includes('from=') && location.search.includes('to=')`)
	b.click(`.picker > .btn`)
	b.until("and back to now", `!location.search.includes('from=')`)
	if charts := ask[int](b, `document.querySelectorAll('[data-testid=chart]').length`); charts < 4 {
		t.Errorf("a host has %d charts", charts)
	}
}
