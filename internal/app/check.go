package app

import (
	"log/slog"

	"reeve/internal/api"
	"reeve/internal/channels"
	"reeve/internal/collectors"
	"reeve/internal/config"
	"reeve/internal/detectors"
	"reeve/internal/notify"
	"reeve/internal/ops"
)

// CheckConfig answers what New would find wrong with a configuration, without
// opening or starting anything.
func CheckConfig(c config.Config) error {
	if _, err := rulesOf(c, detectors.All()); err != nil {
		return err
	}
	if _, err := settingsOf(c, collectors.All()); err != nil {
		return err
	}
	all, err := notify.OpenChannels(notify.NewEnv(slog.New(slog.DiscardHandler), c.PublicURL), channels.Get, c.Channels)
	if err != nil {
		return err
	}
	if err := channelErrors(all); err != nil {
		return err
	}
	if _, err := notify.NewPolicy(c.Notify, notify.Names(all)); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i, check := range c.Checks {
		if check.Name == "" {
			return ops.Errorf(ops.Invalid, "checks[%d] has no name", i)
		}
		if seen[check.Name] {
			return ops.Errorf(ops.Invalid, "checks: two are named %q", check.Name)
		}
		seen[check.Name] = true
		if err := api.CheckDefinition(check); err != nil {
			return err
		}
	}
	_, err = oidcOf(c)
	return err
}

// channelErrors answers the first mistake in the settings of channels.
func channelErrors(all []notify.Configured) error {
	for _, c := range all {
		if c.Err == nil {
			continue
		}
		message, fields := ops.Shown(c.Err)
		if message == "" {
			message = "it cannot be opened; the log says why"
		}
		err := ops.Because(ops.Invalid, c.Err, "channel %s: %s", c.Name, message)
		err.Fields = fields
		return err
	}
	return nil
}
