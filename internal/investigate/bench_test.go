package investigate

import (
	"context"
	"fmt"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tsdb"
	"reeve/test/storetest"
)

// BenchmarkRunbook looks into a full memory on a host with 300 containers,
// without a model: from the wish to the stored outcome.
func BenchmarkRunbook(b *testing.B) {
	w := newWorld(b, storetest.SQLite(b))
	now := time.Now()
	w.tx(now, func(ctx context.Context, tx *store.Tx) error {
		for n := range 300 {
			r := w.web
			r.ID, r.Name, r.Key.Key = ops.NewID(ops.ResourceID), fmt.Sprintf("app-%d", n), fmt.Sprint(n)
			if err := tx.SaveResource(ctx, r, ""); err != nil {
				return err
			}
			var samples []tsdb.Sample
			for m := range 120 {
				samples = append(samples, tsdb.Sample{Ref: w.metrics.Ref("alpha", r.ID, "container_memory_bytes", nil), At: now.Add(time.Duration(m-120) * time.Minute), Value: float64(n) * 1e6})
			}
			if err := w.metrics.Append(ctx, samples); err != nil {
				return err
			}
		}
		return nil
	})
	w.web = w.host
	i := w.incident("host_memory_high", ops.Critical, now.Add(-20*time.Minute))
	for b.Loop() {
		if _, err := w.v.Ask(b.Context(), i.ID, "user:ann", ""); err != nil {
			b.Fatal(err)
		}
		w.work()
	}
}
