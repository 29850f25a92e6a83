package brief

import (
	"slices"
	"strings"

	"reeve/internal/ops"
	"reeve/internal/tokens"
)

// SeedLimits bound a seed context.
type SeedLimits struct {
	// Tokens is the hard bound of the text, as package tokens estimates.
	Tokens int64
	// Detailed is how many problems are told in detail; 0 for the default.
	Detailed int
}

// DefaultDetailed is how many problems a seed tells in detail.
const DefaultDetailed = 12

// SeedContext is what a model is told at first.
type SeedContext struct {
	Text     string          `json:"text"`
	Tokens   int64           `json:"tokens" doc:"Estimated."`
	Bytes    int64           `json:"bytes"`
	Sections []SectionReport `json:"sections"`
	// Visible are the findings in it; Aliases the short names by which it
	// calls findings and resources, with their IDs.
	Visible []string          `json:"visible"`
	Aliases map[string]string `json:"aliases"`
}

// A SectionReport says what became of one section.
type SectionReport struct {
	Name    string `json:"name"`
	Tokens  int64  `json:"tokens"`
	Bytes   int64  `json:"bytes"`
	Lines   int    `json:"lines"`
	Dropped int    `json:"dropped" doc:"Lines that the budget had no room for."`
}

// A section is lines of one matter. The lowest priority number goes first;
// what the budget has no room for is dropped from the end.
type section struct {
	name     string
	title    string
	priority int
	lines    []string
	kept     int
}

// Seed tells a model what there is and what is wrong, within a budget of
// tokens. Its sections stand in the order of how seldom they change, so that
// the beginning of two contexts is the same for as long as possible, and are
// filled in the order of their priority. Every active finding in scope is in it, however many there are and
// however small the budget is: in a line of its own, or where there is no
// room for that in a group that names it. All of it is text from the estate,
// fenced as data.
func Seed(e Estate, items []ops.RunItem, limits SeedLimits) SeedContext {
	v := look(e)
	detailed := limits.Detailed
	if detailed == 0 {
		detailed = DefaultDetailed
	}
	budget := limits.Tokens - tokens.Estimate(FenceOpen+"\n\n"+FenceClose)
	named, problems := v.problems(items, budget*3/5)
	sections := []section{v.inventory(), v.notes(), v.coverage(), problems, v.details(named, items, detailed), v.readings(named), v.outlook(items), v.lately(items)}
	fill(sections, budget)
	seed := SeedContext{Aliases: named.aliases, Visible: named.visible}
	var text strings.Builder
	for _, s := range sections {
		part := s.text()
		text.WriteString(part)
		seed.Sections = append(seed.Sections, SectionReport{Name: s.name, Tokens: tokens.Estimate(part), Bytes: int64(len(part)), Lines: s.kept, Dropped: len(s.lines) - s.kept})
	}
	seed.Text = Fence(text.String())
	seed.Tokens, seed.Bytes = tokens.Estimate(seed.Text), int64(len(seed.Text))
	return seed
}

// fill spends a budget on sections by priority. Those of priority 0 are kept
// whole: they were made to fit.
func fill(sections []section, budget int64) {
	order := make([]int, len(sections))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return sections[i].priority - sections[j].priority })
	for _, i := range order {
		s := &sections[i]
		if len(s.lines) == 0 {
			continue
		}
		head := tokens.Estimate("## "+s.title+"\n") + tokens.Estimate(s.note())
		budget -= head
		for _, l := range s.lines {
			cost := tokens.Estimate(l + "\n")
			if s.priority > 0 && budget < cost {
				break
			}
			budget -= cost
			s.kept++
		}
		if s.kept == 0 {
			budget += head
		}
	}
}

func (s section) text() string {
	if s.kept == 0 {
		return ""
	}
	text := "## " + s.title + "\n" + strings.Join(s.lines[:s.kept], "\n") + "\n"
	if s.kept < len(s.lines) {
		text += s.note()
	}
	return text
}

// note says that a section that matters is not whole.
func (s section) note() string {
	if s.priority == 0 || s.priority > 2 {
		return ""
	}
	return "(more not shown)\n"
}
