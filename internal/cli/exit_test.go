package cli

import (
	"errors"
	"fmt"
	"testing"

	"reeve/internal/dial"
	"reeve/internal/ops"
)

func TestExitCodesFollowTheKindOfError(t *testing.T) {
	for kind, want := range map[ops.ErrorKind]int{ops.Invalid: exitWrongUse, ops.Forbidden: exitRefused, ops.Unauthentic: exitRefused, ops.NotFound: exitFailed, ops.Conflict: exitFailed, ops.Internal: exitFailed} {
		if got := exitCode(fmt.Errorf("x: %w", answered(ops.Errorf(kind, "m")))); got != want {
			t.Errorf("%s: %d", kind, got)
		}
	}
	if exitCode(dial.Unreachable{URL: "u", Cause: errors.New("x")}) != exitUnreachable || exitCode(wrongUse("x")) != exitWrongUse || exitCode(errors.New("x")) != exitFailed {
		t.Error("kinds of errors got mixed up")
	}
}
