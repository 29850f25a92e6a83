package api_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
)

// fill adds resources that look like containers.
func (w *world) fill(n int) {
	now := time.Now().UTC()
	w.tx(func(tx *store.Tx) error {
		for i := range n {
			r := resourceOf("h1", "docker", fmt.Sprint("c", i), ops.KindContainer, fmt.Sprintf("shop-web-%04d", i), now)
			r.HostID, r.ParentID = w.host.ID, w.host.ID
			r.Labels = map[string]string{"project": "shop", "service": "web", "tier": fmt.Sprint(i % 3)}
			r.Observed = ops.Attrs{"runtime": "docker", "id": "4f6c9be9a0d1", "state": "running", "health": "healthy", "exit_code": "0", "oom_killed": "false",
				"restart_policy": "always", "started_at": "2026-01-05T08:00:00Z", "image": "registry.example.org/shop/web:1.4.2",
				"image_digest": "sha256:0a1b2c3d4e5f60718293a4b5c6d7e8f9", "project": "shop", "service": "web", "restart_count": "0"}
			if err := tx.SaveResource(w.t.Context(), r, "x"); err != nil {
				return err
			}
		}
		return nil
	})
}

func benchmarkGet(b *testing.B, path string) {
	w := newWorld(b)
	w.fill(1350)
	token := w.admin().newToken("read")
	client := &http.Client{Transport: &http.Transport{}}
	b.ReportAllocs()
	for b.Loop() {
		req, err := http.NewRequest("GET", w.http.URL+path, nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != 200 {
			b.Fatal(res.StatusCode, err)
		}
		b.SetBytes(n)
	}
}

// The whole estate of 1,353 resources: below 30 ms.
func BenchmarkWholeEstate(b *testing.B) { benchmarkGet(b, "/api/v1/resources?all=true") }

// The same without the picture that is kept: a filter makes it be read anew.
func BenchmarkWholeEstateRead(b *testing.B) { benchmarkGet(b, "/api/v1/resources?all=true&sort=name") }

// One page: below 5 ms.
func BenchmarkPage(b *testing.B) { benchmarkGet(b, "/api/v1/resources?limit=50") }

func BenchmarkStatus(b *testing.B) { benchmarkGet(b, "/api/v1/status") }

// One transition to a thousand who listen.
func BenchmarkStreamToThousand(b *testing.B) {
	w := newWorld(b)
	c := w.admin()
	c.token = c.newToken("read")
	const many = 1000
	got := make(chan struct{}, many)
	for range many {
		r, end := c.listen(b.Context(), "")
		defer end()
		if _, ok := next(r); !ok {
			b.Fatal("no hello")
		}
		go func() {
			for {
				e, ok := next(r)
				if !ok {
					return
				}
				if e.event == "transition" {
					got <- struct{}{}
				}
			}
		}()
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	b.ReportMetric(float64(mem.Sys)/(1<<20), "MB-sys-both-sides")
	for b.Loop() {
		w.record(1, "bench")
		for range many {
			<-got
		}
	}
}
