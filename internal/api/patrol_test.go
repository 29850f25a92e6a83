package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"reeve/internal/api"
	"reeve/internal/ops"
	"reeve/internal/patrol"
	"reeve/internal/rest"
	"reeve/internal/store"
)

type scoped struct {
	Scope map[string][]string `json:"scope,omitempty"`
	Depth string              `json:"depth,omitempty"`
}

func (w *world) askPatrol(c *client, scope map[string][]string) api.RunAccepted {
	w.t.Helper()
	var a api.RunAccepted
	c.want(202, "POST", "/api/v1/patrol/run", scoped{Scope: scope}, &a)
	return a
}

func (w *world) patrolOnce() {
	w.t.Helper()
	if err := w.patrols.Pass(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// The answer names a run that exists whatever happens; repeated wishes name
// the same one while it waits.
func TestAskedPatrolExistsWhateverHappens(t *testing.T) {
	w := newWorld(t)
	c := w.admin()
	w.openFinding("fs_full")
	a := w.askPatrol(c, nil)
	b := w.askPatrol(c, map[string][]string{"kinds": {"host"}})
	if a.RunID == "" || a.RunID != b.RunID {
		t.Fatal(a.RunID, b.RunID)
	}
	var st patrol.Overview
	c.want(200, "GET", "/api/v1/patrol", nil, &st)
	if len(st.Queue) != 1 || st.Queue[0].Triggers != 2 || st.Model != "" || st.ModelWhy == "" || st.EveryMS != 6*3600*1000 {
		t.Fatalf("%+v", st)
	}
	w.patrolOnce()
	var r api.WholeRun
	c.want(200, "GET", "/api/v1/runs/"+a.RunID, nil, &r)
	if r.State != ops.RunDone || r.Health != ops.RunCritical || len(r.Detail.Items) != 1 || len(r.AnsweredTriggers) != 2 || r.AnsweredTriggers[0].Actor == "" {
		t.Fatalf("%+v", r)
	}
	var list rest.List[ops.Run]
	c.want(200, "GET", "/api/v1/runs?state=done&health=critical&trigger=manual", nil, &list)
	if len(list.Items) != 1 || len(list.Items[0].Detail.Items) != 0 {
		t.Fatalf("%+v", list)
	}
	c.want(409, "POST", "/api/v1/runs/"+a.RunID+"/cancel", map[string]string{}, nil)
	waits := w.askPatrol(c, map[string][]string{"kinds": {"host"}})
	var cancelled ops.Run
	c.want(200, "POST", "/api/v1/runs/"+waits.RunID+"/cancel", map[string]string{"reason": "not now"}, &cancelled)
	if cancelled.State != ops.RunCancelled {
		t.Fatalf("%+v", cancelled)
	}
}

// A scope that means nothing, or several things, is refused with the field and
// what may have been meant.
func TestScopeOfAPatrolIsRefusedByName(t *testing.T) {
	w := newWorld(t)
	c := w.admin()
	for _, x := range []struct{ field, name, want string }{
		{"resources", "alhpa", "did you mean alpha"}, {"kinds", "filesytem", "did you mean filesystem"}, {"kinds", "gpu", "no resource of kind gpu"},
	} {
		var p rest.Problem
		c.want(422, "POST", "/api/v1/patrol/run", scoped{Scope: map[string][]string{x.field: {x.name}}}, &p)
		if !strings.Contains(p.Detail, x.want) || len(p.Fields) == 0 {
			t.Errorf("%s: %+v", x.name, p)
		}
	}
	c.want(422, "POST", "/api/v1/patrol/run", scoped{Depth: "deep"}, nil)
	c.want(422, "GET", "/api/v1/runs?state=dnoe", nil, nil)
	c.want(404, "GET", "/api/v1/runs/run_0", nil, nil)
	var pre patrol.Preview
	c.want(200, "POST", "/api/v1/patrol/preview", scoped{}, &pre)
	if pre.Model != "" || pre.Reason == "" {
		t.Errorf("%+v", pre)
	}
}

func (c *client) followRun(query, last string) (*bufio.Reader, func()) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), "GET", c.base+"/api/v1/stream?"+query, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	if res.StatusCode != 200 {
		c.t.Fatalf("stream of a run: status %d", res.StatusCode)
	}
	return bufio.NewReader(res.Body), func() { res.Body.Close() }
}

func restOf(r *bufio.Reader) (all []streamed) {
	for e, ok := next(r); ok; e, ok = next(r) {
		all = append(all, e)
	}
	return all
}

// The stream of a run is its own: it ends with done, resumes after the last
// event that was had, and the last event of another run is none of this one.
func TestStreamOfARunNeverReplaysAnother(t *testing.T) {
	w := newWorld(t)
	c := w.admin()
	first := w.askPatrol(c, nil)
	live, end := c.followRun("run="+first.RunID, "")
	defer end()
	w.patrolOnce()
	all := restOf(live)
	if len(all) < 8 || all[0].id != first.RunID+":1" || all[len(all)-1].event != patrol.EventDone {
		t.Fatalf("%+v", all)
	}
	resumed, end := c.followRun("run="+first.RunID, all[2].id)
	defer end()
	if again := restOf(resumed); len(again) != len(all)-3 || again[0] != all[3] {
		t.Fatalf("resumed with %d of %d events", len(again), len(all))
	}
	w.openFinding("fs_full")
	second := w.askPatrol(c, nil)
	w.patrolOnce()
	other, end := c.followRun("run="+second.RunID, all[len(all)-1].id)
	defer end()
	whole := restOf(other)
	if len(whole) == 0 || whole[0].id != second.RunID+":1" {
		t.Fatalf("who comes from another run begins at %+v", whole)
	}
	for _, e := range whole {
		if !strings.HasPrefix(e.id, second.RunID+":") || !json.Valid([]byte(e.data)) {
			t.Fatalf("%+v", e)
		}
	}
	var events rest.List[store.RunEvent]
	c.want(200, "GET", fmt.Sprintf("/api/v1/runs/%s/events?after=2&limit=1000", second.RunID), nil, &events)
	if len(events.Items) != len(whole)-2 {
		t.Fatalf("%d stored, %d streamed", len(events.Items), len(whole))
	}
	c.want(404, "GET", "/api/v1/stream?run=run_0", nil, nil)
	c.want(422, "GET", "/api/v1/stream?run="+first.RunID+"&after="+first.RunID+":x", nil, nil)
}
