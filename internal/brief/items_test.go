package brief_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reeve/internal/brief"
	"reeve/internal/ops"
	"reeve/test/estatetest"
)

// shuffled answers the same estate in another order, with readings that
// jitter.
func shuffled(e brief.Estate, seed uint64) brief.Estate {
	r := rand.New(rand.NewPCG(seed, 1))
	e.Scope, e.Findings, e.Changes = slices.Clone(e.Scope), slices.Clone(e.Findings), slices.Clone(e.Changes)
	r.Shuffle(len(e.Scope), func(i, j int) { e.Scope[i], e.Scope[j] = e.Scope[j], e.Scope[i] })
	r.Shuffle(len(e.Findings), func(i, j int) { e.Findings[i], e.Findings[j] = e.Findings[j], e.Findings[i] })
	r.Shuffle(len(e.Changes), func(i, j int) { e.Changes[i], e.Changes[j] = e.Changes[j], e.Changes[i] })
	return e
}

func TestItemsAndDigestDoNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := estatetest.Make(rapid.IntRange(12, 120).Draw(t, "size"), rapid.IntRange(0, 10).Draw(t, "problems"), rapid.Uint64().Draw(t, "seed"))
		other := shuffled(e, rapid.Uint64().Draw(t, "order"))
		if d := cmp.Diff(brief.Items(e), brief.Items(other)); d != "" {
			t.Fatal(d)
		}
		if brief.Digest(e) != brief.Digest(other) {
			t.Fatal("the digest depends on the order")
		}
	})
}

func TestDigestSeesWhatMattersAndNothingElse(t *testing.T) {
	base := func() brief.Estate {
		e := estatetest.Make(40, 2, 1)
		for i := range e.Scope {
			e.Scope[i].Observed = ops.Attrs{"state": "running", "restart_count": "1"}
		}
		return e
	}
	was := brief.Digest(base())
	same := map[string]func(*brief.Estate){
		"a volatile attribute": func(e *brief.Estate) { e.Scope[3].Observed["restart_count"] = "2" },
		"a reading":            func(e *brief.Estate) { e.Readings[e.Scope[0].ID][0].Value += 0.01 },
		"the time":             func(e *brief.Estate) { e.Now = e.Now.Add(time.Hour); e.Scope[1].ObservedAt = e.Now },
		"what stands around":   func(e *brief.Estate) { e.Around = append(e.Around, ops.Resource{ID: "res_x"}) },
	}
	for what, change := range same {
		e := base()
		if change(&e); brief.Digest(e) != was {
			t.Errorf("%s changes the digest", what)
		}
	}
	other := map[string]func(*brief.Estate){
		"an attribute":         func(e *brief.Estate) { e.Scope[3].Observed["state"] = "exited" },
		"an unknown attribute": func(e *brief.Estate) { delete(e.Scope[3].Observed, "state") },
		"the presence":         func(e *brief.Estate) { e.Scope[3].Presence = ops.Absent },
		"the reachability":     func(e *brief.Estate) { e.Scope[3].Reachable = "unknown" },
		"the generation":       func(e *brief.Estate) { e.Scope[3].Generation++ },
		"a resource":           func(e *brief.Estate) { e.Scope = e.Scope[:len(e.Scope)-1] },
		"a severity":           func(e *brief.Estate) { e.Findings[1].Severity = ops.Critical; e.Findings[0].Severity = ops.Warning },
		"an acknowledgement":   func(e *brief.Estate) { e.Findings[0].State = ops.FindingAcknowledged },
		"an end":               func(e *brief.Estate) { e.Findings[0].State = ops.FindingResolved },
		"an episode's finding": func(e *brief.Estate) { e.Findings[0].ID = "fnd_other" },
	}
	for what, change := range other {
		e := base()
		if change(&e); brief.Digest(e) == was {
			t.Errorf("%s does not change the digest", what)
		}
	}
}

// the estate of the tests below: one host with a container and a file system.
func small() brief.Estate {
	e := estatetest.Make(4, 0, 1) // host, /, sda, traefik-1
	e.Previous.Detail = ops.RunDetail{}
	return e
}

