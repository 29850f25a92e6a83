package tools_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"reeve/internal/detectors"
	"reeve/internal/evidence"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/tool"
	"reeve/internal/tools"
	"reeve/internal/tsdb"
	"reeve/internal/turn"
	"reeve/test/storetest"
)

const (
	hostID  = "res_00000000000000000000001"
	otherID = "res_00000000000000000000002"
	varID   = "res_00000000000000000000003"
	webID   = "res_00000000000000000000004"
	dbID    = "res_00000000000000000000005"
	diskID  = "res_00000000000000000000006"
	findID  = "fnd_00000000000000000000001"
	oldID   = "fnd_00000000000000000000002"
	incID   = "inc_00000000000000000000001"
)

// A bench is an estate of two hosts with the tools for it.
type bench struct {
	env tools.Env
	now time.Time
	db  *store.Store
	ts  *tsdb.DB
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{now: time.Now().Truncate(time.Second), db: storetest.SQLite(t)}
	var err error
	if b.ts, err = tsdb.Open(t.Context(), slog.New(slog.DiscardHandler), tsdb.Options{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.ts.Close() })
	b.env = tools.Env{Now: func() time.Time { return b.now }, Store: b.db, Metrics: b.ts, Definitions: detectors.All()}
	if err := b.fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) fill(ctx context.Context) error {
	res := func(id string, kind ops.Kind, name, host, hostName string, observed ops.Attrs) ops.Resource {
		r := ops.Resource{ID: id, Kind: kind, Name: name, HostID: host, HostName: hostName, Key: ops.ResourceKey{Host: host, Source: "linux", Key: id},
			Presence: ops.Present, Reachable: "online", Observed: observed, FirstSeen: b.now.Add(-48 * time.Hour), ObservedAt: b.now}
		if id != host {
			r.ParentID = host
		}
		return r
	}
	web := res(webID, ops.KindContainer, "web", hostID, "alpha", ops.Attrs{"state": "running", "health": "unhealthy", "image": "shop:1.2", "restart_count": "4"})
	web.Labels = map[string]string{"team": "shop"}
	web.Key.Source = "docker"
	return b.db.Tx(ctx, b.now.Add(-3*time.Hour), func(tx *store.Tx) error {
		for _, r := range []ops.Resource{
			res(hostID, ops.KindHost, "alpha", hostID, "alpha", ops.Attrs{"os": "Debian 12"}), res(otherID, ops.KindHost, "beta", otherID, "beta", nil),
			res(varID, ops.KindFilesystem, "/var", hostID, "alpha", ops.Attrs{"device": "/dev/sda1"}), web,
			res(dbID, ops.KindContainer, "db password=hunter2", otherID, "beta", ops.Attrs{"state": "exited", "exit_code": "137"}),
			res(diskID, ops.KindDisk, "sda", hostID, "alpha", ops.Attrs{"serial": "S3CRET"}),
		} {
			if err := tx.SaveResource(ctx, r, ""); err != nil {
				return err
			}
		}
		if err := b.findings(ctx, tx); err != nil {
			return err
		}
		tx.Record(ops.Transition{Actor: "ingest", Verb: "change", Object: "resource", ObjectID: webID, Facts: map[string]string{"image": "shop:1.1 -> shop:1.2"}})
		err := tx.AddNote(ctx, ops.Note{ID: ops.NewID(ops.NoteID), ResourceID: varID, Kind: "note", Text: "grows on Mondays", Author: "user:ann", State: ops.NoteActive, At: b.now}, store.Why{Actor: "user:ann"})
		if err != nil {
			return err
		}
		if err := tx.AddEvents(ctx, []store.StoredEvent{{ResourceID: webID, Collector: "logs", Event: ops.Event{Type: ops.EventLogError, At: b.now.Add(-10 * time.Minute),
			Text: "ERROR upstream refused, token=abcdef123", SourceID: "1", Count: 7, Facts: map[string]string{"new": "true"}}}}); err != nil {
			return err
		}
		return b.samples(ctx)
	})
}

