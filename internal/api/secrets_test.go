package api_test

import (
	"strings"
	"testing"

	"reeve/internal/ops"
	"reeve/internal/rest"
)

func TestNoAnswerTellsASealedValue(t *testing.T) {
	const canary = "sk-canary-4417d0b2"
	w := newWorld(t)
	c := w.admin()
	body := map[string]any{"value": canary}
	shown := ""
	for _, call := range []struct {
		want         int
		method, path string
		body         any
	}{
		{200, "GET", "/api/v1/secrets", nil}, {200, "PUT", "/api/v1/secrets/openai", body}, {200, "PUT", "/api/v1/secrets/openai", body},
		{422, "PUT", "/api/v1/secrets/Open%20AI", body}, {422, "PUT", "/api/v1/secrets/openai", map[string]any{"value": ""}},
		{422, "PUT", "/api/v1/secrets/openai", map[string]any{"value": []string{canary}}}, {422, "PUT", "/api/v1/secrets/openai", map[string]any{"valeu": canary}},
		{422, "PUT", "/api/v1/secrets/openai", map[string]any{"value": strings.Repeat(canary, 1000)}}, {422, "PUT", "/api/v1/secrets/openai", `{"value": "` + canary},
		{404, "GET", "/api/v1/secrets/openai", nil}, {200, "GET", "/api/v1/audit", nil}, {200, "GET", "/api/v1/config", nil}, {200, "POST", "/api/v1/backup", nil},
		{404, "DELETE", "/api/v1/secrets/opena", nil},
	} {
		status, _, text := c.do(call.method, call.path, call.body)
		if status != call.want && !(status == 405 && call.want == 404) {
			t.Errorf("%s %s: %d %.300s", call.method, call.path, status, text)
		}
		shown += string(text)
	}
	if strings.Contains(shown, canary) || !strings.Contains(shown, "secret/openai") {
		t.Error("a value is shown, or the audit does not tell that it was sealed")
	}
	var l rest.List[ops.SealedSetting]
	c.want(200, "GET", "/api/v1/secrets", nil, &l)
	if len(l.Items) != 1 || l.Items[0].Name != "openai" || !strings.HasPrefix(l.Items[0].By, "user:") || l.Items[0].At.IsZero() {
		t.Errorf("%+v", l)
	}
	c.want(204, "DELETE", "/api/v1/secrets/openai", nil, nil)
}
