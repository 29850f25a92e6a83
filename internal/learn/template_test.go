package learn

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestMask(t *testing.T) {
	for line, want := range map[string]string{
		"connect to 10.0.0.7:5432 failed after 30s":                                  "connect to <ip> failed after <n>s",
		"request 6ba7b810-9dad-11d1-80b4-00c04fd430c8 took 12.5ms":                   "request <uuid> took <n>ms",
		`open "/var/lib/x/17.dat": no such file`:                                     "open <str>: no such file",
		"it can't be the user's":                                                     "it can't be the user's",
		"GET /api/v1/users/4711/orders?page=3 500":                                   "GET /api/v<n>/users/<n>/orders?page=<n> <n>",
		"fetch https://shop.test/a/17?token=x9 failed":                               "fetch https://shop.test/a/<n> failed",
		"2026-03-01T12:00:00.123Z worker-3: job=a1b2c3d4e5 [pid 77] ptr 0x7ffe12":    "<time> worker-<n>: job=<hex> [pid <n>] ptr <hex>",
		"2026-03-01 12:00:00,123 mail to bob@example.test bounced (550)":             "<time> <time> mail to <mail> bounced (<n>)",
		"peer fe80::1 and [2001:db8::7]:443 differ: -3 != 4,5":                       "peer <ip> and [<ip> differ: -<n> != <n>",
		"user_id=42 name='Ann B' deadbeef cafe feedface1":                            "user_id=<n> name=<str> deadbeef cafe <hex>",
		"sha256 of 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08": "sha<n> of <hex>",
	} {
		if got := Mask(line); got != want {
			t.Errorf("%q\n got %q\nwant %q", line, got, want)
		}
	}
}

func TestLinesOfOneFormShareATemplate(t *testing.T) {
	var ts Templates
	g, fresh := ts.Take("login failed for user ann from 10.0.0.1", t0)
	if !fresh {
		t.Error("the first line is not new")
	}
	h, fresh := ts.Take("login failed for user bob from 10.9.9.9", t0.Add(time.Second))
	if fresh || h != g || g.Template() != "login failed for user <*> from <ip>" {
		t.Errorf("%v %q", fresh, h.Template())
	}
	if again, _ := ts.Take("login failed for user <*> from <ip>", t0); again.ID != g.ID {
		t.Error("the name of a form changes")
	}
	if _, fresh := ts.Take("disk full", t0); !fresh {
		t.Error("another form is not new")
	}
	if _, fresh := ts.Take("disk gone", t0); !fresh {
		t.Error("short lines that differ are of one form")
	}
}

func TestTemplatesAreBounded(t *testing.T) {
	var ts Templates
	words := strings.Fields("alpha beta gamma delta epsilon zeta eta theta iota kappa")
	for i := range 3 * maxGroups {
		line := words[i%10] + words[i/10%10] + words[i/100%10] + " failed"
		ts.Take(line, t0.Add(time.Duration(i)*time.Second))
	}
	if len(ts.Groups) != maxGroups {
		t.Errorf("%d groups", len(ts.Groups))
	}
	if _, fresh := ts.Take("kappakappaepsilon failed", t0); fresh {
		t.Error("the newest form gave way")
	}
}

func TestErrorLine(t *testing.T) {
	for _, x := range []struct {
		line, message string
		ok            bool
	}{
		{`{"level":"error","msg":"db gone","err":"refused"}`, "db gone: refused", true},
		{`{"level":"info","msg":"error budget is fine"}`, "", false},
		{`{"level":50,"msg":"boom"}`, "boom", true},
		{`{"severity":"WARNING","message":"x"}`, "", false},
		{`time=2026-03-01T12:00:00Z level=ERROR msg="cannot write \"x\"" err="disk full"`, `cannot write "x": disk full`, true},
		{"ts=1 level=info msg=error", "", false},
		{"E0301 12:00:00.000000       1 reflector.go:138] failed to list *v1.Pod", "failed to list *v1.Pod", true},
		{"I0301 12:00:00.000000       1 main.go:1] ERROR in a text", "", false},
		{"2026-03-01 12:00:00.000 UTC [77] ERROR:  relation \"x\" does not exist", "relation \"x\" does not exist", true},
		{"2026-03-01 12:00:00.000 UTC [77] LOG:  checkpoint complete", "", false},
		{"2026/03/01 12:00:00 [error] 7#7: *1 open() failed", "7#7: *1 open() failed", true},
		{"2026/03/01 12:00:00 [notice] 7#7: error log opened", "", false},
		{"nginx: [emerg] bind() to 0.0.0.0:80 failed", "bind() to 0.0.0.0:80 failed", true},
		{"Mar  1 12:00:00 box app[7]: error: no space left", "no space left", true},
		{"panic: runtime error: index out of range", "runtime error: index out of range", true},
		{"Traceback (most recent call last):", "Traceback (most recent call last):", true},
		{"ValueError: not a number", "ValueError: not a number", true},
		{"java.lang.IllegalStateException: closed", "java.lang.IllegalStateException: closed", true},
		{"    at com.shop.Main.run(Main.java:17)", "", false},
		{"finished with 0 errors", "", false},
		{"an error occurred and was handled", "", false},
		{"", "", false},
	} {
		message, ok := ErrorLine(x.line)
		if ok != x.ok || ok && message != x.message {
			t.Errorf("%q: %v %q, want %v %q", x.line, ok, message, x.ok, x.message)
		}
	}
}

func FuzzErrorLine(f *testing.F) {
	f.Add(`{"level":"error","msg":"x"}`)
	f.Add(`level=error msg="a \" b`)
	f.Add("E0301 12:00:00.000000 1 a.go:1] x")
	f.Add("connect to [fe80::1]:443 '0x12' a=b=c=1 é1/2/3")
	f.Fuzz(func(t *testing.T, line string) {
		message, ok := ErrorLine(line)
		if ok && len(message) > maxErrorLine+16 {
			t.Fatal("unbounded")
		}
		var ts Templates
		g, _ := ts.Take(line, t0)
		if utf8.ValidString(line) && !utf8.ValidString(g.Template()) {
			t.Fatalf("%q makes a broken template %q", line, g.Template())
		}
		if h, fresh := ts.Take(line, t0); len(g.Words) > 0 && (fresh || h != g) {
			t.Fatalf("%q is not of its own form", line)
		}
	})
}

func BenchmarkTake(b *testing.B) {
	var ts Templates
	for i := range maxGroups {
		ts.Take(fmt.Sprintf("w%s failed for the %s reason", strings.Repeat("x", i), strings.Repeat("y", i)), t0)
	}
	for b.Loop() {
		ts.Take("connect to 10.0.0.7:5432 failed after 30s: connection refused by peer", t0)
	}
}