func (b *bench) findings(ctx context.Context, tx *store.Tx) error {
	why := store.Why{Actor: "watch"}
	old := ops.Finding{ID: oldID, ResourceID: varID, Condition: "fs_full", State: ops.FindingOpen, Severity: ops.Warning, Peak: ops.Warning, Origin: "rule",
		Summary: "/var is 86 % full", FirstSeen: b.now.Add(-30 * time.Hour), OpenedAt: b.now.Add(-30 * time.Hour), LastSeen: b.now.Add(-29 * time.Hour), Count: 1, Episode: 1}
	if err := tx.OpenFinding(ctx, old, why); err != nil {
		return err
	}
	moved, err := tx.Finding(ctx, oldID)
	if err != nil {
		return err
	}
	if moved, err = tx.MoveFinding(ctx, moved, ops.FindingAccept, store.Why{Actor: "user:ann", Reason: "removed old logs"}, func(f *ops.Finding) { f.ResolvedAt, f.ResolvedBy = b.now.Add(-28*time.Hour), "accepted" }); err != nil {
		return err
	}
	if _, err = tx.MoveFinding(ctx, moved, ops.FindingExpire, why, func(f *ops.Finding) { f.ClosedAt = b.now.Add(-4 * time.Hour) }); err != nil {
		return err
	}
	f := ops.Finding{ID: findID, ResourceID: varID, Condition: "fs_full", State: ops.FindingOpen, Severity: ops.Critical, Peak: ops.Critical, Origin: "rule",
		Summary: "/var is 97 % full", FirstSeen: b.now.Add(-2 * time.Hour), OpenedAt: b.now.Add(-2 * time.Hour), LastSeen: b.now, Count: 3, Episode: 1}
	if err := tx.OpenFinding(ctx, f, why); err != nil {
		return err
	}
	if err := tx.AddEvidence(ctx, ops.Evidence{ID: ops.NewID("evd"), FindingID: findID, What: "used", TakenAt: b.now, Series: []ops.Series{{Metric: "fs_used_ratio", Points: []ops.Point{{At: b.now, Value: 0.97}}}}}); err != nil {
		return err
	}
	if err := tx.OpenIncident(ctx, ops.Incident{ID: incID, Title: "/var of alpha is full", State: ops.IncidentOpen, Severity: ops.Critical, Peak: ops.Critical, RootID: findID, OpenedAt: b.now}, why); err != nil {
		return err
	}
	return tx.Join(ctx, incID, ops.IncidentMember{FindingID: findID, Reason: "the root", JoinedAt: b.now})
}

func (b *bench) samples(ctx context.Context) error {
	var batch []tsdb.Sample
	add := func(ref tsdb.Ref, value func(i int) float64) {
		for i := range 120 {
			batch = append(batch, tsdb.Sample{Ref: ref, At: b.now.Add(-time.Duration(119-i) * 30 * time.Second), Value: value(i)})
		}
	}
	add(b.ts.Ref("alpha", varID, "fs_used_ratio", nil), func(i int) float64 { return 0.85 + float64(i)/1000 })
	add(b.ts.Ref("alpha", varID, "fs_available_bytes", nil), func(i int) float64 { return 3.123456e9 - float64(i)*1e6 })
	add(b.ts.Ref("alpha", hostID, "process_memory_bytes", map[string]string{"process": "postgres", "pid": "42"}), func(int) float64 { return 2e9 })
	add(b.ts.Ref("alpha", hostID, "process_memory_bytes", map[string]string{"process": "nginx", "pid": "43"}), func(int) float64 { return 3e9 })
	add(b.ts.Ref("alpha", hostID, "process_cpu_ratio", map[string]string{"process": "postgres", "pid": "42"}), func(int) float64 { return 0.73 })
	add(b.ts.Ref("alpha", hostID, "processes_count", nil), func(int) float64 { return 210 })
	add(b.ts.Ref("alpha", diskID, "disk_busy_ratio", nil), func(i int) float64 { return float64(i%7) / 10 })
	return b.ts.Append(ctx, batch)
}

