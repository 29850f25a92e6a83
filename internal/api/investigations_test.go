package api_test

import (
	"strings"
	"testing"

	"reeve/internal/api"
	"reeve/internal/ops"
	"reeve/internal/rest"
)

// The answer names an investigation that exists, and a second wish is refused
// with its name.
func TestInvestigationIsAcceptedOnce(t *testing.T) {
	w := newWorld(t)
	c, f := w.admin(), w.openFinding("fs_full")
	path := "/api/v1/incidents/" + f.IncidentID + "/investigate"
	var begun api.InvestigationAccepted
	c.want(202, "POST", path, map[string]string{"reason": "why so full?"}, &begun)
	var i ops.Investigation
	c.want(200, "GET", "/api/v1/investigations/"+begun.InvestigationID, nil, &i)
	if i.State != ops.InvestigationQueued || i.Trigger != "manual" || i.IncidentID != f.IncidentID || i.Attempt != 1 {
		t.Fatalf("%+v", i)
	}
	var p rest.Problem
	c.want(409, "POST", path, nil, &p)
	if !strings.Contains(p.Detail, begun.InvestigationID) {
		t.Error(p.Detail)
	}
	var d api.IncidentDetail
	c.want(200, "GET", "/api/v1/incidents/"+f.IncidentID, nil, &d)
	if len(d.Inquiries) != 1 || d.Inquiries[0].ID != i.ID {
		t.Errorf("%+v", d.Inquiries)
	}
	for query, want := range map[string]int{"?state=active": 1, "?state=explained": 0, "?incident=" + f.IncidentID: 1, "?incident=inc_none": 0, "": 1} {
		var l rest.List[ops.Investigation]
		if c.want(200, "GET", "/api/v1/investigations"+query, nil, &l); len(l.Items) != want {
			t.Errorf("%s: %d", query, len(l.Items))
		}
	}
	c.want(422, "GET", "/api/v1/investigations?state=explaned", nil, &p)
	if !strings.Contains(p.Detail, "explained") {
		t.Error(p.Detail)
	}
	c.want(404, "POST", "/api/v1/incidents/inc_none/investigate", nil, nil)
	c.want(404, "GET", "/api/v1/investigations/inv_none", nil, nil)
}

func TestNotesAreWrittenDecidedAndFound(t *testing.T) {
	w := newWorld(t)
	c, f := w.admin(), w.openFinding("fs_full")
	var n ops.Note
	c.want(200, "POST", "/api/v1/notes", map[string]string{"resource_id": w.fs.ID, "text": "backups land here at 02:00"}, &n)
	if n.Kind != "note" || n.State != ops.NoteActive || !strings.HasPrefix(n.Author, "user:") {
		t.Fatalf("%+v", n)
	}
	var s ops.Note
	c.want(200, "POST", "/api/v1/notes", map[string]string{"finding_id": f.ID, "kind": "solution", "text": "remove old dumps"}, &s)
	if s.ResourceID != w.fs.ID || s.Condition != "fs_full" {
		t.Errorf("%+v", s)
	}
	for query, want := range map[string]int{"": 2, "?kind=solution": 1, "?resource=" + w.fs.ID: 2, "?resource=estate": 0, "?condition=fs_full": 1, "?state=removed": 0} {
		var l rest.List[ops.Note]
		if c.want(200, "GET", "/api/v1/notes"+query, nil, &l); len(l.Items) != want {
			t.Errorf("%s: %d", query, len(l.Items))
		}
	}
	for _, bad := range []map[string]string{{"text": ""}, {"text": "x", "kind": "poem"}, {"text": "x", "condition": "fs_ful"}, {"text": strings.Repeat("x", 3000)}} {
		c.want(422, "POST", "/api/v1/notes", bad, nil)
	}
	c.want(404, "POST", "/api/v1/notes", map[string]string{"text": "x", "resource_id": "res_none"}, nil)
	c.want(409, "POST", "/api/v1/notes/"+n.ID+"/accept", nil, nil)
	c.want(412, "POST", "/api/v1/notes/"+n.ID+"/remove", nil, nil, "If-Match", `"9"`)
	c.want(200, "POST", "/api/v1/notes/"+n.ID+"/remove", map[string]string{"reason": "moved"}, &n)
	if n.State != ops.NoteRemoved {
		t.Errorf("%+v", n)
	}
	c.want(200, "POST", "/api/v1/findings/"+f.ID+"/suppress", map[string]string{"kind": "accepted", "reason": "a scratch disk"}, nil)
	var l rest.List[ops.Note]
	c.want(200, "GET", "/api/v1/dismissals?condition=fs_full", nil, &l)
	if len(l.Items) != 1 || l.Items[0].Text != "a scratch disk" || l.Items[0].FindingID != f.ID {
		t.Errorf("%+v", l)
	}
}
