package fleet_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"reeve/internal/detectors"
	"reeve/internal/fleet"
	"reeve/internal/ingest"
	"reeve/internal/link"
	"reeve/internal/linkpb"
	"reeve/internal/loop"
	"reeve/internal/ops"
	"reeve/internal/reach"
	"reeve/internal/store"
	"reeve/internal/tsdb"
	"reeve/internal/watch"
)

// A world is a whole server on real files, its agents, and the network between
// them, in a bubble of fake time.
type world struct {
	t     *testing.T
	dir   string
	self  ops.HostIdentity
	probe bool // something outside shows that the server's network works
	nodes []*node
	stop  context.CancelFunc
	wg    sync.WaitGroup

	*server  // nil fields while it is down
	metrics  *tsdb.DB
	ingest   *ingest.Ingest
	watch    *watch.Watch
	group    *loop.Group
	watching *loop.Loop

	mu sync.Mutex
	up bool
}

// in runs f in a world with so many hosts that are all well, beyond the start
// grace of the server.
func in(t *testing.T, hosts int, f func(w *world)) {
	inYoung(t, hosts, func(w *world) {
		w.pass(reach.StartGrace)
		w.nothingIsWrong()
		f(w)
	})
}

// inYoung is in with a server that was just started.
func inYoung(t *testing.T, hosts int, f func(w *world)) {
	dir := t.TempDir()
	emptyPools()
	defer emptyPools()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, dir: dir, self: ops.HostIdentity{Key: ops.NewID(ops.HostID), Name: "reeve", BootID: "b0"}}
		ctx, stop := context.WithCancel(context.Background())
		w.stop = stop
		w.start()
		defer w.end()
		for i := range hosts {
			w.addNode(ctx, fmt.Sprintf("h%03d", i))
		}
		w.pass(30 * time.Second)
		w.nothingIsWrong()
		f(w)
	})
}

// emptyPools frees what was pooled: yamux keeps its timers in a pool of the
// process, and a timer of one bubble is of no use in another. A pool is empty
// after two collections.
func emptyPools() {
	runtime.GC()
	runtime.GC()
}

// start opens everything, as package app does.
func (w *world) start() {
	w.t.Helper()
	ctx := context.Background()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	st, err := store.Open(ctx, quiet, store.Options{URL: "sqlite:" + filepath.Join(w.dir, "reeve.db")})
	must(err)
	w.metrics, err = tsdb.Open(ctx, quiet, tsdb.Options{Dir: filepath.Join(w.dir, "metrics"), BallastSize: 1 << 20})
	must(err)
	w.watching = &loop.Loop{Name: "watch", Every: watch.Every, Timeout: time.Minute, Pass: w.watchPass}
	w.ingest, err = ingest.New(ctx, quiet, st, w.metrics, w.watching.Wake)
	must(err)
	w.watch = watch.New(quiet, st, w.metrics, detectors.All(), nil)
	w.server = serve(w.t, st, w.dir, func(o *fleet.Options) {
		o.Server, o.Accept, o.Moved, o.Begun = "srv_1", w.ingest.Accept, w.watching.Wake, w.ingest.Reload
		o.Proven = func(context.Context) bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.probe
		}
	})
	w.open = nil
	must(w.fleet.Local(ctx, w.self))
	w.goOn()
}

// goOn runs the loops of what is open.
func (w *world) goOn() {
	w.group = loop.NewGroup(quiet)
	w.group.Add(w.watching)
	w.group.Add(&loop.Loop{Name: "self", Every: 10 * time.Second, Pass: w.reportSelf})
	for _, l := range w.loops {
		w.group.Add(l)
	}
	w.group.Start(context.Background())
	w.mu.Lock()
	w.up = true
	w.mu.Unlock()
}

// freeze stops the server for a time, as the kernel stops a process: it does
// nothing, hears nothing, and then goes on as if no time had passed.
func (w *world) freeze(d time.Duration) {
	w.t.Helper()
	w.halt()
	for _, n := range w.nodes {
		n.setCut(true)
	}
	w.pass(d)
	for _, n := range w.nodes {
		n.setCut(false)
	}
	w.goOn()
}

// shut stops the server in order.
func (w *world) shut() {
	w.t.Helper()
	w.halt()
	w.close()
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
	if err := w.metrics.Close(); err != nil {
		w.t.Error(err)
	}
}

