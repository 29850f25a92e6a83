package channels

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reeve/internal/notify"
	"reeve/internal/ops"
	"reeve/test/receiver"
)

func smtpReceiver(t *testing.T, o receiver.SMTPOptions) *receiver.SMTP {
	t.Helper()
	s, err := receiver.NewSMTP(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func secureReceiver(t *testing.T, o receiver.SMTPOptions) (s *receiver.SMTP, caFile string) {
	t.Helper()
	cert, text, err := receiver.NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	o.TLS = &cert
	return smtpReceiver(t, o), caFile
}

func mailSettings(s *receiver.SMTP, more map[string]any) map[string]any {
	host, port, _ := net.SplitHostPort(s.Addr)
	settings := map[string]any{
		"host": host, "port": port, "from": "Reeve <reeve@example.org>", "to": "a@example.org, Ops <b@example.org>",
	}
	for k, v := range more {
		settings[k] = v
	}
	return settings
}

// readMail answers header and the two texts as a mail program shows them.
func readMail(t *testing.T, data []byte) (header mail.Header, subject, plain, rich string) {
	t.Helper()
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		if len(line) > 998 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	msg, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	var texts []string
	for {
		p, err := parts.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	if len(texts) != 2 {
		t.Fatalf("%d parts", len(texts))
	}
	subject, err = new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	return msg.Header, subject, texts[0], texts[1]
}

func TestMailOverEveryProtection(t *testing.T) {
	users := map[string]string{"reeve": "pässword"}
	auth := map[string]any{"user": "reeve", "password": "pässword"}
	cases := []struct {
		name     string
		options  receiver.SMTPOptions
		settings map[string]any
		plain    bool
		wantTLS  bool
	}{
		{"starttls", receiver.SMTPOptions{Users: users}, map[string]any{"tls": "starttls"}, false, true},
		{"implicit", receiver.SMTPOptions{Users: users, Implicit: true, Auth: "LOGIN"}, map[string]any{"tls": "implicit"}, false, true},
		{"opportunistic", receiver.SMTPOptions{Users: users}, map[string]any{"tls": "opportunistic"}, false, true},
		{"opportunistic without", receiver.SMTPOptions{Users: users}, map[string]any{"tls": "opportunistic"}, true, false},
		{"none on loopback", receiver.SMTPOptions{Users: users, Auth: "LOGIN XOAUTH2"}, map[string]any{"tls": "none"}, true, false},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			var s *receiver.SMTP
			settings := map[string]any{}
			if x.plain {
				s = smtpReceiver(t, x.options)
			} else {
				s, settings["ca_file"] = func() (*receiver.SMTP, any) { r, ca := secureReceiver(t, x.options); return r, ca }()
			}
			for _, m := range []map[string]any{auth, x.settings} {
				for k, v := range m {
					settings[k] = v
				}
			}
			if err := open(t, "email", mailSettings(s, settings)).Send(t.Context(), opened); err != nil {
				t.Fatal(err)
			}
			got := s.Mails()
			if len(got) != 1 || got[0].TLS != x.wantTLS || got[0].User != "reeve" || len(got[0].To) != 2 || got[0].From != "reeve@example.org" {
				t.Errorf("mails %+v", got)
			}
		})
	}
}

func TestMailSaysWhatAPersonNeeds(t *testing.T) {
	s := smtpReceiver(t, receiver.SMTPOptions{})
	c := open(t, "email", mailSettings(s, map[string]any{"tls": "none"}))
	for _, m := range []ops.Message{opened, resolved()} {
		if err := c.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	got := s.Mails()
	header, subject, plain, rich := readMail(t, got[0].Data)
	if subject != "[CRITICAL] "+opened.Title || !strings.Contains(plain, "Since 08:02.") || !strings.Contains(plain, opened.URL) || !strings.Contains(rich, "96 % full") {
		t.Errorf("mail %s", got[0].Data)
	}
	if header.Get("Message-Id") != "<"+opened.ID+"@example.org>" || header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("header %v", header)
	}
	second, subject, _, _ := readMail(t, got[1].Data)
	if subject != resolved().Title || second.Get("References") != header.Get("References") || header.Get("References") == "" {
		t.Errorf("the messages of one incident are not one thread: %v, %v", header, second)
	}
}

func TestMailHeadersCannotBeInjected(t *testing.T) {
	s := smtpReceiver(t, receiver.SMTPOptions{})
	c := open(t, "email", mailSettings(s, map[string]any{"tls": "none"}))
	m := nasty()
	m.Text += "\r\n.\r\nMAIL FROM:<evil@example.org>\r\n"
	m.ID, m.IncidentID, m.URL = "dlv_\r\nX-A: b", "inc_\r\nX-A: b>", "javascript:alert(1)\r\nX-A: b"
	m.Title = strings.Repeat("é<b>", 200) + m.Title
	if err := c.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if n := len(s.Mails()); n != 1 {
		t.Fatalf("%d mails", n)
	}
	header, subject, _, rich := readMail(t, s.Mails()[0].Data)
	if header.Get("Bcc") != "" || header.Get("X-A") != "" {
		t.Errorf("header %v", header)
	}
	if strings.ContainsAny(subject, "\r\n\x1b") {
		t.Errorf("subject %q", subject)
	}
	if strings.Contains(rich, "<script") || strings.Contains(rich, "href") {
		t.Errorf("html %s", rich)
	}
}

func TestMailFailuresAreClassed(t *testing.T) {
	users := map[string]string{"reeve": "right"}
	say := func(verb, reply string) receiver.SMTPOptions {
		return receiver.SMTPOptions{Reply: func(v, _ string) string {
			if v == verb {
				return reply
			}
			return ""
		}}
	}
	cases := []struct {
		name      string
		options   receiver.SMTPOptions
		settings  map[string]any
		permanent bool
	}{
		{"wrong password", receiver.SMTPOptions{Users: users}, map[string]any{"tls": "none", "user": "reeve", "password": "s3cr3t-value"}, true},
		{"no STARTTLS", receiver.SMTPOptions{}, map[string]any{"tls": "starttls"}, true},
		{"no AUTH", receiver.SMTPOptions{}, map[string]any{"tls": "none", "user": "reeve", "password": "x"}, true},
		{"busy", say("MAIL", "421 later"), map[string]any{"tls": "none"}, false},
		{"greylisted", say("RCPT", "451 4.7.1 later"), map[string]any{"tls": "none"}, false},
		{"no such user", say("RCPT", "550 5.1.1 nobody"), map[string]any{"tls": "none"}, true},
		{"spam", say("DATA-END", "554 spam"), map[string]any{"tls": "none"}, true},
		{"full", say("DATA-END", "452 full"), map[string]any{"tls": "none"}, false},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			s := smtpReceiver(t, x.options)
			f := failure(t, open(t, "email", mailSettings(s, x.settings)), opened)
			if f.Permanent != x.permanent || len(s.Mails()) != 0 {
				t.Errorf("failure %+v", f)
			}
			noSecret(t, f)
		})
	}
}

