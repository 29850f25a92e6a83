package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"reeve/internal/config"
	"reeve/internal/detectors"
	"reeve/internal/investigate"
	"reeve/internal/knowledge"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tool"
	"reeve/internal/turn"
)

// openInvestigate builds what looks into incidents, and sees to what ran when
// the process before ended.
func (s *Server) openInvestigate(ctx context.Context) error {
	set, err := investigateSettings(s.config)
	if err != nil {
		return err
	}
	w := withheld(s.config.Models.Withhold)
	s.investigate = investigate.New(investigate.Options{
		Log: s.log, Store: s.store, Source: turn.NewSource(s.store, s.metrics), Definitions: detectors.All(), Settings: set, Router: s.router,
		Tools: func(desk tool.Desk, forModel bool) tool.Toolbox {
			return s.openTools(tool.Investigation, desk, forModel)
		},
		Before: s.past, Notes: s.know.ForScope, Suggest: s.know.Suggest,
		Resolver: func(within func(ops.Resource) bool) func(context.Context, string) (ops.Resource, error) {
			return turn.Resolver(s.store, within)
		},
		Veil: s.veil, Withheld: w.Covers, WithheldFields: w.Fields,
	})
	if s.duty.shared {
		return nil // once this server is on duty
	}
	return s.investigate.Recover(ctx)
}

// investigateSettings reads the settings: what makes no sense is refused with
// the line on which it stands.
func investigateSettings(c config.Config) (investigate.Settings, error) {
	i := c.Investigate
	set := investigate.Settings{Auto: i.Auto, Turns: i.Turns, Time: time.Duration(i.Time), AtOnce: i.AtOnce, Attempts: i.Attempts,
		Cooldown: time.Duration(i.Cooldown), AfterTimeout: time.Duration(i.AfterTimeout)}
	choices := []string{"none", "critical", "all"}
	if !slices.Contains(choices, i.Auto) {
		hint := ""
		if near := config.Nearest(i.Auto, choices); near != "" {
			hint = fmt.Sprintf("; did you mean %s?", near)
		}
		return set, c.Because("investigate.auto", ops.Errorf(ops.Invalid, "investigate.auto is none, critical or all, not %q%s", i.Auto, hint))
	}
	for _, bound := range []struct {
		key         string
		is          int64
		least, most int64
		unit        string
	}{
		{"turns", int64(i.Turns), 1, 100, ""}, {"at_once", int64(i.AtOnce), 1, 20, ""}, {"attempts", int64(i.Attempts), 0, 100, ""},
		{"time", int64(time.Duration(i.Time) / time.Second), 10, 3600, "s"}, {"cooldown", int64(time.Duration(i.Cooldown) / time.Second), 0, 30 * 86400, "s"},
		{"after_timeout", int64(time.Duration(i.AfterTimeout) / time.Second), 0, 30 * 86400, "s"},
	} {
		if bound.is < bound.least || bound.is > bound.most {
			return set, c.Because("investigate."+bound.key, ops.Errorf(ops.Invalid, "investigate.%s is from %d%s to %d%s, not %d%s",
				bound.key, bound.least, bound.unit, bound.most, bound.unit, bound.is, bound.unit))
		}
	}
	return set, nil
}

// past answers what is known of earlier times of a problem.
func (s *Server) past(ctx context.Context, condition, resourceID string) (investigate.Past, error) {
	p, err := s.know.Before(ctx, condition, resourceID)
	return pastOf(p), err
}

func pastOf(p knowledge.Past) investigate.Past {
	out := investigate.Past{Count: len(p.Times), Text: p.Text}
	for n, t := range p.Times {
		if n == 0 {
			out.Last = t.Began
		}
		out.Began = append(out.Began, t.Began)
	}
	for _, n := range p.Solutions {
		out.Cures = append(out.Cures, n.Text)
	}
	return out
}

// veil answers what hides the names of the estate from models, nil where that
// is not wanted.
func (s *Server) veil(ctx context.Context) (*turn.Veil, error) {
	if !s.config.Models.Pseudonymise {
		return nil, nil
	}
	all, _, err := s.store.Resources(ctx, store.ResourceFilter{All: true})
	if err != nil {
		return nil, err
	}
	return turn.NewVeil(all), nil
}
