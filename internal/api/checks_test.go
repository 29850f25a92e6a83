package api_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"reeve/internal/api"
	"reeve/internal/redact"
	"reeve/internal/rest"
	"reeve/internal/store"
)

func TestChecksAreDeclaredChangedAndWithdrawn(t *testing.T) {
	edited := 0
	w := newWorld(t, func(d *api.Deps) { d.ChecksEdited = func() { edited++ } })
	people := everyone(w)
	c := people["operator"]
	body := map[string]any{"name": "shop", "type": "http", "target": "http://127.0.0.1:1/health", "every_ms": 30_000, "timeout_ms": 2000,
		"headers": map[string]string{"Authorization": "Bearer hidden"}, "status": []int{200, 204}}
	var v api.CheckView
	c.want(200, "POST", "/api/v1/checks", body, &v)
	if v.EveryMS != 30_000 || v.TimeoutMS != 2000 || v.Version != 1 || v.FromConfig || v.Headers["Authorization"] == "Bearer hidden" {
		t.Errorf("declared: %+v", v)
	}
	c.want(409, "POST", "/api/v1/checks", body, nil)
	body["every_ms"], body["headers"] = 60_000, v.Headers
	c.want(412, "PUT", "/api/v1/checks/shop", body, nil, "If-Match", `"4"`)
	c.want(200, "PUT", "/api/v1/checks/shop", body, &v, "If-Match", `"1"`)
	row, err := w.db.Check(t.Context(), "shop")
	if err != nil || !strings.Contains(string(row.Def), "Bearer hidden") || v.EveryMS != 60_000 {
		t.Errorf("changed: %s, %+v, %v", row.Def, v, err)
	}
	var list rest.List[api.CheckView]
	people["viewer"].want(200, "GET", "/api/v1/checks", nil, &list)
	if len(list.Items) != 1 || list.Items[0].Headers["Authorization"] == "Bearer hidden" {
		t.Errorf("list: %+v", list)
	}
	c.want(204, "DELETE", "/api/v1/checks/shop", nil, nil)
	c.want(404, "DELETE", "/api/v1/checks/shop", nil, nil)
	if edited != 3 {
		t.Errorf("told of %d edits", edited)
	}
}

func TestHiddenHeadersStayWithTheirTarget(t *testing.T) {
	w := newWorld(t)
	c := everyone(w)["operator"]
	body := func(change map[string]any) map[string]any {
		b := map[string]any{"name": "shop", "type": "http", "target": "http://127.0.0.1:1/", "headers": map[string]string{"X-Key": redact.Mask}}
		maps.Copy(b, change)
		return b
	}
	c.want(200, "POST", "/api/v1/checks", body(map[string]any{"headers": map[string]string{"X-Key": "hidden"}}), nil)
	for want, change := range map[string]map[string]any{
		"the target changed":     {"target": "http://127.0.0.1:2/"},
		"the type changed":       {"type": "dns"},
		"insecure was turned on": {"insecure": true},
	} {
		var p rest.Problem
		c.want(422, "PUT", "/api/v1/checks/shop", body(change), &p)
		if got := p.Fields["headers"]; got != "write the value of X-Key anew: "+want {
			t.Errorf("%v: %q", change, got)
		}
	}
	c.want(200, "PUT", "/api/v1/checks/shop", body(map[string]any{"every_ms": 60_000}), nil)
	row, err := w.db.Check(t.Context(), "shop")
	if err != nil || !strings.Contains(string(row.Def), "hidden") {
		t.Errorf("the same target: %s, %v", row.Def, err)
	}
	c.want(200, "PUT", "/api/v1/checks/shop", body(map[string]any{"target": "http://127.0.0.1:2/", "headers": map[string]string{"X-Key": "another"}}), nil)
}

