package tsdb

import (
	"maps"
	"net/http"
	"slices"
	"sync"

	"github.com/prometheus/common/model"
)

// typeName names a metric type of remote write 1.
func typeName(t int32) string {
	names := [...]model.MetricType{
		model.MetricTypeUnknown, model.MetricTypeCounter, model.MetricTypeGauge, model.MetricTypeHistogram,
		model.MetricTypeGaugeHistogram, model.MetricTypeSummary, model.MetricTypeInfo, model.MetricTypeStateset,
	}
	if t < 0 || int(t) >= len(names) {
		return string(model.MetricTypeUnknown)
	}
	return string(names[t])
}

// described is what is known of a metric besides its samples.
type described struct {
	Type string `json:"type"`
	Help string `json:"help"`
	Unit string `json:"unit"`
}

// maxDescribed bounds how many metrics are described and how long.
const (
	maxDescribed = 20_000
	maxHelp      = 1 << 10
)

// metadata holds the descriptions that came with remote writes, in memory
// only: senders repeat them.
type metadata struct {
	mu       sync.Mutex
	byMetric map[string]described
}

func (m *metadata) note(metric string, d described) {
	if metric == "" || len(metric) > maxHelp || len(d.Help) > maxHelp || len(d.Unit) > maxHelp {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byMetric == nil {
		m.byMetric = map[string]described{}
	}
	if _, ok := m.byMetric[metric]; ok || len(m.byMetric) < maxDescribed {
		m.byMetric[metric] = d
	}
}

func (s server) metadata(r *http.Request) (answer, error) {
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	metric := r.FormValue("metric")
	all := map[string][]described{}
	m := &s.db.meta
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(m.byMetric)) {
		if limit > 0 && len(all) == limit {
			break
		}
		if metric == "" || metric == name {
			all[name] = []described{m.byMetric[name]}
		}
	}
	return plain(all, nil), nil
}
