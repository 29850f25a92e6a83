package api_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"reeve/internal/api"
	"reeve/internal/signin"
	"reeve/internal/store"
)

// A provider is a small OpenID provider: discovery, keys, authorization code
// with PKCE, signed ID tokens. Everyone who comes is its person.
type provider struct {
	t      *testing.T
	http   *httptest.Server
	key    *rsa.PrivateKey
	claims map[string]any
	nonce  string // replaces the one asked for
	signer *rsa.PrivateKey
	kid    string         // of the key
	header string         // replaces the token's own, which is then not signed by the key
	info   map[string]any // what is told at the endpoint for it; nil without one
	bare   bool           // the answer holds no ID token

	codes map[string]url.Values
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	key := newKey(t)
	p := &provider{t: t, key: key, signer: key, kid: "1", codes: map[string]url.Values{}, claims: map[string]any{
		"sub": "person-1", "preferred_username": "ada", "groups": []string{"staff", "ops"}}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /userinfo", p.userinfo)
	p.http = httptest.NewServer(mux)
	t.Cleanup(p.http.Close)
	return p
}

func (p *provider) answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		p.t.Error(err)
	}
}

func (p *provider) discovery(w http.ResponseWriter, _ *http.Request) {
	about := map[string]any{"issuer": p.http.URL, "authorization_endpoint": p.http.URL + "/authorize", "token_endpoint": p.http.URL + "/token",
		"jwks_uri": p.http.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"}, "response_types_supported": []string{"code"},
		"subject_types_supported": []string{"public"}}
	if p.info != nil {
		about["userinfo_endpoint"] = p.http.URL + "/userinfo"
	}
	p.answer(w, about)
}

func (p *provider) userinfo(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer a" {
		http.Error(w, "whose?", http.StatusUnauthorized)
		return
	}
	p.answer(w, p.info)
}

func (p *provider) keys(w http.ResponseWriter, _ *http.Request) {
	text := base64.RawURLEncoding.EncodeToString
	p.answer(w, map[string]any{"keys": []any{map[string]string{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": p.kid,
		"n": text(p.key.N.Bytes()), "e": text(big.NewInt(int64(p.key.E)).Bytes())}}})
}

func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("response_type") != "code" || q.Get("client_id") != "reeve" || q.Get("code_challenge_method") != "S256" || !strings.Contains(q.Get("scope"), "openid") {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	p.codes[code] = q
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil {
		p.t.Error(err)
	}
	back.RawQuery = url.Values{"code": {code}, "state": {q.Get("state")}}.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	asked, ok := p.codes[r.FormValue("code")]
	delete(p.codes, r.FormValue("code"))
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	_, secret, _ := r.BasicAuth()
	if !ok || r.FormValue("redirect_uri") != asked.Get("redirect_uri") || base64.RawURLEncoding.EncodeToString(sum[:]) != asked.Get("code_challenge") || r.FormValue("client_secret")+secret != "hush" {
		w.WriteHeader(http.StatusBadRequest)
		p.answer(w, map[string]string{"error": "invalid_grant"})
		return
	}
	claims := map[string]any{"iss": p.http.URL, "aud": "reeve", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(), "nonce": asked.Get("nonce")}
	for name, v := range p.claims {
		claims[name] = v
	}
	if p.nonce != "" {
		claims["nonce"] = p.nonce
	}
	tokens := map[string]any{"access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": p.sign(claims)}
	if p.bare {
		delete(tokens, "id_token")
	}
	p.answer(w, tokens)
}

