package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"reeve/internal/fleet"
	"reeve/internal/ops"
	"reeve/internal/reach"
	"reeve/internal/store"
)

const (
	reachHosts  = 100_000
	reachRounds = 5
)

// databases are what the passes over many rows are timed on: SQLite, and the
// PostgreSQL that the environment names, as for tests.
func databases(dir string) map[string]string {
	all := map[string]string{"SQLite": "sqlite:" + filepath.Join(dir, "reeve.db")}
	if url := os.Getenv("TEST_POSTGRES"); url != "" {
		all["PostgreSQL"] = url
	}
	return all
}

// measureReach times the pass that says which of many hosts are reachable.
func measureReach(ctx context.Context, b *bench) error {
	b.judgePure()
	return b.onEach(ctx, "reach", func(name string, t timing) {
		b.add(Line{What: "Reachability of 100,000 hosts, whole pass on " + name, Value: t.PassMS, Unit: "ms", Bar: 1000,
			Note: fmt.Sprintf("median of %d; processor time %.0f ms", reachRounds, t.CPUMS)})
	})
}

func (b *bench) judgePure() {
	e := reach.Estate{Uptime: time.Hour, Proven: true}
	for i := range reachHosts {
		h := reach.Host{ID: fmt.Sprint(i), State: ops.HostOnline, Beat: 3 * time.Second, Proof: 5 * time.Second, Report: 8 * time.Second,
			Every: ops.HeartbeatEvery, Grace: ops.SilenceGrace, InState: time.Hour}
		if i%100 == 0 {
			h.Beat = 5 * time.Minute
		}
		e.Hosts = append(e.Hosts, h)
	}
	var times []float64
	for range reachRounds {
		began := time.Now()
		reach.Judge(e)
		times = append(times, ms(time.Since(began)))
	}
	slices.Sort(times)
	b.add(Line{What: "Reachability of 100,000 hosts, the judgement alone", Value: times[reachRounds/2], Unit: "ms", Bar: 1000, Note: "one in a hundred silent"})
}

// A timing is what a child that times passes tells.
type timing struct {
	PassMS, CPUMS float64
	// OtherMS and OtherCPU are of the passes that change something.
	OtherMS, OtherCPU float64
}

// onEach runs a child on every database and hands on what it tells.
func (b *bench) onEach(ctx context.Context, child string, tell func(name string, t timing)) error {
	dir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()
	all := databases(dir)
	for _, name := range []string{"SQLite", "PostgreSQL"} {
		url, ok := all[name]
		if !ok {
			fmt.Println("  TEST_POSTGRES is not set: scripts/bench starts a PostgreSQL for this")
			continue
		}
		url, err := freshDatabase(ctx, url)
		if err != nil {
			return err
		}
		text, err := selfOutput(ctx, url, child)
		if err != nil {
			return err
		}
		var t timing
		if err := json.Unmarshal(text, &t); err != nil {
			return fmt.Errorf("read what the child tells: %w: %.300s", err, text)
		}
		tell(name, t)
	}
	return nil
}

// middle answers the medians of rounds of f: time, and processor time of this
// process.
func middle(rounds int, f func() error) (took, cpu float64, err error) {
	var times, cpus []float64
	for range rounds {
		before, began := ownCPU(), time.Now()
		if err := f(); err != nil {
			return 0, 0, err
		}
		times, cpus = append(times, ms(time.Since(began))), append(cpus, ms(ownCPU()-before))
	}
	slices.Sort(times)
	slices.Sort(cpus)
	return times[rounds/2], cpus[rounds/2], nil
}

// judgeHosts is the child: dir is the address of a database.
func judgeHosts(ctx context.Context, url string) (err error) {
	st, err := store.Open(ctx, quiet, store.Options{URL: url})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if err := addHosts(ctx, st, reachHosts); err != nil {
		return err
	}
	f, err := fleet.New(ctx, fleet.Options{Log: quiet, Store: st, Server: ops.NewID(ops.ServerID), Version: "bench",
		Seal: func(_, v string) (string, error) { return v, nil }, Open: func(_, v string) (string, error) { return v, nil },
		Accept: func(context.Context, ops.Report) error { return nil }, Settings: func(ops.Host) []byte { return nil },
		Proven: func(context.Context) bool { return true }, Moved: func() {}})
	if err != nil {
		return err
	}
	judge := func() error { return pass(ctx, f.Loops(), "fleet_monitor") }
	if err := judge(); err != nil { // The first notes who is quiet.
		return err
	}
	var t timing
	if t.PassMS, t.CPUMS, err = middle(reachRounds, judge); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(t)
}

// addHosts writes hosts that were heard of just now, by another server.
func addHosts(ctx context.Context, st *store.Store, n int) error {
	now := time.Now()
	clocks := make([]store.Clock, 0, n)
	err := st.Tx(ctx, now, func(tx *store.Tx) error {
		for i := range n {
			h := ops.Host{ID: ops.NewID(ops.HostID), Name: fmt.Sprintf("node-%06d", i), State: ops.HostOnline, KeyID: strings.Repeat("a", 64), BootID: "boot",
				Boots: []string{"boot"}, Machine: []string{"mac:0123456789abcdef"}, Trust: []string{strings.Repeat("b", 64)}, Version: "v1.0.0"}
			if err := tx.AddHost(ctx, h, store.Why{Actor: "bench", Reason: "it joined"}); err != nil {
				return err
			}
			later := now.Add(time.Hour) // so that it stays heard of while this runs
			clocks = append(clocks, store.Clock{HostID: h.ID, Heartbeat: later, Proof: later, Report: later, Address: "10.0.0.1:40000", Server: "srv_other"})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return st.Tx(ctx, now, func(tx *store.Tx) error { return tx.SaveClocks(ctx, clocks) })
}
