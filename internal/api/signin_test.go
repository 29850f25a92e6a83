package api_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"reeve/internal/api"
	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/signin"
	"reeve/internal/store"
)

func TestLinkSignsInOnceAndSoon(t *testing.T) {
	w := newWorld(t)
	token, err := signin.NewLink(t.Context(), w.db, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	body := map[string]string{"token": token}
	far := w.anyone()
	far.want(403, "POST", "/api/v1/session/link", body, nil, "X-Forwarded-For", "192.0.2.7")
	far.want(401, "POST", "/api/v1/session/link", map[string]string{"token": "wrong"}, nil)
	c := w.anyone()
	var s signin.SessionView
	h := c.want(200, "POST", "/api/v1/session/link", body, &s)
	if s.User == nil || s.User.Name != "admin" || s.User.Role != store.Admin || !s.NeedsPassword || s.CSRF == "" {
		t.Errorf("session: %+v", s)
	}
	cookie := h.Get("Set-Cookie")
	if !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") || strings.Contains(cookie, "Secure") {
		t.Errorf("cookie: %s", cookie)
	}
	far.want(401, "POST", "/api/v1/session/link", body, nil)
	old, err := signin.NewLink(t.Context(), w.db, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	far.want(401, "POST", "/api/v1/session/link", map[string]string{"token": old}, nil)
}

func TestSecretsAreStoredHashed(t *testing.T) {
	w := newWorld(t)
	c := w.admin()
	token := c.newToken("read")
	at, err := url.Parse(w.http.URL)
	if err != nil {
		t.Fatal(err)
	}
	cookie := c.http.Jar.Cookies(at)[0].Value
	link, err := signin.NewLink(t.Context(), w.db, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c.want(204, "POST", "/api/v1/session/password", map[string]string{"password": "correct horse battery"}, nil)
	if err := w.db.Backup(t.Context(), filepath.Join(w.dir, "copy.db")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(w.dir, "copy.db"))
	if err != nil {
		t.Fatal(err)
	}
	for what, secret := range map[string]string{"token": token, "session": cookie, "link": link, "password": "correct horse battery"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the database holds the %s itself", what)
		}
	}
}

func TestTokensWorkWhenTheirUseCannotBeNoted(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, func(d *api.Deps) {
		d.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	})
	c := w.anyone()
	c.token = w.admin().newToken("read")
	raw, err := sql.Open("sqlite", filepath.Join(w.dir, "reeve.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.ExecContext(t.Context(), `CREATE TRIGGER full BEFORE UPDATE ON api_token BEGIN SELECT RAISE(ABORT, 'the disk is full'); END`); err != nil {
		t.Fatal(err)
	}
	c.want(200, "GET", "/api/v1/checks", nil, nil)
	if !strings.Contains(log.String(), "the disk is full") {
		t.Errorf("nothing was logged of it: %s", &log)
	}
}

func TestPasswordChangeEndsOtherSessions(t *testing.T) {
	w := newWorld(t)
	first, second := w.admin(), w.admin()
	first.want(422, "POST", "/api/v1/session/password", map[string]string{"password": "short"}, nil)
	var s signin.SessionView
	first.want(204, "POST", "/api/v1/session/password", map[string]string{"password": "correct horse battery"}, nil)
	first.want(200, "GET", "/api/v1/session", nil, &s)
	if s.User == nil || s.NeedsPassword {
		t.Errorf("who changed it: %+v", s)
	}
	second.want(401, "GET", "/api/v1/status", nil, nil)
	second.csrf = ""
	second.want(401, "POST", "/api/v1/session", map[string]string{"name": "admin", "password": "wrong horse battery"}, nil)
	second.want(200, "POST", "/api/v1/session", map[string]string{"name": "admin", "password": "correct horse battery"}, &s)
	second.csrf = s.CSRF
	second.want(422, "POST", "/api/v1/session/password", map[string]string{"password": "another horse here"}, nil)
	second.want(204, "POST", "/api/v1/session/password", map[string]string{"password": "another horse here", "current": "correct horse battery"}, nil)
	second.want(204, "DELETE", "/api/v1/session", nil, nil)
	second.want(401, "GET", "/api/v1/status", nil, nil)
}

func TestSignInIsLimitedByAddressAndName(t *testing.T) {
	w := newWorld(t)
	c := w.anyone()
	limited := 0
	for range 14 {
		status, h, _ := c.do("POST", "/api/v1/session", map[string]string{"name": "nobody", "password": "wrong horse battery"})
		switch {
		case status == 429 && h.Get("Retry-After") != "":
			limited++
		case status != 401:
			t.Fatalf("status %d", status)
		}
	}
	if limited < 3 {
		t.Errorf("%d of 14 attempts were refused", limited)
	}
}

func TestFloodOfSignInsIsBounded(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			c := w.anyone()
			if status, _, text := c.do("POST", "/api/v1/session", map[string]string{"name": "admin", "password": "wrong horse battery"}); status != 401 && status != 429 {
				t.Errorf("status %d: %s", status, text)
			}
		})
	}
	wg.Wait()
}

