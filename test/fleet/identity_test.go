package fleet

import (
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/test/program"
)

// skewed has a clock that is an hour ahead: people are told, and what it
// samples stands at the right times.
func skewed(t *testing.T, s *site) {
	m := s.join(t, s.network.Host(), "skewed")
	m.Run("--clock-offset", "1h")
	s.awaitOnline(t, m)
	f := s.awaitFinding(t, 60*time.Second+passes, true, m.name, "clock_skew", m.Log)
	if f.Severity != ops.Critical || f.Facts["skew"] != "3600 s" {
		t.Errorf("%s: %s %v", f.Severity, f.Summary, f.Facts)
	}
	s.once(t, m.name, f, ops.MessageOpened)
	at, now := s.newest(t, m, "load1"), time.Now()
	if age := now.Sub(at); age < -2*time.Second || age > 40*time.Second {
		t.Errorf("its last sample stands at %v, %v before now", at, age)
	}
	m.tree.ioError(t, 1, "sda")
	if all := s.awaitEvents(t, m, "sda"); all[0].At.Sub(now).Abs() > time.Minute {
		t.Errorf("what it told of now stands at %v", all[0].At)
	}
	m.Stop()
	s.again(t, m)
	s.awaitFinding(t, 60*time.Second+passes, false, m.name, "clock_skew", m.Log)
	s.once(t, m.name, f, ops.MessageResolved)
	s.exactly(t, m.name, "clock_skew")
}

// newest answers the time of the newest raw sample of the last two hours and
// the next two.
func (s *site) newest(t testing.TB, m *member, metric string) time.Time {
	t.Helper()
	var answer struct {
		Data struct {
			Result []struct{ Values [][2]any }
		}
	}
	query := fmt.Sprintf("%s{resource=%q}[4h]", metric, s.row(t, m.name).ResourceID)
	at := strconv.FormatInt(time.Now().Add(2*time.Hour).Unix(), 10)
	if err := s.Get("/prometheus/api/v1/query?"+url.Values{"query": {query}, "time": {at}}.Encode(), &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Data.Result) != 1 {
		t.Fatalf("%d series of %s", len(answer.Data.Result), query)
	}
	values := answer.Data.Result[0].Values
	seconds, _ := values[len(values)-1][0].(float64)
	return time.UnixMilli(int64(seconds * 1000))
}

// copyOf answers an agent on a copy of the disk of another, on another machine
// and another network card.
func (s *site) copyOf(t testing.TB, m *member) *member {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(m.Dir)); err != nil {
		t.Fatal(err)
	}
	c := &member{name: "copy of " + m.name, at: s.network.Host(), tree: newTree(t, m.name)}
	c.Agent = program.Machine{Command: c.at.Command, Flags: c.tree.flags()}.Agent(t, dir)
	return c
}

// refusedCopy runs a copy and waits until people are told of it.
func (s *site) refusedCopy(t testing.TB, m *member) (*member, ops.Finding) {
	t.Helper()
	c := s.copyOf(t, m)
	c.Run()
	f := s.awaitFinding(t, passes, true, m.name, "identity_conflict", c.Log, m.Log)
	if f.Severity != ops.Critical || !strings.Contains(f.Summary, "another machine came with the key") {
		t.Errorf("%s: %s", f.Severity, f.Summary)
	}
	s.once(t, m.name, f, ops.MessageOpened)
	for _, says := range []string{"does not let this host in", "`reeve-agent forget`", "`reeve host accept " + m.name + "`"} {
		if !strings.Contains(c.Log(), says) {
			t.Errorf("the log of the copy does not say %q:\n%s", says, tail(c.Log()))
		}
	}
	if lines(c.Log(), "connected to the server") > 0 {
		t.Errorf("the copy was let in:\n%s", tail(c.Log()))
	}
	return c, f
}

// cloned runs a copy of a host's disk while the host lives. The copy is
// refused and the host goes on; the copy becomes a host of its own.
func cloned(t *testing.T, s *site) {
	m := s.host(t, "cloned")
	before := s.row(t, m.name)
	c, _ := s.refusedCopy(t, m)
	until(t, soon, "the host reports on", func() bool { return s.row(t, m.name).Sequence > before.Sequence+1 }, m.Log)
	if h := s.row(t, m.name); h.State != ops.HostOnline || !h.Since.Equal(before.Since) || !strings.HasPrefix(h.Address, m.at.IP+":") || m.connected() != 1 {
		t.Errorf("the host itself was disturbed: %+v\n%s", h, tail(m.Log()))
	}
	c.Stop()
	if out, err := c.Order("forget"); err != nil || !strings.Contains(out, "is nobody now") {
		t.Fatalf("%v %s", err, out)
	}
	c.name = "clone"
	if out, err := c.Join(s.invite(t, c.name)); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	c.Run()
	t.Cleanup(func() {
		c.Stop()
		if err := s.Delete("/api/v1/hosts/" + c.name); err != nil {
			t.Log(err)
		}
	})
	s.awaitOnline(t, c)
	if x, y := s.row(t, m.name), s.row(t, c.name); x.ID == y.ID || x.ResourceID == y.ResourceID || x.State != ops.HostOnline {
		t.Errorf("the copy is %+v, the host %+v", y, x)
	}
	s.exactly(t, m.name, "identity_conflict")
	s.exactly(t, c.name)
}

// clonedDown runs the copy while the host itself is down: nothing but the
// machine tells them apart.
func clonedDown(t *testing.T, s *site) {
	m := s.host(t, "cloned-down")
	before := s.stop(t, m)
	c, _ := s.refusedCopy(t, m)
	c.Stop()
	s.again(t, m)
	until(t, soon, "the host itself is let in", func() bool {
		h := s.row(t, m.name)
		return h.State == ops.HostOnline && h.Sequence > before.Sequence && strings.HasPrefix(h.Address, m.at.IP+":") && h.BootID == before.BootID
	}, m.Log, s.Log)
	s.exactly(t, m.name, "identity_conflict")
}