func open(e *brief.Estate, id string, r ops.Resource, condition string, sev ops.Severity, incident string, ago time.Duration) *ops.Finding {
	at := e.Now.Add(-ago)
	e.Findings = append(e.Findings, ops.Finding{ID: id, ResourceID: r.ID, Condition: condition, State: ops.FindingOpen, Severity: sev, Summary: r.Name + " has " + condition,
		FirstSeen: at, OpenedAt: at, IncidentID: incident, Episode: 1})
	return &e.Findings[len(e.Findings)-1]
}

func TestFindingsOfOneIncidentAreOneItemAboutItsRoot(t *testing.T) {
	e := small()
	open(&e, "fnd_c", e.Scope[3], "container_unhealthy", ops.Critical, "inc_1", time.Hour)
	open(&e, "fnd_fs", e.Scope[1], "fs_full", ops.Warning, "inc_1", 2*time.Hour)
	e.Incidents["inc_1"] = ops.Incident{ID: "inc_1", RootID: "fnd_fs", Members: []ops.IncidentMember{{FindingID: "fnd_c", Reason: "opened after on /"}, {FindingID: "fnd_fs"}}}
	items := brief.Items(e)
	if len(items) != 1 || items[0].FindingID != "fnd_fs" || items[0].Severity != ops.Critical {
		t.Fatalf("%+v", items)
	}
	if a := items[0].Affects; len(a) != 1 || !strings.Contains(a[0], "traefik-1") || !strings.Contains(a[0], "opened after on /") {
		t.Errorf("affects %q", a)
	}
	if !slices.ContainsFunc(items[0].Checks, func(c string) bool { return strings.Contains(c, "du -x") && !strings.Contains(c, "/MOUNT") }) {
		t.Errorf("checks %q do not name the mount", items[0].Checks)
	}
}

func TestItemsNameChangesAndTroublesAboveFirst(t *testing.T) {
	e := small()
	host, c := e.Scope[0], e.Scope[3]
	open(&e, "fnd_c", c, "container_unhealthy", ops.Warning, "inc_1", time.Hour)
	open(&e, "fnd_h", host, "host_memory_high", ops.Warning, "inc_2", 2*time.Hour)
	change := func(r ops.Resource, before time.Duration, what string) {
		e.Changes = append(e.Changes, ops.Transition{At: e.Now.Add(-time.Hour - before), Verb: "change", Object: "resource", ObjectID: r.ID, Facts: map[string]string{what: "a -> b"}})
	}
	change(c, 2*time.Minute, "image")
	change(host, 10*time.Minute, "kernel")
	change(c, time.Hour, "far")
	change(c, -time.Minute, "later")
	at := slices.IndexFunc(brief.Items(e), func(i ops.RunItem) bool { return i.FindingID == "fnd_c" })
	got := strings.Join(brief.Items(e)[at].Causes, "\n")
	for _, want := range []string{"2m0s before it began, image of traefik-1 changed: a -> b", "kernel of pve01 changed", "host pve01 is in trouble since"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "far") || strings.Contains(got, "later") {
		t.Errorf("causes name changes of another time:\n%s", got)
	}
	if i := strings.Index(got, "image of"); i > strings.Index(got, "is in trouble") {
		t.Error("changes come after topology")
	}
}

func TestScopedItemsAreNeverAboutWhatStandsAround(t *testing.T) {
	e := small()
	e.Around, e.Scope = e.Scope[:1], e.Scope[3:]
	open(&e, "fnd_h", e.Around[0], "host_memory_high", ops.Critical, "inc_1", 2*time.Hour)
	open(&e, "fnd_c", e.Scope[0], "container_unhealthy", ops.Warning, "inc_1", time.Hour)
	e.Incidents["inc_1"] = ops.Incident{ID: "inc_1", RootID: "fnd_h"}
	items := brief.Items(e)
	if len(items) != 1 || items[0].FindingID != "fnd_c" || items[0].Severity != ops.Warning {
		t.Fatalf("%+v", items)
	}
	if !strings.Contains(items[0].Causes[0], "likely cause is host pve01") {
		t.Errorf("causes %q", items[0].Causes)
	}
}

