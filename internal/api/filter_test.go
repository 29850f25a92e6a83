package api_test

import (
	"strings"
	"testing"

	"reeve/internal/rest"
)

func TestFiltersNameTheNearestKnownValue(t *testing.T) {
	w := newWorld(t)
	f := w.openFinding("gone_condition") // No detector of this build has it, a finding does.
	c := w.admin()
	for path, want := range map[string]string{
		"findings?condition=fs_ful":        "did you mean fs_full?",
		"findings?condition=bogus":         "there are fs_full",
		"findings?state=opne":              "did you mean open?",
		"findings?state=open,zzzzzzzz":     "there are active, acknowledged, closed, open, resolved",
		"findings?severity=citical":        "did you mean critical?",
		"findings?severity=zzzzzzzzz":      "there are warning, critical",
		"incidents?state=mitigatd":         "did you mean mitigated?",
		"resources?kind=contaner":          "did you mean container?",
		"resources?kind=host&kind=zzzzzzz": "there are host, container",
		"resources?presence=remove":        "did you mean removed?",
		"resources?sort=-nmae":             "did you mean name?",
		"resources?all=true&kind=zzzzzzzz": "there are host",
		"deliveries?state=ded":             "did you mean dead?",
		"deliveries?channel=mial":          "did you mean mail?",
		"audit?object=findin":              "did you mean finding?",
	} {
		var p rest.Problem
		c.want(422, "GET", "/api/v1/"+path, nil, &p)
		if !strings.Contains(p.Detail, want) || len(p.Fields) != 1 {
			t.Errorf("%s: %+v", path, p)
		}
	}
	for _, path := range []string{"findings?condition=fs_full", "findings?condition=&state=&severity=", "resources?presence=removed,absent&sort=-host", "deliveries?channel=mail",
		"incidents?state=active,closed", "audit?object=incident", "findings?state=active,resolved&severity=warning,critical", "resources?sort=&kind="} {
		c.want(200, "GET", "/api/v1/"+path, nil, nil)
	}
	var l struct{ Items []struct{ ID string } }
	c.want(200, "GET", "/api/v1/findings?condition="+f.Condition, nil, &l)
	if len(l.Items) != 1 {
		t.Errorf("%+v", l)
	}
}
