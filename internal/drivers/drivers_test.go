package drivers

import (
	"testing"

	"reeve/internal/ops"
	"reeve/internal/workload"
)

func TestAnAgentIsNotToldToEndItself(t *testing.T) {
	for _, x := range []struct {
		driver, name string
		op           workload.Operation
		want         ops.ErrorKind // "" where it may be done
	}{
		{"systemd", "reeve-agent.service", workload.Stop, ops.Forbidden},
		{"systemd", "reeve-agent-perform.service", workload.Restart, ops.Forbidden},
		{"systemd", "reeve.service", workload.Stop, ops.Forbidden},
		{"systemd", "reeve-agent.service", workload.Start, ""},
		{"systemd", "reeve-agent-backup.service", workload.Stop, ""},
		{"systemd", "nginx.service", workload.Pause, ops.Invalid},
		{"docker", "reeve-agent.service", workload.Stop, ""},
	} {
		d, ok := Get(x.driver)
		if !ok {
			t.Fatal(x.driver)
		}
		err := d.Refuse(x.op, x.name)
		if (err == nil) != (x.want == "") || err != nil && ops.KindOf(err) != x.want {
			t.Errorf("%s %s %s: %v, want %q", x.driver, x.op, x.name, err, x.want)
		}
	}
}
