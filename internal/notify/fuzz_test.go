package notify

import (
	"net/http"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"reeve/internal/ops"
)

func FuzzRetryAfter(f *testing.F) {
	f.Add("10", `{"retry_after":1.5}`)
	f.Add("Wed, 21 Oct 2026 07:28:00 GMT", `{"parameters":{"retry_after":35}}`)
	f.Add("-1e309", `{"retry_after_ms":1e300}`)
	f.Fuzz(func(t *testing.T, header, body string) {
		for _, got := range []time.Duration{retryAfter(http.Header{"Retry-After": {header}}, t0), retryAfterBody([]byte(body))} {
			if got < 0 || got > retryAfterLimit {
				t.Errorf("%v", got)
			}
		}
	})
}

// What people write under notify is taken or refused with a reason, and a
// policy that was taken decides.
func FuzzRules(f *testing.F) {
	f.Add("routes: [{severities: critical, channels: a, labels: {x: y}}]\nquiet_hours: [{from: '22:00', to: '07:00', days: [mon]}]")
	f.Add("channel_max_per_hour: 5\ndigest_every: 1d\ntime_zone: Europe/Berlin")
	f.Add("quiet_hours: [{from: 1, to: [2]}]")
	f.Fuzz(func(t *testing.T, text string) {
		var raw map[string]any
		if yaml.Unmarshal([]byte(text), &raw) != nil {
			return
		}
		p, err := NewPolicy(raw, []string{"a"})
		if err != nil {
			if ops.KindOf(err) != ops.Invalid || err.Error() == "" {
				t.Errorf("refused as %v: %v", ops.KindOf(err), err)
			}
			return
		}
		d := queuedAt(1, t0, "inc_1", ops.Warning, ops.MessageOpened)
		if got := p.Decide(t0, Load{}, d); got.Do == "" || got.Do == Hold && !got.Until.After(t0) {
			t.Errorf("%+v", got)
		}
	})
}

func FuzzBudget(f *testing.F) {
	f.Add(`{"channels":{"a":{"minutes":{"29000000":3},"digest_ms":1}}}`)
	f.Add(`{"channels":null}`)
	f.Add(`{"channels":{"a":null}}`)
	f.Fuzz(func(t *testing.T, text string) {
		b, err := ReadBudget(text)
		if err != nil {
			return
		}
		b.Count(t0, "a", ops.MessageOpened)
		b.Load(t0, "a")
		b.Refund(t0, "a", ops.MessageOpened)
		if _, err := ReadBudget(b.String(t0)); err != nil {
			t.Error(err)
		}
	})
}
