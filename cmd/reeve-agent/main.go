// Command reeve-agent watches one host for a Reeve server on another machine.
// Nothing of the server is in it.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"reeve/internal/agentcli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // A second interrupt ends the process at once.
	version := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	os.Exit(agentcli.Run(ctx, agentcli.Program{Version: version, Out: os.Stdout, Err: os.Stderr, Env: os.Environ()}, os.Args[1:]))
}