func TestChangesNeedTheTokenOfTheSession(t *testing.T) {
	w := newWorld(t)
	f := w.openFinding("fs_full")
	c := w.admin()
	good := c.csrf
	for _, csrf := range []string{"", "wrong"} {
		c.csrf = csrf
		c.want(403, "POST", "/api/v1/findings/"+f.ID+"/ack", nil, nil)
		c.want(403, "DELETE", "/api/v1/session", nil, nil)
	}
	c.csrf = good
	c.want(403, "POST", "/api/v1/findings/"+f.ID+"/ack", nil, nil, "Origin", "https://evil.example")
	c.want(403, "POST", "/api/v1/findings/"+f.ID+"/ack", nil, nil, "Sec-Fetch-Site", "cross-site")
	c.want(200, "POST", "/api/v1/findings/"+f.ID+"/ack", nil, nil, "Sec-Fetch-Site", "same-origin")
	c.want(415, "POST", "/api/v1/findings/"+f.ID+"/resolve", "{}", nil, "Content-Type", "text/plain")
}

func TestStrangeHostNamesAreRefused(t *testing.T) {
	w := newWorld(t, func(d *api.Deps) { d.PublicURL = "https://reeve.example.org"; d.HostNames = []string{"alpha.lan"} })
	c := w.anyone()
	for host, status := range map[string]int{
		"localhost": 200, "localhost:7433": 200, "127.0.0.1": 200, "[::1]:7433": 200, "reeve.example.org": 200, "Alpha.LAN": 200,
		"evil.example": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421,
	} {
		c.want(status, "GET", "/api/v1/session", nil, nil, "Host", host)
	}
	c.want(200, "GET", "/healthz", nil, nil, "Host", "evil.example")
}

