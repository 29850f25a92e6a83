// Command reeve is the whole product: the server with the page and an agent
// for this machine, and the command line client.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"reeve/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // A second interrupt ends the process at once.
	os.Exit(cli.Run(ctx, cli.Program{
		Version: version(), Args: os.Args[1:], In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Environ(),
		Up: up, CheckConfig: checkConfig,
	}))
}
