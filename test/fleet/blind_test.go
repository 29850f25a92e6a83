package fleet

import (
	"fmt"
	"testing"
	"time"

	"reeve/internal/ops"
)

// TestManyHostsVanish takes the cables of six of ten hosts out at once: one
// finding about the server's own sight, none about a host; it resolves when
// they come back.
func TestManyHostsVanish(t *testing.T) {
	t.Parallel()
	s := openSite(t, "server", nil)
	var members []*member
	for i := range 10 {
		m := s.join(t, s.network.Host(), fmt.Sprintf("host%d", i+1))
		m.Run()
		members = append(members, m)
	}
	for _, m := range members {
		s.awaitOnline(t, m)
	}
	gone := members[:6]
	s.age(t, startGrace-30*time.Second)
	for _, m := range gone {
		m.at.Unplug()
	}
	f := s.awaitFinding(t, 30*time.Second+30*time.Second+passes, true, "reeve", "monitor_blind")
	t.Logf("%s, %v after the start", f.Summary, f.OpenedAt.Sub(s.started).Round(time.Second))
	s.once(t, "reeve", f, ops.MessageOpened)
	until(t, soon, "all that are silent are held", func() bool { return s.count(t, members, ops.HostHeld) == len(gone) }, s.Log)
	if n := s.count(t, members, ops.HostOnline); n != len(members)-len(gone) {
		t.Errorf("%d hosts are online", n)
	}
	// Past the grace of every host nothing is said of any.
	s.age(t, startGrace+silence)
	if n := s.count(t, members, ops.HostHeld); n != len(gone) {
		t.Errorf("%d hosts are held", n)
	}
	for _, m := range members {
		s.exactly(t, m.name)
	}
	for _, m := range gone {
		m.at.Plug()
	}
	plugged := time.Now()
	until(t, 2*time.Minute, "all are back", func() bool { return s.count(t, members, ops.HostOnline) == len(members) }, s.Log)
	s.awaitFinding(t, soon, false, "reeve", "monitor_blind")
	t.Logf("resolved %v after they were plugged in", time.Since(plugged).Round(time.Second))
	s.once(t, "reeve", f, ops.MessageResolved)
	for _, m := range members {
		s.exactly(t, m.name)
	}
	s.exactly(t, "reeve", "monitor_blind")
	if n := len(messages(s.hook, func(ops.Message) bool { return true })); n != 2 {
		t.Errorf("people were told %d times", n)
	}
}

func (s *site) count(t testing.TB, members []*member, state ops.HostState) (n int) {
	t.Helper()
	for _, m := range members {
		if s.row(t, m.name).State == state {
			n++
		}
	}
	return n
}
