//go:build !readonly

package drivers

import (
	"reeve/internal/ops"
	"reeve/internal/workload"
)

// unitVerb answers systemd's own word for an operation.
func unitVerb(op workload.Operation) (string, error) {
	switch op {
	case workload.Start, workload.Stop, workload.Restart:
		return string(op), nil
	}
	return "", ops.Errorf(ops.Invalid, "a service cannot %s", op)
}
