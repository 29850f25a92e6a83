package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"reeve/internal/app"
	"reeve/internal/detectors"
	"reeve/internal/ingest"
	"reeve/internal/knowledge"
	"reeve/internal/llm"
	"reeve/internal/ops"
	"reeve/internal/patrol"
	"reeve/internal/store"
	"reeve/internal/tsdb"
)

const (
	patrolProblems  = 200 // findings that are open, in half as many incidents
	patrolFollowers = 1000
	patrolRounds    = 5
)

// A patrolled is what the child that patrols tells.
type patrolled struct {
	Resources, Items int
	FullMS, QuietMS  float64
	SlowestMS        float64
	FullCPU          float64
	ExtraMB          float64 // over what the process held before
	ScopedMS         float64
}

// measurePatrol times patrols without a model over ten thousand resources in a
// process of their own, and the streams of those who follow one.
func measurePatrol(ctx context.Context, b *bench) error {
	dir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()
	text, err := selfOutput(ctx, dir, "patrol")
	if err != nil {
		return err
	}
	var p patrolled
	if err := json.Unmarshal(text, &p); err != nil {
		return fmt.Errorf("read what the child tells: %w: %.300s", err, text)
	}
	note := fmt.Sprintf("median of %d, slowest %.2f s; %d findings open, %d things told", patrolRounds, p.SlowestMS/1000, patrolProblems, p.Items)
	b.add(Line{What: "Patrol of everything without a model, 10,000 resources", Value: p.FullMS / 1000, Unit: "s", Bar: 1, Note: note})
	b.add(Line{What: "Patrol of everything without a model, 10,000 resources: memory beside", Value: p.ExtraMB, Unit: "MB", Bar: 100, Note: "highest RSS during the first less that before"})
	b.add(Line{What: "Patrol of everything without a model, 10,000 resources: processor time", Value: p.FullCPU, Unit: "ms"})
	b.add(Line{What: "Patrol of 10,000 resources that ends as quiet", Value: p.QuietMS, Unit: "ms", Note: "0 tokens"})
	b.add(Line{What: "Patrol of one resource among 10,000", Value: p.ScopedMS, Unit: "ms"})
	return b.followPatrol(ctx)
}

// patrolEstate is the child.
func patrolEstate(ctx context.Context, dir string) (err error) {
	app.SaveMemory() // As the program does.
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
	h := &herd{hosts: passHosts, perHost: passBelow, perThing: passEach}
	for host := range passHosts {
		if err := in.Accept(ctx, h.report(host, time.Now())); err != nil {
			return err
		}
	}
	know := knowledge.New(st, func(string) bool { return true })
	p, err := patrol.New(patrol.Options{Log: quiet, Store: st, Metrics: metrics, Router: llm.New(quiet, llm.Options{}), Definitions: detectors.All(), Node: "bench",
		Knowledge: patrol.Knowledge{Notes: know.ForScope, Before: func(ctx context.Context, condition, resource string) (string, error) {
			past, err := know.Before(ctx, condition, resource)
			return past.Text, err
		}},
		Settings: patrol.Settings{MinSeverity: ops.Warning, Timeout: time.Minute, Keep: 24 * time.Hour, QuietRuns: 9}})
	if err != nil {
		return err
	}
	told, err := patrols(ctx, st, p)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(told)
}

func patrols(ctx context.Context, st *store.Store, p *patrol.Patrol) (told patrolled, err error) {
	var first ops.Run
	if _, err = patrolOnce(ctx, st, p, ops.RunScope{}); err != nil { // Healthy: what comes is quiet.
		return told, err
	}
	if told.QuietMS, err = patrolTimed(ctx, st, p, ops.RunScope{}, &first); err != nil || !first.Quiet {
		return told, errors.Join(err, quietly(first))
	}
	all, _, err := st.Resources(ctx, store.ResourceFilter{All: true})
	if err != nil {
		return told, err
	}
	if err := breakThings(ctx, st, all); err != nil {
		return told, err
	}
	scope := ops.RunScope{Resources: []string{all[len(all)/2].ID}}
	told.Resources = len(all)
	all = nil
	debug.FreeOSMemory()
	before, err := ownMemory("VmRSS")
	if err != nil {
		return told, err
	}
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil { // The highest RSS begins anew.
		return told, err
	}
	times := make([]float64, patrolRounds)
	if times[0], err = patrolTimed(ctx, st, p, ops.RunScope{}, &first); err != nil {
		return told, err
	}
	peak, err := ownMemory("VmHWM")
	if err != nil {
		return told, err
	}
	told.ExtraMB, told.Items = max(0, peak-before), len(first.Detail.Items)
	cpu := ownCPU()
	for i := 1; i < patrolRounds; i++ {
		if times[i], err = patrolTimed(ctx, st, p, ops.RunScope{}, &first); err != nil {
			return told, err
		}
	}
	told.FullCPU = ms(ownCPU()-cpu) / (patrolRounds - 1)
	slices.Sort(times)
	told.FullMS, told.SlowestMS = times[patrolRounds/2], times[patrolRounds-1]
	told.ScopedMS, err = patrolTimed(ctx, st, p, scope, &first)
	return told, err
}

