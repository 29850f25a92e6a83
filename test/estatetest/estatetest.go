// Package estatetest makes up estates for tests and benchmarks of what is
// told of one: the same size, number of problems and seed give the same
// estate.
package estatetest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"reeve/internal/brief"
	"reeve/internal/detectors"
	"reeve/internal/ops"
)

// Now is when every estate is looked at.
var Now = time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)

// perHost is how many resources a host has, itself among them.
const perHost = 34

// Make answers an estate of the given number of resources, with that many
// problems on different resources.
func Make(resources, problems int, seed uint64) brief.Estate {
	m := &maker{rand: rand.New(rand.NewPCG(seed, 7))}
	m.e = brief.Estate{Now: Now, Trigger: ops.TriggerScheduled, Incidents: map[string]ops.Incident{}, Evidence: map[string][]ops.Evidence{},
		Readings: map[string][]brief.Reading{}, Before: map[string]string{}, Advice: Advice()}
	for len(m.e.Scope) < resources {
		m.host(min(perHost, resources-len(m.e.Scope)))
	}
	m.problems(problems)
	m.e.Previous = &ops.Run{ID: m.id(ops.RunID), State: ops.RunDone, Health: ops.RunHealthy, StartedAt: Now.Add(-6 * time.Hour), EndedAt: Now.Add(-6 * time.Hour),
		Summary: "No problem was found."}
	return m.e
}

// Advice answers what the catalogue says of every condition.
func Advice() map[string]brief.Advice {
	all := map[string]brief.Advice{}
	for _, d := range detectors.All() {
		all[d.Name] = brief.Advice{Title: d.Title, Role: int(d.Role), Causes: d.Causes, Checks: d.Checks, Future: d.Name == "fs_full_soon"}
	}
	return all
}

type maker struct {
	rand  *rand.Rand
	e     brief.Estate
	hosts int
	ids   int
}

// id makes an ID of the usual length that does not depend on the time.
func (m *maker) id(prefix string) string {
	const letters = "0123456789abcdefghjkmnpqrstvwxyz"
	text := []byte(prefix + "_06f8s3kq0x")
	for range 8 {
		text = append(text, letters[m.rand.IntN(len(letters))])
	}
	m.ids++
	return string(text) + fmt.Sprintf("%05d", m.ids)
}

var sites = []string{"pve", "nas", "web", "db", "edge", "build", "media", "mail"}

var parts = []struct {
	kind  ops.Kind
	names []string
	seen  ops.Attrs
}{
	{ops.KindFilesystem, []string{"/", "/var", "/srv", "/var/lib/docker", "/backup"}, ops.Attrs{"fs": "ext4", "device": "/dev/sda2"}},
	{ops.KindDisk, []string{"sda", "sdb", "nvme0n1"}, ops.Attrs{"model": "Samsung SSD 870", "smart_passed": "true"}},
	{ops.KindContainer, []string{"traefik-1", "nextcloud-app-1", "postgres-1", "redis-1", "grafana-1", "jellyfin-1", "immich-server-1", "paperless-1", "vaultwarden-1", "gitea-1"},
		ops.Attrs{"state": "running", "image": "ghcr.io/example/app:1.4.2", "health": "healthy"}},
	{ops.KindUnit, []string{"ssh.service", "docker.service", "cron.service", "smartd.service", "zfs-zed.service", "nfs-server.service"}, ops.Attrs{"active_state": "active", "sub_state": "running"}},
	{ops.KindInterface, []string{"eth0", "br0"}, ops.Attrs{"carrier": "true", "speed": "1000"}},
	{ops.KindService, []string{"web", "db", "cache"}, ops.Attrs{"desired": "1", "running": "1"}},
	{ops.KindPool, []string{"tank"}, ops.Attrs{"health": "ONLINE"}},
	{ops.KindCertificate, []string{":443", ":8443"}, ops.Attrs{"issuer": "R11"}},
	{ops.KindCheck, []string{"login page"}, ops.Attrs{"up": "true"}},
}

func (m *maker) host(size int) {
	name := fmt.Sprintf("%s%02d", sites[m.hosts%len(sites)], m.hosts+1)
	m.hosts++
	h := ops.Resource{ID: m.id(ops.ResourceID), Kind: ops.KindHost, Name: name, HostName: name, Presence: ops.Present, Reachable: "online",
		FirstSeen: Now.AddDate(0, -3, 0), ObservedAt: Now.Add(-5 * time.Second), Generation: 1, Version: 1,
		Observed: ops.Attrs{"os": "Debian GNU/Linux 13", "kernel": "6.12.9", "boot_id": "b1"}}
	h.HostID = h.ID
	m.e.Scope = append(m.e.Scope, h)
	m.e.Readings[h.ID] = []brief.Reading{
		{Metric: "cpu_busy_ratio", At: Now, Value: float64(m.rand.IntN(60)) / 100}, {Metric: "memory_used_ratio", At: Now, Value: 0.3 + float64(m.rand.IntN(40))/100},
		{Metric: "load_1m", At: Now, Value: float64(m.rand.IntN(300)) / 100}, {Metric: "uptime_seconds", At: Now, Value: 86400 * float64(m.rand.IntN(90))}}
	for n, round := 1, 0; n < size; round++ {
		for _, p := range parts {
			if n == size || round >= len(p.names) && p.kind != ops.KindContainer {
				continue
			}
			r := h
			r.ID, r.Kind, r.ParentID, r.Observed = m.id(ops.ResourceID), p.kind, h.ID, p.seen
			r.Name = p.names[round%len(p.names)]
			if round >= len(p.names) {
				r.Name = fmt.Sprintf("%s-%d", r.Name, round)
			}
			m.e.Scope = append(m.e.Scope, r)
			n++
		}
	}
}

