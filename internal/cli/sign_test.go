package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reeve/internal/approver"
	"reeve/internal/authority"
	"reeve/internal/ops"
)

// TestOnlyWhatWasTypedIsSigned against a server that plans something else.
func TestOnlyWhatWasTypedIsSigned(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if _, err := approver.Make(key, "anna"); err != nil {
		t.Fatal(err)
	}
	plan := authority.Plan{ID: "act_x", Verb: "workload.stop", Adapter: "docker", TargetHost: "host_db1", Target: "postgres", Generation: 9,
		Expiry: time.Now().Add(time.Hour), IdempotencyKey: "act_x", Proposer: "user:anna"}
	text, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	signed := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := ops.Action{ID: "act_x", State: ops.ActionAwaiting, Verb: "workload.restart", HostID: "host_db1", HostName: "db1", Plan: text, PlanHash: authority.Hash(plan)}
		if strings.HasSuffix(r.URL.Path, "/approve") {
			b, _ := io.ReadAll(r.Body)
			signed = string(b)
			a.State = ops.ActionApproved
		}
		json.NewEncoder(w).Encode(a)
	}))
	defer server.Close()
	hash := authority.Hash(plan)
	for line, signs := range map[string]bool{
		"workload stop db1/postgres --yes":         true,
		"workload stop host_db1/postgres --yes":    true,
		"workload stop postgres --yes -o json":     true,
		"workload restart db1/postgres --yes":      false, // another verb
		"workload stop web1/postgres --yes":        false, // another host
		"workload stop db1/mysql --yes":            false, // another thing
		"workload stop mysql --yes -o json":        false,
		"workload stop " + workloadID + " --yes":   false, // nobody looks
		"approve act_x --yes":                      false,
		"approve act_x --yes --hash " + hash[:12]:  true,
		"approve act_x --yes --hash " + hash[:8]:   false, // too short to name it
		"approve act_x --yes --hash 0123456789abc": false,
	} {
		signed = ""
		out, errs, code := run(t, []string{"REEVE_APPROVER_KEY=" + key}, append(strings.Fields(line), "--no-wait", "--url", server.URL)...)
		if signs != (signed != "") || signs != (code == 0) {
			t.Errorf("%s: exit %d, signed %q\n%s%s", line, code, signed, out, errs)
		}
	}
}

const workloadID = "wkl_06h1m4e69bk7e5js3t4qrb0"

// TestDeclareSaysWhatIsWrong instead of that nothing is known by the name.
func TestDeclareSaysWhatIsWrong(t *testing.T) {
	for status, want := range map[int]string{http.StatusNotFound: "--driver", http.StatusConflict: "several", http.StatusServiceUnavailable: "several"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			io.WriteString(w, `{"detail":"several"}`)
		}))
		if _, errs, code := run(t, nil, "workload", "declare", "web1/nginx", "--url", server.URL); code == 0 || !strings.Contains(errs, want) {
			t.Errorf("%d: exit %d: %s", status, code, errs)
		}
		server.Close()
	}
}
