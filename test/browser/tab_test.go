// Package browser opens the page of the real program in a real Chromium and
// does with it what a person does.
package browser

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const (
	patience = 20 * time.Second
	pace     = 40 * time.Millisecond
)

// chromium is the browser, one for all tests: each has its own cookies in it.
var chromium context.Context

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	profile, err := os.MkdirTemp("", "reeve-browser")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(profile)
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath("/usr/bin/chromium"), chromedp.UserDataDir(profile), chromedp.Headless, chromedp.NoSandbox,
		chromedp.NoFirstRun, chromedp.WindowSize(1440, 900), chromedp.Env("HOME=" + profile),
	}
	for _, name := range []string{"disable-gpu", "disable-quic", "disable-background-networking", "disable-component-update", "disable-sync",
		"disable-extensions", "disable-renderer-backgrounding", "disable-background-timer-throttling", "disable-backgrounding-occluded-windows"} {
		options = append(options, chromedp.Flag(name, true))
	}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	ctx, end := chromedp.NewContext(ctx)
	defer end()
	if err := chromedp.Do(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "start Chromium:", err)
		return 1
	}
	chromium = ctx
	return m.Run()
}

// A tab is one tab of a browser of its own.
type tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	troubles []string
	expected []string
}

// open opens an empty tab. The test fails when anything in it complains on the
// console, throws, or breaks the content security policy.
func open(t testing.TB) *tab {
	t.Helper()
	b := &tab{t: t}
	ctx, cancel := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.hear))
	b.ctx = ctx
	t.Cleanup(func() {
		if t.Failed() {
			b.keep()
		}
		cancel()
		b.quiet()
	})
	// The tab lives as long as the context of its first action: no deadline here.
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1440, 900)); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, audits.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	return b
}

// hear notes what the page complains of.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" || e.Type == "assert" {
			text, _ := json.Marshal(e.Args)
			b.troubles = append(b.troubles, fmt.Sprintf("console.%s %s", e.Type, text))
		}
	case *runtime.EventExceptionThrown:
		text, _ := json.Marshal(e.ExceptionDetails)
		b.troubles = append(b.troubles, "exception "+string(text))
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" || e.Entry.Level == "warning" {
			b.troubles = append(b.troubles, fmt.Sprintf("%s %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL))
		}
	case *audits.EventIssueAdded:
		text, _ := json.Marshal(e.Issue)
		if strings.Contains(string(text), "contentSecurityPolicy") {
			b.troubles = append(b.troubles, "content security policy "+string(text))
		}
	}
}

// expect allows complaints that contain all of the words: Chromium itself
// notes every answer that is an error.
func (b *tab) expect(words ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, words...)
}

// quiet fails the test for what the page complained of.
func (b *tab) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, trouble := range b.troubles {
		if !slices.ContainsFunc(b.expected, func(word string) bool { return strings.Contains(trouble, word) }) {
			b.t.Error("the page complained:", trouble)
		}
	}
}

// keep writes what a failed test saw, for whoever looks into it.
func (b *tab) keep() {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return
	}
	path := fmt.Sprintf("%s/reeve-%s.png", os.TempDir(), strings.ReplaceAll(b.t.Name(), "/", "-"))
	if os.WriteFile(path, picture, 0o600) == nil {
		b.t.Log("what the page showed:", path)
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) visit(address string) {
	b.t.Helper()
	b.do(chromedp.Navigate(address))
}

// ask evaluates an expression in the page.
func ask[T any](b *tab, expression string, of ...any) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script(expression, of), chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// script calls a function of JavaScript with values; a bare expression stays
// what it is.
func script(expression string, of []any) string {
	if len(of) == 0 {
		return expression
	}
	given := make([]string, len(of))
	for i, v := range of {
		text, _ := json.Marshal(v)
		given[i] = string(text)
	}
	return "(" + expression + ")(" + strings.Join(given, ",") + ")"
}

// until polls until an expression is true in the page. It is not the driver's
// own polling: that needs eval, which the page's policy forbids.
func (b *tab) until(what, expression string, of ...any) {
	b.t.Helper()
	b.within(patience, what, expression, of...)
}

func (b *tab) within(patience time.Duration, what, expression string, of ...any) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	text := "Boolean(" + script(expression, of) + ")"
	for {
		// An expression may fail while one page makes way for the next.
		if ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](text)); err == nil && ok {
			return
		}
		select {
		case <-ctx.Done():
			seen, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText"))
			b.t.Fatalf("not within %v: %s\n%s\n%s", patience, what, text, seen)
		case <-tick.C:
		}
	}
}

// shows waits for an element in sight.
func (b *tab) shows(selector string) {
	b.t.Helper()
	b.until(selector+" is in sight", `s => [...document.querySelectorAll(s)].some(e => e.checkVisibility())`, selector)
}

// says waits for a text anywhere in an element.
func (b *tab) says(selector, text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("%s says %q", selector, text), `(s, t) => [...document.querySelectorAll(s)].some(e => e.innerText.includes(t))`, selector, text)
}

// text answers what an element says.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return ask[string](b, `s => document.querySelector(s)?.innerText ?? ''`, selector)
}

// click clicks in the middle of an element with the mouse, as a person would:
// what lies over it gets the click.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.shows(selector)
	at := ask[[]float64](b, `s => {
		const e = [...document.querySelectorAll(s)].find(e => e.checkVisibility())
		e.scrollIntoView({block: 'nearest'})
		const r = e.getBoundingClientRect()
		return [r.x + r.width / 2, r.y + r.height / 2]
	}`, selector)
	b.do(chromedp.MouseClickXY(at[0], at[1]))
}

// press presses keys on whatever has the focus.
func (b *tab) press(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// enter clicks a field and types into it what replaces its text.
func (b *tab) enter(selector, text string) {
	b.t.Helper()
	b.click(selector)
	ask[bool](b, `s => (document.querySelector(s).select(), true)`, selector)
	b.press(text)
}

// drag draws the mouse from left to right with its button down.
func (b *tab) drag(from, to, y float64) {
	b.t.Helper()
	b.do(chromedp.DragAndDropXY(from, y, to, y))
}
