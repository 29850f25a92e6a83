package fleet

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"reeve/test/receiver"
)

// TestAgentsAlarm stops the server: the agent tells a person by itself, once,
// and again when the server is back. The server itself tells a dead-man
// service that it lives, until it does not.
func TestAgentsAlarm(t *testing.T) {
	t.Parallel()
	s := openSite(t, "up", nil)
	dead := newHook(t, s.at)
	s.Stop()
	started := time.Now()
	s.Program = s.setup(t, "up", settings{"deadman": dead.URL}).Start(t)
	if ping := next(t, dead, 1, s.Log); ping.Method != http.MethodGet || ping.At.Sub(started) > 30*time.Second {
		t.Errorf("the dead-man service was sent a %s %v after the start", ping.Method, ping.At.Sub(started))
	}
	m := s.join(t, s.network.Host(), "alarmed")
	alarms := newHook(t, m.at)
	m.Run("--alarm", alarms.URL, "--alarm-after", "10s")
	s.awaitOnline(t, m)
	if n := len(alarms.Requests()); n > 0 {
		t.Errorf("%d alarms while the server lives", n)
	}
	s.Kill()
	pings := len(dead.Requests())
	killed := time.Now()
	alarm := next(t, alarms, 1, m.Log)
	if took := alarm.At.Sub(killed); took < 5*time.Second || took > 40*time.Second {
		t.Errorf("the alarm came after %v", took)
	}
	if alarm.Header.Get("Title") != "Reeve server is gone" || !strings.Contains(string(alarm.Body), "alarmed has not reached its Reeve server") {
		t.Errorf("%s: %s", alarm.Header.Get("Title"), alarm.Body)
	}
	until(t, 2*time.Minute, "the server is gone for long", func() bool { return time.Since(killed) > 70*time.Second })
	if n := len(alarms.Requests()); n != 1 {
		t.Errorf("%d alarms of one outage", n)
	}
	if n := len(dead.Requests()); n != pings {
		t.Errorf("the dead-man service was told %d times by a server that is dead", n-pings)
	}
	s.Again()
	back := next(t, alarms, 2, m.Log)
	if back.Header.Get("Title") != "Reeve server is back" || !strings.Contains(string(back.Body), "again") {
		t.Errorf("%s: %s", back.Header.Get("Title"), back.Body)
	}
	next(t, dead, pings+1, s.Log)
	s.exactly(t, m.name)
	if n := len(alarms.Requests()); n != 2 {
		t.Errorf("%d alarms", n)
	}
}

// next waits for the n-th request.
func next(t *testing.T, h *receiver.HTTP, n int, log func() string) receiver.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	all, err := h.Wait(ctx, n)
	if err != nil {
		t.Fatalf("%v\n%s", err, tail(log()))
	}
	return all[n-1]
}
