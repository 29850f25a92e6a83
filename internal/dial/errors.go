package dial

import (
	"fmt"
	"strings"

	"reeve/internal/ops"
)

// An Unreachable says that no server answered.
type Unreachable struct {
	URL   string
	Cause error
}

func (e Unreachable) Error() string {
	return fmt.Sprintf("no Reeve answers at %s (%s); start it with `reeve up`, or name its data folder with --data, or its address with --url", e.URL, LastReason(e.Cause))
}

func (e Unreachable) Unwrap() error { return e.Cause }

// An Answered is an error that the server answered.
type Answered struct{ Cause *ops.Error }

func (e Answered) Error() string { return e.Cause.Message }

func (e Answered) Unwrap() error { return e.Cause }

// A Misuse is an address or a file that cannot be meant.
type Misuse struct{ Message string }

func (e Misuse) Error() string { return e.Message }

func misuse(format string, args ...any) error { return Misuse{fmt.Sprintf(format, args...)} }

// LastReason answers the last part of a network error, which is the one for
// people.
func LastReason(err error) string {
	parts := strings.Split(err.Error(), ": ")
	return parts[len(parts)-1]
}