// box opens the tools of a profile, all of them.
func (b *bench) box(profile tool.Profile) *tool.Set[tools.Env] {
	set := tool.NewSet(b.env, profile, tools.All(), tool.Limits{})
	var names []string
	for _, d := range tools.All() {
		names = append(names, d.Name)
	}
	in, _ := json.Marshal(map[string]any{"names": names}) // texts always marshal
	set.Call(context.Background(), tool.MoreTools, in)
	return set
}

func TestToolsSayWhatIsStored(t *testing.T) {
	b := newBench(t)
	box := b.box(tool.Assistant)
	for _, x := range []struct {
		tool, in string
		want     []string
	}{
		{"find_resources", `{"text":"WEB"}`, []string{webID + " container web on alpha state=running health=unhealthy"}},
		{"find_resources", `{"kind":"container","state":"exited"}`, []string{dbID}},
		{"find_resources", `{"host":"beta","limit":1}`, []string{"1 shown, there are more: cursor "}},
		{"find_resources", `{"kind":"pod"}`, []string{`"pod" is no kind`, "container"}},
		{"find_resources", `{"text":"zzz"}`, []string{"no such resource"}},
		{"find_resources", `{"cursor":"!"}`, []string{"the cursor is not one"}},
		{"read_resource", `{"resource":"web"}`, []string{"container web on alpha: present, online", "image=shop:1.2", "labels: team=shop", "in: " + hostID + " host alpha", "no open finding"}},
		{"read_resource", `{"resource":"alpha"}`, []string{"has 1 container: web (running)", "has 1 filesystem: /var"}},
		{"read_resource", `{"resource":"/var@alpha"}`, []string{"finding " + findID + " open critical fs_full"}},
		{"read_resource", `{"resource":"gamma"}`, []string{"no resource in scope"}},
		{"list_metrics", `{"resource":"/var"}`, []string{"fs_used_ratio 0.969 ratio", "fs_available_bytes 3004000000 bytes"}},
		{"read_metric", `{"resource":"/var","metric":"fs_used_ratio"}`, []string{"last 60 min", "fs_used_ratio ratio last=0.969 min=0.85 avg=0.9095 max=0.969 delta=0.119", "means of 2m29s each: 0.852 0.857"}},
		{"read_metric", `{"resource":"/var","metric":"fs_used","minutes":30}`, []string{"there is no fs_used of filesystem /var on alpha in the last 30 min; there are: fs_available_bytes, fs_used_ratio"}},
		{"read_metric", `{"resource":"/var","metric":"fs_used_ratio","minutes":-1}`, []string{"minutes are from 1"}},
		{"read_metric", `{"resource":"/var","metric":"fs_used_ratio","minutes":60,"step":10}`, []string{"means of 10m0s each: "}},
		{"list_findings", `{}`, []string{findID + " open critical fs_full, " + varID + " filesystem /var on alpha, since "}},
		{"list_findings", `{"state":"closed"}`, []string{oldID}},
		{"list_findings", `{"host":"beta"}`, []string{"no such finding"}},
		{"list_findings", `{"host":"` + hostID + `","severity":"critical"}`, []string{findID}},
		{"read_finding", `{"finding":"` + findID + `"}`, []string{"raised 3 times", "File system is almost full", "usual causes", "fs_used_ratio 0.97", " open"}},
		{"read_finding", `{"finding":"fnd_x"}`, []string{"there is no finding fnd_x"}},
		{"read_incident", `{"incident":"` + incID + `"}`, []string{"/var of alpha is full", "root: " + findID}},
		{"list_changes", `{}`, []string{webID + " container web on alpha", "image=shop:1.1 -> shop:1.2"}},
		{"list_changes", `{"resource":"alpha","minutes":240}`, []string{"shop:1.2"}},
		{"list_changes", `{"resource":"beta"}`, []string{"no change since"}},
		{"list_changes", `{"minutes":60}`, []string{"no change since"}},
		{"read_logs", `{"resource":"web"}`, []string{"stored events", "log_error x7 ERROR upstream refused, token=[redacted] [not seen before]"}},
		{"read_logs", `{"resource":"web","contains":"nothing"}`, []string{"none since"}},
		{"list_processes", `{"host":"alpha"}`, []string{"processes_count=210", "process_memory_bytes=3000000000 nginx pid 43\nprocess_memory_bytes=2000000000 postgres pid 42"}},
		{"list_processes", `{"host":"alpha","by":"cpu"}`, []string{"process_cpu_ratio=0.73 postgres"}},
		{"list_processes", `{"host":"web"}`, []string{"is no host"}},
		{"list_storage", `{"host":"alpha"}`, []string{varID + " filesystem /var device=/dev/sda1 fs_available_bytes=3004000000 fs_used_ratio=0.969", diskID + " disk sda disk_busy_ratio="}},
		{"list_containers", `{}`, []string{"web on alpha health=unhealthy image=shop:1.2", "exit_code=137"}},
		{"list_containers", `{"host":"beta","state":"running"}`, []string{"no such container"}},
		{"previous_incidents", `{"condition":"fs_full","resource":"/var"}`, []string{oldID, "removed old logs"}},
		{"previous_incidents", `{"condition":"fs_full"}`, []string{oldID + " closed warning", "accepted"}},
		{"previous_incidents", `{"condition":"oom_kill"}`, []string{"no earlier time of oom_kill"}},
		{"read_notes", `{"resource":"/var"}`, []string{"note filesystem /var on alpha by user:ann: grows on Mondays"}},
		{"suggest_note", `{"kind":"note","text":"x"}`, []string{"notes cannot be taken here"}},
	} {
		r := box.Call(t.Context(), x.tool, json.RawMessage(x.in))
		for _, want := range x.want {
			if !strings.Contains(r.Text, want) {
				t.Errorf("%s %s answers\n%s\nwithout %q", x.tool, x.in, r.Text, want)
			}
		}
		if strings.Contains(r.Text, "hunter2") || strings.Contains(r.Text, "abcdef") || strings.Contains(r.Text, "S3CRET") {
			t.Errorf("%s %s tells a secret:\n%s", x.tool, x.in, r.Text)
		}
	}
}

