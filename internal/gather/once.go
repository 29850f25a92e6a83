package gather

import (
	"context"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

// Once runs one collector a single time, without a schedule and without
// handing anything over. Absent says that what it reads does not exist here.
func Once(ctx context.Context, d collect.Definition, env collect.Env, host ops.HostIdentity) (obs ops.Observation, absent bool) {
	j := newJob(env.Log, d, Setting{}, env)
	r := j.collect(ctx, host, env.Log)
	return r.obs, r.absent
}
