package tool

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"reeve/internal/ops"
)

// moreInput asks for tools by name or by a word.
type moreInput struct {
	Names []string `json:"names,omitempty"`
	Topic string   `json:"topic,omitempty" doc:"a word, instead of names"`
}

func openMore[Env any](_ context.Context, s *Set[Env], in moreInput) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(in.Names) == 0 && strings.TrimSpace(in.Topic) == "" {
		return "", ops.Errorf(ops.Invalid, "say which: names or topic")
	}
	var opened, unknown []string
	for _, name := range in.Names {
		if !slices.ContainsFunc(s.all, func(d Definition[Env]) bool { return d.Name == name }) {
			unknown = append(unknown, fmt.Sprintf("%.64q", name))
		}
	}
	for _, d := range s.all {
		if slices.Contains(in.Names, d.Name) || d.about(in.Topic) {
			s.open[d.Name] = true
			opened = append(opened, d.Name+": "+d.Doc)
		}
	}
	if len(opened) == 0 {
		names := make([]string, len(s.all))
		for i, d := range s.all {
			names[i] = d.Name
		}
		return "", ops.Errorf(ops.NotFound, "no tool fits; there are: %s", strings.Join(names, ", "))
	}
	text := "open now:\n" + strings.Join(opened, "\n")
	if len(unknown) > 0 {
		text += "\nunknown: " + strings.Join(unknown, ", ")
	}
	return text, nil
}

// about reports whether a topic's words are all in the name or the words of a
// tool.
func (h Head) about(topic string) bool {
	words := strings.Fields(strings.ToLower(topic))
	said := strings.ToLower(h.Name + " " + h.Doc)
	for _, w := range words {
		if !strings.Contains(said, strings.TrimSuffix(w, "s")) {
			return false
		}
	}
	return len(words) > 0
}

// nearest answers up to three names that share the most with one that is not
// known.
func nearest(name string, names []string) []string {
	if len(name) > 64 {
		return nil
	}
	type near struct {
		name  string
		share float64
	}
	var all []near
	for _, n := range names {
		if share := likeness(strings.ToLower(name), n); share >= 0.4 {
			all = append(all, near{n, share})
		}
	}
	slices.SortStableFunc(all, func(a, b near) int {
		switch {
		case a.share > b.share:
			return -1
		case a.share < b.share:
			return 1
		}
		return 0
	})
	var best []string
	for _, n := range all[:min(3, len(all))] {
		best = append(best, n.name)
	}
	return best
}

// likeness is Dice's coefficient of the pairs of letters of two names.
func likeness(a, b string) float64 {
	pairs := func(s string) map[string]int {
		all := map[string]int{}
		for i := range max(0, len(s)-1) {
			all[s[i:i+2]]++
		}
		return all
	}
	pa, pb := pairs(a), pairs(b)
	var same, total int
	for p, n := range pa {
		same += min(n, pb[p])
		total += n
	}
	for _, n := range pb {
		total += n
	}
	if total == 0 {
		return 0
	}
	return 2 * float64(same) / float64(total)
}