func TestMailReachesTheRecipientsThatAreTaken(t *testing.T) {
	s := smtpReceiver(t, receiver.SMTPOptions{Reply: func(verb, argument string) string {
		if verb == "RCPT" && strings.Contains(argument, "a@example.org") {
			return "550 nobody"
		}
		return ""
	}})
	if err := open(t, "email", mailSettings(s, map[string]any{"tls": "none"})).Send(t.Context(), opened); err != nil {
		t.Fatal(err)
	}
	if got := s.Mails(); len(got) != 1 || len(got[0].To) != 1 || got[0].To[0] != "b@example.org" {
		t.Errorf("mails %+v", got)
	}
}

func TestMailNeverTrustsAStrangersCertificate(t *testing.T) {
	s, _ := secureReceiver(t, receiver.SMTPOptions{})
	f := failure(t, open(t, "email", mailSettings(s, nil)), opened)
	if !strings.Contains(f.Message, "certificate") {
		t.Errorf("failure %+v", f)
	}
	if err := open(t, "email", mailSettings(s, map[string]any{"insecure_tls": true})).Send(t.Context(), opened); err != nil {
		t.Errorf("with insecure_tls: %v", err)
	}
}

func TestMailRefusesBadAddresses(t *testing.T) {
	d, _ := Get("email")
	for _, bad := range []map[string]any{
		{"host": "h", "from": "x", "to": "a@b"},
		{"host": "h", "from": "a@b", "to": "x"},
		{"host": "h", "from": "a@b\r\nBcc: c@d", "to": "a@b"},
		{"host": "h", "from": "a@b", "to": ""},
		{"host": "h", "from": "a@b", "to": "a@b", "tls": "maybe"},
	} {
		if _, err := d.Open(env(), bad); ops.KindOf(err) != ops.Invalid {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

var _ notify.Channel = (*emailChannel)(nil)
