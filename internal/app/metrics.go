package app

import (
	"github.com/prometheus/client_golang/prometheus"
)

// selfMetrics answers Prometheus metrics about this process from the same
// statuses that people see.
type selfMetrics struct{ s *Server }

var (
	loopPasses    = prometheus.NewDesc("reeve_loop_passes_total", "Passes of a background loop.", []string{"loop"}, nil)
	loopFailures  = prometheus.NewDesc("reeve_loop_failures", "Failed passes since the last that succeeded.", []string{"loop"}, nil)
	loopSeconds   = prometheus.NewDesc("reeve_loop_last_pass_seconds", "How long the last pass took.", []string{"loop"}, nil)
	samplesTotal  = prometheus.NewDesc("reeve_samples_total", "Samples taken in.", nil, nil)
	droppedTotal  = prometheus.NewDesc("reeve_samples_dropped_total", "Samples that could not be kept.", nil, nil)
	reportsTotal  = prometheus.NewDesc("reeve_reports_total", "Reports of agents taken in.", nil, nil)
	seriesCount   = prometheus.NewDesc("reeve_metrics_series", "Series that had a sample lately.", nil, nil)
	metricsBytes  = prometheus.NewDesc("reeve_metrics_bytes", "Bytes of the metrics store on the disk.", nil, nil)
	degraded      = prometheus.NewDesc("reeve_metrics_degraded", "1 while the metrics store cannot keep samples.", nil, nil)
	resourceCount = prometheus.NewDesc("reeve_resources_judged", "Resources in the last pass of the watch.", nil, nil)
	verdictCount  = prometheus.NewDesc("reeve_verdicts", "Verdicts in the last pass of the watch.", []string{"known"}, nil)
	holdingCount  = prometheus.NewDesc("reeve_conditions_holding", "Conditions that are true but not yet for their hold time.", nil, nil)
)

// Describe sends nothing: the collector is checked when it collects.
func (m selfMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect sends the current values.
func (m selfMetrics) Collect(out chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, t, v, labels...)
	}
	m.s.collectModels(send)
	m.s.collectPatrol(send)
	for _, l := range m.s.loops.Statuses() {
		send(loopPasses, prometheus.CounterValue, float64(l.Passes), l.Name)
		send(loopFailures, prometheus.GaugeValue, float64(l.Failures), l.Name)
		send(loopSeconds, prometheus.GaugeValue, float64(l.LastPassMS)/1000, l.Name)
	}
	in, db, w := m.s.ingest.Stats(), m.s.metrics.Stats(), m.s.watch.Status()
	send(reportsTotal, prometheus.CounterValue, float64(in.Reports))
	send(samplesTotal, prometheus.CounterValue, float64(in.Samples))
	send(droppedTotal, prometheus.CounterValue, float64(in.Dropped))
	send(seriesCount, prometheus.GaugeValue, float64(db.Series))
	send(metricsBytes, prometheus.GaugeValue, float64(db.Bytes))
	bad := 0.0
	if db.Degraded {
		bad = 1
	}
	send(degraded, prometheus.GaugeValue, bad)
	send(resourceCount, prometheus.GaugeValue, float64(w.Resources))
	send(verdictCount, prometheus.GaugeValue, float64(w.Judged-w.Unknown), "yes")
	send(verdictCount, prometheus.GaugeValue, float64(w.Unknown), "no")
	send(holdingCount, prometheus.GaugeValue, float64(w.Holding))
}
