package main

import (
	"context"
	"fmt"
	"log/slog"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"reeve/internal/app"
	"reeve/internal/cli"
	"reeve/internal/config"
	"reeve/web"
)

const (
	stopWithin = 20 * time.Second
	checkEvery = time.Second
)

// version answers the version that the build carries.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// up runs the server until ctx ends.
func up(ctx context.Context, u cli.UpOptions) error {
	app.SaveMemory()
	// A reader of the output that goes away, as in `reeve up | head`, is no
	// reason to stop watching.
	signal.Ignore(syscall.SIGPIPE)
	c, file, err := config.Load(config.Sources{File: u.ConfigFile, Env: u.Env, Flags: u.Flags})
	if err != nil {
		return err
	}
	log, err := logger(u, c.LogLevel)
	if err != nil {
		return err
	}
	page, err := web.Handler("/")
	if err != nil {
		return fmt.Errorf("open the page: %w", err)
	}
	s, err := app.New(ctx, app.Options{Config: c, ConfigFile: file, Log: log, Version: version(), Page: page})
	if err != nil {
		return err
	}
	s.Start(ctx)
	if err := greet(ctx, u, s, c); err != nil {
		log.Error("the sign-in link could not be made", "err", err)
	}
	failed := wait(ctx, s)
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	fmt.Fprintln(u.Err, "stopping")
	if err := s.Stop(stopping); err != nil {
		return err
	}
	return failed
}

// checkConfig answers what a start would find wrong with the configuration.
func checkConfig(_ context.Context, u cli.UpOptions) (file string, err error) {
	c, file, err := config.Load(config.Sources{File: u.ConfigFile, Env: u.Env, Flags: u.Flags})
	if err != nil {
		return file, err
	}
	if _, err := logger(u, c.LogLevel); err != nil {
		return file, err
	}
	return file, app.CheckConfig(c)
}

func wait(ctx context.Context, s *app.Server) error {
	ticker := time.NewTicker(checkEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := s.Failed(); err != nil {
				return err
			}
		}
	}
}

// greet says where the page is, and how to get in the first time.
func greet(ctx context.Context, u cli.UpOptions, s *app.Server, c config.Config) error {
	fmt.Fprintf(u.Out, "Reeve watches this machine.\n  page      %s\n", s.URL())
	if secure := s.SecureURL(); secure != "" {
		fmt.Fprintf(u.Out, "  network   %s\n", secure)
	}
	fmt.Fprintf(u.Out, "  data      %s\n", c.Data)
	link, err := s.SignInLink(ctx)
	if err != nil {
		return err
	}
	if link != "" {
		fmt.Fprintf(u.Out, "  sign in   %s\n            (once, from this machine, within 15 minutes; `reeve signin` makes another)\n", link)
	}
	return nil
}

func logger(u cli.UpOptions, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(strings.ToUpper(level))); err != nil {
		return nil, fmt.Errorf("log_level %q: use debug, info, warn or error", level)
	}
	return slog.New(slog.NewTextHandler(u.Err, &slog.HandlerOptions{Level: l})), nil
}
