package api_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"reeve/internal/api"
	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/store"
)

func TestStatusTellsHostsCountsAndCollectors(t *testing.T) {
	w := newWorld(t)
	w.openFinding("fs_full")
	c := w.admin()
	var s api.Status
	c.want(200, "GET", "/api/v1/status", nil, &s)
	if len(s.Hosts) != 1 || s.Hosts[0].Name != "alpha" || s.Hosts[0].Findings != 1 {
		t.Fatalf("hosts: %+v", s.Hosts)
	}
	if s.Hosts[0].CPU == nil || *s.Hosts[0].CPU != 0.25 || s.Hosts[0].Worst == nil || *s.Hosts[0].Worst != 0.9 || s.Hosts[0].Memory != nil {
		t.Errorf("readings: %+v", s.Hosts[0])
	}
	if s.Counts.Resources != 3 || s.Counts.FindingsCritical != 1 || s.Counts.IncidentsOpen != 1 || s.Counts.ResourcesByKind["host"] != 1 {
		t.Errorf("counts: %+v", s.Counts)
	}
	gap := ops.Gap{What: "SMART", Why: "smartctl is not installed", Remedy: "apt install smartmontools"}
	if len(s.Collectors) != 1 || s.Collectors[0].Name != "cpu" || len(s.Collectors[0].Gaps) != 1 || s.Collectors[0].Gaps[0] != gap || s.Collectors[0].EveryMS != 10_000 {
		t.Errorf("collectors: %+v", s.Collectors)
	}
}

// TestWhatIsOnNoHostOfTheFleetIsNoHost: the parts of a server without an agent
// are resources, and nothing that people could remove or join.
func TestWhatIsOnNoHostOfTheFleetIsNoHost(t *testing.T) {
	w := newWorld(t)
	parts := resourceOf("server", "linux", "host", ops.KindHost, "reeve", time.Now().UTC())
	parts.HostID = parts.ID
	w.tx(func(tx *store.Tx) error { return tx.SaveResource(t.Context(), parts, "") })
	c := w.admin()
	var l struct{ Items []api.HostRow }
	c.want(200, "GET", "/api/v1/hosts", nil, &l)
	if len(l.Items) != 1 || l.Items[0].Name != "alpha" || l.Items[0].Fleet == nil {
		t.Errorf("hosts: %+v", l.Items)
	}
	c.want(404, "GET", "/api/v1/hosts/reeve", nil, nil)
	c.want(200, "GET", "/api/v1/resources/"+parts.ID, nil, nil)
}

