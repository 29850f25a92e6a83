package investigate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
	"reeve/internal/store"
)

var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newScene answers a container on a host whose problem began an hour ago.
func newScene() *Scene {
	host := ops.Resource{ID: "res_host", Kind: ops.KindHost, Name: "alpha", HostID: "res_host", HostName: "alpha"}
	web := ops.Resource{ID: "res_web", Kind: ops.KindContainer, Name: "web", HostID: "res_host", HostName: "alpha", ParentID: "res_host"}
	db := ops.Resource{ID: "res_db", Kind: ops.KindContainer, Name: "db", HostID: "res_host", HostName: "alpha", ParentID: "res_host"}
	return &Scene{Now: began.Add(time.Hour), Began: began, Resource: web, Host: host, Parent: host,
		Root:   ops.Finding{ID: "fnd_1", ResourceID: web.ID, Condition: "container_restart_loop", FirstSeen: began, OpenedAt: began.Add(time.Minute), State: ops.FindingOpen},
		Near:   map[string]ops.Resource{host.ID: host, web.ID: web, db.ID: db},
		Series: map[SeriesKey][]ops.Series{},
		Roles:  map[string]detect.Role{"container_restart_loop": detect.Workload, "fs_full": detect.Storage, "check_failing": detect.Symptom, "clock_unsynchronised": detect.Capacity}}
}

// course makes readings a minute apart from an hour before it began till an
// hour after.
func readings(metric string, labels map[string]string, value func(minute int) float64) ops.Series {
	x := ops.Series{Metric: metric, Labels: labels}
	for m := -60; m <= 60; m++ {
		x.Points = append(x.Points, ops.Point{At: began.Add(time.Duration(m) * time.Minute), Value: value(m)})
	}
	return x
}

func flat(v float64) func(int) float64 { return func(int) float64 { return v } }

func step(from, to float64) func(int) float64 {
	return func(m int) float64 {
		if m < -5 {
			return from
		}
		return to
	}
}

// one judges and answers all the texts and the first cause.
func one(s *Scene, r Read) (text string, cause *ops.Hypothesis) {
	var all []string
	for _, x := range judges[r.Judge].judge(s, r) {
		all = append(all, x.Text)
		if cause == nil {
			cause = x.Cause
		}
	}
	return strings.Join(all, "\n"), cause
}

func TestRiseIsToldWithItsNumbersAndItsBeginning(t *testing.T) {
	s := newScene()
	r := Read{Judge: "rose", Metric: "container_memory_used_ratio", Cause: "it grew", Confidence: high}
	if text, cause := one(s, r); cause != nil || !strings.Contains(text, "there are no readings of container_memory_used_ratio") {
		t.Error(text, cause)
	}
	key := SeriesKey{"res_web", r.Metric}
	s.Series[key] = []ops.Series{readings(r.Metric, nil, step(0.41, 0.93))}
	text, cause := one(s, r)
	if text != "container_memory_used_ratio of container web rose from 41 % to 93 %, beginning at 11:54:00" {
		t.Error(text)
	}
	if cause == nil || cause.Confidence != high || cause.For[0].Metric != r.Metric || *cause.For[0].Value != 0.93 || cause.For[0].Minutes < 66 {
		t.Errorf("%+v", cause)
	}
	r.Within = 3
	if text, cause := one(s, r); cause != nil || !strings.Contains(text, "rose from") {
		t.Error("a rise that began long before is taken for a quick one")
	}
	r.Within = 30
	if _, cause := one(s, r); cause == nil {
		t.Error("a quick rise is no cause")
	}
	s.Series[key] = []ops.Series{readings(r.Metric, nil, step(0.41, 0.43))}
	if text, cause := one(s, r); cause != nil || !strings.Contains(text, "did not rise: 41 % before, at most 43 % since") {
		t.Error(text, cause)
	}
	short := readings(r.Metric, nil, flat(0.9))
	short.Points = short.Points[60:]
	s.Series[key] = []ops.Series{short}
	if text, cause := one(s, r); cause != nil || !strings.Contains(text, "what it was before is not known") {
		t.Error(text, cause)
	}
}

