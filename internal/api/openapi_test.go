package api_test

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"reeve/internal/ops"
	"reeve/internal/schema"
	"reeve/internal/store"
)

var update = flag.Bool("update", false, "write the generated files anew")

const committed = "../../docs/generated/openapi.json"

func TestGeneratedDescriptionIsFresh(t *testing.T) {
	w := newWorld(t)
	got := append(w.server.OpenAPI(), '\n')
	if *update {
		if err := os.WriteFile(committed, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(committed)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) == string(want) {
		return
	}
	for name, after := range schemasOf(t, got) {
		for _, c := range schema.Compare(schemasOf(t, want)[name], after) {
			t.Log(name, c)
		}
	}
	t.Errorf("%s is stale; run: go test ./internal/api -run Generated -update", committed)
}

// described is the part of the description that the tests read.
type described struct {
	Paths map[string]map[string]struct {
		Responses map[string]struct {
			Content map[string]struct {
				Schema json.RawMessage `json:"schema"`
			} `json:"content"`
		} `json:"responses"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]*schema.Schema `json:"schemas"`
	} `json:"components"`
}

func schemasOf(t *testing.T, text []byte) map[string]*schema.Schema {
	t.Helper()
	var d described
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d.Components.Schemas
}

// fits checks an answer against the description of a route.
func fits(t *testing.T, d described, defs map[string]*schema.Schema, method, pattern string, answer []byte) {
	t.Helper()
	text := d.Paths[pattern][strings.ToLower(method)].Responses["200"].Content["application/json"].Schema
	var s schema.Schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatalf("%s %s has no described answer: %v", method, pattern, err)
	}
	s.Defs = defs
	resolved, err := s.Resolve(&jsonschema.ResolveOptions{})
	if err != nil {
		t.Fatalf("%s %s: %v", method, pattern, err)
	}
	var value any
	if err := json.Unmarshal(answer, &value); err != nil {
		t.Fatalf("%s %s: %v: %s", method, pattern, err, answer)
	}
	if err := resolved.Validate(value); err != nil {
		t.Errorf("%s %s is not as described: %v\n%s", method, pattern, err, answer)
	}
}

func TestAnswersAreAsDescribed(t *testing.T) {
	w := newWorld(t)
	f := w.openFinding("fs_full")
	now := time.Now().UTC()
	d := ops.Delivery{ID: ops.NewID(ops.DeliveryID), Channel: "mail", DedupeKey: "k", IncidentID: f.IncidentID, CreatedAt: now, NextAt: now,
		Message: ops.Message{ID: "m", Event: ops.MessageOpened, Severity: ops.Critical, Title: "/ is full", At: now}}
	w.tx(func(tx *store.Tx) error {
		if err := tx.AddEvidence(t.Context(), ops.Evidence{ID: ops.NewID(ops.EvidenceID), FindingID: f.ID, What: "use", From: now, To: now, TakenAt: now}); err != nil {
			return err
		}
		_, err := tx.Enqueue(t.Context(), d, store.Why{Actor: "notify"})
		return err
	})
	c := w.admin()
	c.newToken("read")
	text := strings.ReplaceAll(string(w.server.OpenAPI()), "#/components/schemas/", "#/$defs/")
	var doc described
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	c.want(200, "POST", "/api/v1/checks", map[string]any{"name": "door", "type": "icmp", "target": "127.0.0.1", "labels": map[string]string{"a": "b"}}, nil)
	for path, pattern := range map[string]string{
		"/api/v1/status": "", "/api/v1/hosts": "", "/api/v1/hosts/" + w.host.ID: "/api/v1/hosts/{id}", "/api/v1/hosts/" + w.host.Name: "/api/v1/hosts/{id}", "/api/v1/resources": "", "/api/v1/resources?all=true": "/api/v1/resources",
		"/api/v1/resources/" + w.fs.ID: "/api/v1/resources/{id}", "/api/v1/resources/" + w.host.ID + "/series?metric=cpu_busy_ratio": "/api/v1/resources/{id}/series",
		"/api/v1/findings": "", "/api/v1/findings/" + f.ID: "/api/v1/findings/{id}", "/api/v1/incidents": "",
		"/api/v1/incidents/" + f.IncidentID: "/api/v1/incidents/{id}", "/api/v1/explain/" + f.ID: "/api/v1/explain/{id}",
		"/api/v1/checks": "", "/api/v1/channels": "", "/api/v1/deliveries?state=queued&channel=mail": "/api/v1/deliveries", "/api/v1/deliveries/" + d.ID: "/api/v1/deliveries/{id}",
		"/api/v1/detectors": "", "/api/v1/collectors": "", "/api/v1/channel-types": "", "/api/v1/audit": "", "/api/v1/audit/verify": "",
		"/api/v1/session": "", "/api/v1/users": "", "/api/v1/tokens": "", "/api/v1/config": "",
	} {
		if pattern == "" {
			pattern = path
		}
		status, _, answer := c.do("GET", path, nil)
		if status != 200 {
			t.Errorf("GET %s: status %d: %s", path, status, answer)
			continue
		}
		fits(t, doc, doc.Components.Schemas, "GET", pattern, answer)
	}
	c.want(404, "GET", "/api/v1/hosts/nobody", nil, nil)
	_, _, answer := c.do("GET", "/api/v1/nothing", nil)
	if !strings.Contains(string(answer), `"/problems/not_found"`) {
		t.Errorf("problem: %s", answer)
	}
}

func TestEveryRouteIsDocumented(t *testing.T) {
	w := newWorld(t)
	seen := map[string]bool{}
	var doc struct {
		Paths map[string]map[string]struct {
			ID      string `json:"operationId"`
			Summary string `json:"summary"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(w.server.OpenAPI(), &doc); err != nil {
		t.Fatal(err)
	}
	for _, r := range w.server.Routes() {
		op := doc.Paths[r.Pattern][strings.ToLower(r.Method)]
		if op.ID == "" || op.Summary == "" || seen[op.ID] {
			t.Errorf("%s %s is described as %+v", r.Method, r.Pattern, op)
		}
		seen[op.ID] = true
	}
	if w.server.Routes()[0].Pattern == "" {
		t.Error("no routes")
	}
}