// TestTimesThatNeverCameAreLeftOut of what is answered.
func TestTimesThatNeverCameAreLeftOut(t *testing.T) {
	w := newWorld(t)
	w.joined("web7")
	c := w.admin()
	c.want(200, "POST", "/api/v1/hosts", map[string]any{"name": "web8"}, nil)
	for _, path := range []string{"/api/v1/hosts", "/api/v1/hosts/web7"} {
		if status, _, text := c.do("GET", path, nil); status != 200 || strings.Contains(string(text), "0001-01-01") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
}

func TestResourcesFilterSortAndPage(t *testing.T) {
	w := newWorld(t)
	now := time.Now().UTC()
	w.tx(func(tx *store.Tx) error {
		for i := range 25 {
			r := resourceOf("h1", "docker", fmt.Sprint("c", i), ops.KindContainer, fmt.Sprintf("web-%02d", i), now.Add(time.Duration(-i)*time.Second))
			r.HostID, r.Labels = w.host.ID, map[string]string{"tier": fmt.Sprint(i % 2)}
			if err := tx.SaveResource(t.Context(), r, ""); err != nil {
				return err
			}
		}
		return nil
	})
	c := w.admin()
	for _, sort := range []string{"name", "-name", "kind", "host", "observed_at", "-observed_at"} {
		seen, cursor, pages := map[string]bool{}, "", 0
		for {
			var page rest.List[ops.Resource]
			c.want(200, "GET", "/api/v1/resources?kind=container&limit=10&sort="+sort+"&cursor="+url.QueryEscape(cursor), nil, &page)
			for _, r := range page.Items {
				seen[r.ID] = true
			}
			pages++
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		if len(seen) != 25 || pages != 3 {
			t.Errorf("sort %s: %d resources on %d pages", sort, len(seen), pages)
		}
	}
	var labelled, named, all rest.List[ops.Resource]
	c.want(200, "GET", "/api/v1/resources?label=tier%3D1&host=alpha", nil, &labelled)
	c.want(200, "GET", "/api/v1/resources?q=WEB-0", nil, &named)
	c.want(200, "GET", "/api/v1/resources?all=true", nil, &all)
	if len(labelled.Items) != 12 || len(named.Items) != 10 || len(all.Items) != 28 {
		t.Errorf("labelled %d, named %d, all %d", len(labelled.Items), len(named.Items), len(all.Items))
	}
	h := c.want(200, "GET", "/api/v1/resources?all=true", nil, nil)
	c.want(304, "GET", "/api/v1/resources?all=true", nil, nil, "If-None-Match", h.Get("ETag"))
	c.want(422, "GET", "/api/v1/resources?sort=colour", nil, nil)
	c.want(422, "GET", "/api/v1/resources?limit=-1", nil, nil)
	for _, bad := range []string{"cursor=zzz", "q=%00", "q=%ff", "label=a", "all=perhaps", "cursor=" + base64.RawURLEncoding.EncodeToString([]byte(`["","\u0000",0,"res_1"]`))} {
		c.want(422, "GET", "/api/v1/resources?"+bad, nil, nil)
	}
	c.want(422, "GET", "/api/v1/resources/%ff", nil, nil)
	c.want(404, "GET", "/beat/%ff%00", nil, nil)
}

func TestResourceCarriesWhatBelongsToIt(t *testing.T) {
	w := newWorld(t)
	w.openFinding("fs_full")
	c := w.admin()
	var host, fs api.ResourceDetail
	h := c.want(200, "GET", "/api/v1/resources/"+w.host.ID, nil, &host)
	c.want(200, "GET", "/api/v1/resources/"+w.fs.ID, nil, &fs)
	if len(host.Children) != 1 || host.Children[0].ID != w.fs.ID || len(host.Metrics) != 1 || h.Get("ETag") != `"1"` {
		t.Errorf("host: %+v, ETag %s", host, h.Get("ETag"))
	}
	if len(fs.Findings) != 1 || fs.Name != "/" {
		t.Errorf("file system: %+v", fs)
	}
	var p rest.Problem
	c.want(404, "GET", "/api/v1/resources/res_nothing", nil, &p)
	if p.Type != "/problems/not_found" || p.Instance == "" || p.Status != 404 {
		t.Errorf("problem: %+v", p)
	}
}

func TestSeriesChecksWhatIsAsked(t *testing.T) {
	w := newWorld(t)
	c := w.admin()
	path := "/api/v1/resources/" + w.host.ID + "/series"
	var a api.SeriesAnswer
	to := url.QueryEscape(time.Now().Add(time.Minute).Format(time.RFC3339))
	c.want(200, "GET", path+"?metric=cpu_busy_ratio&metric=load1&points=10&to="+to, nil, &a)
	if len(a.Series) != 1 || len(a.Series[0].Points) != 1 {
		t.Errorf("series: %+v", a)
	}
	for _, bad := range []string{"", "?metric=a{b}", "?metric=a&points=99999", "?metric=a&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "?metric=a&from=soon"} {
		c.want(422, "GET", path+bad, nil, nil)
	}
}

func TestFindingIsAcknowledgedOnceAndByVersion(t *testing.T) {
	w := newWorld(t)
	f := w.openFinding("fs_full")
	c := w.admin()
	var list rest.List[ops.Finding]
	c.want(200, "GET", "/api/v1/findings?state=active&severity=critical&condition=fs_full&resource="+w.fs.ID+"&q=96", nil, &list)
	if len(list.Items) != 1 {
		t.Fatalf("findings: %+v", list)
	}
	var d api.FindingDetail
	h := c.want(200, "GET", "/api/v1/findings/"+f.ID, nil, &d)
	if d.Resource == nil || d.Resource.ID != w.fs.ID || len(d.Transitions) != 1 || d.Evidence == nil || d.History == nil || d.Deliveries == nil {
		t.Errorf("finding: %+v", d)
	}
	ack := "/api/v1/findings/" + f.ID + "/ack"
	c.want(412, "POST", ack, map[string]string{"reason": "mine"}, nil, "If-Match", `"99"`)
	var acked ops.Finding
	c.want(200, "POST", ack, map[string]string{"reason": "mine"}, &acked, "If-Match", h.Get("ETag"))
	if acked.State != ops.FindingAcknowledged || acked.AckedBy != "user:admin" {
		t.Errorf("acknowledged: %+v", acked)
	}
	c.want(200, "POST", ack, nil, nil)
	c.want(200, "POST", "/api/v1/findings/"+f.ID+"/suppress", map[string]any{"kind": "snooze", "reason": "later", "until": time.Now().Add(time.Hour)}, &acked)
	if acked.Suppression == nil || acked.Suppression.Severity != ops.Critical {
		t.Errorf("suppressed: %+v", acked.Suppression)
	}
	c.want(422, "POST", "/api/v1/findings/"+f.ID+"/suppress", map[string]any{"kind": "snooze", "reason": "later"}, nil)
	c.want(422, "POST", "/api/v1/findings/"+f.ID+"/suppress", map[string]any{"kind": "never", "reason": "later"}, nil)
	c.want(200, "POST", "/api/v1/findings/"+f.ID+"/unsuppress", map[string]string{"reason": "back"}, nil)
	c.want(409, "POST", "/api/v1/findings/"+f.ID+"/unsuppress", nil, nil)
	c.want(200, "POST", "/api/v1/findings/"+f.ID+"/resolve", nil, nil)
	c.want(200, "GET", "/api/v1/explain/"+f.ID, nil, nil)
	c.want(200, "GET", "/api/v1/explain?condition=fs_full&resource="+w.fs.ID, nil, nil)
	c.want(422, "GET", "/api/v1/findings?state=lost", nil, nil)
}

func TestIncidentTellsItsStory(t *testing.T) {
	w := newWorld(t)
	f := w.openFinding("fs_full")
	c := w.admin()
	var list rest.List[ops.Incident]
	c.want(200, "GET", "/api/v1/incidents?state=active", nil, &list)
	if len(list.Items) != 1 {
		t.Fatalf("incidents: %+v", list)
	}
	path := "/api/v1/incidents/" + list.Items[0].ID
	var d api.IncidentDetail
	h := c.want(200, "GET", path, nil, &d)
	if len(d.Findings) != 1 || d.Findings[0].ID != f.ID || d.Resources[w.fs.ID].Name != "/" || len(d.Transitions) < 2 || d.Explain == nil || len(d.Members) != 1 {
		t.Errorf("incident: %+v", d)
	}
	var acked ops.Incident
	c.want(200, "POST", path+"/ack", nil, &acked, "If-Match", h.Get("ETag"))
	if acked.State != ops.IncidentAcknowledged {
		t.Errorf("acknowledged: %+v", acked)
	}
	c.want(412, "POST", path+"/ack", nil, nil, "If-Match", h.Get("ETag"))
}

func TestWholeListFollowsEveryChange(t *testing.T) {
	w := newWorld(t)
	c := w.admin()
	whole := func() (names []string) {
		var l rest.List[ops.Resource]
		c.want(200, "GET", "/api/v1/resources?all=true", nil, &l)
		for _, r := range l.Items {
			names = append(names, r.Name)
		}
		return names
	}
	if n := len(whole()); n != 3 {
		t.Fatalf("%d resources", n)
	}
	// With a transition a change is seen at once, and without one soon.
	w.tx(func(tx *store.Tx) error {
		tx.Record(ops.Transition{Actor: "ingest", Verb: "appear", Object: "resource"})
		return tx.SaveResource(t.Context(), resourceOf("h1", "docker", "new", ops.KindContainer, "new", time.Now()), "")
	})
	if n := len(whole()); n != 4 {
		t.Fatalf("%d resources", n)
	}
	w.tx(func(tx *store.Tx) error {
		r, err := tx.Resource(t.Context(), w.fs.ID)
		if err != nil {
			return err
		}
		r.Name = "renamed"
		return tx.SaveResource(t.Context(), r, "")
	})
	for deadline := time.Now().Add(10 * time.Second); !slices.Contains(whole(), "renamed"); {
		if time.Now().After(deadline) {
			t.Fatal("the change is not seen")
		}
	}
}
