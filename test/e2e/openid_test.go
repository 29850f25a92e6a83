package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"reeve/internal/signin"
	"reeve/internal/store"
	"reeve/test/openid"
	"reeve/test/program"
)

// A browser goes where it is sent, with its own cookies.
type browser struct {
	t    *testing.T
	http *http.Client
	// back is the last address to which the provider sent it back.
	back string
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, http: &http.Client{Jar: jar}}
	b.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/session/oidc/callback") {
			b.back = r.URL.String()
		}
		return nil
	}
	return b
}

func (b *browser) done(r *http.Response, err error) (status int, at *url.URL, text string) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return r.StatusCode, r.Request.URL, string(body)
}

// signIn begins at Reeve, fills in the provider's form and answers where it
// ends.
func (b *browser) signIn(from, password string) (status int, at *url.URL) {
	b.t.Helper()
	status, form, _ := b.done(b.http.Get(from + "/api/v1/session/oidc"))
	id := form.Query().Get("authRequestID")
	if status != http.StatusOK || id == "" {
		b.t.Fatalf("the provider shows no form but status %d at %s", status, form)
	}
	status, at, _ = b.done(b.http.PostForm(form.String(), url.Values{"id": {id}, "username": {openid.Person}, "password": {password}}))
	return status, at
}

func (b *browser) session(from string) (s signin.SessionView) {
	b.t.Helper()
	_, _, text := b.done(b.http.Get(from + "/api/v1/session"))
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		b.t.Fatal(err)
	}
	return s
}

// TestOpenIDProvider signs in to the real program through a real provider:
// discovery, PKCE, nonce, signed tokens, and claims that the provider gives
// only when it is asked for them.
func TestOpenIDProvider(t *testing.T) {
	t.Parallel()
	issuer := openid.Issuer(t)
	text, err := json.Marshal(map[string]any{"agent": map[string]any{"enabled": false}, "oidc": map[string]any{
		"issuer": issuer, "client_id": openid.Client, "client_secret": openid.Secret,
		"role_claim": "preferred_username", "roles": map[string]string{openid.Person: "operator"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	p := program.Start(t, string(text))
	early := newBrowser(t)
	if status, _, _ := early.done(early.http.Get(p.URL + "/api/v1/session/oidc")); status != http.StatusServiceUnavailable {
		t.Errorf("before the provider runs the status is %d", status)
	}
	openid.Start(t, issuer, p.URL+"/api/v1/session/oidc/callback")

	b := newBrowser(t)
	if _, at := b.signIn(p.URL, "a guess"); !strings.HasPrefix(at.String(), issuer) || b.session(p.URL).User != nil {
		t.Errorf("a wrong password leads to %s", at)
	}
	status, at := b.signIn(p.URL, openid.Password)
	s := b.session(p.URL)
	if status != http.StatusOK || !strings.HasPrefix(at.String(), p.URL) || s.User == nil {
		t.Fatalf("status %d at %s, session %+v\n%s", status, at, s, p.Log())
	}
	if s.User.Name != openid.Person || s.User.Role != store.Operator || !s.User.OIDC {
		t.Errorf("signed in as %+v", s.User)
	}
	for whose, again := range map[string]*browser{"the same": b, "another": newBrowser(t)} {
		if status, _, _ := again.done(again.http.Get(b.back)); status != http.StatusForbidden {
			t.Errorf("the provider's answer used once more by %s browser: status %d", whose, status)
		}
	}
	second := newBrowser(t)
	second.signIn(p.URL, openid.Password)
	if again := second.session(p.URL); again.User == nil || again.User.ID != s.User.ID {
		t.Errorf("the second time the account is %+v", again.User)
	}
}
