package collectors

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/procfs"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

var _ = all.Add(collect.Definition{
	Name: "load", Doc: "Load averages: tasks that run, want to run or wait for a disk.",
	Every: 10 * time.Second, Cost: collect.Cheap, Permissions: "none",
	Metrics: []collect.Metric{
		{Name: "load1", Unit: "count", Doc: "Mean number of runnable and uninterruptible tasks over 1 minute."},
		{Name: "load5", Unit: "count", Doc: "Mean number of runnable and uninterruptible tasks over 5 minutes."},
		{Name: "load15", Unit: "count", Doc: "Mean number of runnable and uninterruptible tasks over 15 minutes."},
	},
	Kinds: []ops.Kind{ops.KindHost},
	Open: func(env collect.Env) collect.Collector {
		return collect.Func(func(_ context.Context, out *collect.Batch) error {
			proc, err := procfs.NewFS(env.Proc)
			if err != nil {
				return err
			}
			load, err := proc.LoadAvg()
			if err != nil {
				return fmt.Errorf("read load averages: %w", err)
			}
			if !(load.Load1 >= 0 && load.Load5 >= 0 && load.Load15 >= 0) {
				return fmt.Errorf("read load averages: %v is not a load", *load)
			}
			out.Add(out.HostRef(), "load1", load.Load1)
			out.Add(out.HostRef(), "load5", load.Load5)
			out.Add(out.HostRef(), "load15", load.Load15)
			return nil
		})
	},
})