func TestNewsComparesWithTheRunBefore(t *testing.T) {
	e := small()
	known := open(&e, "fnd_known", e.Scope[1], "fs_full", ops.Warning, "", 48*time.Hour)
	e.Previous.Detail.Items = []ops.RunItem{{FindingID: "fnd_known", Severity: ops.Warning, News: brief.New}}
	news := func() string {
		for _, i := range brief.Items(e) {
			if i.FindingID == "fnd_known" {
				return i.News
			}
		}
		return ""
	}
	if n := news(); n != brief.Known {
		t.Errorf("a known finding is %s", n)
	}
	known.Severity = ops.Critical
	if n := news(); n != brief.Worse {
		t.Errorf("a finding that rose is %s", n)
	}
	known.State, known.ResolvedAt, known.ResolvedBy = ops.FindingResolved, e.Now, "recovered"
	if n := news(); n != brief.Cleared {
		t.Errorf("a finding that ended is %s", n)
	}
	e.Previous = nil
	known.State = ops.FindingOpen
	if n := news(); n != brief.New {
		t.Errorf("without a run before it is %s", n)
	}
}

func TestCriticalStandsAboveWarningWhateverElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := estatetest.Make(rapid.IntRange(30, 200).Draw(t, "size"), rapid.IntRange(1, 10).Draw(t, "problems"), rapid.Uint64().Draw(t, "seed"))
		for i := range e.Findings {
			e.Findings[i].Severity = rapid.SampledFrom([]ops.Severity{ops.Warning, ops.Critical}).Draw(t, "severity")
			e.Findings[i].FirstSeen = e.Now.Add(-time.Duration(rapid.IntRange(0, 1e6).Draw(t, "age")) * time.Second)
		}
		last := 3
		for _, i := range brief.Items(e) {
			if i.Severity.Rank() > last {
				t.Fatalf("%s after a lesser one", i.What)
			}
			last = i.Severity.Rank()
		}
	})
}

func TestSummarySaysHealthyOnlyWhenSure(t *testing.T) {
	some := map[ops.Kind]int64{ops.KindHost: 2}
	bad := []ops.RunItem{{FindingID: "fnd_1", Severity: ops.Critical, What: "/ is full", Place: "filesystem / on host a", News: brief.New}}
	for _, c := range []struct {
		items    []ops.RunItem
		counts   map[ops.Kind]int64
		complete bool
		want     ops.RunHealth
	}{
		{nil, some, true, ops.RunHealthy}, {nil, some, false, ops.RunInconclusive}, {nil, nil, true, ops.RunInconclusive},
		{bad, some, true, ops.RunCritical}, {bad, some, false, ops.RunCritical},
		{[]ops.RunItem{{FindingID: "x", Severity: ops.Warning, News: brief.Known}}, some, true, ops.RunIssues},
		{[]ops.RunItem{{FindingID: "x", Severity: ops.Critical, News: brief.Cleared}}, some, true, ops.RunHealthy},
	} {
		text, health := brief.Summary(c.items, c.counts, c.complete)
		if health != c.want {
			t.Errorf("%s: %s, want %s", text, health, c.want)
		}
	}
	if text, _ := brief.Summary(bad, some, true); text != "1 problem, critical; 2 resources looked at. Of these 1 new. Most important: / is full (filesystem / on host a)." {
		t.Error(text)
	}
}

func TestAmountsCarryTheirUnit(t *testing.T) {
	for _, c := range []struct {
		metric string
		v      float64
		want   string
	}{{"fs_used_ratio", 0.9312, "93.1 %"}, {"fs_available_bytes", 4.1e9, "4.1 GB"}, {"uptime_seconds", 90000, "25 h"}, {"disk_await_seconds", 0.0123, "12.3 ms"},
		{"disk_temperature_celsius", 61, "61 °C"}, {"container_restarts_total", 9, "9"}, {"load_1m", 2.345, "2.35"}} {
		if got := brief.Amount(c.metric, c.v); got != c.want {
			t.Errorf("%s %g: %q, want %q", c.metric, c.v, got, c.want)
		}
	}
}

// An item must say enough for a person to begin with.
func TestItemsExplain(t *testing.T) {
	e := estatetest.Make(100, 2, 3)
	for _, i := range brief.Items(e) {
		if i.What == "" || i.Place == "" || i.Since.IsZero() || len(i.Evidence) == 0 || len(i.Causes) < 2 || len(i.Checks) < 2 {
			t.Errorf("it does not explain: %s", fmt.Sprintf("%+v", i))
		}
	}
}