// faults are what problems are made of: a condition, its sentence, a metric
// and a line of a log.
var faults = []struct {
	condition string
	kind      ops.Kind
	severity  ops.Severity
	summary   string
	metric    string
	from, to  float64
	quote     string
}{
	{"fs_full", ops.KindFilesystem, ops.Critical, "%s is 96 %% full: 4.1 GB of 105 GB left", "fs_used_ratio", 0.91, 0.96, ""},
	{"container_restart_loop", ops.KindContainer, ops.Critical, "%s was restarted 6 times within 5 min; the last exit code is 137", "container_restarts_total", 3, 9,
		"2026-03-02T09:14:05Z level=error msg=\"dial tcp 10.0.3.17:5432: connect: connection refused\" attempt=12"},
	{"unit_failed", ops.KindUnit, ops.Warning, "%s failed: exit-code", "", 0, 0, "Main process exited, code=exited, status=203/EXEC"},
	{"disk_temperature", ops.KindDisk, ops.Warning, "%s is at 61 °C", "disk_temperature_celsius", 48, 61, ""},
	{"certificate_expiring", ops.KindCertificate, ops.Warning, "the certificate of %s expires in 9 days", "certificate_expires_seconds", 800000, 777600, ""},
	{"service_down", ops.KindService, ops.Critical, "%s does not run: none of 1 container is up", "", 0, 0, ""},
	{"container_unhealthy", ops.KindContainer, ops.Warning, "%s is unhealthy for 4 min: health check failed 9 times", "", 0, 0, "curl: (7) Failed to connect to localhost port 8080 after 0 ms"},
	{"link_down", ops.KindInterface, ops.Warning, "%s has no link", "", 0, 0, ""},
	{"zfs_degraded", ops.KindPool, ops.Critical, "%s is DEGRADED: 1 of 4 disks is missing", "pool_errors_count", 0, 14, ""},
	{"check_failing", ops.KindCheck, ops.Critical, "%s failed 3 times in a row: status 502 instead of 200", "check_duration_seconds", 0.2, 1.1, ""},
}

func (m *maker) problems(n int) {
	free := map[ops.Kind][]ops.Resource{}
	for _, r := range m.e.Scope {
		free[r.Kind] = append(free[r.Kind], r)
	}
	for i := range n {
		fault := faults[i%len(faults)]
		for k := 0; len(free[fault.kind]) == 0; k++ { // there are no more of the kind: another kind has a problem then
			fault.kind = ops.Kinds[k].Kind
		}
		fits := free[fault.kind]
		at := m.rand.IntN(len(fits))
		r := fits[at]
		free[fault.kind] = append(fits[:at:at], fits[at+1:]...)
		began := Now.Add(-time.Duration(5+m.rand.IntN(90)) * time.Minute)
		f := ops.Finding{ID: m.id(ops.FindingID), ResourceID: r.ID, Condition: fault.condition, State: ops.FindingOpen, Severity: fault.severity,
			Peak: fault.severity, Origin: "rule", Summary: fmt.Sprintf(fault.summary, r.Name), FirstSeen: began, LastSeen: Now, OpenedAt: began.Add(30 * time.Second),
			Count: 1, Episode: 1, IncidentID: m.id(ops.IncidentID), Version: 1}
		m.e.Findings = append(m.e.Findings, f)
		m.e.Incidents[f.IncidentID] = ops.Incident{ID: f.IncidentID, Title: fault.condition, State: ops.IncidentOpen, Severity: f.Severity, RootID: f.ID,
			Members: []ops.IncidentMember{{FindingID: f.ID, Reason: "it is the only finding"}}, OpenedAt: f.OpenedAt}
		x := ops.Evidence{ID: m.id(ops.EvidenceID), FindingID: f.ID, What: f.Summary, From: began.Add(-15 * time.Minute), To: f.OpenedAt, TakenAt: f.OpenedAt}
		if fault.metric != "" {
			s := ops.Series{Metric: fault.metric}
			for k := range 16 {
				s.Points = append(s.Points, ops.Point{At: x.From.Add(time.Duration(k) * time.Minute), Value: fault.from + (fault.to-fault.from)*float64(k)/15})
			}
			x.Series = []ops.Series{s}
			m.e.Readings[r.ID] = append(m.e.Readings[r.ID], brief.Reading{Metric: fault.metric, At: Now, Value: fault.to})
		}
		if fault.quote != "" {
			x.Quotes = []string{fault.quote}
		}
		m.e.Evidence[f.ID] = []ops.Evidence{x}
		m.e.Changes = append(m.e.Changes, ops.Transition{Seq: int64(i), At: began.Add(-4 * time.Minute), Actor: "ingest", Verb: "change", Object: "resource", ObjectID: r.ID,
			Facts: map[string]string{"image": "ghcr.io/example/app:1.4.1 -> ghcr.io/example/app:1.4.2"}})
	}
}
