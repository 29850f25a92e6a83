package patrol

import (
	"context"

	"reeve/internal/ops"
)

// askModel does the stages of a model: seed, model, assess and evidence. It
// may enrich l.items and add to the record; it takes nothing away.
func (p *Patrol) askModel(context.Context, *look) error {
	return ops.Errorf(ops.Unavailable, "this build asks no model")
}

// replayRun does a run of the kind replay: the recorded inputs of another run
// once more.
func (p *Patrol) replayRun(context.Context, *look) error {
	return refusal{"this build replays no runs"}
}
