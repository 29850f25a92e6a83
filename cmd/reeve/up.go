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

// released is set by the linker where a release is built.
var released string

// version answers the version that the build carries.
func version() string {
	if released != "" {
		return released
	}
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
	log, err := logger(u, c)
	if err != nil {
		return err
	}
	page, err := web.Handler("/")
	if err != nil {
		return fmt.Errorf("open the page: %w", err)
	}
	s, err := app.New(ctx, app.Options{Config: c, ConfigFile: file, Log: log, Version: version(), Page: page})
	for err == nil {
		s.Start(ctx)
		if err := greet(ctx, u, s, c); err != nil {
			log.Error("the sign-in link could not be made", "err", err)
		}
		again, failed := wait(ctx, s)
		if !again {
			return stop(ctx, u, s, failed)
		}
		fmt.Fprintln(u.Err, "a backup was uploaded: stopping, to go on with it")
		s, err = next(ctx, s)
	}
	return err
}

// stop ends the server; failed is why, nil when it was asked to.
func stop(ctx context.Context, u cli.UpOptions, s *app.Server, failed error) error {
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	fmt.Fprintln(u.Err, "stopping")
	if err := s.Stop(stopping); err != nil {
		return err
	}
	return failed
}

// next answers the server that goes on in the place of one that restored its
// database.
func next(ctx context.Context, s *app.Server) (*app.Server, error) {
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	return s.Next(ctx, stopping)
}

// checkConfig answers what a start would find wrong with the configuration.
func checkConfig(_ context.Context, u cli.UpOptions) (file string, err error) {
	c, file, err := config.Load(config.Sources{File: u.ConfigFile, Env: u.Env, Flags: u.Flags})
	if err != nil {
		return file, err
	}
	if _, err := logger(u, c); err != nil {
		return file, err
	}
	return file, app.CheckConfig(c)
}

// wait waits for the end of ctx, for a failure, or until another server shall
// go on in the place of this one.
func wait(ctx context.Context, s *app.Server) (again bool, failed error) {
	ticker := time.NewTicker(checkEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, nil
		case <-s.Again():
			return true, nil
		case <-ticker.C:
			if err := s.Failed(); err != nil {
				return false, err
			}
		}
	}
}

// greet says where the page is, and how to get in the first time.
func greet(ctx context.Context, u cli.UpOptions, s *app.Server, c config.Config) error {
	watched := "this machine"
	if !c.Agent.Enabled {
		watched = "the machines whose agents join it"
	}
	fmt.Fprintf(u.Out, "Reeve watches %s.\n  page      %s\n", watched, s.URL())
	if secure := s.SecureURL(); secure != "" {
		fmt.Fprintf(u.Out, "  network   %s\n", secure)
	}
	fmt.Fprintf(u.Out, "  data      %s\n", c.Data)
	former, err := s.Former(ctx)
	if err != nil {
		return err
	}
	for _, h := range former {
		fmt.Fprintf(u.Out, "  left out  %s was watched by the agent inside; `reeve host remove %s` forgets it\n", h.Name, h.Name)
	}
	link, err := s.SignInLink(ctx)
	if err != nil {
		return err
	}
	if link != "" {
		fmt.Fprintf(u.Out, "  sign in   %s\n            (once, from this machine, within 15 minutes; `reeve signin` makes another)\n", link)
	}
	return nil
}

func logger(u cli.UpOptions, c config.Config) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(strings.ToUpper(c.LogLevel))); err != nil {
		return nil, c.Because("log_level", fmt.Errorf("log_level %q: use debug, info, warn or error", c.LogLevel))
	}
	return slog.New(slog.NewTextHandler(u.Err, &slog.HandlerOptions{Level: l})), nil
}