func TestAnswersCarryStrictHeaders(t *testing.T) {
	w := newWorld(t)
	c := w.anyone()
	for _, path := range []string{"/", "/api/v1/session", "/api/v1/nothing", "/healthz"} {
		_, h, _ := c.do("GET", path, nil)
		for name, part := range map[string]string{"Content-Security-Policy": "frame-ancestors 'none'", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin", "X-Request-Id": ""} {
			if !strings.Contains(h.Get(name), part) || h.Get(name) == "" {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		if h.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s without TLS asks for TLS", path)
		}
	}
}

func TestLastAdminStays(t *testing.T) {
	w := newWorld(t)
	c := w.admin()
	var users rest.List[signin.UserView]
	c.want(200, "GET", "/api/v1/users", nil, &users)
	id := users.Items[0].ID
	c.want(409, "DELETE", "/api/v1/users/"+id, nil, nil)
	c.want(409, "PUT", "/api/v1/users/"+id, map[string]any{"role": "viewer"}, nil)
	c.want(409, "PUT", "/api/v1/users/"+id, map[string]any{"disabled": true}, nil)
	var other signin.UserView
	c.want(200, "POST", "/api/v1/users", map[string]any{"name": "eve", "role": "admin", "password": "a long password"}, &other)
	c.want(409, "POST", "/api/v1/users", map[string]any{"name": "eve", "role": "admin", "password": "a long password"}, nil)
	c.want(422, "POST", "/api/v1/users", map[string]any{"name": "e\nve", "role": "admin", "password": "a long password"}, nil)
	c.want(412, "PUT", "/api/v1/users/"+other.ID, map[string]any{"role": "viewer"}, nil, "If-Match", `"7"`)
	c.want(200, "PUT", "/api/v1/users/"+other.ID, map[string]any{"role": "viewer"}, &other, "If-Match", `"1"`)
	if other.Role != store.Viewer || other.Version != 2 {
		t.Errorf("changed: %+v", other)
	}
	c.want(204, "DELETE", "/api/v1/users/"+other.ID, nil, nil)
}

func TestDisabledAccountsAreSignedOut(t *testing.T) {
	w := newWorld(t)
	c := w.admin()
	people := everyone(w)
	var users rest.List[signin.UserView]
	c.want(200, "GET", "/api/v1/users", nil, &users)
	for _, u := range users.Items {
		if u.Name == "viewer" {
			c.want(200, "PUT", "/api/v1/users/"+u.ID, map[string]any{"disabled": true}, nil)
		}
	}
	people["viewer"].want(401, "GET", "/api/v1/status", nil, nil)
	people["viewer's token admin"].want(401, "GET", "/api/v1/status", nil, nil)
	people["viewer"].csrf = ""
	people["viewer"].want(401, "POST", "/api/v1/session", map[string]string{"name": "viewer", "password": "a password for viewer"}, nil)
}

func TestLocalFileLetsTheCommandLineIn(t *testing.T) {
	w := newWorld(t)
	read := func() (c signin.Client) {
		path := filepath.Join(w.dir, "client.json")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	make := func(url string) signin.Client {
		if err := signin.LocalToken(t.Context(), w.db, signin.LocalFile{Dir: w.dir, URL: url, Name: "client.json"}, time.Now()); err != nil {
			t.Fatal(err)
		}
		return read()
	}
	first := make(w.http.URL)
	if again := make(w.http.URL); again != first {
		t.Error("a file that works was replaced")
	}
	c := w.anyone()
	c.token = first.Token
	c.want(200, "GET", "/api/v1/users", nil, nil)
	if needs, err := signin.NeedsLink(t.Context(), w.db); err != nil || !needs {
		t.Errorf("needs a link: %v, %v", needs, err)
	}
	moved := make("http://127.0.0.1:1")
	c.want(401, "GET", "/api/v1/users", nil, nil)
	c.token = moved.Token
	c.want(200, "GET", "/api/v1/users", nil, nil)
	// Nobody is its password.
	anyone := w.anyone()
	anyone.want(401, "POST", "/api/v1/session", map[string]string{"name": "local", "password": ""}, nil)
	w.admin()
	if _, err := w.db.AccountNamed(t.Context(), "admin"); ops.KindOf(err) == ops.NotFound {
		t.Error("the link opened the account of the file")
	}
}

func TestTwoInstallationsOnOneMachineShareABrowser(t *testing.T) {
	first, second := newWorld(t), newWorld(t)
	c := first.admin()
	d := second.admin()
	d.http.Jar = c.http.Jar // Cookies do not know ports.
	token, err := signin.NewLink(t.Context(), second.db, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	d.csrf = ""
	d.want(200, "POST", "/api/v1/session/link", map[string]string{"token": token}, nil)
	c.want(200, "GET", "/api/v1/status", nil, nil)
	d.want(200, "GET", "/api/v1/status", nil, nil)
}