func quietly(r ops.Run) error {
	if r.Quiet {
		return nil
	}
	return fmt.Errorf("run %s is not quiet: %s", r.ID, r.Summary)
}

// breakThings opens findings with evidence, two in each incident.
func breakThings(ctx context.Context, st *store.Store, all []ops.Resource) error {
	return st.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		incident, why := "", store.Why{Actor: "watch"}
		for i := range patrolProblems {
			r, at := all[i*len(all)/patrolProblems], tx.Now()
			f := ops.Finding{ID: ops.NewID(ops.FindingID), ResourceID: r.ID, Condition: "fs_full", State: ops.FindingOpen, Severity: ops.Warning, Peak: ops.Warning, Origin: "rule",
				Summary: r.Name + " is 90 % full", FirstSeen: at.Add(-time.Minute), LastSeen: at, OpenedAt: at, Count: 1, Episode: 1, Version: 1}
			if err := tx.OpenFinding(ctx, f, why); err != nil {
				return err
			}
			var points []ops.Point
			for n := range 120 {
				points = append(points, ops.Point{At: at.Add(time.Duration(n-120) * 10 * time.Second), Value: 0.9})
			}
			err := tx.AddEvidence(ctx, ops.Evidence{ID: ops.NewID(ops.EvidenceID), FindingID: f.ID, What: "used", From: points[0].At, To: at, TakenAt: at,
				Series: []ops.Series{{Metric: "fs_used_ratio", Points: points}}})
			if err != nil {
				return err
			}
			if i%2 == 0 {
				incident = ops.NewID(ops.IncidentID)
				if err := tx.OpenIncident(ctx, ops.Incident{ID: incident, Title: f.Summary, State: ops.IncidentOpen, Severity: f.Severity, Peak: f.Severity, RootID: f.ID, OpenedAt: at}, why); err != nil {
					return err
				}
			}
			if err := tx.Join(ctx, incident, ops.IncidentMember{FindingID: f.ID, Reason: "same host", JoinedAt: at}); err != nil {
				return err
			}
		}
		return nil
	})
}

// patrolTimed does a patrol and answers how long it took to its stored end.
func patrolTimed(ctx context.Context, st *store.Store, p *patrol.Patrol, scope ops.RunScope, r *ops.Run) (took float64, err error) {
	began := time.Now()
	*r, err = patrolOnce(ctx, st, p, scope)
	return ms(time.Since(began)), err
}

func patrolOnce(ctx context.Context, st *store.Store, p *patrol.Patrol, scope ops.RunScope) (ops.Run, error) {
	r, err := p.Ask(ctx, patrol.Request{Scope: scope, Why: store.Why{Actor: "bench"}})
	if err != nil {
		return r, err
	}
	if err := p.Pass(ctx); err != nil {
		return r, err
	}
	if r, err = st.Run(ctx, r.ID); err == nil && r.State != ops.RunDone {
		err = fmt.Errorf("run %s is %s: %s", r.ID, r.State, r.Err)
	}
	return r, err
}

// ownMemory answers a line of /proc/self/status in MB.
func ownMemory(name string) (float64, error) {
	kb, err := strconv.ParseFloat(strings.TrimSuffix(field("/proc/self/status", name), " kB"), 64)
	return kb * 1024 / 1e6, err
}

// followPatrol lets a thousand people follow one patrol on the real program.
func (b *bench) followPatrol(ctx context.Context) error {
	dir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()
	p, err := b.start(ctx, dir, "log_level: warn\npatrol: {startup: false, events: [none]}\n")
	if err != nil {
		return err
	}
	var named struct {
		ID string `json:"run_id"`
	}
	if err := pause(ctx, 3*time.Second); err != nil { // The agent has reported.
		return err
	}
	began := time.Now()
	text, err := p.request(ctx, "POST", "/api/v1/patrol/run", strings.NewReader("{}"), map[string]string{"Content-Type": "application/json"})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &named); err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: -1, ReadBufferSize: 1024, WriteBufferSize: 1024}}
	var following sync.WaitGroup
	errs := make([]error, patrolFollowers)
	gate := make(chan struct{}, 100)
	for i := range patrolFollowers {
		following.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			errs[i] = p.followToTheEnd(ctx, client, named.ID)
		})
	}
	following.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	b.add(Line{What: "1,000 followers of one patrol: from asking until the last has all of it", Value: ms(time.Since(began)), Unit: "ms",
		Note: "connections included, 100 at once; the followers share the machine"})
	return p.stop()
}

func (p *process) followToTheEnd(ctx context.Context, client *http.Client, run string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/api/v1/stream?run="+run, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	r, err := client.Do(req)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		if lines.Text() == "event: done" {
			return nil
		}
	}
	return fmt.Errorf("the stream of %s ended without its end (%s)", run, r.Status)
}