// Whoever uses most is a cause only when it uses more than before.
func TestTopIsACauseOnlyWhenItIsNew(t *testing.T) {
	s := newScene()
	s.Resource, s.Parent = s.Host, ops.Resource{}
	r := Read{Judge: "top", Of: "host", Metric: "process_cpu_ratio", Name: "processor time", Confidence: high}
	set := func(all ...ops.Series) { s.Series[SeriesKey{"res_host", r.Metric}] = all }
	who := func(name string) map[string]string { return map[string]string{"process": name, "pid": "42"} }
	late := readings(r.Metric, who("stress"), flat(3.9))
	late.Points = late.Points[57:]
	set(readings(r.Metric, who("nginx"), flat(0.2)), late)
	text, cause := one(s, r)
	if !strings.HasPrefix(text, "most processor time: stress (pid 42) 3.9 cores, nginx (pid 42) 0.2 cores; stress (pid 42) was not among them before") {
		t.Error(text)
	}
	if cause == nil || cause.Confidence != high || !strings.Contains(cause.Cause, "stress (pid 42) uses 3.9 cores of processor time") {
		t.Errorf("%+v", cause)
	}
	set(readings(r.Metric, who("stress"), flat(3.9)), readings(r.Metric, who("nginx"), flat(0.2)))
	if _, cause := one(s, r); cause == nil || cause.Confidence != low {
		t.Errorf("%+v", cause)
	}
	set(readings(r.Metric, who("a"), flat(1)), readings(r.Metric, who("b"), flat(1)), readings(r.Metric, who("c"), flat(1)))
	if text, cause := one(s, r); cause != nil {
		t.Error(text, cause)
	}
}

func TestChangeShortlyBeforeIsACauseAndAConsequenceIsNone(t *testing.T) {
	s := newScene()
	r := Read{Judge: "changed"}
	change := func(id string, before time.Duration, facts ...string) ops.Transition {
		m := map[string]string{}
		for i := 0; i < len(facts); i += 2 {
			m[facts[i]] = facts[i+1]
		}
		return ops.Transition{Object: "resource", ObjectID: id, Verb: "change", At: began.Add(-before), Facts: m}
	}
	s.Changes = []ops.Transition{change("res_web", 40*time.Minute, "image", "web:0 -> web:1"), change("res_web", time.Minute, "state", "running -> exited"),
		change("res_db", time.Minute, "image", "db:1 -> db:2"), change("res_web", -time.Minute, "image", "web:2 -> web:3")}
	if text, cause := one(s, r); cause != nil || !strings.HasPrefix(text, "nothing that Reeve sees of container web changed within 30 min") {
		t.Error(text, cause)
	}
	s.Changes = append(s.Changes, change("res_web", 4*time.Minute, "image", "web:1 -> web:2", "exit_code", "0 -> 1"))
	text, cause := one(s, r)
	if text != "4 min before it began, image of container web changed (web:1 -> web:2)" || cause.Confidence != medium {
		t.Error(text, cause)
	}
	if c := cause.For[0]; c.Kind != "time" || c.Name != "changed" || !c.At.Equal(began.Add(-4*time.Minute)) {
		t.Errorf("%+v", c)
	}
	r.Of = "containers"
	if text, cause := one(s, r); !strings.Contains(text, "db:1 -> db:2") || cause.Confidence != low {
		t.Error(text, cause)
	}
}

func TestTroubleBelowIsACauseWhenItCameFirst(t *testing.T) {
	s := newScene()
	trouble := ops.Finding{ID: "fnd_2", ResourceID: "res_host", Condition: "fs_full", State: ops.FindingOpen, Summary: "/var is 99 % full",
		FirstSeen: began.Add(-10 * time.Minute), OpenedAt: began.Add(-9 * time.Minute)}
	symptom := trouble
	symptom.ID, symptom.Condition = "fnd_3", "check_failing"
	s.Around = []ops.Finding{symptom}
	r := Read{Judge: "above"}
	if text, cause := one(s, r); cause != nil || text != "no trouble of host alpha that could cause it" {
		t.Error(text, cause)
	}
	s.Around = append(s.Around, trouble)
	if text, cause := one(s, r); cause == nil || cause.Confidence != high || text != "host alpha: /var is 99 % full, since 10 min before it began" {
		t.Error(text, cause)
	}
	for _, at := range []time.Duration{5 * time.Minute, -50 * time.Hour} {
		s.Around[1].FirstSeen = began.Add(at)
		if _, cause := one(s, r); cause.Confidence != low {
			t.Error(at, cause)
		}
	}
	s.Around[1].FirstSeen, s.Around[1].ResourceID = began.Add(-10*time.Minute), "res_db"
	if _, cause := one(s, r); cause.Confidence != medium {
		t.Error(cause)
	}
	s.Around[1].Condition = "clock_unsynchronised"
	if _, cause := one(s, r); cause != nil {
		t.Error("what nothing fails from is taken for a cause")
	}
	s.Around[1].Condition = "fs_full"
	s.Around[1].State, s.Around[1].ResolvedAt = ops.FindingResolved, began.Add(-time.Minute)
	if _, cause := one(s, r); cause != nil {
		t.Error(cause)
	}
}

