package browser

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"reeve/test/program"
)

// pages are all places of the page.
var pages = []string{"", "incidents", "patrol", "resources", "hosts", "workloads", "actions", "checks", "channels", "models", "system", "audit", "settings"}

// settled is whether a page has drawn what it read.
const settled = `document.querySelector('main h1') && ![...document.querySelectorAll('main .bones, main .bone')].some(e => e.getBoundingClientRect().top < innerHeight)`

// unnamed lists what can be operated but says nothing to those who cannot see
// it: an accessible name comes from a label, an attribute, or the text inside.
const unnamed = `[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea')]
	.filter(e => e.checkVisibility())
	.filter(e => {
		const by = (e.getAttribute('aria-labelledby') ?? '').split(/\s+/).map(id => document.getElementById(id)?.textContent ?? '')
		const labels = [...(e.labels ?? [])].map(l => l.textContent)
		const inside = /^(A|BUTTON)$/.test(e.tagName) ? [e.textContent, ...[...e.querySelectorAll('[aria-label], img[alt]')].map(i => i.getAttribute('aria-label') ?? i.alt)] : []
		return ![e.getAttribute('aria-label'), ...by, ...labels, ...inside, e.title].join('').trim()
	})
	.map(e => e.outerHTML.slice(0, 200))`

// TestEveryPageCanBeUsedByAll: names, landmarks and headings on every page.
func TestEveryPageCanBeUsedByAll(t *testing.T) {
	p := program.Start(t, quick)
	b := signIn(t, p)
	for _, page := range pages {
		b.visit(p.URL + "/" + page)
		b.until("/"+page+" is drawn", settled)
		if list := ask[[]string](b, unnamed); len(list) > 0 {
			t.Errorf("/%s has %d controls without a name: %s", page, len(list), strings.Join(list, "\n"))
		}
		if n := ask[int](b, `document.querySelectorAll('main').length`); n != 1 {
			t.Errorf("/%s has %d main landmarks", page, n)
		}
		if n := ask[int](b, `[...document.querySelectorAll('nav')].filter(n => n.checkVisibility() && !n.getAttribute('aria-label')).length`); n > 0 {
			t.Errorf("/%s has %d navigations without a name", page, n)
		}
		if n := ask[int](b, `document.querySelectorAll('h1').length`); n != 1 {
			t.Errorf("/%s has %d headings of the first level", page, n)
		}
		if lang := ask[string](b, `document.documentElement.lang`); lang != "en" {
			t.Errorf("/%s is in language %q", page, lang)
		}
		if twice := ask[[]string](b, `[...document.querySelectorAll('[id]')].map(e => e.id).filter((id, i, all) => all.indexOf(id) !== i)`); len(twice) > 0 {
			t.Errorf("/%s has IDs twice: %v", page, twice)
		}
	}
	walksByTab(t, b, p)
}

// walksByTab presses the tab key and looks where the focus goes: first the way
// past the navigation, then on in the order of the page, always to be seen.
func walksByTab(t *testing.T, b *tab, p *program.Program) {
	t.Helper()
	b.visit(p.URL + "/resources")
	b.shows(`[data-testid=resource-row]`)
	var before int
	var names []string
	for range 24 {
		b.press(kb.Tab)
		type stop struct {
			Name    string
			Order   int
			Visible bool
		}
		s := ask[stop](b, `(() => {
			const e = document.activeElement, css = getComputedStyle(e), r = e.getBoundingClientRect()
			const ring = (parseFloat(css.outlineWidth) > 0 && css.outlineStyle !== 'none') || css.boxShadow !== 'none'
			return {
				Name: (e.getAttribute('aria-label') ?? (e.innerText || e.tagName)).trim().slice(0, 40),
				Order: [...document.querySelectorAll('*')].indexOf(e),
				Visible: ring && r.width > 0 && r.bottom > 0 && r.top < innerHeight && parseFloat(css.opacity) > 0,
			}
		})()`)
		names = append(names, s.Name)
		if s.Order <= before {
			t.Errorf("the focus goes back to %q after %v", s.Name, names)
			return
		}
		if !s.Visible {
			t.Errorf("the focus cannot be seen on %q", s.Name)
		}
		before = s.Order
	}
	if names[0] != "Skip to content" {
		t.Errorf("the first stop is %q", names[0])
	}
	if !slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "Sort by") }) {
		t.Errorf("the list is not reached: %v", names)
	}
}

