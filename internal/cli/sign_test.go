package cli

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reeve/internal/approver"
	"reeve/internal/authority"
	"reeve/internal/dial"
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

// TestARefusedKeyIsNamedAndItsPlanTakenBack on a machine where a new key took
// the place of the one that may approve.
func TestARefusedKeyIsNamedAndItsPlanTakenBack(t *testing.T) {
	home, data := t.TempDir(), t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	good, err := approver.Make(filepath.Join(data, approver.KeyFile), "admin")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, dial.ClientFile), []byte(`{"url":"http://127.0.0.1:9","token":"mine"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := run(t, nil, "approver", "init", "anna", "--data", data)
	own := filepath.Join(home, "reeve", approver.KeyFile)
	for _, want := range []string{own, "Until now the key of admin in " + filepath.Join(data, approver.KeyFile), "REEVE_APPROVER_KEY=" + filepath.Join(data, approver.KeyFile) + " reeve approver add anna "} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit %d, %q is not in\n%s%s", code, want, out, errs)
		}
	}
	plan := authority.Plan{ID: "act_x", Verb: "workload.stop", Adapter: "docker", TargetHost: "host_db1", Target: "postgres", Generation: 9,
		Expiry: time.Now().Add(time.Hour), IdempotencyKey: "act_x", Proposer: "user:anna"}
	text, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	withdrawn := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := ops.Action{ID: "act_x", State: ops.ActionAwaiting, Verb: "workload.stop", HostID: "host_db1", HostName: "db1", Plan: text, PlanHash: authority.Hash(plan)}
		switch {
		case strings.HasSuffix(r.URL.Path, "/approvers"):
			root := approver.Root(good)
			json.NewEncoder(w).Encode(map[string]any{"root": root.Hash(), "sets": []authority.ApproverSet{root}})
			return
		case strings.HasSuffix(r.URL.Path, "/approve"):
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"detail":"key is not one"}`)
			return
		case strings.HasSuffix(r.URL.Path, "/withdraw"):
			withdrawn++
		}
		json.NewEncoder(w).Encode(a)
	}))
	defer server.Close()
	for line, takenBack := range map[string]int{"workload stop db1/postgres --yes": 1, "approve act_x --yes --hash " + authority.Hash(plan): 0} {
		withdrawn = 0
		_, errs, code := run(t, nil, append(strings.Fields(line), "--data", data, "--url", server.URL)...)
		for _, want := range []string{"of anna in " + own, "`reeve approver add anna ", "REEVE_APPROVER_KEY=" + filepath.Join(data, approver.KeyFile)} {
			if code != exitRefused || !strings.Contains(errs, want) {
				t.Errorf("%s: exit %d, %q is not in %s", line, code, want, errs)
			}
		}
		if withdrawn != takenBack {
			t.Errorf("%s: withdrawn %d times", line, withdrawn)
		}
	}
}

func TestAPublicKeyIsTakenAsItIsPrintedAnywhere(t *testing.T) {
	raw := make([]byte, ed25519.PublicKeySize)
	for i := range raw {
		raw[i] = 0xfb
	}
	for _, e := range []*base64.Encoding{base64.RawURLEncoding, base64.URLEncoding, base64.StdEncoding, base64.RawStdEncoding} {
		if public, err := parsePublic(e.EncodeToString(raw)); err != nil || !bytes.Equal(public, raw) {
			t.Errorf("%s: %v", e.EncodeToString(raw), err)
		}
	}
	for _, wrong := range []string{"", "zz", "!", base64.StdEncoding.EncodeToString(raw[1:])} {
		if _, err := parsePublic(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
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
		if _, errs, code := run(t, nil, "workload", "declare", "web1/nginx", "--desired", "none", "--url", server.URL); status == http.StatusNotFound && (code != exitFailed || !strings.Contains(errs, "web1/nginx is not declared")) {
			t.Errorf("taking back nothing: exit %d: %s", code, errs)
		}
		server.Close()
	}
}