func TestRecurrenceExplainsOnlyWithItsCure(t *testing.T) {
	s := newScene()
	r := Read{Judge: "recurring"}
	if text, cause := one(s, r); cause != nil || text != "it is the first time on container web" {
		t.Error(text, cause)
	}
	s.Past = Past{Count: 3, Last: began.Add(-48 * time.Hour), Text: "It was so 3 times before."}
	if text, cause := one(s, r); cause.Confidence != low || text != s.Past.Text {
		t.Error(text, cause)
	}
	s.Past.Cures = []string{"rotate the log"}
	if _, cause := one(s, r); cause.Confidence != medium || !strings.Contains(cause.Cause, "rotate the log") {
		t.Error(cause)
	}
}

func TestOthersWithTheSameAreNamed(t *testing.T) {
	s := newScene()
	r := Read{Judge: "elsewhere"}
	if text, _ := one(s, r); text != "no other container has the same problem" {
		t.Error(text)
	}
	s.Elsewhere = []ops.Finding{{ResourceID: "res_db", FirstSeen: began.Add(time.Minute)}, {ResourceID: "res_db", FirstSeen: began.Add(-50 * time.Hour)}}
	if text, cause := one(s, r); text != "the same problem on this host too: db" || cause.Confidence != low {
		t.Error(text, cause)
	}
	s.Elsewhere = append(s.Elsewhere, ops.Finding{ResourceID: "res_far", FirstSeen: began})
	if text, cause := one(s, r); cause != nil || !strings.Contains(text, "1 of them on other hosts") {
		t.Error(text, cause)
	}
}

func TestStateMeansWhatTheRunbookSays(t *testing.T) {
	s := newScene()
	r := Read{Judge: "state", Name: "result", Means: map[string]string{"oom-kill": "killed for memory", "*": "it says {value}"}, Confidence: medium}
	if text, _ := one(s, r); text != "result of container web is not known" {
		t.Error(text)
	}
	s.Resource.Observed = ops.Attrs{"result": "oom-kill"}
	if text, cause := one(s, r); text != "result of container web is oom-kill: killed for memory" || cause.For[0].Kind != "state" || cause.For[0].Text != "oom-kill" {
		t.Error(text, cause)
	}
	s.Resource.Observed["result"] = "odd"
	if text, cause := one(s, r); cause.Cause != "it says odd" {
		t.Error(text, cause)
	}
	r.Means = nil
	if text, cause := one(s, r); cause != nil || text != "result of container web is odd" {
		t.Error(text, cause)
	}
}

func event(id string, kind ops.EventType, at time.Duration, text string, facts map[string]string) store.StoredEvent {
	return store.StoredEvent{ResourceID: id, Event: ops.Event{Type: kind, At: began.Add(at), Text: text, Facts: facts, Count: 1}}
}

func TestEventsTellHowItEnded(t *testing.T) {
	s := newScene()
	r := Read{Judge: "event", Event: "container_exit", Name: "exit_code", Means: map[string]string{"137": "killed ({value})"}}
	if text, _ := one(s, r); text != "no container exit of container web since 11:00:00" {
		t.Error(text)
	}
	for n := range 4 {
		s.Events = append(s.Events, event("res_web", ops.EventContainerExit, time.Duration(n-3)*time.Minute, "exited with code 137", map[string]string{"exit_code": "137"}))
	}
	text, cause := one(s, r)
	if !strings.HasPrefix(text, "4 × container exit, the last: 11:58:00") || cause == nil || cause.Cause != "killed (137)" || len(cause.For) != 2 || cause.For[1].Text != "exited with code 137" {
		t.Error(text, cause)
	}
	s.Events = []store.StoredEvent{event("res_web", ops.EventContainerExit, 10*time.Minute, "exited with code 137", map[string]string{"exit_code": "137"})}
	if _, cause := one(s, r); cause != nil {
		t.Error("what came after it began is no cause")
	}
}

