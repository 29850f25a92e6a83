package browser

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"reeve/test/program"
)

// signIn comes in by the one-time link and puts the password off.
func signIn(t testing.TB, p *program.Program) *tab {
	t.Helper()
	b := open(t)
	b.visit(p.SignInLink())
	b.click(`[data-testid=later-button]`)
	b.live()
	return b
}

// live waits until the page hears of every change.
func (b *tab) live() {
	b.t.Helper()
	b.shows(`[data-testid=live-state][data-state=live]`)
}

// TestSignInAndOut: the link opens the page once, the password that is chosen
// there opens it again, a wrong one does not, and nothing is shown to those who
// signed out.
func TestSignInAndOut(t *testing.T) {
	p := program.Start(t, "")
	b := open(t)
	b.visit(p.SignInLink())
	b.shows(`[data-testid=password-form]`)
	if at := ask[string](b, `location.href`); strings.Contains(at, "token") {
		t.Errorf("the token stays in the address: %s", at)
	}
	const password = "three brown foxes"
	b.enter(`[data-testid=password-form] label:nth-of-type(1) input`, password)
	b.enter(`[data-testid=password-form] label:nth-of-type(2) input`, password)
	b.press(kb.Enter)
	b.live()
	b.until("the overview tells how the estate does", `/(All is well|Your estate is well|Nothing new needs you|needs? you)/.test(document.querySelector('h1')?.innerText)`)
	b.shows(`[data-testid=host-row]`)
	name := b.text(`.who`)

	b.click(`[data-testid=signout-button]`)
	b.shows(`[data-testid=signin-form]`)
	b.expect("status of 401", "status of 403")
	for _, protected := range []string{"/", "/incidents", "/resources", "/settings"} {
		b.visit(p.URL + protected)
		b.shows(`[data-testid=signin-form]`)
		if b.text(`[data-testid=live-state]`) != "" {
			t.Errorf("%s shows its frame to somebody who signed out", protected)
		}
	}

	b.enter(`[name=name]`, lastLine(name))
	b.enter(`[name=password]`, "three brown boxes")
	b.press(kb.Enter)
	b.shows(`[role=alert]`)
	if told := b.text(`[role=alert]`); !strings.Contains(told, "wrong") {
		t.Errorf("a wrong password is told as %q", told)
	}
	b.enter(`[name=password]`, password)
	b.press(kb.Enter)
	b.live()

	// The link was for one time, also for somebody else.
	other := open(t)
	other.expect("status of 401", "status of 403", "status of 404", "status of 410")
	other.visit(p.SignInLink())
	other.shows(`[role=alert]`)
	other.shows(`[data-testid=signin-form]`)
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// TestLeavingLetsGo: a browser has six connections to a server and keeps
// documents for its back button: those that were left hold none, and one that
// is gone back to is live again.
func TestLeavingLetsGo(t *testing.T) {
	p := program.Start(t, "")
	b := signIn(t, p)
	for range 8 {
		b.visit(p.URL + "/incidents")
		b.live()
		b.visit(p.URL + "/hosts")
		b.live()
	}
	ask[bool](b, `(history.back(), true)`)
	b.until("the page before is back", `location.pathname === '/incidents'`)
	b.live()
}
