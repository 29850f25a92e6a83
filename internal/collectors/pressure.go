package collectors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

var _ = all.Add(collect.Definition{
	Name: "pressure", Doc: "Pressure stall information: how long tasks waited for processor, memory and I/O.",
	Every: 10 * time.Second, Cost: collect.Cheap, Permissions: "none",
	Metrics: []collect.Metric{
		{Name: "pressure_some_ratio", Unit: "ratio", Doc: "Share of the last minute in which at least one task waited.", Labels: []string{"what"}},
		{Name: "pressure_full_ratio", Unit: "ratio", Doc: "Share of the last minute in which every task waited.", Labels: []string{"what"}},
	},
	Kinds: []ops.Kind{ops.KindHost},
	Open: func(env collect.Env) collect.Collector {
		return collect.Func(func(_ context.Context, out *collect.Batch) error {
			return collectPressure(env, out)
		})
	},
})

func collectPressure(env collect.Env, out *collect.Batch) error {
	proc, err := procfs.NewFS(env.Proc)
	if err != nil {
		return err
	}
	var failed []error
	for _, what := range []string{"cpu", "memory", "io"} {
		psi, err := proc.PSIStatsForResource(what)
		switch {
		case missing(err):
			out.Gap("pressure stall", "this kernel does not have /proc/pressure", "use a kernel of 4.20 or later that is built with CONFIG_PSI")
			return nil
		case errors.Is(err, unix.EOPNOTSUPP):
			out.Gap("pressure stall", "it is switched off in this kernel", "add psi=1 to the kernel's command line")
			return nil
		case err != nil:
			failed = append(failed, fmt.Errorf("read pressure of %s: %w", what, err))
			continue
		}
		addPressure(out, "pressure_some_ratio", what, psi.Some)
		addPressure(out, "pressure_full_ratio", what, psi.Full)
	}
	return errors.Join(failed...)
}

// addPressure reports the mean of a minute. Kernels before 5.13 have no full
// line for the processor.
func addPressure(out *collect.Batch, metric, what string, line *procfs.PSILine) {
	if line != nil && line.Avg60 >= 0 && line.Avg60 <= 100 {
		out.Add(out.HostRef(), metric, line.Avg60/100, "what", what)
	}
}