// Known words of an error name a cause; what came only afterwards does not.
func TestLogsNameTheirCause(t *testing.T) {
	s := newScene()
	r := Read{Judge: "log"}
	if text, _ := one(s, r); text != "no error lines of container web since 11:00:00" {
		t.Error(text)
	}
	for n := range 30 {
		s.Events = append(s.Events, event("res_web", ops.EventLogError, time.Duration(n)*time.Minute, "ERROR something odd", map[string]string{"template_id": "a"}))
	}
	s.Events = append(s.Events, event("res_web", ops.EventLogError, -2*time.Minute, "listen tcp :80: bind: address already in use", map[string]string{"template_id": "b"}))
	text, cause := one(s, r)
	if !strings.HasPrefix(text, "1 × in the log of container web since 11:58:00: listen tcp :80") || cause == nil || cause.Cause != "Another program holds the port that it wants: its log says so" {
		t.Error(text, cause)
	}
	s.Events[30].At = began.Add(5 * time.Minute)
	if _, cause := one(s, r); cause != nil {
		t.Error(cause)
	}
}

func TestPhrasesNameCauses(t *testing.T) {
	for line, want := range map[string]string{
		"write /var/lib/x: no space left on device":                   "the disk or its quota is full",
		"FATAL: password authentication failed for user \"x\"":        "credentials are refused",
		"dial tcp: lookup db on 127.0.0.11:53: no such host":          "DNS",
		"dial tcp 10.0.0.5:5432: connect: connection refused":         "does not listen",
		"x509: certificate has expired or is not yet valid":           "TLS certificate",
		"java.lang.OutOfMemoryError: Java heap space":                 "no more memory",
		"open /etc/app.conf: permission denied":                       "permissions",
		"nginx: [emerg] unknown directive \"foo\" in /etc/nginx.conf": "configuration",
		"Error: DATABASE_URL environment variable is required":        "setting that it needs is missing",
		"standard_init_linux.go: exec format error":                   "another processor",
		"panic: runtime error: index out of range":                    "crashes",
		"everything is fine":                                          "",
	} {
		if got := causeOf(line); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q: %q, not %q", line, got, want)
		}
	}
}

// Judges take whatever the estate holds: no data is an answer, none crashes.
func FuzzJudges(f *testing.F) {
	f.Add("log", "container_memory_bytes", "exited \x00 <data>", 1.5, int64(-3))
	f.Add("top", "process_cpu_ratio", "", -1.0, int64(60))
	f.Add("rose", "x", "‮", 1e308, int64(1<<40))
	f.Fuzz(func(t *testing.T, word, metric, text string, value float64, minute int64) {
		s := newScene()
		at := time.Duration(minute%100_000) * time.Minute
		s.Resource.Observed = ops.Attrs{metric: text}
		s.Events = []store.StoredEvent{event("res_web", ops.EventLogError, at, text, nil), event("res_web", ops.EventContainerExit, at, text, map[string]string{metric: text})}
		s.Changes = []ops.Transition{{Object: "resource", ObjectID: "res_web", Verb: "change", At: began.Add(at), Facts: map[string]string{metric: text}}}
		s.Series[SeriesKey{"res_web", metric}] = []ops.Series{{Metric: metric, Labels: map[string]string{"process": text}, Points: []ops.Point{{At: began.Add(at), Value: value}}}}
		j, ok := judges[word]
		if !ok {
			return
		}
		for _, x := range j.judge(s, Read{Judge: word, Metric: metric, Name: metric, Event: "container_exit", Means: map[string]string{"*": "{value}{text}"}}) {
			if x.Text == "" {
				t.Error("a sign says nothing")
			}
			_ = fmt.Sprint(x)
		}
	})
}
