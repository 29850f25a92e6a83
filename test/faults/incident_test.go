package faults

import (
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/test/dockerd"
	"reeve/test/program"
)

// calm answers a recorded machine on which nothing is wrong, with pressure
// figures of the kernel.
func calm(t testing.TB) *machine {
	m := newMachine(t, "gpu")
	for _, r := range gpuRows {
		m.mend(r.edits)
	}
	m.mend(pressure)
	return m
}

var pressure = []edit{
	{"proc/pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", "some avg10=1.00 avg60=1.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"},
	{"proc/pressure/io", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", "some avg10=1.00 avg60=1.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"},
	{"proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", "some avg10=71.00 avg60=64.00 avg300=22.00 total=9\nfull avg10=52.00 avg60=41.00 avg300=12.00 total=8\n"},
}

// TestPressureAndFailuresAreOneIncident: a recorded host is short of memory
// and real containers on it fail. That is one incident, with the host's
// trouble as its root, and one message.
func TestPressureAndFailuresAreOneIncident(t *testing.T) {
	t.Parallel()
	d, hook, m := dockerd.Start(t), newHook(t), calm(t)
	fail := []string{"mail", "search", "shop"}
	for _, name := range fail {
		d.Run(t, dockerd.Options{Name: name, Command: shell(wait + "exit 9")})
	}
	s := quick(m, nil)
	s["agent"].(map[string]any)["docker_sockets"] = []string{d.Socket}
	s["channels"] = []map[string]any{{"name": "hook", "type": "webhook", "url": hook.URL, "secret": "s"}}
	s["notify"] = map[string]any{"routes": []map[string]any{{"kinds": []string{"host", "container"}, "channels": []string{"hook"}}, {"channels": []string{}}}}
	p := program.Start(t, s.text(t))
	p.Until(30*time.Second, "the host is judged to be well", func() bool { return judgedWell(p, "trainer", "memory_pressure") })
	for _, name := range fail {
		p.Until(30*time.Second, name+" is judged to be well", func() bool { return judgedWell(p, name, "container_exited_badly") })
	}
	m.spoil(pressure)
	root := await(p, 30*time.Second, "active", "memory_pressure", "trainer")
	for _, name := range fail {
		d.Exec(t, name, "touch", "/go")
	}
	for _, name := range fail {
		f := await(p, 40*time.Second, "active", "container_exited_badly", name)
		if f.IncidentID != root.IncidentID {
			t.Errorf("%s is in incident %s, the host's trouble in %s", name, f.IncidentID, root.IncidentID)
		}
	}
	checkIncident(t, p, root, len(fail)+1)
	m.mend(pressure)
	await(p, 30*time.Second, "resolved", "memory_pressure", "trainer")
	for _, name := range fail {
		d.Again(t, name)
	}
	for _, name := range fail {
		await(p, 40*time.Second, "resolved", "container_exited_badly", name)
	}
	p.Until(40*time.Second, "the end is told", func() bool { return len(messages(hook)) >= 2 })
	all := messages(hook)
	if len(all) != 2 || all[0].Event != ops.MessageOpened || all[1].Event != ops.MessageResolved || all[0].IncidentID != root.IncidentID {
		for _, m := range all {
			t.Errorf("message %s: %s", m.Event, m.Title)
		}
	}
}

func checkIncident(t *testing.T, p *program.Program, root ops.Finding, members int) {
	t.Helper()
	var i ops.Incident
	if err := p.Get("/api/v1/incidents/"+root.IncidentID, &i); err != nil {
		t.Fatal(err)
	}
	if i.RootID != root.ID || len(i.Members) != members {
		t.Errorf("the root of the incident is %s with %d members, not %s with %d", i.RootID, len(i.Members), root.ID, members)
	}
	for _, m := range i.Members {
		if m.FindingID != root.ID && !strings.Contains(m.Reason, "on which it runs") {
			t.Errorf("a member is there because of %q", m.Reason)
		}
	}
}