var statForm = regexp.MustCompile(`(last|min|avg|max|delta)=(\S+)`)

// TestWhatIsShownCanBeClaimed takes every number that read_metric shows as a
// claim: each must hold.
func TestWhatIsShownCanBeClaimed(t *testing.T) {
	b := newBench(t)
	box, src := b.box(tool.Patrol), turn.NewSource(b.db, b.ts)
	claimed := 0
	for _, x := range []struct{ id, metric string }{{varID, "fs_used_ratio"}, {varID, "fs_available_bytes"}, {hostID, "process_memory_bytes"}, {hostID, "process_cpu_ratio"}, {diskID, "disk_busy_ratio"}} {
		for _, minutes := range []int64{5, 17, 60, 600} {
			r := box.Call(t.Context(), "read_metric", fmt.Appendf(nil, `{"resource":%q,"metric":%q,"minutes":%d}`, x.id, x.metric, minutes))
			for _, m := range statForm.FindAllStringSubmatch(r.Text, -1) {
				v, err := strconv.ParseFloat(m[2], 64)
				if err != nil {
					t.Fatal(err)
				}
				claimed++
				if got := evidence.Check(t.Context(), src, b.now, ops.Claim{Kind: "metric", ResourceID: x.id, Metric: x.metric, Stat: m[1], Minutes: minutes, Value: &v}); !got.OK {
					t.Errorf("%s %s over %d min is shown as %s and not believed: %s", x.metric, m[1], minutes, m[2], got.Reason)
				}
			}
		}
	}
	if claimed < 100 {
		t.Errorf("only %d numbers were shown", claimed)
	}
}

func TestPagesHoldEverythingOnce(t *testing.T) {
	b := newBench(t)
	box := b.box(tool.Assistant)
	seen, cursor := map[string]int{}, ""
	for range 20 {
		r := box.Call(t.Context(), "find_resources", fmt.Appendf(nil, `{"limit":2,"cursor":%q}`, cursor))
		for _, id := range regexp.MustCompile(`res_[0-9a-z]{23}`).FindAllString(r.Text, -1) {
			seen[id]++
		}
		m := regexp.MustCompile(`cursor (\S+)\]`).FindStringSubmatch(r.Text)
		if m == nil {
			break
		}
		cursor = m[1]
	}
	if len(seen) != 6 || slices.ContainsFunc([]string{hostID, otherID, varID, webID, dbID, diskID}, func(id string) bool { return seen[id] != 1 }) {
		t.Errorf("pages hold %v", seen)
	}
}

