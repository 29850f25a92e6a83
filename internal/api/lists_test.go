package api_test

import (
	"bytes"
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"reeve/internal/api"
	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/signin"
	"reeve/internal/store"
)

// walk reads a list to its end and answers how many pages it had.
func walk[T any](c *client, path string, each func(T)) (pages int) {
	c.t.Helper()
	cursor := ""
	for {
		var page rest.List[T]
		c.want(200, "GET", path+"&cursor="+url.QueryEscape(cursor), nil, &page)
		for _, x := range page.Items {
			each(x)
		}
		pages++
		if cursor = page.Next; cursor == "" || pages > 1000 {
			return pages
		}
	}
}

func TestAuditPagesBackToItsBeginning(t *testing.T) {
	w := newWorld(t)
	w.record(45, "somebody")
	c := w.admin()
	head, _, err := w.db.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	last := head + 1
	pages := walk(c, "/api/v1/audit?limit=10", func(tr ops.Transition) {
		if tr.Seq != last-1 {
			t.Errorf("%d after %d", tr.Seq, last)
		}
		last = tr.Seq
	})
	if last != 1 || pages != int(head+9)/10 {
		t.Errorf("ended at %d after %d pages of %d entries", last, pages, head)
	}
	count := 0
	walk(c, "/api/v1/audit?object=test&object_id=7", func(ops.Transition) { count++ })
	if count != 1 {
		t.Errorf("%d entries of one object", count)
	}
	var v api.AuditVerdict
	c.want(200, "GET", "/api/v1/audit/verify", nil, &v)
	if !v.OK || v.Good != head {
		t.Errorf("verdict: %+v, head %d", v, head)
	}
}

func TestFindingsAndDeliveriesPage(t *testing.T) {
	w := newWorld(t)
	for i := range 12 {
		f := w.openFinding("condition_" + strconv.Itoa(i))
		now := time.Now().UTC()
		w.tx(func(tx *store.Tx) error {
			_, err := tx.Enqueue(t.Context(), ops.Delivery{ID: ops.NewID(ops.DeliveryID), Channel: "mail", DedupeKey: f.ID, IncidentID: f.IncidentID,
				CreatedAt: now, NextAt: now, Message: ops.Message{Event: ops.MessageOpened, Severity: ops.Critical, At: now}}, store.Why{Actor: "notify"})
			return err
		})
	}
	c := w.admin()
	seen := map[string]bool{}
	pages := walk(c, "/api/v1/findings?state=open,acknowledged&limit=5", func(f ops.Finding) { seen[f.ID] = true })
	pages += walk(c, "/api/v1/incidents?state=active&limit=5", func(i ops.Incident) { seen[i.ID] = true })
	pages += walk(c, "/api/v1/deliveries?limit=5", func(d ops.Delivery) { seen[d.ID] = true })
	if len(seen) != 36 || pages != 9 {
		t.Errorf("%d things on %d pages", len(seen), pages)
	}
	c.want(422, "GET", "/api/v1/deliveries?state=lost", nil, nil)
	c.want(422, "GET", "/api/v1/incidents?state=lost", nil, nil)
	c.want(404, "GET", "/api/v1/deliveries/dlv_nothing", nil, nil)
}

func TestChannelTestIsAudited(t *testing.T) {
	w := newWorld(t)
	c := w.admin()
	c.want(204, "POST", "/api/v1/channels/mail/test", nil, nil)
	c.want(404, "POST", "/api/v1/channels/nothing/test", nil, nil)
	list, err := w.db.Transitions(t.Context(), store.TransitionFilter{Object: "channel", Newest: true})
	if err != nil || len(list) != 1 || list[0].Actor != "user:admin" || list[0].ObjectID != "mail" {
		t.Errorf("audit: %+v, %v", list, err)
	}
	failing := newWorld(t, func(d *api.Deps) {
		d.TestChannel = func(ctx context.Context, name string) error {
			return ops.Errorf(ops.Unavailable, "the receiver refused")
		}
	})
	var p rest.Problem
	failing.admin().want(503, "POST", "/api/v1/channels/mail/test", nil, &p)
	if p.Detail != "the receiver refused" {
		t.Errorf("problem: %+v", p)
	}
}

