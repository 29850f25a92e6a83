// Command reeve-agent watches one host for a Reeve server on another machine.
// Nothing of the server is in it.
package main

import (
	"cmp"
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"reeve/internal/agentcli"
)

// version is set by the linker where a release is built.
var version string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // A second interrupt ends the process at once.
	if info, ok := debug.ReadBuildInfo(); version == "" && ok {
		version = cmp.Or(info.Main.Version, "(devel)")
	}
	os.Exit(agentcli.Run(ctx, agentcli.Program{Version: version, Out: os.Stdout, Err: os.Stderr, Env: os.Environ()}, os.Args[1:]))
}
