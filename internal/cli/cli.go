// Package cli is the command line: the verbs of the client, which speak to a
// server through its API, and the ones that start a server.
package cli

import (
	"context"
	"io"
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
}

// UpOptions are what `reeve up` was started with.
type UpOptions struct {
	ConfigFile string
	Flags      map[string]string // dotted keys of the configuration
	Env        []string
	Out, Err   io.Writer
}

// Run runs one command and answers its exit code.
func Run(ctx context.Context, p Program) int {
	flags := map[string]string{}
	for i := 1; i+1 < len(p.Args); i += 2 {
		flags[p.Args[i][2:]] = p.Args[i+1]
	}
	if err := p.Up(ctx, UpOptions{Flags: flags, Env: p.Env, Out: p.Out, Err: p.Err}); err != nil {
		io.WriteString(p.Err, err.Error()+"\n")
		return 1
	}
	return 0
}
