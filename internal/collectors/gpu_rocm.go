package collectors

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/internal/redact"
)

var _ = all.Add(collect.Definition{
	Name:        "gpu_rocm",
	Doc:         "Use, memory, temperature and power of AMD graphics processors, from rocm-smi.",
	Every:       30 * time.Second,
	Timeout:     20 * time.Second,
	Cost:        collect.Dear,
	Permissions: "groups render and video on some systems",
	Metrics: []collect.Metric{
		{Name: "gpu_busy_ratio", Unit: "ratio", Doc: "Part of the time the processor was busy."},
		{Name: "gpu_memory_used_ratio", Unit: "ratio", Doc: "Used part of its memory."},
		{Name: "gpu_memory_total_bytes", Unit: "bytes", Doc: "Its memory."},
		{Name: "gpu_temperature_celsius", Unit: "celsius", Doc: "Temperature of the processor at its edge."},
		{Name: "gpu_power_watts", Unit: "watts", Doc: "Power it draws."},
	},
	Kinds: []ops.Kind{ops.KindGPU},
	Open: func(env collect.Env) collect.Collector {
		return collect.Func(func(ctx context.Context, out *collect.Batch) error { return collectROCm(ctx, env, out) })
	},
})

func collectROCm(ctx context.Context, env collect.Env, out *collect.Batch) error {
	if _, ok := env.Tools("rocm-smi"); !ok {
		return collect.ErrAbsent
	}
	answer, err := env.Run(ctx, "rocm-smi", "--showproductname", "--showuniqueid", "--showdriverversion", "--showuse",
		"--showmeminfo", "vram", "--showtemp", "--showpower", "--json")
	if err != nil {
		return fmt.Errorf("rocm-smi: %w", err)
	}
	if answer.Exit != 0 {
		out.Gap("AMD GPUs", fmt.Sprintf("rocm-smi ends with status %d: %s", answer.Exit, redact.Line(string(answer.Stderr), 300)),
			"load the amdgpu driver, or disable the collector gpu_rocm")
		return nil
	}
	gpus, err := parseROCm(answer.Stdout)
	if err != nil {
		return err
	}
	for _, g := range gpus {
		reportROCm(out, g)
	}
	out.Whole(ops.KindGPU)
	return nil
}

func reportROCm(out *collect.Batch, g rocmGPU) {
	ref := out.Ref("rocm", "gpu:"+g.Key)
	out.See(ops.Sighting{Key: ref, Kind: ops.KindGPU, Name: fmt.Sprintf("GPU %s (%s)", g.Index, g.Model),
		Observed: ops.Attrs{"model": g.Model, "driver": g.Driver}})
	if v, ok := g.number("GPU use (%)"); ok {
		out.Add(ref, "gpu_busy_ratio", v/100)
	}
	if total, ok := g.number("VRAM Total Memory (B)"); ok && total > 0 {
		out.Add(ref, "gpu_memory_total_bytes", total)
		if used, ok := g.number("VRAM Total Used Memory (B)"); ok {
			out.Add(ref, "gpu_memory_used_ratio", used/total)
		}
	}
	// The junction runs some 20 degrees hotter by design; the edge compares
	// with what other makers report.
	if v, ok := g.number("Temperature (Sensor edge) (C)", "Temperature (Sensor junction) (C)", "Temperature (Sensor memory) (C)"); ok {
		out.Add(ref, "gpu_temperature_celsius", v)
	}
	if v, ok := g.number("Average Graphics Package Power (W)", "Current Socket Graphics Package Power (W)"); ok {
		out.Add(ref, "gpu_power_watts", v)
	}
}

// A rocmGPU is a card of rocm-smi.
type rocmGPU struct {
	Index, Key, Model, Driver string
	fields                    map[string]string
}

// number answers the first of the named fields that is a number. Versions of
// rocm-smi and models differ in what they have.
func (g rocmGPU) number(names ...string) (float64, bool) {
	for _, n := range names {
		v, err := strconv.ParseFloat(g.fields[n], 64)
		if err == nil && v >= 0 && v < 1e18 {
			return v, true
		}
	}
	return 0, false
}

var rocmCard = regexp.MustCompile(`^card([0-9]{1,3})$`)

// parseROCm reads the JSON of rocm-smi, which may have warnings before it.
func parseROCm(b []byte) ([]rocmGPU, error) {
	var doc map[string]map[string]any
	if start := bytes.IndexByte(b, '{'); start >= 0 {
		b = b[start:]
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("parse the answer of rocm-smi: %w", err)
	}
	driver := rocmText(doc["system"]["Driver version"])
	var gpus []rocmGPU
	for _, card := range slices.Sorted(maps.Keys(doc)) {
		m := rocmCard.FindStringSubmatch(card)
		if m == nil {
			continue
		}
		g := rocmGPU{Index: m[1], Key: m[1], Driver: driver, fields: map[string]string{}}
		for name, v := range doc[card] {
			g.fields[name] = rocmText(v)
		}
		g.Model = rocmFirst(g.fields, "Card Series", "Card series", "Card Model", "Card model")
		if id := g.fields["Unique ID"]; strings.HasPrefix(id, "0x") {
			g.Key = id
		}
		gpus = append(gpus, g)
	}
	return gpus, nil
}

func rocmFirst(fields map[string]string, names ...string) string {
	for _, n := range names {
		if v := fields[n]; v != "" && v != "N/A" {
			return v
		}
	}
	return "AMD GPU"
}

// rocmText answers a value as a bounded text, "" for what is no scalar.
func rocmText(v any) string {
	switch v := v.(type) {
	case string:
		return redact.Line(v, 100)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}