func TestOnlyOperatorsSeeSecretsInTargets(t *testing.T) {
	w := newWorld(t)
	people := everyone(w)
	const target = "http://ann:tiger@127.0.0.1:1/health?key=hidden"
	people["operator"].want(200, "POST", "/api/v1/checks", map[string]any{"name": "shop", "type": "http", "target": target}, nil)
	for who, want := range map[string]string{"operator": target, "viewer": "http://redacted@127.0.0.1:1/health?key=redacted"} {
		var list rest.List[api.CheckView]
		people[who].want(200, "GET", "/api/v1/checks", nil, &list)
		if len(list.Items) != 1 || list.Items[0].Target != want {
			t.Errorf("%s sees %+v", who, list.Items)
		}
	}
}

func TestChecksThatMakeNoSenseAreRefused(t *testing.T) {
	w := newWorld(t)
	c := w.admin()
	for _, body := range []map[string]any{
		{"name": "x", "type": "http", "target": "ftp://x"}, {"name": "x", "type": "http", "target": "no address"},
		{"name": "x", "type": "tcp", "target": "nowhere"}, {"name": "x", "type": "icmp"}, {"name": "x", "type": "heartbeat", "target": "x"},
		{"name": "", "type": "icmp", "target": "x"}, {"name": "a/b", "type": "icmp", "target": "x"}, {"name": "x", "type": "smell", "target": "x"},
		{"name": "x", "type": "icmp", "target": "x", "every_ms": 10}, {"name": "x", "type": "icmp", "target": "x", "colour": "red"},
		{"name": "x", "type": "icmp", "target": "x", "every_ms": "10"}, {"type": "icmp", "target": "x"}, {"name": "x", "target": "x"},
		{"name": "x", "type": "http", "target": "http://x", "method": "DELETE"}, {"name": "x", "type": "http", "target": "http://x", "status": []int{7}},
	} {
		var p rest.Problem
		c.want(422, "POST", "/api/v1/checks", body, &p)
		if len(p.Fields) == 0 || p.Detail == "" {
			t.Errorf("%v: %+v", body, p)
		}
	}
}

func TestConfiguredChecksChangeInTheConfiguration(t *testing.T) {
	w := newWorld(t)
	w.tx(func(tx *store.Tx) error {
		return tx.SaveCheck(t.Context(), store.CheckDef{Name: "door", Origin: "config", Def: []byte(`{"name":"door","type":"icmp","target":"127.0.0.1"}`)}, store.Why{Actor: "config"})
	})
	c := w.admin()
	c.want(409, "PUT", "/api/v1/checks/door", map[string]any{"type": "icmp", "target": "::1"}, nil)
	c.want(409, "DELETE", "/api/v1/checks/door", nil, nil)
}

func TestHeartbeatComesWithoutSignIn(t *testing.T) {
	w := newWorld(t)
	people := everyone(w)
	var v api.CheckView
	people["operator"].want(200, "POST", "/api/v1/checks", map[string]any{"name": "backup job", "type": "heartbeat", "every_ms": 3_600_000, "grace_ms": 60_000}, &v)
	path, ok := strings.CutPrefix(v.BeatURL, w.http.URL)
	if !ok || !strings.HasPrefix(path, "/beat/") {
		t.Fatalf("heartbeat URL: %s", v.BeatURL)
	}
	job := w.anyone()
	before := time.Now().Add(-time.Second)
	for _, method := range []string{"GET", "POST", "HEAD"} {
		if status, _, text := job.do(method, path, nil, "Origin", "https://elsewhere.example"); status != http.StatusOK {
			t.Errorf("%s: status %d: %s", method, status, text)
		}
	}
	row, err := w.db.Check(t.Context(), "backup job")
	if err != nil || row.LastBeat.Before(before) {
		t.Errorf("last beat %v, %v", row.LastBeat, err)
	}
	job.want(404, "GET", "/beat/nothing", nil, nil)
	var list rest.List[api.CheckView]
	people["viewer"].want(200, "GET", "/api/v1/checks", nil, &list)
	if list.Items[0].BeatURL != "" || list.Items[0].LastBeatAt.IsZero() {
		t.Errorf("a viewer sees %+v", list.Items[0])
	}
	limited := false
	for range 60 {
		status, _, _ := job.do("GET", "/beat/guess", nil)
		limited = limited || status == 429
	}
	if !limited {
		t.Error("guessing is not limited")
	}
}
