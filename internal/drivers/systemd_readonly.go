//go:build readonly

package drivers

import (
	"reeve/internal/ops"
	"reeve/internal/workload"
)

// unitVerb refuses: this build cannot change anything.
func unitVerb(workload.Operation) (string, error) {
	return "", ops.Errorf(ops.Forbidden, "this build of the agent cannot change anything")
}
