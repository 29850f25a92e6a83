package app

import (
	"log/slog"

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
	}
	_, err = oidcOf(c)
	return err
}
