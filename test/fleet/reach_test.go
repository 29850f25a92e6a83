// Package fleet proves with real servers and agents, each on a network of its
// own, what Reeve does when hosts, servers and what is between them fail.
package fleet

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/test/dockerd"
	"reeve/test/netns"
)

// TestHosts are the scenarios of single hosts of one server.
func TestHosts(t *testing.T) {
	t.Parallel()
	s := openSite(t, "up", nil)
	steady := []string{"steady1", "steady2", "steady3", "steady4"} // so many that those which are cut off do not trip the mass brake
	for _, name := range steady {
		s.host(t, name)
	}
	t.Run("scenarios", func(t *testing.T) {
		for name, run := range map[string]func(*testing.T, *site){
			"partition": partition, "deaf": deaf, "mute": mute, "slow": slow, "skewed": skewed, "cloned": cloned, "cloned down": clonedDown,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				run(t, s.For(t))
			})
		}
	})
	for _, name := range append(steady, s.local(t)) {
		s.exactly(t, name)
	}
}

// local answers the name of the machine of the server.
func (s *site) local(t testing.TB) string {
	t.Helper()
	var list struct{ Items []struct{ Fleet ops.Host } }
	if err := s.Get("/api/v1/hosts", &list); err != nil {
		t.Fatal(err)
	}
	for _, h := range list.Items {
		if h.Fleet.Local {
			return h.Fleet.Name
		}
	}
	t.Fatal("the server does not watch its machine")
	return ""
}

// A stored is an event as the database has it.
type stored struct {
	Disk string
	At   time.Time
}

// events answers the faults of disks that a host told of, in the order in
// which the server took them in.
func (s *site) events(t testing.TB, host string) (all []stored) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.Dir, "reeve.db")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), `SELECT json_extract(facts, '$.device'), at_ms FROM event
		WHERE type = 'io_error' AND resource_id = $1 ORDER BY rowid`, s.row(t, host).ResourceID)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var e stored
		var ms int64
		if err := rows.Scan(&e.Disk, &ms); err != nil {
			t.Fatal(err)
		}
		e.At = time.UnixMilli(ms)
		all = append(all, e)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// awaitEvents waits until the server has the events of the disks, and no
// others, in the order in which they happened.
func (s *site) awaitEvents(t testing.TB, m *member, disks ...string) []stored {
	t.Helper()
	until(t, soon, fmt.Sprintf("%d events of %s are stored", len(disks), m.name), func() bool { return len(s.events(t, m.name)) >= len(disks) }, m.Log, s.Log)
	all := s.events(t, m.name)
	if len(all) != len(disks) {
		t.Fatalf("%d events instead of those of %v: %v", len(all), disks, all)
	}
	for i, e := range all {
		if e.Disk != disks[i] || i > 0 && e.At.Before(all[i-1].At) {
			t.Errorf("event %d is of %s at %v: %v", i, e.Disk, e.At, all)
		}
	}
	return all
}

// partition cuts a host off in both directions: it is unreachable after its
// grace and no sooner, one incident tells of it once, and nothing that its
// agent saw meanwhile is lost.
func partition(t *testing.T, s *site) {
	docker := dockerd.Start(t)
	docker.Run(t, dockerd.Options{Name: "app", Command: []string{"sh", "-c", "trap 'exit 0' TERM; while true; do sleep 1; done"}})
	m := s.join(t, s.network.Host(), "partition", "--docker-socket", docker.Socket)
	m.Run()
	s.awaitOnline(t, m)
	m.tree.ioError(t, 1, "sda")
	s.awaitEvents(t, m, "sda")
	until(t, soon, "its container is known", func() bool { return s.workload(t, "partition/app").Observed == "running" }, m.Log)
	s.age(t, startGrace-silence+5*time.Second) // its grace ends after that of the start
	m.at.Cut(netns.In, netns.Out)
	cut := time.Now()
	m.tree.ioError(t, 2, "sdb")
	until(t, soon, "the agent has read the fault", func() bool { return time.Since(cut) > 20*time.Second })
	m.tree.ioError(t, 3, "sdc")
	docker.Stop(t, "app")
	f := s.unreachable(t, m, cut)
	if got := s.events(t, m.name); len(got) != 1 {
		t.Errorf("events came through a cut: %v", got)
	}
	if w := s.workload(t, "partition/app"); w.Observed != "running" {
		t.Errorf("of a host that is not heard of it is concluded that its container is %s: %s", w.Observed, w.Reason)
	}
	m.at.Mend()
	healed := time.Now()
	until(t, 90*time.Second+passes, "the host is back", func() bool { return s.row(t, m.name).State == ops.HostOnline }, m.Log)
	back := time.Now()
	until(t, 20*time.Second, "the host is reconciled", func() bool { return s.workload(t, "partition/app").Observed == "stopped" }, m.Log, s.Log)
	t.Logf("reconciled %v after it was back", time.Since(back).Round(time.Second))
	all := s.healed(t, m, f, healed, "sda", "sdb", "sdc")
	if !all[1].At.After(cut.Add(-time.Second)) || !all[2].At.Before(healed) {
		t.Errorf("what happened from %v to %v was noted at %v and %v", cut, healed, all[1].At, all[2].At)
	}
	m.tree.ioError(t, 4, "sdd")
	s.awaitEvents(t, m, "sda", "sdb", "sdc", "sdd")
	s.exactly(t, m.name, "host_unreachable")
}

