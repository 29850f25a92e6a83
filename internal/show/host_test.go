package show_test

import (
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/internal/show"
	"reeve/internal/term"
)

func TestOneHostTellsAllOfItsAgent(t *testing.T) {
	h := show.HostAnswer{Labels: map[string]string{"rack": "b2"}, Resources: map[string]int64{"container": 3, "component": 9}}
	h.ID, h.Name, h.Reachable = "host_1", "web1", "maintenance"
	h.Fleet = &ops.Host{ID: "host_1", Name: "web1", State: ops.HostMaintenance, Version: "v1.2.3", Protocol: 1, ReadOnly: true, Server: "srv_1", Address: "10.0.0.7",
		CertUntil: at.Add(50 * time.Hour), HeartbeatAt: at.Add(-4 * time.Second), SkewMS: -2500, Spooled: 2, HeartbeatMS: 60_000, BytesPerS: 20_000,
		MaintenanceUntil: at.Add(time.Hour), ConflictAt: at.Add(-time.Minute), Conflict: "a copy of its disk"}
	text := printed(func(p *term.Page) { show.Host(p, h, at) })
	for _, want := range []string{"web1: maintenance", "until " + term.Stamp(h.Fleet.MaintenanceUntil), "a copy of its disk", "v1.2.3, protocol 1, cannot change anything", "to srv_1 from 10.0.0.7",
		"4s ago", "never, on the direction", term.Stamp(h.Fleet.CertUntil), "2s behind the server's", "2 reports on its disk", "a heartbeat every 1m0s, unreachable after 6m0s, at most", "3 containers", "rack=b2"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	invited := show.HostAnswer{}
	invited.Name, invited.Reachable, invited.Invitation = "web2", "pending", &ops.Invitation{CreatedBy: "user:anna", ExpiresAt: at.Add(time.Hour)}
	if text := printed(func(p *term.Page) { show.Host(p, invited, at) }); !strings.Contains(text, "invited by user:anna") || !strings.Contains(text, "nothing is known yet") {
		t.Error(text)
	}
}
