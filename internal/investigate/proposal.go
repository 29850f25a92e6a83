package investigate

import (
	"context"
	"slices"
	"strings"

	"reeve/internal/ops"
	"reeve/internal/redact"
)

// Verbs are what a proposal may be: a closed list. A proposal is stored and
// carried out by nobody until it is an action.
var Verbs = []string{"restart_container", "restart_unit", "prune_images", "rotate_logs", "extend_filesystem", "renew_certificate", "reboot_host", "other_manual"}

// targets says which kinds of resources a verb is for; other_manual is for
// all.
var targets = map[string][]ops.Kind{
	"restart_container": {ops.KindContainer}, "restart_unit": {ops.KindUnit}, "prune_images": {ops.KindHost},
	"rotate_logs": {ops.KindHost, ops.KindUnit, ops.KindContainer, ops.KindFilesystem}, "extend_filesystem": {ops.KindFilesystem},
	"renew_certificate": {ops.KindCertificate, ops.KindCheck}, "reboot_host": {ops.KindHost},
}

// The bounds of a proposal.
const (
	maxReason = 500
	maxParams = 8
	maxParam  = 200
)

// proposal checks a change that a model proposes: its verb is on the list, its
// target is on the host of the incident and of a kind that the verb is for.
func (q *inquiry) proposal(ctx context.Context, p ops.Proposal, resolve func(context.Context, string) (ops.Resource, error)) (ops.Proposal, error) {
	if !slices.Contains(Verbs, p.Verb) {
		return p, ops.Errorf(ops.Invalid, "the verb of a proposal is one of %s", strings.Join(Verbs, ", "))
	}
	r, err := resolve(ctx, p.Target)
	if err != nil {
		return p, err
	}
	if r.HostID != q.scene.Host.ID {
		return p, ops.Errorf(ops.Invalid, "%s is not on the host of the incident", name(r))
	}
	if kinds, ok := targets[p.Verb]; ok && !slices.Contains(kinds, r.Kind) {
		return p, ops.Errorf(ops.Invalid, "%s is not for a %s", p.Verb, r.Kind)
	}
	if len(p.Params) > maxParams {
		return p, ops.Errorf(ops.Invalid, "a proposal has at most %d parameters", maxParams)
	}
	clean := ops.Proposal{Verb: p.Verb, Target: r.ID, Reason: redact.Line(p.Reason, maxReason)}
	for name, v := range p.Params {
		if clean.Params == nil {
			clean.Params = map[string]string{}
		}
		clean.Params[redact.Line(name, 60)] = redact.Line(v, maxParam)
	}
	return clean, nil
}
