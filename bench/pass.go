package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"reeve/internal/detectors"
	"reeve/internal/ingest"
	"reeve/internal/store"
	"reeve/internal/tsdb"
	"reeve/internal/watch"
)

const (
	passHosts = 400
	passBelow = 24 // resources on each: 10,000 with the hosts
	passEach  = 10 // series of each
)

// A judged is what the child that times passes tells.
type judged struct {
	Resources, Verdicts, Series int
	FirstMS, WholeMS            float64 // the first pass, and one that reads all history again
	SteadyMS, SteadyCPU         float64 // of the others, each
	AcceptMS                    float64 // a whole round of reports
}

// measurePass times passes of every detector over ten thousand resources in
// a process of their own.
func measurePass(ctx context.Context, b *bench) error {
	dir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()
	text, err := selfOutput(ctx, dir, "pass")
	if err != nil {
		return err
	}
	var j judged
	if err := json.Unmarshal(text, &j); err != nil {
		return fmt.Errorf("read what the child tells: %w: %.300s", err, text)
	}
	note := fmt.Sprintf("%s resources, %s series, %s verdicts", grouped(fmt.Sprint(j.Resources)), grouped(fmt.Sprint(j.Series)), grouped(fmt.Sprint(j.Verdicts)))
	b.add(Line{What: "Pass of all detectors, 10,000 resources: steady", Value: j.SteadyMS, Unit: "ms", Note: note})
	b.add(Line{What: "Pass of all detectors, 10,000 resources: processor time", Value: j.SteadyCPU, Unit: "ms"})
	b.add(Line{What: "Pass of all detectors, 10,000 resources: with all history read again", Value: j.WholeMS, Unit: "ms", Note: "an hour of samples"})
	b.add(Line{What: "Pass of all detectors, 10,000 resources: first after a start", Value: j.FirstMS, Unit: "ms"})
	b.add(Line{What: "Reports of 400 hosts with 10,000 resources taken in", Value: j.AcceptMS, Unit: "ms", Note: "unchanged state, all samples"})
	return nil
}

// judgeEstate is the child.
func judgeEstate(ctx context.Context, dir string) (err error) {
	st, err := store.Open(ctx, quiet, store.Options{URL: "sqlite:" + filepath.Join(dir, "reeve.db")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	metrics, err := tsdb.Open(ctx, quiet, tsdb.Options{Dir: filepath.Join(dir, "metrics"), BallastSize: 1 << 20})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, metrics.Close()) }()
	in, err := ingest.New(ctx, quiet, st, metrics, func() {})
	if err != nil {
		return err
	}
	j, err := timePasses(ctx, st, metrics, in)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(j)
}

func timePasses(ctx context.Context, st *store.Store, metrics *tsdb.DB, in *ingest.Ingest) (j judged, err error) {
	h := &herd{hosts: passHosts, perHost: passBelow, perThing: passEach}
	end := time.Now()
	const step = 2 * time.Minute
	for at := end.Add(-time.Hour); !at.After(end); at = at.Add(step) {
		began := time.Now()
		for host := range passHosts {
			if err := in.Accept(ctx, h.report(host, at)); err != nil {
				return j, err
			}
		}
		j.AcceptMS = ms(time.Since(began))
	}
	w := watch.New(quiet, st, metrics, detectors.All(), nil)
	if j.FirstMS, err = passOf(ctx, w); err != nil {
		return j, err
	}
	const rounds = 10
	before := ownCPU()
	for range rounds {
		took, err := passOf(ctx, w)
		if err != nil {
			return j, err
		}
		j.SteadyMS += took / rounds
	}
	j.SteadyCPU = ms(ownCPU()-before) / rounds
	w = watch.New(quiet, st, metrics, detectors.All(), nil)
	if j.WholeMS, err = passOf(ctx, w); err != nil {
		return j, err
	}
	s := w.Status()
	j.Resources, j.Verdicts, j.Series = s.Resources, s.Judged, int(metrics.Stats().Series)
	return j, nil
}

func passOf(ctx context.Context, w *watch.Watch) (float64, error) {
	began := time.Now()
	err := w.Pass(ctx)
	return ms(time.Since(began)), err
}

// ownCPU answers the processor time of this process so far.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
