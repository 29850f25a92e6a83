package notify

import (
	"net/http"
	"net/netip"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"reeve/test/receiver"
)

func TestPrivateAddresses(t *testing.T) {
	private := []string{
		"127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "0.1.2.3", "100.64.0.1", "224.0.0.1",
		"255.255.255.255", "198.18.0.1", "240.0.0.1", "::1", "::", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "fec0::1",
		"::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:1::",
	}
	for _, text := range private {
		if !Private(netip.MustParseAddr(text)) {
			t.Errorf("%s is private", text)
		}
	}
	for _, text := range []string{"1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "172.32.0.1"} {
		if Private(netip.MustParseAddr(text)) {
			t.Errorf("%s is public", text)
		}
	}
}

// A name that resolves to a private address is as private as the address,
// and a connection that was made to a configured target serves no redirect.
func TestRedirectsAreCheckedWhereTheyAreDialled(t *testing.T) {
	inner, err := receiver.NewHTTP()
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	outer, err := receiver.NewHTTP()
	if err != nil {
		t.Fatal(err)
	}
	defer outer.Close()
	at, err := url.Parse(inner.URL)
	if err != nil {
		t.Fatal(err)
	}
	client, err := NewClient(Reach{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	if _, err := Exchange(t.Context(), client, Request{URL: inner.URL}); err != nil {
		t.Fatalf("the configured target may be private: %v", err)
	}
	for _, to := range []string{inner.URL, "http://localhost:" + at.Port(), "http://[::ffff:127.0.0.1]:" + at.Port()} {
		outer.Answer(func(int, receiver.Request) receiver.Answer {
			return receiver.Answer{Status: http.StatusTemporaryRedirect, Header: map[string]string{"Location": to}}
		})
		if _, err := Exchange(t.Context(), client, Request{URL: outer.URL}); err == nil || !AsFailure(err).Permanent {
			t.Errorf("redirect to %s: %v", to, err)
		}
	}
	if n := len(inner.Requests()); n != 1 {
		t.Errorf("%d requests, want the one that was configured", n)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	h, err := receiver.NewHTTP()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	long := make([]byte, 3<<20)
	for i := range long {
		long[i] = 'x'
	}
	h.Answer(func(int, receiver.Request) receiver.Answer { return receiver.Answer{Body: string(long)} })
	client, err := NewClient(Reach{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	body, err := Exchange(t.Context(), client, Request{URL: h.URL})
	if err != nil || len(body) != answerLimitBytes {
		t.Errorf("%d bytes: %v", len(body), err)
	}
	h.Answer(func(int, receiver.Request) receiver.Answer { return receiver.Answer{Status: 400, Body: string(long)} })
	if _, err := Exchange(t.Context(), client, Request{URL: h.URL}); len(err.Error()) > 300 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}

func TestRetryAfterIsReadInBothForms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		for text, want := range map[string]time.Duration{
			"": 0, "10": 10 * time.Second, "0.5": time.Second / 2, "-3": 0, "NaN": 0, "Inf": time.Hour, "x": 0,
			now.Add(time.Minute).UTC().Format(http.TimeFormat):  time.Minute,
			now.Add(-time.Minute).UTC().Format(http.TimeFormat): 0,
		} {
			if got := retryAfter(http.Header{"Retry-After": {text}}, now); got != want {
				t.Errorf("%q: %v, want %v", text, got, want)
			}
		}
	})
}