// TestPhone: no page is wider than a phone, the menu opens there, and every
// place can be reached by touch.
func TestPhone(t *testing.T) {
	p := program.Start(t, quick)
	b := signIn(t, p)
	b.do(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch))
	paths := append([]string{"resources/" + host(t, p)}, pages...)
	for _, page := range paths {
		b.visit(p.URL + "/" + page)
		b.until("/"+page+" is drawn", settled)
		if wide := ask[int](b, `document.documentElement.scrollWidth`); wide > 390 {
			who := ask[[]string](b, `[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map(e => e.outerHTML.slice(0, 160))`)
			t.Errorf("/%s is %d wide on a phone: %s", page, wide, strings.Join(who, "\n"))
		}
		if small := ask[[]string](b, `[...document.querySelectorAll('.bar > *')].filter(e => { const r = e.getBoundingClientRect(); return r.width < 40 || r.height < 40 }).map(e => e.innerText)`); len(small) > 0 {
			t.Errorf("/%s has targets too small for a finger: %v", page, small)
		}
	}
	b.click(`.bar button`)
	b.shows(`.side.open`)
	b.until("the menu is there", `document.querySelector('.side').getBoundingClientRect().left >= 0`)
	b.click(`.side a[href=audit]`)
	b.until("it leads to the audit", `location.pathname === '/audit' && !document.querySelector('.side.open')`)
}

func host(t testing.TB, p *program.Program) string {
	t.Helper()
	var list struct{ Items []struct{ ID string } }
	if err := p.Get("/api/v1/resources?kind=host", &list); err != nil || len(list.Items) != 1 {
		t.Fatal(list, err)
	}
	return list.Items[0].ID
}

// legible lists texts whose contrast with what is behind them is below what
// WCAG asks of the kind, 4.5 to 1.
const legible = `(() => {
	const channel = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4
	const pixel = document.createElement('canvas').getContext('2d', {willReadFrequently: true})
	const over = (css, below) => {
		pixel.fillStyle = 'rgb(' + below.join() + ')'; pixel.fillRect(0, 0, 1, 1)
		pixel.fillStyle = css; pixel.fillRect(0, 0, 1, 1)
		return [...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3)
	}
	const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2])
	const behind = e => e ? over(getComputedStyle(e).backgroundColor, behind(e.parentElement)) : [255, 255, 255]
	return [...document.querySelectorAll('main *, nav *')]
		.filter(e => e.checkVisibility({opacityProperty: true}) && !e.closest('[disabled], .away, .sr') && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
		.map(e => {
			const back = behind(e), text = over(getComputedStyle(e).color, back)
			const [a, b] = [light(text), light(back)].sort((x, y) => y - x)
			return [(a + 0.05) / (b + 0.05), e.innerText.slice(0, 40) + ' .' + e.className]
		})
		.filter(([ratio]) => ratio < 4.5).map(([ratio, what]) => ratio.toFixed(2) + ' ' + what)
})()`

// TestThemes: the theme changes by button and by key, is kept over a reload,
// and can be read in both.
func TestThemes(t *testing.T) {
	p := program.Start(t, quick)
	b := signIn(t, p)
	b.shows(`[data-testid=host-row]`)
	const theme, paper = `document.documentElement.dataset.theme ?? ''`, `getComputedStyle(document.body).backgroundColor`
	before := ask[string](b, paper)
	for _, page := range []string{"", "resources", "hosts", "resources/" + host(t, p), "system"} {
		b.visit(p.URL + "/" + page)
		b.until("/"+page+" is drawn", settled)
		for range 2 {
			b.until("the colours have settled", `document.getAnimations().every(a => a.effect.getTiming().iterations === Infinity)`)
			if faint := ask[[]string](b, legible); len(faint) > 0 {
				t.Errorf("hard to read on /%s in theme %q: %s", page, ask[string](b, theme), strings.Join(faint, "; "))
			}
			b.press("t")
		}
	}
	b.click(`[data-testid=theme-toggle]`)
	b.until("it is dark", `document.documentElement.dataset.theme === 'dark'`)
	dark := ask[string](b, paper)
	if dark == before {
		t.Errorf("the dark theme has the same background: %s", dark)
	}
	b.do(chromedp.Reload())
	b.until("it stays dark after a reload", `document.documentElement.dataset.theme === 'dark' && getComputedStyle(document.body).backgroundColor === '`+dark+`'`)
}
