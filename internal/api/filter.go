package api

import (
	"context"

	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/store"
)

// active is the word for the states in which people have to do with a thing.
const active = "active"

// amongAll checks the values of a filter; see among.
func amongAll[T ~string](field, what string, values []string, known []T) error {
	for _, v := range values {
		if err := rest.Among(field, what, v, known); err != nil {
			return err
		}
	}
	return nil
}

func kindNames() []ops.Kind {
	all := make([]ops.Kind, len(ops.Kinds))
	for i, k := range ops.Kinds {
		all[i] = k.Kind
	}
	return all
}

// checkCondition refuses a condition that neither a detector nor a finding of
// an earlier time has.
func (s *Server) checkCondition(ctx context.Context, condition string) error {
	var names []string
	for _, d := range s.deps.Detectors {
		names = append(names, d.Name)
	}
	err := rest.Among("condition", "condition", condition, names)
	if condition == "" || err == nil {
		return nil
	}
	if found, _, failed := s.store.Findings(ctx, store.FindingFilter{Condition: condition, Limit: 1}); failed != nil || len(found) > 0 {
		return failed
	}
	return err
}

// checkChannel refuses a channel that is neither configured nor was ever told
// anything.
func (s *Server) checkChannel(ctx context.Context, channel string) error {
	if channel == "" {
		return nil
	}
	var names []string
	for _, c := range s.deps.Channels(ctx) {
		names = append(names, c.Name)
	}
	err := rest.Among("channel", "channel", channel, names)
	if err == nil {
		return nil
	}
	if found, _, failed := s.store.Deliveries(ctx, store.DeliveryFilter{Channel: channel, Limit: 1}); failed != nil || len(found) > 0 {
		return failed
	}
	return err
}

// auditObjects are kinds of things that the audit tells of.
var auditObjects = []string{"finding", "incident", "delivery", "host", "invitation", "authority", "resource", "check", "channel", "user", "token", "settings", "run", "investigation", "note"}

// checkObject refuses a kind of thing that the audit never told of.
func (s *Server) checkObject(ctx context.Context, object string) error {
	err := rest.Among("object", "kind of object", object, auditObjects)
	if object == "" || err == nil {
		return nil
	}
	if found, failed := s.store.Transitions(ctx, store.TransitionFilter{Object: object, Limit: 1}); failed != nil || len(found) > 0 {
		return failed
	}
	return err
}
