// Package faults breaks real things under the real program and checks what a
// person is told.
package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/test/disks"
	"reeve/test/program"
	"reeve/test/receiver"
)

// What breaks disks is shared with the tests of the page.
var run, mount, fill = disks.Run, disks.Mount, disks.Fill

// TestFullDiskIsToldAndTakenBack: a real file system is filled to 96 %, one
// message reaches a real HTTP receiver and a real SMTP server, and both hear
// again when it is cleaned.
func TestFullDiskIsToldAndTakenBack(t *testing.T) {
	t.Parallel()
	hook, err := receiver.NewHTTP()
	if err != nil {
		t.Fatal(err)
	}
	defer hook.Close()
	mail, err := receiver.NewSMTP(receiver.SMTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer mail.Close()
	at := mount(t, 64<<20)
	host, port, _ := strings.Cut(mail.Addr, ":")
	p := program.Start(t, fmt.Sprintf(`
channels:
  - {name: hook, type: webhook, url: "%s", secret: s3cret}
  - {name: mail, type: email, host: %s, port: %s, tls: none, from: reeve@example.org, to: ann@example.org}
notify:
  routes: [{names: ["%s"], channels: [hook, mail]}, {channels: []}]
detectors:
  fs_full: {clear: 5s}
`, hook.URL, host, port, at))
	p.Until(30*time.Second, "the mount is a resource", func() bool { return hasResource(p, at) })
	filler := fill(t, at, 0.96)
	filled := time.Now()
	f := p.Await(80*time.Second, "active", "fs_full", at)
	if f.Severity != ops.Critical || !strings.Contains(f.Summary, at) {
		t.Errorf("%+v", f)
	}
	requests, err := hook.Wait(within(t, 10*time.Second), 1)
	if err != nil {
		t.Fatal(err, p.Log())
	}
	// The hold time is 30 s and a pass takes at most 10 s.
	if late := requests[0].At.Sub(filled); late > 70*time.Second {
		t.Errorf("told %v after it was filled", late)
	}
	if since := requests[0].At.Sub(f.OpenedAt); since > 2*time.Second {
		t.Errorf("first attempt %v after the finding opened", since)
	}
	var m ops.Message
	if err := json.Unmarshal(requests[0].Body, &m); err != nil || m.Event != ops.MessageOpened || len(m.Findings) != 1 || m.Findings[0].ID != f.ID {
		t.Errorf("%+v %v", m, err)
	}
	mails, err := mail.Wait(within(t, 10*time.Second), 1)
	if err != nil || !strings.Contains(unfold(mails[0].Data), at) {
		t.Fatalf("%v %v\n%s", mails, err, p.Log())
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	p.Await(60*time.Second, "resolved", "fs_full", at)
	requests, err = hook.Wait(within(t, 20*time.Second), 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(requests[1].Body, &m); err != nil || m.Event != ops.MessageResolved {
		t.Errorf("%+v %v", m, err)
	}
	if _, err := mail.Wait(within(t, 10*time.Second), 2); err != nil {
		t.Error(err)
	}
	if n := len(hook.Requests()); n != 2 {
		t.Errorf("%d messages instead of one to open and one to resolve", n)
	}
}

// unfold joins the lines that quoted-printable text was cut into.
func unfold(mail []byte) string {
	return strings.NewReplacer("=\r\n", "", "=\n", "").Replace(string(mail))
}

func hasResource(p *program.Program, name string) bool {
	var list struct{ Items []ops.Resource }
	if p.Get("/api/v1/resources?limit=500&q="+name, &list) != nil {
		return false
	}
	for _, r := range list.Items {
		if r.Name == name && r.Presence == ops.Present {
			return true
		}
	}
	return false
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
