package tools_test

import (
	"encoding/json"
	"testing"

	"reeve/internal/llm"
	"reeve/internal/tokens"
	"reeve/internal/tool"
	"reeve/internal/tools"
)

// maxCoreTokens is what the tools of a patrol's first turn may take, so that
// they and the system prompt stay below 2,000.
const maxCoreTokens = 1_300

func TestCoreToolsOfAPatrolAreFewAndSmall(t *testing.T) {
	for _, profile := range []tool.Profile{tool.Patrol, tool.Investigation, tool.Assistant} {
		var req llm.Request
		for _, s := range tool.NewSet(tools.Env{}, profile, tools.All(), tool.Limits{}).Specs() {
			req.Tools = append(req.Tools, llm.ToolSpec{Name: s.Name, Doc: s.Doc, Schema: s.Schema})
			text, err := json.Marshal(s.Schema)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s %s: %d tokens: %s", profile, s.Name, tokens.Estimate(s.Name+s.Doc+string(text)), text)
		}
		n := llm.EstimateRequest(req)
		t.Logf("%s: %d tools, %d tokens", profile, len(req.Tools), n)
		if profile == tool.Patrol && (n > maxCoreTokens || len(req.Tools) > 6) {
			t.Errorf("the %d core tools of a patrol take %d tokens; at most 6 and %d", len(req.Tools), n, maxCoreTokens)
		}
	}
}
