// Package cli is the command line: the verbs of the client, which speak to a
// server through its HTTP API, and the ones that start or repair a server.
//
// A verb is a method of session that answers a cobra command: verbs.go lists
// them. It asks the server through package client, prints through package show
// or on the session's page (tables, or with -o json the API's own JSON) and
// answers an error, which Run turns into a sentence and an exit code. Whatever
// comes from the estate is printed through package term, which takes control
// characters out.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"reeve/internal/dial"
	"reeve/internal/glyph"
	"reeve/internal/ops"
)

// A Program is the process as the command line sees it.
type Program struct {
	Version  string
	Args     []string
	In       io.Reader
	Out, Err io.Writer
	Env      []string
	// Up runs the server until ctx ends.
	Up func(ctx context.Context, u UpOptions) error
	// CheckConfig answers what is wrong with a configuration that a server
	// would be started with, and which file was read, "" for none.
	CheckConfig func(ctx context.Context, u UpOptions) (file string, err error)
}

// UpOptions are what `reeve up` was started with.
type UpOptions struct {
	ConfigFile string
	Flags      map[string]string // dotted keys of the configuration
	Env        []string
	Out, Err   io.Writer
}

// The exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitWrongUse    = 2
	exitRefused     = 3
	exitUnreachable = 4
)

// A usageError is a command line that cannot be understood.
type usageError struct {
	message string
	see     string // the command whose help tells more
}

func (e usageError) Error() string { return e.message }

// wrongUse makes an error of the one who typed.
func wrongUse(format string, args ...any) error {
	return usageError{message: fmt.Sprintf(format, args...)}
}

// answered makes an error of the kind that a server answers.
func answered(e *ops.Error) error { return dial.Answered{Cause: e} }

// Run runs one command and answers its exit code.
func Run(ctx context.Context, p Program) int {
	s := newSession(p)
	root := s.root()
	root.SetArgs(p.Args)
	err := root.ExecuteContext(ctx)
	if err == nil || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return exitDone
	}
	s.complain(err)
	return exitCode(err)
}

func exitCode(err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return exitWrongUse
	}
	if _, ok := errors.AsType[dial.Misuse](err); ok {
		return exitWrongUse
	}
	if _, ok := errors.AsType[dial.Unreachable](err); ok {
		return exitUnreachable
	}
	if e, ok := errors.AsType[dial.Answered](err); ok {
		switch e.Cause.Kind {
		case ops.Invalid:
			return exitWrongUse
		case ops.Forbidden, ops.Unauthentic:
			return exitRefused
		}
	}
	return exitFailed
}

// complain says what went wrong in one sentence, with what to do.
func (s *session) complain(err error) {
	fmt.Fprintf(s.program.Err, "reeve: %s\n", glyph.Harmless(err.Error()))
	if e, ok := errors.AsType[dial.Answered](err); ok {
		for _, name := range slices.Sorted(maps.Keys(e.Cause.Fields)) {
			if what := e.Cause.Fields[name]; !strings.Contains(e.Cause.Message, what) {
				fmt.Fprintf(s.program.Err, "  %s: %s\n", glyph.Harmless(name), glyph.Harmless(what))
			}
		}
	}
	if e, ok := errors.AsType[usageError](err); ok && e.see != "" {
		fmt.Fprintf(s.program.Err, "See `%s --help`.\n", e.see)
	}
}
