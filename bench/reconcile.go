package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"reeve/internal/linkpb"
	"reeve/internal/loop"
	"reeve/internal/ops"
	"reeve/internal/reconcile"
	"reeve/internal/store"
	"reeve/internal/workload"
)

const (
	reconcileHosts  = 10_000
	reconcileEach   = 100
	reconcileRounds = 3
)

// measureReconcile times the pass that compares a million workloads with what
// agents list.
func measureReconcile(ctx context.Context, b *bench) error {
	return b.onEach(ctx, "reconcile", func(name string, t timing) {
		b.add(Line{What: "Reconcile 1,000,000 workloads of 10,000 hosts on " + name + ": nothing changed", Value: t.PassMS / 1000, Unit: "s",
			Note: fmt.Sprintf("median of %d; processor time %.1f s, the making of the lists included", reconcileRounds, t.CPUMS/1000)})
		b.add(Line{What: "Reconcile 1,000,000 workloads of 10,000 hosts on " + name + ": one in a hundred changed", Value: t.OtherMS / 1000, Unit: "s",
			Note: fmt.Sprintf("median of %d; processor time %.1f s; 10,000 rows, resources and transitions written", reconcileRounds, t.OtherCPU/1000)})
	})
}

// listed is an agent that lists what it should, and of one workload another
// state when flipped.
type listed struct {
	sequence *atomic.Int64
	flipped  *atomic.Bool
}

func (l listed) Workloads(context.Context, *linkpb.WorkloadsRequest) (*linkpb.WorkloadsResponse, error) {
	d := &linkpb.DriverList{Driver: "docker", Complete: true, Workloads: make([]*linkpb.Workload, reconcileEach)}
	for i := range d.Workloads {
		name, label := "web-"+strconv.Itoa(i), "running"
		if i == 0 && l.flipped.Load() {
			label = "exited"
		}
		d.Workloads[i] = &linkpb.Workload{Key: name, Name: name, Label: label, Generation: "1"}
	}
	return &linkpb.WorkloadsResponse{Sequence: l.sequence.Add(1), AtMs: time.Now().UnixMilli(), Drivers: []*linkpb.DriverList{d}}, nil
}

// reconcileRows is the child: url is the address of a database.
func reconcileRows(ctx context.Context, url string) (err error) {
	st, err := store.Open(ctx, quiet, store.Options{URL: url})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if err := fill(ctx, url); err != nil {
		return err
	}
	agent := listed{new(atomic.Int64), new(atomic.Bool)}
	agent.sequence.Store(10)
	agents := map[string]reconcile.Agent{}
	for i := range reconcileHosts {
		agents["host_"+strconv.Itoa(i)] = agent
	}
	states := map[string]workload.State{"running": workload.Running, "exited": workload.Stopped}
	run := func() error {
		// A new one asks every host at once.
		r := reconcile.New(reconcile.Options{Log: quiet, Store: st, Agents: func() map[string]reconcile.Agent { return agents }, Changed: func() {},
			Drivers: map[string]reconcile.Driver{"docker": {State: func(l string) (workload.State, bool) { return states[l], false }, Strangers: true}}})
		return pass(ctx, r.Loops(), "reconcile")
	}
	if err := run(); err != nil { // The first notes since when each runs.
		return err
	}
	var t timing
	if t.PassMS, t.CPUMS, err = middle(reconcileRounds, run); err != nil {
		return err
	}
	t.OtherMS, t.OtherCPU, err = middle(reconcileRounds, func() error {
		agent.flipped.Store(!agent.flipped.Load())
		return run()
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(t)
}

// pass runs one pass of a loop.
func pass(ctx context.Context, all []*loop.Loop, name string) error {
	for _, l := range all {
		if l.Name == name {
			return l.Pass(ctx)
		}
	}
	return fmt.Errorf("there is no loop %s", name)
}

// fill writes hosts and workloads as they are after a while, in two
// statements: one by one a million takes minutes.
func fill(ctx context.Context, url string) error {
	db, err := raw(url)
	if err != nil {
		return err
	}
	defer db.Close()
	now := time.Now().UnixMilli()
	for _, text := range []string{
		fmt.Sprintf(`INSERT INTO host (id, name, state, reason, since_ms, resource_id, created_ms, created_by)
			WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i < %d)
			SELECT 'host_' || i, 'node-' || i, 'online', '', %d, 'res_' || i, %d, 'usr_bench' FROM n`, reconcileHosts-1, now, now),
		fmt.Sprintf(`INSERT INTO workload (id, host_id, driver, name, desired, desired_by, source, observed, raw_label, generation, sequence, up_ms, changed_ms, version)
			WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i < %d)
			SELECT 'wkl_' || i, 'host_' || (i / %d), 'docker', 'web-' || (i %% %d), 'running', 'usr_bench', 'person', 'running', 'running', 1, 1, %d, %d, 1 FROM n`,
			reconcileHosts*reconcileEach-1, reconcileEach, reconcileEach, now, now),
	} {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("fill the database: %w", err)
		}
	}
	return nil
}

// raw opens a database beside the store.
func raw(address string) (*sql.DB, error) {
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok {
		return sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	}
	return sql.Open("pgx", address)
}

// freshDatabase answers the address of an empty database on the same server;
// of SQLite a file that is not there.
func freshDatabase(ctx context.Context, address string) (string, error) {
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok {
		return address, errors.Join(gone(os.Remove(path)), gone(os.Remove(path+"-wal")), gone(os.Remove(path+"-shm")))
	}
	db, err := raw(address)
	if err != nil {
		return "", err
	}
	defer db.Close()
	name := strings.ReplaceAll(ops.NewID("bench"), "-", "_")
	if _, err := db.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return "", fmt.Errorf("make a database: %w", err)
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	return u.String(), nil
}

func gone(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