// unreachable waits until a host that was cut off is told to be unreachable.
func (s *site) unreachable(t testing.TB, m *member, cut time.Time) ops.Finding {
	t.Helper()
	f := s.awaitFinding(t, silence+30*time.Second+passes, true, m.name, "host_unreachable", m.Log)
	last := s.row(t, m.name)
	if after := f.OpenedAt.Sub(last.HeartbeatAt); after <= silence || after > silence+passes || last.State != ops.HostUnreachable {
		t.Errorf("%s, last heard of at %v, is %s and was found at %v: after %v", m.name, last.HeartbeatAt, last.State, f.OpenedAt, after)
	}
	t.Logf("%s: last heard of %v after the cut, found %v after that", m.name, last.HeartbeatAt.Sub(cut).Round(100*time.Millisecond), f.OpenedAt.Sub(last.HeartbeatAt).Round(time.Second))
	s.once(t, m.name, f, ops.MessageOpened)
	return f
}

// healed waits until a host that was cut off is well again.
func (s *site) healed(t testing.TB, m *member, f ops.Finding, at time.Time, disks ...string) []stored {
	t.Helper()
	// The agent tries again within a minute and a half.
	g := s.awaitFinding(t, 90*time.Second+passes, false, m.name, "host_unreachable", m.Log)
	if g.ID != f.ID || g.Episode != f.Episode || g.State != ops.FindingResolved {
		t.Errorf("finding %s was resolved as %+v", f.ID, g)
	}
	t.Logf("%s: resolved %v after the cut was mended", m.name, time.Since(at).Round(time.Second))
	s.once(t, m.name, f, ops.MessageResolved)
	s.awaitOnline(t, m)
	if h := s.row(t, m.name); h.Spooled != 0 {
		until(t, soon, "nothing waits on "+m.name, func() bool { return s.row(t, m.name).Spooled == 0 }, m.Log)
	}
	return s.awaitEvents(t, m, disks...)
}

// deaf loses what the server sends to a host. Of what the agent sends, the
// first report or heartbeat arrives; TCP then holds back the rest until that
// is acknowledged, which it never is. After half a minute both sides take the
// connection for dead, and a new one does not come about, because the answer
// to its first packet is lost. So the host is not found to be half there, but
// to be gone, a few seconds later than one that is cut off.
func deaf(t *testing.T, s *site) { oneWay(t, s, "deaf", netns.In) }

// mute loses what a host sends. The server hears nothing from the first
// packet on.
func mute(t *testing.T, s *site) { oneWay(t, s, "mute", netns.Out) }

func oneWay(t *testing.T, s *site, name string, way netns.Way) {
	m := s.host(t, name)
	s.age(t, startGrace-silence+5*time.Second)
	m.at.Cut(way)
	cut := time.Now()
	f := s.unreachable(t, m, cut)
	m.at.Mend()
	s.healed(t, m, f, time.Now())
	s.exactly(t, m.name, "host_unreachable")
}

// slow has a bad line: a fifth of the packets is lost in each direction and
// the others take 300 ms to and fro. It stays online all the time.
func slow(t *testing.T, s *site) {
	m := s.join(t, s.network.SlowHost(netns.Line{Delay: 150 * time.Millisecond, Loss: 0.2}), "slow")
	m.Run()
	s.awaitOnline(t, m)
	since := s.row(t, m.name).Since
	m.tree.ioError(t, 1, "sda")
	s.age(t, startGrace+silence/2)
	m.tree.ioError(t, 2, "sdb")
	s.awaitEvents(t, m, "sda", "sdb")
	if h := s.row(t, m.name); h.State != ops.HostOnline || !h.Since.Equal(since) {
		t.Errorf("it became %s at %v: %s", h.State, h.Since, h.Reason)
	}
	s.exactly(t, m.name)
}
