package agent

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
)

// event answers a report of one event, as the collectors number them.
func event(a *Agent, n int) ops.Report {
	now := time.Now()
	return ops.Report{Host: a.id, Sequence: int64(n), At: now, Observations: []ops.Observation{{Collector: "logs", Started: now, EveryMS: 1000,
		Events: []ops.Event{{Resource: ops.HostKey(a.id.Key), Type: ops.EventLogError, At: now, SourceID: fmt.Sprint(n), Count: 1}}}}}
}

func handAll(t *testing.T, a *Agent, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		if err := a.hand(t.Context(), event(a, n)); err != nil {
			t.Fatal(err)
		}
	}
}

// events answers the source IDs that a server took in, in their order.
func (s *testServer) events() (all []string) {
	for _, r := range s.reports() {
		for _, o := range r.Observations {
			for _, e := range o.Events {
				all = append(all, e.SourceID)
			}
		}
	}
	return all
}

func (s *testServer) await(n int) {
	for range n {
		<-s.came
	}
}

// TestNoEventIsLostWhileTheServerIsAway: what happens meanwhile waits on the
// disk, also when the agent itself is started again, and arrives once and in
// its order.
func TestNoEventIsLostWhileTheServerIsAway(t *testing.T) {
	s := startServer(t)
	a, o := s.joined("web1")
	handAll(t, a, 1, 6) // before the first connection
	stop := connectedUntil(a)
	s.await(5)
	handAll(t, a, 6, 11)
	s.await(5)
	s.stop()
	handAll(t, a, 11, 21)
	stop()
	a.Close()
	b := open(t, o)
	handAll(t, b, 21, 31)
	// The server may have taken one more than it could answer.
	if waiting, _, _ := b.spool.Depth(); waiting != 20 && waiting != 21 {
		t.Fatalf("%d reports wait", waiting)
	}
	s.start()
	defer connectedUntil(b)()
	s.await(20)
	handAll(t, b, 31, 36)
	s.await(5)
	var want []string
	for n := 1; n < 36; n++ {
		want = append(want, fmt.Sprint(n))
	}
	if got := s.events(); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	numbers := s.reports()
	if !slices.IsSortedFunc(numbers, func(x, y ops.Report) int { return int(x.Sequence - y.Sequence) }) {
		t.Error("the numbers are not in order")
	}
}

// TestAReportThatTheCollectorsOfferAgainKeepsItsNumber: they do so when nobody
// took it.
func TestAReportThatTheCollectorsOfferAgainKeepsItsNumber(t *testing.T) {
	s := startServer(t)
	a, _ := s.joined("web1")
	handAll(t, a, 7, 8)
	handAll(t, a, 7, 8)
	if waiting, _, _ := a.spool.Depth(); waiting != 1 {
		t.Errorf("%d reports wait", waiting)
	}
}

func TestAnAgentThatLearnsOfTheNextAuthorityWhenItConnectsSaysSo(t *testing.T) {
	s := startServer(t)
	a, o := s.joined("web1")
	why := store.Why{Actor: "user:ada"}
	if _, err := s.fleet.Rotate(t.Context(), false, false, why); err != nil {
		t.Fatal(err)
	}
	stop := connectedUntil(a)
	handAll(t, a, 1, 2)
	s.await(1) // comes after the hello
	authority, err := s.fleet.Authority(t.Context())
	if err != nil || len(authority.Waiting) != 0 {
		t.Fatalf("%+v, %v", authority, err)
	}
	if _, err := s.fleet.Rotate(t.Context(), true, false, why); err != nil {
		t.Error(err)
	}
	stop()
	a.Close()
	if j, err := readJoined(o.Data); err != nil || len(j.trust) != 2 {
		t.Errorf("it keeps %d authorities, %v", len(j.trust), err)
	}
}

func TestOtherSettingsStartTheCollectorsAnew(t *testing.T) {
	s := startServer(t)
	a, _ := s.joined("web1")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := a.collect(ctx); err != nil {
			t.Error(err)
		}
	})
	period := func(want int64) {
		for {
			<-a.more
			for {
				r, ok, err := a.spool.Next()
				if err != nil {
					t.Error(err)
				}
				if !ok {
					break
				}
				if err := a.spool.Done(r.Sequence); err != nil {
					t.Error(err)
				}
				for _, o := range r.Observations {
					if o.Collector == "load" && o.EveryMS == want {
						return
					}
				}
			}
		}
	}
	period(10_000)
	a.takeSettings([]byte(`{"collectors":{"load":{"every_ms":2000},"of_tomorrow":{"every_ms":1}},"of_tomorrow":true}`))
	period(2000)
	cancel()
	wg.Wait()
}

// TestAPersonIsToldOnceThatTheServerIsGoneAndOnceThatItIsBack uses fake time
// and a real receiver.
func TestAPersonIsToldOnceThatTheServerIsGoneAndOnceThatItIsBack(t *testing.T) {
	var mu sync.Mutex
	var told []string
	failing := true // the first try
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if failing {
			failing = false
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		told = append(told, r.Header.Get("Title")+": "+string(text))
	}))
	defer hook.Close()
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(told)
	}
	synctest.Test(t, func(t *testing.T) {
		a := &Agent{log: quiet, o: Options{Alarm: hook.URL}, id: ops.HostIdentity{Name: "web1"}, joined: joined{server: server{Address: "reeve://reeve.lan"}}, heardAt: time.Now()}
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { a.watchServer(ctx) })
		for _, x := range []struct {
			pass  time.Duration
			heard bool
			want  int
		}{{9 * time.Minute, false, 0}, {2 * time.Minute, false, 1}, {5 * time.Hour, false, 1}, {time.Minute, true, 2}, {5 * time.Minute, false, 2}} {
			if x.heard {
				a.heard()
			}
			time.Sleep(x.pass)
			if got := count(); got != x.want {
				t.Errorf("told %d times, want %d", got, x.want)
			}
		}
		cancel()
		wg.Wait()
	})
	if len(told) != 2 || !strings.Contains(told[0], "Reeve server is gone: web1 has not reached its Reeve server (reeve://reeve.lan)") || !strings.Contains(told[1], "Reeve server is back") {
		t.Errorf("%q", told)
	}
}
