package config

import (
	"errors"
	"strings"
	"testing"

	"reeve/internal/ops"
)

const placed = `# a comment
listen: 127.0.0.1:1
metrics:
  retention: 3d
detectors:
  fs_full:
    hold: 1m
    thresholds: {warning: 80,
      critical: 90}
    where:
    - kinds: [filesystem]
      hold: 2m
    - {hosts: [a],
       hold: 3m}
checks:
  - name: a

    type: http
    target: http://x
  - name: "b.c"
    type: tcp
channels:
- name: a
  "url": http://x
agent:
  labels: &labels
    rack.row: "1"
`

func TestErrorsNameTheLineOfTheKey(t *testing.T) {
	c, file, err := Load(Sources{File: write(t, placed), Env: []string{"REEVE_METRICS_MAX_SIZE=1GB"}, Flags: map[string]string{"listen": "127.0.0.1:2"}})
	if err != nil {
		t.Fatal(err)
	}
	for key, line := range map[string]string{
		"metrics": "3", "metrics.retention": "4", "detectors.fs_full.thresholds.critical": "9", "detectors[fs_full].hold": "7",
		"detectors.fs_full.where[0].hold": "12", "detectors.fs_full.where[1]": "13", "detectors.fs_full.where[1].hold": "14",
		"checks[0]": "16", "checks[0].type": "18", "checks[1].name": "20", "channels[0].url": "24", "agent.labels.rack.row": "27",
		// What stands nowhere has the line of what should hold it.
		"checks[1].target": "20", "detectors.fs_full.where[7]": "10", "detectors.nothing": "5",
	} {
		err := c.Because(key, errors.New("is wrong"))
		if want := file + ":" + line + ": is wrong"; err.Error() != want || ops.KindOf(err) != ops.Invalid {
			t.Errorf("%s: %v, want line %s", key, err, line)
		}
	}
	for key, want := range map[string]string{"nothing": file + ": is wrong", "listen": "is wrong", "metrics.max_size": "is wrong"} {
		if err := c.Because(key, errors.New("is wrong")); err.Error() != want {
			t.Errorf("%s: %v", key, err)
		}
	}
	if err := c.Because("listen", nil); err != nil {
		t.Error(err)
	}
	if err := Default().Because("listen", errors.New("is wrong")); err.Error() != "is wrong" {
		t.Error(err)
	}
}

func TestWhatCannotBeReadNamesItsLine(t *testing.T) {
	for text, want := range map[string][]string{
		"listen: a\nmetrics:\n  retentoin: 3d\nagnet: {}\n":    {":3: metrics.retentoin is not a setting", ":4: agnet is not a setting; did you mean agent?"},
		"listen: a\nmetrics:\n  retention: x\n  max_size: y\n": {":3: metrics.retention: \"x\" is not a time span", ":4: metrics.max_size: \"y\" is not a size"},
		"detectors:\n  fs_full:\n    hold: soon\n":             {":3: detectors", "is not a time span"},
		"listen: [a, b]\n":                           {":1: listen: expected"},
		"listen: a\nlog_level: b: c\n":               {":2: not valid YAML"},
		"listen: a\ndata: b\nlisten: c\n":            {":3: not valid YAML"},
		"log_level: info\ndata: \"b\nlisten: c\n":    {": not valid YAML"},
		"log_level: info\n\ntls_key: /etc/key\n":     {":3: tls_cert and tls_key go together"},
		"checks:\n- {name: a}\n- {name: b, tpye: c}": {":3: checks[1].tpye is not a setting; did you mean checks[1].type?"},
	} {
		_, file, err := Load(Sources{File: write(t, text)})
		for _, part := range want {
			if err == nil || !strings.Contains(err.Error(), part) || !strings.Contains(err.Error(), file+":") {
				t.Errorf("%q: %v, want %s", text, err, part)
			}
		}
	}
}
