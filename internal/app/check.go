package app

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

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
	if err := addressErrors(c); err != nil {
		return err
	}
	if _, err := rulesOf(c, detectors.All()); err != nil {
		return err
	}
	if _, err := settingsOf(c, collectors.All()); err != nil {
		return err
	}
	all, err := notify.OpenChannels(notify.NewEnv(slog.New(slog.DiscardHandler), unopened, c.PublicURL), channels.Get, c.Channels)
	if err != nil {
		return err
	}
	if err := channelErrors(c, all); err != nil {
		return err
	}
	if _, err := notify.NewPolicy(c.Notify, notify.Names(all)); err != nil {
		return c.Because(keyOf("notify", err), err)
	}
	if _, err := modelsOf(c, unopened); err != nil {
		return err
	}
	if err := checkErrors(c); err != nil {
		return err
	}
	if err := errors.Join(workloadErrors(c), composeErrors(c)); err != nil {
		return err
	}
	if err := patrolErrors(c); err != nil {
		return err
	}
	if _, err := investigateSettings(c); err != nil {
		return err
	}
	if _, err = oidcOf(c, unopened); ops.KindOf(err) == ops.Unavailable {
		return nil
	}
	return err
}

// checkErrors answers the first mistake in the declared checks.
func checkErrors(c config.Config) error {
	seen := map[string]bool{}
	for i, check := range c.Checks {
		key := fmt.Sprintf("checks[%d]", i)
		if check.Name == "" {
			return c.Because(key, ops.Errorf(ops.Invalid, "checks[%d] has no name", i))
		}
		if seen[check.Name] {
			return c.Because(key+".name", ops.Errorf(ops.Invalid, "checks: two are named %q", check.Name))
		}
		seen[check.Name] = true
		if err := api.CheckDefinition(check); err != nil {
			return c.Because(keyOf(key, err), err)
		}
	}
	return nil
}

// channelErrors answers the first mistake in the settings of channels. A sealed
// setting that cannot be opened is none.
func channelErrors(c config.Config, all []notify.Configured) error {
	for _, channel := range all {
		if channel.Err == nil || ops.KindOf(channel.Err) == ops.Unavailable {
			continue
		}
		message, fields := ops.Shown(channel.Err)
		if message == "" {
			message = "it cannot be opened; the log says why"
		}
		i := slices.IndexFunc(c.Channels, func(settings map[string]any) bool { return settings["name"] == channel.Name })
		err := ops.Errorf(ops.Invalid, "channel %s: %s", channel.Name, message)
		err.Fields = fields
		return c.Because(keyOf(fmt.Sprintf("channels[%d]", i), err), err)
	}
	return nil
}

// keyOf answers the key of the setting below another of which an error tells.
func keyOf(key string, err error) string {
	message, fields := ops.Shown(err)
	names := slices.Sorted(maps.Keys(fields))
	if len(names) == 0 {
		return key
	}
	told := slices.IndexFunc(names, func(n string) bool { return strings.Contains(message, "setting "+n+":") })
	return key + "." + names[max(0, told)]
}
