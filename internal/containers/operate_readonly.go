//go:build readonly

package containers

import (
	"context"

	"reeve/internal/ops"
	"reeve/internal/workload"
)

// Operate refuses: this build cannot change anything.
func (e *Engine) Operate(context.Context, workload.Operation, string, string) (string, error) {
	return "", ops.Errorf(ops.Forbidden, "this build of the agent cannot change anything")
}