func (p *provider) sign(claims map[string]any) string {
	text, err := json.Marshal(claims)
	if err != nil {
		p.t.Error(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	switch p.header {
	case "none":
		return b64([]byte(`{"alg":"none"}`)) + "." + b64(text) + "."
	case "HS256": // signed with what everyone may read
		signed := b64([]byte(`{"alg":"HS256","kid":"`+p.kid+`"}`)) + "." + b64(text)
		mac := hmac.New(sha256.New, x509.MarshalPKCS1PublicKey(&p.key.PublicKey))
		mac.Write([]byte(signed))
		return signed + "." + b64(mac.Sum(nil))
	}
	signed := b64([]byte(`{"alg":"RS256","kid":"`+p.kid+`","typ":"JWT"}`)) + "." + b64(text)
	sum := sha256.Sum256([]byte(signed))
	sig, err := rsa.SignPKCS1v15(rand.Reader, p.signer, crypto.SHA256, sum[:])
	if err != nil {
		p.t.Error(err)
	}
	return signed + "." + b64(sig)
}

func oidcWorld(t *testing.T, p *provider) *world {
	return newWorld(t, func(d *api.Deps) {
		d.OIDC = &signin.OIDCOptions{Issuer: p.http.URL, ClientID: "reeve", ClientSecret: "hush",
			Roles: map[string]store.Role{"ops": store.Operator, "boss": store.Admin}}
	})
}

// through goes to the provider and back and answers the last status and
// session.
func (c *client) through() (int, signin.SessionView) {
	c.t.Helper()
	at := c.base + "/api/v1/session/oidc"
	status := 0
	for range 5 {
		res, err := c.http.Get(at)
		if err != nil {
			c.t.Fatal(err)
		}
		res.Body.Close()
		status = res.StatusCode
		next := res.Header.Get("Location")
		if next == "" || next == "/" {
			break
		}
		at = next
	}
	var s signin.SessionView
	c.want(200, "GET", "/api/v1/session", nil, &s)
	return status, s
}

func TestProviderSignsPeopleIn(t *testing.T) {
	p := newProvider(t)
	w := oidcWorld(t, p)
	c := w.anyone()
	status, s := c.through()
	if status != 302 || s.User == nil || s.User.Name != "ada" || s.User.Role != store.Operator || s.NeedsPassword || !s.OIDC {
		t.Fatalf("status %d, session %+v", status, s)
	}
	p.claims["groups"] = []string{"boss"}
	again := w.anyone()
	_, s2 := again.through()
	if s2.User == nil || s2.User.ID != s.User.ID || s2.User.Role != store.Admin {
		t.Errorf("the second time: %+v", s2.User)
	}
	p.claims["sub"] = "person-2"
	_, s3 := w.anyone().through()
	if s3.User == nil || s3.User.ID == s.User.ID || s3.User.Name == "ada" {
		t.Errorf("another person of the same name: %+v", s3.User)
	}
}

func TestProviderDoesNotGiveALocalAccount(t *testing.T) {
	p := newProvider(t)
	w := oidcWorld(t, p)
	local := w.admin()
	p.claims["preferred_username"] = "admin"
	_, s := w.anyone().through()
	if s.User == nil || s.User.Name == "admin" || s.User.Role == store.Admin {
		t.Errorf("session: %+v", s.User)
	}
	local.want(200, "GET", "/api/v1/users", nil, nil)
}

func TestFalseProviderAnswersAreRefused(t *testing.T) {
	p := newProvider(t)
	w := oidcWorld(t, p)
	refused := func(what string) {
		t.Helper()
		if status, s := w.anyone().through(); status != 403 || s.User != nil {
			t.Errorf("%s: status %d, %+v", what, status, s.User)
		}
	}
	p.claims["groups"] = []string{"strangers"}
	refused("no role")
	p.claims["groups"] = "ops"
	p.nonce = "of another sign-in"
	refused("nonce")
	p.nonce = ""
	p.claims["aud"] = "another"
	refused("audience")
	delete(p.claims, "aud")
	p.claims["exp"] = time.Now().Add(-time.Hour).Unix()
	refused("expired")
	delete(p.claims, "exp")
	p.signer = newKey(t)
	refused("signature")
	p.signer = p.key
	p.claims["iss"] = "https://elsewhere.test"
	refused("issuer")
	delete(p.claims, "iss")
	for _, p.header = range []string{"none", "HS256"} {
		refused("algorithm " + p.header)
	}
	p.header, p.bare = "", true
	refused("no ID token")
	p.bare = false
	w.anyone().want(403, "GET", "/api/v1/session/oidc/callback?code=x&state=y", nil, nil)
	if status, s := w.anyone().through(); status != 302 || s.User == nil {
		t.Errorf("the true one: status %d, %+v", status, s.User)
	}
}

func TestUnreachableProviderIsToldAsSuch(t *testing.T) {
	p := newProvider(t)
	w := oidcWorld(t, p)
	p.http.Close()
	w.anyone().want(503, "GET", "/api/v1/session/oidc", nil, nil)
	newWorld(t).anyone().want(404, "GET", "/api/v1/session/oidc", nil, nil)
}

// A provider changes its keys; what the old one signs then is worth nothing.
func TestProviderRotatesItsKeys(t *testing.T) {
	p := newProvider(t)
	w := oidcWorld(t, p)
	if status, s := w.anyone().through(); status != 302 || s.User == nil {
		t.Fatalf("status %d, %+v", status, s.User)
	}
	old, next := p.key, newKey(t)
	p.key, p.signer, p.kid = next, next, "2"
	if status, s := w.anyone().through(); status != 302 || s.User == nil {
		t.Errorf("with the new key: status %d, %+v", status, s.User)
	}
	p.signer = old
	if status, s := w.anyone().through(); status != 403 || s.User != nil {
		t.Errorf("with the old key: status %d, %+v", status, s.User)
	}
}

func newKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Many providers sign only who it is, and tell the rest when asked.
func TestClaimsThatAreAskedFor(t *testing.T) {
	p := newProvider(t)
	delete(p.claims, "groups")
	p.info = map[string]any{"sub": "person-1", "groups": []string{"ops"}, "preferred_username": "mallory"}
	w := oidcWorld(t, p)
	status, s := w.anyone().through()
	if status != 302 || s.User == nil || s.User.Role != store.Operator || s.User.Name != "ada" {
		t.Errorf("status %d, %+v", status, s.User)
	}
	p.info["sub"] = "person-2"
	if status, s := w.anyone().through(); status != 403 || s.User != nil {
		t.Errorf("what is told of somebody else counts: status %d, %+v", status, s.User)
	}
	p.claims["groups"] = "strangers"
	p.info["sub"] = "person-1"
	if status, s := w.anyone().through(); status != 403 || s.User != nil {
		t.Errorf("what is told counts against what is signed: status %d, %+v", status, s.User)
	}
}

// A provider that refuses says so in the address; only who began is told.
func TestProviderRefuses(t *testing.T) {
	p := newProvider(t)
	w := oidcWorld(t, p)
	c := w.anyone()
	res, err := c.http.Get(c.base + "/api/v1/session/oidc")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	to, err := url.Parse(res.Header.Get("Location"))
	if err != nil || to.Query().Get("code_challenge") == "" || to.Query().Get("nonce") == "" {
		t.Fatalf("sent to %s: %v", to, err)
	}
	back := "/api/v1/session/oidc/callback?error=access_denied&state=" + to.Query().Get("state")
	c.want(403, "GET", back, nil, nil)
	c.want(403, "GET", strings.Replace(back, "error=access_denied", "code=x", 1), nil, nil)
}