func TestBackupIsACopyThatOpens(t *testing.T) {
	w := newWorld(t)
	f := w.openFinding("fs_full")
	c := w.admin()
	status, h, body := c.do("POST", "/api/v1/backup", nil)
	if status != 200 || h.Get("Content-Length") != strconv.Itoa(len(body)) || !bytes.HasPrefix(body, []byte("SQLite format 3")) {
		t.Fatalf("status %d, %d bytes, header %v", status, len(body), h)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "reeve.db"), body, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := openStore(t, dir).Finding(t.Context(), f.ID); err != nil || got.ID != f.ID {
		t.Errorf("the copy: %+v, %v", got, err)
	}
	left, err := filepath.Glob(filepath.Join(w.dir, ".download-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestProblemsHaveOneForm(t *testing.T) {
	w := newWorld(t)
	c := w.admin()
	h := c.want(405, "POST", "/api/v1/status", nil, nil)
	if h.Get("Allow") != "GET" {
		t.Errorf("Allow: %q", h.Get("Allow"))
	}
	c.want(404, "GET", "/api/v1/nothing", nil, nil)
	c.want(404, "GET", "/api/v2/status", nil, nil)
	// One byte too many: a server that hangs up with more of the body under
	// way resets the connection, and the client may not see the answer.
	c.want(413, "POST", "/api/v1/checks", bytes.Repeat([]byte("x"), 1<<20+1), nil)
	c.want(422, "POST", "/api/v1/checks", "{", nil)
	broken := newWorld(t, func(d *api.Deps) {
		d.ConfigView = func() any { panic("a mistake with a secret in it") }
		d.Coverage = func() map[string]any { return map[string]any{"x": func() {}} }
	})
	b := broken.admin()
	for _, path := range []string{"/api/v1/config", "/api/v1/status"} {
		var p rest.Problem
		b.want(500, "GET", path, nil, &p)
		if p.Detail != "" || p.Instance == "" {
			t.Errorf("%s tells %+v", path, p)
		}
	}
}

func TestHealthReadinessAndOwnMetrics(t *testing.T) {
	ready := error(ops.Errorf(ops.Unavailable, "still starting"))
	w := newWorld(t, func(d *api.Deps) { d.Ready = func() error { return ready } })
	c := w.anyone()
	if status, _, _ := c.do("GET", "/healthz", nil); status != 200 {
		t.Errorf("healthz: %d", status)
	}
	c.want(503, "GET", "/readyz", nil, nil)
	ready = nil
	if status, _, _ := c.do("GET", "/readyz", nil); status != 200 {
		t.Errorf("readyz: %d", status)
	}
	if status, _, text := c.do("GET", "/metrics", nil); status != 200 || !bytes.Contains(text, []byte("reeve_test 1")) {
		t.Errorf("metrics: %d %s", status, text)
	}
	c.want(401, "GET", "/metrics", nil, nil, "X-Forwarded-For", "192.0.2.1")
	c.token = w.admin().newToken("metrics:read")
	if status, _, text := c.do("GET", "/prometheus/api/v1/query?query=cpu_busy_ratio", nil); status != 200 || !bytes.Contains(text, []byte("0.25")) {
		t.Errorf("query: %d %s", status, text)
	}
	c.want(403, "POST", "/prometheus/api/v1/write", nil, nil)
}

func TestLinkIsMadeForTheCommandLine(t *testing.T) {
	w := newWorld(t)
	c := w.anyone()
	c.token = w.admin().newToken("admin")
	var l signin.Link
	c.want(200, "POST", "/api/v1/session/links", nil, &l)
	w.anyone().want(200, "POST", "/api/v1/session/link", map[string]string{"token": l.Token}, nil)
	if l.URL != w.http.URL+"/signin?token="+l.Token || l.ExpiresAt.Before(time.Now()) {
		t.Errorf("link: %+v", l)
	}
}
