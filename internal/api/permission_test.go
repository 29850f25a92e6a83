package api_test

import (
	"regexp"
	"strings"
	"testing"

	"reeve/internal/rest"
	"reeve/internal/signin"
	"reeve/internal/store"
)

// everyone answers one client of each sort: each role with a session, each
// scope with a token of an admin, and who is not signed in.
func everyone(w *world) map[string]*client {
	admin := w.admin()
	all := map[string]*client{"admin": admin, "nobody": w.anyone()}
	for _, role := range []store.Role{store.Viewer, store.Operator} {
		password := "a password for " + string(role)
		admin.want(200, "POST", "/api/v1/users", map[string]any{"name": string(role), "role": role, "password": password}, nil)
		c := w.anyone()
		var s signin.SessionView
		c.want(200, "POST", "/api/v1/session", map[string]string{"name": string(role), "password": password}, &s)
		c.csrf = s.CSRF
		all[string(role)] = c
	}
	for _, scope := range rest.Scopes {
		c := w.anyone()
		c.token = admin.newToken(scope)
		all["token "+scope] = c
	}
	// Role and scope both limit: a token that may do everything, of a viewer.
	c := w.anyone()
	c.token = all["viewer"].newToken("admin", "metrics:write")
	all["viewer's token admin"] = c
	return all
}

func (c *client) newToken(scopes ...string) string {
	c.t.Helper()
	var made signin.NewToken
	c.want(200, "POST", "/api/v1/tokens", map[string]any{"name": "t-" + strings.ReplaceAll(scopes[0], ":", "-"), "scopes": scopes}, &made)
	return made.Secret
}

// allowed is who has which permission. It repeats the intent, not the code.
var allowed = map[rest.Permission]string{
	rest.Open:         "nobody viewer operator admin token read token operate token admin token metrics:read token metrics:write viewer's token admin",
	rest.Public:       "nobody viewer operator admin token read token operate token admin token metrics:read token metrics:write viewer's token admin",
	rest.Personal:     "viewer operator admin token admin viewer's token admin",
	rest.Read:         "viewer operator admin token read token operate token admin viewer's token admin",
	rest.Operate:      "operator admin token operate token admin",
	rest.Administer:   "admin token admin",
	rest.MetricsRead:  "viewer operator admin token read token operate token admin token metrics:read viewer's token admin",
	rest.MetricsWrite: "operator admin token metrics:write",
}

var wildcard = regexp.MustCompile(`\{[a-z]+\}`)

func TestEveryRouteIsOpenToExactlyThoseWhoMay(t *testing.T) {
	w := newWorld(t)
	people := everyone(w)
	// No request may really change something, so every wildcard names nothing
	// and bodies are refused: what counts is whether the answer is 401 or 403.
	for _, r := range w.server.Routes() {
		switch r.Pattern {
		case "/api/v1/session", "/api/v1/session/password": // Would sign people out.
			if r.Method != "GET" {
				continue
			}
		case "/api/v1/stream", "/api/v1/backup":
			continue // Their own tests.
		}
		path := wildcard.ReplaceAllString(r.Pattern, "nothing")
		may, ok := allowed[r.Needs]
		if !ok {
			t.Errorf("%s %s needs %s, which nobody has", r.Method, r.Pattern, r.Needs)
		}
		for who, c := range people {
			var body any
			if r.Method != "GET" {
				body = "[]"
			}
			status, _, text := c.do(r.Method, path, body)
			refused := status == 401 || status == 403
			want := !contains(may, who)
			if r.Pattern == "/api/v1/session/link" || r.Pattern == "/metrics" {
				want = false
			}
			if refused != want {
				t.Errorf("%s %s for %s: status %d, should be refused: %v: %s", r.Method, path, who, status, want, text)
			}
			if status >= 500 {
				t.Errorf("%s %s for %s: status %d: %s", r.Method, path, who, status, text)
			}
			if who == "nobody" && refused && status != 401 {
				t.Errorf("%s %s for nobody: status %d, want 401", r.Method, path, status)
			}
		}
	}
}

// contains looks for a name in a list of names that hold spaces.
func contains(list, who string) bool {
	rest := " " + list + " "
	for _, longer := range []string{"viewer's token admin", "token metrics:read", "token metrics:write", "token read", "token operate", "token admin"} {
		if strings.Contains(rest, " "+longer+" ") {
			if longer == who {
				return true
			}
			rest = strings.Replace(rest, " "+longer+" ", "  ", 1)
		}
	}
	return strings.Contains(rest, " "+who+" ")
}

func TestStreamAndBackupAreRefusedToo(t *testing.T) {
	w := newWorld(t)
	people := everyone(w)
	for who, c := range people {
		if status, _, _ := c.do("POST", "/api/v1/backup", nil); (status == 200) != (who == "admin" || who == "token admin") {
			t.Errorf("backup for %s: status %d", who, status)
		}
	}
	people["nobody"].want(401, "GET", "/api/v1/stream", nil, nil)
	people["token metrics:read"].want(403, "GET", "/api/v1/stream", nil, nil)
}

func TestTokenCannotMakeOneThatMayMore(t *testing.T) {
	w := newWorld(t)
	admin := w.admin()
	c := w.anyone()
	c.token = admin.newToken("admin")
	c.want(200, "POST", "/api/v1/tokens", map[string]any{"name": "less", "scopes": []string{"read"}}, nil)
	c.want(403, "POST", "/api/v1/tokens", map[string]any{"name": "more", "scopes": []string{"metrics:write"}}, nil)
	c.want(422, "POST", "/api/v1/tokens", map[string]any{"name": "odd", "scopes": []string{"everything"}}, nil)
	c.want(422, "POST", "/api/v1/tokens", map[string]any{"name": "none", "scopes": []string{}}, nil)
}

func TestRevokedAndExpiredTokensAreRefused(t *testing.T) {
	w := newWorld(t)
	admin := w.admin()
	c := w.anyone()
	c.token = admin.newToken("read")
	c.want(200, "GET", "/api/v1/status", nil, nil)
	var list rest.List[signin.TokenView]
	admin.want(200, "GET", "/api/v1/tokens", nil, &list)
	if len(list.Items) != 1 || list.Items[0].LastUsedAt.IsZero() {
		t.Errorf("tokens: %+v", list.Items)
	}
	admin.want(204, "DELETE", "/api/v1/tokens/"+list.Items[0].ID, nil, nil)
	c.want(401, "GET", "/api/v1/status", nil, nil)
	admin.want(404, "DELETE", "/api/v1/tokens/"+list.Items[0].ID, nil, nil)
	c.token = "reeve_wrong"
	c.want(401, "GET", "/api/v1/status", nil, nil)
}
