package cli

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestRemovedResourcesKeepTheirNames: the history of findings outlives what
// they were about.
func TestRemovedResourcesKeepTheirNames(t *testing.T) {
	const finding = `{"id":"fnd_06h04fhhs5vdjq7zqc9r0z0001","condition":"fs_full","state":"resolved","severity":"critical","summary":"was full","resource_id":`
	answers := map[string]string{
		"/api/v1/findings": `{"items":[` + finding + `"res_here"},` + strings.Replace(finding, "0001", "0002", 1) + `"res_gone"},` +
			strings.Replace(finding, "0001", "0003", 1) + `"res_unknown"}]}`,
		"/api/v1/resources?all=true":                  `{"items":[{"id":"res_here","name":"/srv","host":"web1","presence":"present"}]}`,
		"/api/v1/resources?all=true&presence=removed": `{"items":[{"id":"res_gone","name":"/old","host":"web2","presence":"removed"}]}`,
	}
	asked := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if strings.HasSuffix(path, "/resources") {
			path += "?" + r.URL.RawQuery
		}
		asked[path]++
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, answers[path])
	}))
	defer server.Close()
	out, errs, code := run(t, nil, "findings", "--state", "all", "--url", server.URL, "--token", "x")
	if code != 0 {
		t.Fatal(errs)
	}
	for _, want := range []string{"web1  /srv ", "web2  (removed) /old ", "(removed) res_unknown "} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "res_gone") {
		t.Errorf("an ID instead of a name:\n%s", out)
	}
	answers["/api/v1/findings"] = `{"items":[` + finding + `"res_here"}]}`
	if _, errs, code := run(t, nil, "findings", "--url", server.URL, "--token", "x"); code != 0 || asked["/api/v1/resources?all=true&presence=removed"] != 1 {
		t.Errorf("what is there was looked for among the removed: %s %v", errs, asked)
	}
}
