package app

import (
	"fmt"
	"slices"
	"time"

	"reeve/internal/config"
	"reeve/internal/drivers"
	"reeve/internal/ops"
	"reeve/internal/workload"
)

// workloadErrors answers the first mistake in the declared workloads.
func workloadErrors(c config.Config) error {
	named := map[place]bool{}
	for i, w := range c.Workloads {
		wrong, err := wrongWorkload(c, w, named)
		if err != nil {
			key := fmt.Sprintf("workloads[%d].%s", i, wrong)
			return c.Because(key, ops.Errorf(ops.Invalid, "%s: %v", key, err))
		}
	}
	return nil
}

// wrongWorkload answers the first mistake in an entry, and the key that it is
// in. The names before it are in named.
func wrongWorkload(c config.Config, w config.Workload, named map[place]bool) (key string, err error) {
	driver, known := drivers.Get(w.Driver)
	never := driver.RefuseDesired(workload.State(w.Desired))
	_, window := w.At(time.Now())
	switch {
	case !known:
		return "driver", errForm
	case w.Host == "" && !c.Agent.Enabled:
		return "host", ops.Errorf(ops.Invalid, "no host is named, and this server does not watch its own machine (agent.enabled is false)")
	case count(w.Name != "", w.Compose != "", w.Enabled) != 1:
		return "name", errForm
	case w.Enabled && w.Driver != "systemd":
		return "enabled", ops.Errorf(ops.Invalid, "what is enabled is known of the driver systemd alone")
	case w.Replicas != nil && (w.Name == "" || w.Driver == "systemd"):
		return "replicas", ops.Errorf(ops.Invalid, "replicas stand with the name of containers; a compose file says its own")
	case w.Desired != "" && !slices.Contains([]string{"running", "paused", "stopped", "absent"}, w.Desired):
		return "desired", errForm
	case never != nil:
		return "desired", never
	case window != nil:
		return "window", window
	}
	return wrongNames(w, named)
}

var errForm = ops.Errorf(ops.Invalid, "a workload has a driver of `reeve drivers`; a name, a compose file, or enabled with the driver systemd; and is desired running, paused, stopped or absent")

// composeErrors answers the first compose file that cannot be read or
// understood. A start goes on without it: it may be on a disk that comes later.
func composeErrors(c config.Config) error {
	for i, w := range c.Workloads {
		if w.Compose == "" {
			continue
		}
		if _, err := w.Expanded(); err != nil {
			key := fmt.Sprintf("workloads[%d].compose", i)
			return c.Because(key, ops.Errorf(ops.Invalid, "%s: %v", key, err))
		}
	}
	return nil
}

// wrongNames answers what is wrong with the names that an entry comes to.
func wrongNames(w config.Workload, named map[place]bool) (key string, err error) {
	if w.Name == "" {
		return "", nil // a name that stands by itself outdoes it
	}
	all, err := w.Expanded()
	if err != nil {
		return "replicas", err
	}
	for _, one := range all {
		p := place{one.Host, one.Driver, one.Name}
		if named[p] {
			return "name", ops.Errorf(ops.Invalid, "%s is declared twice", p.name)
		}
		named[p] = true
	}
	return "", nil
}

// count answers how many are set.
func count(set ...bool) (n int) {
	for _, x := range set {
		if x {
			n++
		}
	}
	return n
}
