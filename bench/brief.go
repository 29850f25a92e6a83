package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"reeve/internal/brief"
	"reeve/internal/llm"
	"reeve/internal/patrol"
	"reeve/internal/tool"
	"reeve/internal/tools"
	"reeve/test/estatetest"
)

// briefCases are the estates whose patrols are counted, with the bar of what
// a run may take, in tokens.
var briefCases = []struct {
	resources, problems int
	most                float64
}{{10, 0, 0}, {10, 1, 0}, {10, 10, 0}, {100, 0, 0}, {100, 1, 8_000}, {100, 10, 0}, {1000, 0, 0}, {1000, 1, 0}, {1000, 10, 16_000}}

// measureBrief counts the tokens of what a model is told in a patrol, with
// the tools that it is really offered, and times how long telling takes.
func measureBrief(_ context.Context, b *bench) error {
	box := tool.NewSet(tools.Env{}, tool.Patrol, tools.All(), tool.Limits{})
	open := patrol.Opening(box)
	b.add(Line{What: "fixed part of every request of a patrol", Value: float64(llm.EstimateRequest(open)), Unit: "tokens", Bar: 2_000})
	for _, c := range briefCases {
		e := estatetest.Make(c.resources, c.problems, 1)
		seed := brief.Seed(e, brief.Items(e), brief.SeedLimits{Tokens: 5_500})
		name := fmt.Sprintf("%d resources, %d problems", c.resources, c.problems)
		run, bytes := twoTurns(open, seed, c.problems)
		b.add(Line{What: name + ": input of a run of two turns", Value: float64(run), Unit: "tokens", Bar: c.most,
			Note: fmt.Sprintf("first message %d tokens in %d bytes; %d bytes of text in all, without the schemas of tools", seed.Tokens, seed.Bytes, bytes)})
		share := 100.0
		if c.problems > 0 {
			share = 100 * float64(len(seed.Visible)) / float64(c.problems)
		}
		b.add(Line{What: name + ": share of planted problems visible", Value: share, Unit: "%", Bar: 100, AtLeast: true})
	}
	const times = 20
	e := estatetest.Make(1000, 10, 1)
	began := time.Now()
	for range times {
		brief.Seed(e, brief.Items(e), brief.SeedLimits{Tokens: 5_500})
	}
	b.add(Line{What: "items and first message of 1,000 resources, 10 problems", Value: float64(time.Since(began).Microseconds()) / times / 1000, Unit: "ms"})
	large := estatetest.Make(10_000, 50, 1)
	began = time.Now()
	brief.Digest(large)
	b.add(Line{What: "digest of 10,000 resources", Value: float64(time.Since(began).Microseconds()) / 1000, Unit: "ms"})
	began = time.Now()
	brief.Items(large)
	b.add(Line{What: "items of 10,000 resources, 50 problems", Value: float64(time.Since(began).Microseconds()) / 1000, Unit: "ms"})
	return nil
}

// twoTurns answers what the prompts of a usual run take: the first message,
// then the same with a reply that looks at one resource, gives a verdict on
// each problem and explains one, and what the tools answered.
func twoTurns(open llm.Request, seed brief.SeedContext, problems int) (all int64, bytes int) {
	open.Messages = []llm.Message{llm.Say(llm.User, seed.Text)}
	all = llm.EstimateRequest(open)
	size := len(open.System) + len(seed.Text)
	bytes = 2 * size
	if problems == 0 {
		return all, size
	}
	calls := []string{`{"resource":"R1"}`, `{"resource":"R1","condition":"fs_full","severity":"warning","title":"The volume fills since the new image was started.","text":"The used share rose from 91 % to 96 % within 15 minutes, after the image changed.","claims":[{"kind":"metric","metric":"fs_used_ratio","value":0.96},{"kind":"state","name":"image","text":"ghcr.io/example/app:1.4.2"}]}`}
	for i := range problems {
		calls = append(calls, fmt.Sprintf(`{"finding":"F%d","verdict":"present","note":"The reading is above its limit.","claims":[{"kind":"metric","metric":"fs_used_ratio","value":0.96}]}`, i+1))
	}
	reply, results := llm.Message{Role: llm.Assistant}, llm.Message{Role: llm.User}
	for i, c := range calls {
		id, answer := fmt.Sprintf("call_%d", i), "noted"
		if i == 0 {
			answer = strings.Repeat("fs_used_ratio 0.9612 at 2026-03-02T09:29:50Z, 0.9107 an hour before\n", 20)
		}
		reply.Parts = append(reply.Parts, llm.Part{Call: &llm.ToolCall{ID: id, Name: "assess_finding", Input: []byte(c)}})
		results.Parts = append(results.Parts, llm.Part{Result: &llm.ToolResult{CallID: id, Name: "assess_finding", Text: answer}})
		bytes += len(c) + len(answer)
	}
	open.Messages = append(open.Messages, reply, results)
	return all + llm.EstimateRequest(open), bytes
}
