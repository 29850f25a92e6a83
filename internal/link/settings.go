package link

import (
	"encoding/json"
	"time"

	"reeve/internal/ops"
)

// Settings are what a server tells an agent to do. Unknown keys are of a
// newer server and stay without effect.
type Settings struct {
	Collectors map[string]Collector `json:"collectors"`
}

// A Collector is the setting of one.
type Collector struct {
	EveryMS int64             `json:"every_ms,omitempty"` // 0 for the collector's own
	Enabled *bool             `json:"enabled,omitempty"`
	Options map[string]string `json:"options,omitempty"`
}

// ParseSettings reads settings.
func ParseSettings(text []byte) (s Settings, err error) {
	if len(text) == 0 {
		return s, nil
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, ops.Because(ops.Invalid, err, "the server's settings cannot be read")
	}
	return s, nil
}

// Every answers the period.
func (c Collector) Every() time.Duration { return time.Duration(c.EveryMS) * time.Millisecond }