func TestWithheldIsTreatedAsAbsent(t *testing.T) {
	b := newBench(t)
	b.env.Withheld = func(r ops.Resource) bool { return r.HostName == "alpha" }
	b.env.WithheldFields = map[string]bool{"labels": true, "attributes": true, "logs": true, "processes": true, "notes": true}
	box := b.box(tool.Assistant)
	for name, inputs := range map[string][]string{
		"find_resources": {`{}`, `{"text":"web"}`}, "read_resource": {`{"resource":"web"}`, `{"resource":"` + webID + `"}`, `{"resource":"beta"}`}, "list_metrics": {`{"resource":"/var"}`},
		"read_metric": {`{"resource":"` + varID + `","metric":"fs_used_ratio"}`}, "list_findings": {`{}`, `{"resource":"` + varID + `"}`}, "read_finding": {`{"finding":"` + findID + `"}`},
		"list_changes": {`{}`}, "read_logs": {`{"resource":"` + dbID + `"}`}, "list_processes": {`{"host":"beta"}`}, "list_storage": {`{"host":"alpha"}`}, "list_containers": {`{}`},
		"previous_incidents": {`{"condition":"fs_full"}`, `{"condition":"fs_full","resource":"/var"}`}, "read_notes": {`{}`},
	} {
		for _, in := range inputs {
			r := box.Call(t.Context(), name, json.RawMessage(in))
			for _, secret := range []string{"0.969", "shop:", "unhealthy", "97 %", "137", "Mondays", "team=", "refused"} {
				if strings.Contains(r.Text, secret) {
					t.Errorf("%s %s tells %q:\n%s", name, in, secret, r.Text)
				}
			}
		}
	}
	if r := box.Call(t.Context(), "read_incident", json.RawMessage(`{"incident":"`+incID+`"}`)); !r.Failed || strings.Contains(r.Text, "/var") {
		t.Errorf("an incident tells of a withheld resource:\n%s", r.Text)
	}
}

// TestReasonsDoNotNameWhatIsWithheld: why a finding is with others names them.
func TestReasonsDoNotNameWhatIsWithheld(t *testing.T) {
	b := newBench(t)
	const reason = "opened 5 s after fs full on file system /var"
	why := store.Why{Actor: "watch", Reason: reason}
	if err := b.db.Tx(t.Context(), b.now, func(tx *store.Tx) error {
		f := ops.Finding{ID: ops.NewID(ops.FindingID), ResourceID: otherID, Condition: "host_cpu_high", State: ops.FindingOpen, Severity: ops.Warning, Peak: ops.Warning, Origin: "rule",
			Summary: "the processors are busy", FirstSeen: b.now, OpenedAt: b.now, LastSeen: b.now, Count: 1, Episode: 1}
		if err := tx.OpenFinding(t.Context(), f, why); err != nil {
			return err
		}
		tx.Record(ops.Transition{Actor: "watch", Verb: "update", Object: "incident", ObjectID: incID, Reason: reason})
		return tx.Join(t.Context(), incID, ops.IncidentMember{FindingID: f.ID, Reason: reason, JoinedAt: b.now})
	}); err != nil {
		t.Fatal(err)
	}
	read := func() string {
		return b.box(tool.Assistant).Call(t.Context(), "read_incident", json.RawMessage(`{"incident":"`+incID+`"}`)).Text
	}
	if text := read(); strings.Count(text, reason) != 3 {
		t.Errorf("the reasons are not told:\n%s", text)
	}
	b.env.Withheld = func(r ops.Resource) bool { return r.HostName == "alpha" }
	if text := read(); strings.Contains(text, "/var") || !strings.Contains(text, "the processors are busy") {
		t.Errorf("a withheld resource is told, or what is not withheld is not:\n%s", text)
	}
}
