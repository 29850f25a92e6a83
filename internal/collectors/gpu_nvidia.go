package collectors

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/internal/redact"
)

var _ = all.Add(collect.Definition{
	Name:        "gpu_nvidia",
	Doc:         "Use, memory, temperature and power of NVIDIA graphics processors, from nvidia-smi.",
	Every:       30 * time.Second,
	Timeout:     20 * time.Second,
	Cost:        collect.Dear,
	Permissions: "none",
	Metrics: []collect.Metric{
		{Name: "gpu_busy_ratio", Unit: "ratio", Doc: "Part of the time the processor was busy."},
		{Name: "gpu_memory_used_ratio", Unit: "ratio", Doc: "Used part of its memory."},
		{Name: "gpu_memory_total_bytes", Unit: "bytes", Doc: "Its memory."},
		{Name: "gpu_temperature_celsius", Unit: "celsius", Doc: "Temperature of the processor."},
		{Name: "gpu_power_watts", Unit: "watts", Doc: "Power it draws."},
	},
	Kinds: []ops.Kind{ops.KindGPU},
	Open: func(env collect.Env) collect.Collector {
		return collect.Func(func(ctx context.Context, out *collect.Batch) error { return collectNVIDIA(ctx, env, out) })
	},
})

// nvidiaFields are the columns asked for. The name comes third: it alone may
// hold a comma, so the others are counted from the ends.
const nvidiaFields = "index,uuid,name,driver_version,utilization.gpu,memory.used,memory.total,temperature.gpu,power.draw"

func collectNVIDIA(ctx context.Context, env collect.Env, out *collect.Batch) error {
	if _, ok := env.Tools("nvidia-smi"); !ok {
		return collect.ErrAbsent
	}
	answer, err := env.Run(ctx, "nvidia-smi", "--query-gpu="+nvidiaFields, "--format=csv,noheader,nounits")
	if err != nil {
		return fmt.Errorf("nvidia-smi: %w", err)
	}
	gpus := parseNVIDIA(answer.Stdout)
	if answer.Exit != 0 {
		why := redact.Line(string(answer.Stdout)+" "+string(answer.Stderr), 300)
		out.Gap("NVIDIA GPUs", fmt.Sprintf("nvidia-smi ends with status %d: %s", answer.Exit, why),
			"load the driver that fits nvidia-smi, or disable the collector gpu_nvidia")
		return nil
	}
	for _, g := range gpus {
		reportNVIDIA(out, g)
	}
	out.Whole(ops.KindGPU)
	return nil
}

func reportNVIDIA(out *collect.Batch, g nvidiaGPU) {
	ref := out.Ref("nvidia", "gpu:"+g.UUID)
	out.See(ops.Sighting{Key: ref, Kind: ops.KindGPU, Name: fmt.Sprintf("GPU %s (%s)", g.Index, g.Model),
		Observed: ops.Attrs{"model": g.Model, "driver": g.Driver}})
	const mebibyte = 1 << 20
	if total, ok := g.number(nvidiaMemoryTotal); ok && total > 0 {
		out.Add(ref, "gpu_memory_total_bytes", total*mebibyte)
		if used, ok := g.number(nvidiaMemoryUsed); ok {
			out.Add(ref, "gpu_memory_used_ratio", used/total)
		}
	}
	if v, ok := g.number(nvidiaUse); ok {
		out.Add(ref, "gpu_busy_ratio", v/100)
	}
	if v, ok := g.number(nvidiaTemperature); ok {
		out.Add(ref, "gpu_temperature_celsius", v)
	}
	if v, ok := g.number(nvidiaPower); ok {
		out.Add(ref, "gpu_power_watts", v)
	}
}

// The numeric columns of an answer, in their order.
const (
	nvidiaUse = iota
	nvidiaMemoryUsed
	nvidiaMemoryTotal
	nvidiaTemperature
	nvidiaPower
	nvidiaNumbers
)

// An nvidiaGPU is a line of nvidia-smi.
type nvidiaGPU struct {
	Index, UUID, Model, Driver string
	numbers                    []string
}

// number answers a numeric column; ok is false for one that this model does
// not have, which nvidia-smi writes as [N/A] or [Not Supported].
func (g nvidiaGPU) number(column int) (float64, bool) {
	v, err := strconv.ParseFloat(g.numbers[column], 64)
	return v, err == nil && v >= 0 && v < 1e9
}

// nvidiaMaxGPUs bounds a pass.
const nvidiaMaxGPUs = 64

// parseNVIDIA reads the answer to nvidiaFields; lines of another form are
// passed over.
func parseNVIDIA(b []byte) []nvidiaGPU {
	var gpus []nvidiaGPU
	for len(b) > 0 && len(gpus) < nvidiaMaxGPUs {
		var line []byte
		line, b = nextLine(b)
		f := strings.Split(string(line), ",")
		for i := range f {
			f[i] = redact.Line(f[i], 100)
		}
		driver := len(f) - nvidiaNumbers - 1
		if driver < 3 || f[1] == "" {
			continue
		}
		gpus = append(gpus, nvidiaGPU{Index: f[0], UUID: f[1], Model: strings.Join(f[2:driver], ", "),
			Driver: f[driver], numbers: f[driver+1:]})
	}
	return gpus
}
