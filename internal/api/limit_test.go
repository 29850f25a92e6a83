package api_test

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// signInFrom tries to sign in from an address and answers the status.
func signInFrom(w *world, addr string) int {
	r := httptest.NewRequest("POST", "http://127.0.0.1/api/v1/session", strings.NewReader(`{"name":"nobody","password":"wrong horse battery"}`))
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr = addr
	answer := httptest.NewRecorder()
	w.server.ServeHTTP(answer, r)
	return answer.Code
}

func TestOneNetworkOfIPv6IsOneSender(t *testing.T) {
	w := newWorld(t)
	limited := 0
	for _, host := range strings.Fields("1 2 3 4 5 6 7 8 9 a b c d ffff:1:2:3") {
		addr := "[2001:db8:0:1::" + host + "]:4000"
		if strings.Contains(host, ":") {
			addr = "[2001:db8:0:1:" + host + "%eth0]:4000"
		}
		if signInFrom(w, addr) == 429 {
			limited++
		}
	}
	if limited < 3 {
		t.Errorf("%d of 14 attempts of one /64 were refused", limited)
	}
	for _, addr := range []string{"[2001:db8:0:2::1]:4000", "192.0.2.1:4000"} {
		if status := signInFrom(w, addr); status != 401 {
			t.Errorf("%s: status %d", addr, status)
		}
	}
	for range 14 {
		signInFrom(w, "192.0.2.1:4000")
	}
	if signInFrom(w, "192.0.2.1:4000") != 429 || signInFrom(w, "[::ffff:192.0.2.1]:4000") != 429 {
		t.Error("an IPv4 address written as IPv6 is another sender")
	}
	if status := signInFrom(w, "192.0.2.2:4000"); status != 401 && status != 429 {
		t.Errorf("a neighbour in IPv4: status %d", status)
	}
}
