package client

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestAHostComesBeforeItsLine: a line that lets a host join anew has its name.
func TestAHostComesBeforeItsLine(t *testing.T) {
	for body, want := range map[string]string{
		`{"items":[{"id":"ivt_06h1m4e69bk7e5js3t4qrb0","name":"web1"},{"id":"host_06h1m4e69bk7e5js3t4qrb0","name":"web1"}]}`:  "host_06h1m4e69bk7e5js3t4qrb0",
		`{"items":[{"id":"ivt_06h1m4e69bk7e5js3t4qrb0","name":"web1"}]}`:                                                      "ivt_06h1m4e69bk7e5js3t4qrb0",
		`{"items":[{"id":"host_06h1m4e69bk7e5js3t4qrb0","name":"web1"},{"id":"host_06h1m4e69bk7e5js3t4qrb1","name":"web1"}]}`: "",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Write([]byte(body))
		}))
		c := New(&Options{URL: server.URL, Data: t.TempDir()})
		if got, err := c.ExactID(t.Context(), "host", "/api/v1/hosts", "web1"); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", body, got, err)
		}
		server.Close()
	}
}
