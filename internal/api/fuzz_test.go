package api_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"reeve/internal/api"
)

func FuzzCursor(f *testing.F) {
	f.Add("name", "")
	f.Add("", base64.RawURLEncoding.EncodeToString([]byte(`["","",1700000000000,"fnd_1"]`)))
	f.Add("", base64.RawURLEncoding.EncodeToString([]byte(`[null,{},[],1e9]`)))
	f.Add("-kind", base64.RawURLEncoding.EncodeToString([]byte(`["-kind","host",0,"res_1",5]`)))
	f.Fuzz(func(t *testing.T, sort, text string) {
		key, err := api.ParseCursor(sort, text)
		if err == nil && text != "" && key.ID == "" {
			t.Errorf("%q is a cursor to nowhere", text)
		}
	})
}

// bodies are the routes that take one.
var bodies = []string{
	"POST /api/v1/findings/FINDING/ack", "POST /api/v1/findings/FINDING/suppress", "POST /api/v1/findings/FINDING/resolve",
	"POST /api/v1/checks", "PUT /api/v1/checks/door", "POST /api/v1/session", "POST /api/v1/session/link",
	"POST /api/v1/tokens", "PUT /api/v1/users/nobody",
}

// FuzzBody sends bodies to a real server: no answer may be its fault.
func FuzzBody(f *testing.F) {
	w := newWorld(f)
	c := w.admin()
	finding := w.openFinding("fs_full")
	token := c.newToken("admin")
	f.Add(uint8(0), `{"reason":"mine"}`)
	f.Add(uint8(1), `{"kind":"snooze","reason":"later","until":"2030-01-01T00:00:00Z"}`)
	f.Add(uint8(1), `{"kind":"accepted","reason":"\u0000","until":"9999-99-99"}`)
	f.Add(uint8(3), `{"name":"door","type":"http","target":"http://[::1]:99999/","every_ms":1e300,"status":[200.5]}`)
	f.Add(uint8(4), `{"type":"tls","target":"a:b:c","headers":{"":""}}`)
	f.Add(uint8(5), `{"name":"admin","password":"`+strings.Repeat("x", 300)+`"}`)
	f.Add(uint8(6), `{"token":null}`)
	f.Add(uint8(7), `{"name":"t","scopes":["read","read"],"expires_at":"0001-01-01T00:00:00Z"}`)
	f.Add(uint8(8), strings.Repeat("[", 20_000))
	f.Fuzz(func(t *testing.T, which uint8, body string) {
		method, path, _ := strings.Cut(bodies[int(which)%len(bodies)], " ")
		req, err := http.NewRequest(method, c.base+strings.Replace(path, "FINDING", finding.ID, 1), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := c.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode >= 500 {
			t.Errorf("%s %s: status %d: %s, %v", method, path, res.StatusCode, text, err)
		}
	})
}

// FuzzQuery sends queries to every list.
func FuzzQuery(f *testing.F) {
	w := newWorld(f)
	w.openFinding("fs_full")
	token := w.admin().newToken("read")
	f.Add("limit=1&cursor=WyIiLCIiLDAsImEiXQ&state=active&sort=-name&label=a%3Db&q=%25_!")
	f.Add("limit=99999999999999999999&all=maybe&from=-1&to=1e99&points=0&metric=%00")
	f.Add("%zz=1&;;&=&kind=,,,")
	paths := []string{"/api/v1/resources", "/api/v1/findings", "/api/v1/incidents", "/api/v1/deliveries", "/api/v1/audit", "/api/v1/resources/" + w.host.ID + "/series"}
	c := w.anyone()
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range paths {
			req, err := http.NewRequest("GET", c.base+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.URL.RawQuery = strings.Map(func(r rune) rune {
				if r <= ' ' || r >= 0x7f || r == '#' {
					return '+'
				}
				return r
			}, query)
			req.Header.Set("Authorization", "Bearer "+token)
			res, err := c.http.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || res.StatusCode >= 500 {
				t.Errorf("GET %s?%s: status %d: %s, %v", path, query, res.StatusCode, text, err)
			}
		}
	})
}