// crash ends the server so that nothing of its end is written.
func (w *world) crash() {
	w.t.Helper()
	w.halt()
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
	if err := w.fleet.Close(context.Background()); err == nil {
		w.t.Error("it wrote its end")
	}
	if err := w.metrics.Close(); err != nil {
		w.t.Error(err)
	}
}

func (w *world) halt() {
	w.mu.Lock()
	w.up = false
	w.mu.Unlock()
	if err := w.group.Stop(context.Background()); err != nil {
		w.t.Error(err)
	}
}

func (w *world) end() {
	w.stop()
	w.wg.Wait()
	w.shut()
}

func (w *world) watchPass(ctx context.Context) error {
	if err := w.watch.Pass(ctx); err != nil {
		return err
	}
	if wait := time.Until(w.watch.NextAt()); !w.watch.NextAt().IsZero() && wait < watch.Every {
		time.AfterFunc(max(wait, 50*time.Millisecond), w.watching.Wake)
	}
	return nil
}

// reportSelf reports the server's own machine, and the mass brake as a part of
// Reeve.
func (w *world) reportSelf(ctx context.Context) error {
	now, b := time.Now(), w.fleet.Blind()
	monitor := ops.Sighting{Key: ops.ResourceKey{Host: w.self.Key, Source: "self", Key: "fleet:monitor"}, Kind: ops.KindComponent, Name: "fleet monitor",
		Observed: ops.Attrs{"state": "ok", "failures": "0", "every_ms": "10000", "blind": fmt.Sprint(b.Tripped), "silent": fmt.Sprint(b.Silent), "expected": fmt.Sprint(b.Expected)}}
	return w.ingest.Accept(ctx, ops.Report{Host: w.self, At: now, Observations: []ops.Observation{
		{Collector: "self", Started: now, EveryMS: 10_000, Complete: []ops.Kind{ops.KindComponent}, Sightings: []ops.Sighting{monitor}}}})
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// passUntil lets time go by until something is so, and answers how long that
// took; it fails the test when that is longer than d.
func (w *world) passUntil(d time.Duration, what string, so func() bool) time.Duration {
	w.t.Helper()
	for began := time.Now(); ; w.pass(time.Second) {
		switch took := time.Since(began); {
		case so():
			return took
		case took > d:
			w.t.Fatalf("not after %v: %s; active: %s; hosts: %v", took, what, w.active(), w.states())
		}
	}
}

// active answers the active findings as condition@host, sorted.
func (w *world) active() string {
	w.t.Helper()
	all, _, err := w.store.Findings(context.Background(), store.FindingFilter{Active: true, All: true})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.tell(all)
}

// ever answers every finding that there was.
func (w *world) ever() string {
	w.t.Helper()
	all, _, err := w.store.Findings(context.Background(), store.FindingFilter{All: true})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.tell(all)
}

func (w *world) tell(all []ops.Finding) string {
	var names []string
	for _, f := range all {
		r, err := w.store.Resource(context.Background(), f.ResourceID)
		if err != nil {
			w.t.Fatal(err)
		}
		names = append(names, f.Condition+"@"+r.HostName)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func (w *world) incidents() []ops.Incident {
	w.t.Helper()
	all, _, err := w.store.Incidents(context.Background(), store.IncidentFilter{All: true})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// states counts the hosts by their state.
func (w *world) states() map[ops.HostState]int {
	w.t.Helper()
	hosts, err := w.store.Hosts(context.Background(), true)
	if err != nil {
		w.t.Fatal(err)
	}
	n := map[ops.HostState]int{}
	for _, h := range hosts {
		n[h.State]++
	}
	return n
}

func (w *world) nothingIsWrong() {
	w.t.Helper()
	if got := w.ever(); got != "" {
		w.t.Fatalf("findings: %s; hosts: %v", got, w.states())
	}
	if n := w.states(); n[ops.HostOnline] != len(w.nodes)+1 {
		w.t.Fatalf("hosts: %v", n)
	}
}

// A node is a host with its agent, as the network between it and the server
// lets it be seen.
type node struct {
	*agent
	w          *world
	name       string
	containers int
	sequence   int64
	sick       bool // its first container is not healthy

	mu    sync.Mutex
	cut   bool
	wires []*wire
}

func (w *world) addNode(ctx context.Context, name string) *node {
	w.t.Helper()
	n := &node{w: w, name: name, containers: 2, agent: newAgent(w.t, "boot-"+name, "mac:"+name)}
	way := &server{t: w.t, fleet: w.fleet, open: n.open}
	if err := n.join(way, w.add(name)); err != nil {
		w.t.Fatal(err)
	}
	w.nodes = append(w.nodes, n)
	w.wg.Go(func() { n.run(ctx) })
	return n
}

// open connects the node with the server, if there is a way.
func (n *node) open() (net.Conn, error) {
	n.w.mu.Lock()
	up := n.w.up
	n.w.mu.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	if !up || n.cut {
		return nil, ops.Errorf(ops.Unavailable, "no route to host")
	}
	near, far := net.Pipe()
	dead := make(chan struct{})
	a, b := &wire{near, dead}, &wire{far, dead}
	n.wires = append(n.wires, a)
	go n.w.fleet.Link().Serve(b, n.name) // ends with the wire
	return a, nil
}

// setCut breaks the node off without a word, or brings it back.
func (n *node) setCut(cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = cut
	if cut {
		for _, w := range n.wires {
			close(w.dead)
		}
		n.wires = nil
	}
}

func (n *node) setContainers(count int) {
	n.agent.mu.Lock()
	defer n.agent.mu.Unlock()
	n.containers = count
}

func (n *node) setSick(sick bool) {
	n.agent.mu.Lock()
	defer n.agent.mu.Unlock()
	n.sick = sick
}

func (w *world) setProbe(works bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.probe = works
}

func (n *node) setDeaf(deaf bool) {
	n.agent.mu.Lock()
	defer n.agent.mu.Unlock()
	n.deaf = deaf
}

// A wire is a connection that can die as a machine does without power: what is
// sent is lost, and nobody is told.
type wire struct {
	net.Conn
	dead chan struct{}
}

func (w *wire) Write(b []byte) (int, error) {
	select {
	case <-w.dead:
		return len(b), nil
	default:
		return w.Conn.Write(b)
	}
}

const beatEvery = 15 * time.Second

// run is the life of the agent: it connects again whenever it must.
func (n *node) run(ctx context.Context) {
	for sleep(ctx, rand.N(10*time.Second)) {
		conn, _, err := n.connect(&server{t: n.w.t, open: n.open})
		if err != nil {
			continue
		}
		n.speak(ctx, conn)
		conn.Close()
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// speak beats and reports until the connection ends.
func (n *node) speak(ctx context.Context, conn *link.Conn) {
	for ctx.Err() == nil {
		call, cancel := context.WithTimeout(ctx, 30*time.Second)
		_, err := conn.Up.Heartbeat(call, &linkpb.HeartbeatRequest{NowMs: n.now()})
		if err == nil {
			_, err = conn.Up.Report(call, n.whole())
		}
		cancel()
		if err != nil {
			return
		}
		select {
		case <-conn.Done():
			return
		case <-ctx.Done():
			return
		case <-time.After(beatEvery):
		}
	}
}

// whole answers a report of a host that is well, with its containers and
// collectors.
func (n *node) whole() *linkpb.ReportRequest {
	now := time.Now()
	n.agent.mu.Lock()
	n.sequence++
	number, containers, sick := n.sequence, n.containers, n.sick
	n.agent.mu.Unlock()
	key := func(source, key string) ops.ResourceKey {
		return ops.ResourceKey{Host: n.id.Key, Source: source, Key: key}
	}
	docker := ops.Observation{Collector: "docker", Started: now, EveryMS: beatEvery.Milliseconds(), Complete: []ops.Kind{ops.KindContainer}}
	for i := range containers {
		k, health := key("docker", fmt.Sprint("c", i)), "healthy"
		if sick && i == 0 {
			health = "unhealthy"
		}
		docker.Sightings = append(docker.Sightings, ops.Sighting{Key: k, Kind: ops.KindContainer, Name: k.Key, Observed: ops.Attrs{"state": "running", "health": health}})
		docker.Samples = append(docker.Samples, ops.Sample{Resource: k, Metric: "container_cpu_cores", At: now, Value: 0.1})
	}
	for _, name := range []string{"cpu", "docker"} {
		k := key("reeve", "collector:"+name)
		docker.Sightings = append(docker.Sightings, ops.Sighting{Key: k, Kind: ops.KindComponent, Name: "collector " + name,
			Observed: ops.Attrs{"state": "ok", "failures": "0", "every_ms": "10000"}})
		docker.Samples = append(docker.Samples, ops.Sample{Resource: k, Metric: "collector_up", At: now, Value: 1})
	}
	return &linkpb.ReportRequest{Report: link.PackReport(ops.Report{Host: n.id, Sequence: number, At: now, Observations: []ops.Observation{docker}})}
}
