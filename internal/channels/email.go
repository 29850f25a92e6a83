package channels

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"time"

	"reeve/internal/notify"
	"reeve/internal/ops"
	"reeve/internal/redact"
)

var _ = all.Add(notify.Definition{
	Name: "email",
	Doc: `Sends mail through an SMTP server, as plain text and simple HTML. Messages about one incident form one thread.
tls is starttls (required), implicit (TLS from the first byte, port 465), opportunistic (STARTTLS where it is offered)
or none (a server on this machine only). A password is never sent without TLS to another machine.`,
	Settings: emailSettings{},
	Open:     notify.Typed(openEmail),
})

type emailSettings struct {
	Host        string        `json:"host" doc:"Name of the SMTP server."`
	Port        int           `json:"port,omitempty" doc:"Its port; 465 for implicit TLS, 25 for none, else 587."`
	TLS         string        `json:"tls,omitempty" default:"starttls" enum:"starttls,implicit,opportunistic,none" doc:"How the connection is protected."`
	User        string        `json:"user,omitempty" doc:"User name to sign in with."`
	Password    notify.Secret `json:"password,omitempty" doc:"Password of the user."`
	From        string        `json:"from" doc:"Sender, such as Reeve <reeve@example.org>."`
	To          []string      `json:"to" doc:"Recipients."`
	Hello       string        `json:"hello,omitempty" doc:"Name that this machine gives itself to the server; its host name when empty."`
	InsecureTLS bool          `json:"insecure_tls,omitempty" doc:"Accept any TLS certificate."`
	CAFile      string        `json:"ca_file,omitempty" doc:"File of PEM certificates to trust besides the system's."`
}

type emailChannel struct {
	settings emailSettings
	addr     string
	from     *mail.Address
	to       []*mail.Address
	trust    *tls.Config
	env      notify.Env
}

func openEmail(env notify.Env, s emailSettings) (notify.Channel, error) {
	from, err := mail.ParseAddress(s.From)
	if err != nil {
		return nil, ops.Because(ops.Invalid, err, "setting from: %q is not a mail address", s.From)
	}
	e := &emailChannel{settings: s, from: from, env: env, addr: net.JoinHostPort(s.Host, strconv.Itoa(emailPort(s)))}
	for _, text := range s.To {
		to, err := mail.ParseAddress(text)
		if err != nil {
			return nil, ops.Because(ops.Invalid, err, "setting to: %q is not a mail address", text)
		}
		e.to = append(e.to, to)
	}
	if len(e.to) == 0 {
		return nil, ops.Errorf(ops.Invalid, "setting to: is required")
	}
	e.trust, err = notify.Trust(notify.Reach{InsecureTLS: s.InsecureTLS, CAFile: s.CAFile})
	if err != nil {
		return nil, err
	}
	e.trust.ServerName = s.Host
	e.settings.Hello = emailHello(s.Hello)
	return e, nil
}

func emailPort(s emailSettings) int {
	switch {
	case s.Port != 0:
		return s.Port
	case s.TLS == "implicit":
		return 465
	case s.TLS == "none":
		return 25
	}
	return 587
}

func emailHello(setting string) string {
	name := setting
	if name == "" {
		name, _ = os.Hostname()
	}
	name = strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r
		}
		return -1
	}, name)
	if name == "" {
		return "localhost"
	}
	return name
}

const emailTimeout = time.Minute

func (e *emailChannel) Send(ctx context.Context, m ops.Message) error {
	text, err := e.compose(m)
	if err != nil {
		return notify.Refused(err, "the mail cannot be written")
	}
	ctx, cancel := context.WithTimeout(ctx, emailTimeout)
	defer cancel()
	conn, err := e.env.Dial(ctx, "tcp", e.addr)
	if err != nil {
		return emailBefore(emailFailure("the mail server cannot be reached", err))
	}
	defer conn.Close()
	// A deadline in the past ends any read or write under way.
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	client, err := e.open(ctx, conn)
	if err != nil {
		return emailBefore(err)
	}
	defer client.Close()
	return e.hand(client, text)
}

// emailBefore marks a failure that came before there was a mail to take.
func emailBefore(err error) error {
	f := notify.AsFailure(err)
	f.Nobody = true
	return f
}

// open greets the server, protects the connection as set, and signs in.
func (e *emailChannel) open(ctx context.Context, conn net.Conn) (*smtp.Client, error) {
	loopback := emailLoopback(conn)
	if e.settings.TLS == "none" && !loopback {
		return nil, notify.Refused(nil, "tls: none is only for a mail server on this machine; use starttls or implicit")
	}
	secure := e.settings.TLS == "implicit"
	if secure {
		over := tls.Client(conn, e.trust.Clone())
		if err := over.HandshakeContext(ctx); err != nil {
			return nil, emailFailure("TLS with the mail server failed", err)
		}
		conn = over
	}
	client, err := smtp.NewClient(conn, e.settings.Host)
	if err != nil {
		return nil, emailFailure("the mail server did not greet", err)
	}
	if err := client.Hello(e.settings.Hello); err != nil {
		return nil, emailFailure("the mail server refused the greeting", err)
	}
	offered, _ := client.Extension("STARTTLS")
	switch mode := e.settings.TLS; {
	case mode == "starttls" && !offered:
		return nil, notify.Refused(nil, "the mail server does not offer STARTTLS")
	case mode == "starttls", mode == "opportunistic" && offered:
		if err := client.StartTLS(e.trust.Clone()); err != nil {
			return nil, emailFailure("STARTTLS with the mail server failed", err)
		}
		secure = true
	}
	if e.settings.User == "" {
		return client, nil
	}
	if !secure && !loopback {
		return nil, notify.Refused(nil, "the password is not sent to another machine without TLS")
	}
	return client, e.signIn(client)
}

func (e *emailChannel) signIn(client *smtp.Client) error {
	_, offered := client.Extension("AUTH")
	auth := emailAuth{user: e.settings.User, password: e.settings.Password.Reveal()}
	mechanisms := strings.Fields(strings.ToUpper(offered))
	for _, name := range []string{"PLAIN", "LOGIN"} {
		for _, m := range mechanisms {
			if m == name && auth.mechanism == "" {
				auth.mechanism = name
			}
		}
	}
	if auth.mechanism == "" {
		return notify.Refused(nil, "the mail server offers neither AUTH PLAIN nor AUTH LOGIN")
	}
	if err := client.Auth(&auth); err != nil {
		return emailFailure("the mail server refused the user name and password", err)
	}
	return nil
}

// emailAuth signs in by PLAIN or LOGIN. Whether the connection may carry a
// password was decided before.
type emailAuth struct{ mechanism, user, password string }

func (a *emailAuth) Start(*smtp.ServerInfo) (string, []byte, error) {
	if a.mechanism == "PLAIN" {
		return "PLAIN", []byte("\x00" + a.user + "\x00" + a.password), nil
	}
	return "LOGIN", nil, nil
}

func (a *emailAuth) Next(question []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}
	switch word := strings.ToLower(string(question)); {
	case a.mechanism == "LOGIN" && strings.HasPrefix(word, "user"):
		return []byte(a.user), nil
	case a.mechanism == "LOGIN" && strings.HasPrefix(word, "pass"):
		return []byte(a.password), nil
	}
	return nil, fmt.Errorf("the server asks %q", redact.Line(string(question), 60))
}

// hand gives the mail to the server. Recipients that are refused are logged
// and the others get it; sending it again would give it to them twice.
func (e *emailChannel) hand(client *smtp.Client, text []byte) error {
	if err := client.Mail(e.from.Address); err != nil {
		return emailFailure("the mail server refused the sender", err)
	}
	var refused error
	taken := 0
	for _, to := range e.to {
		if err := client.Rcpt(to.Address); err != nil {
			refused = err
			e.env.Log.Warn("mail recipient refused", "recipient", to.Address, "err", err)
			continue
		}
		taken++
	}
	if taken == 0 {
		return emailFailure("the mail server refused every recipient", refused)
	}
	w, err := client.Data()
	if err != nil {
		return emailFailure("the mail server refused the mail", err)
	}
	if _, err := w.Write(text); err != nil {
		return emailFailure("the mail was not sent whole", err)
	}
	if err := w.Close(); err != nil {
		return emailFailure("the mail server refused the mail", err)
	}
	client.Quit() // It was taken: how the conversation ends does not matter.
	return nil
}

// emailFailure classes an error: replies of 500 and above need a person, all
// else may pass.
func emailFailure(what string, err error) *notify.Failure {
	message := what + ": " + redact.Line(err.Error(), 200)
	reply, said := errors.AsType[*textproto.Error](err)
	if said && reply.Code >= 500 {
		return notify.Refused(err, message)
	}
	f := notify.Unreached(err, message)
	f.Nobody = said
	return f
}

func emailLoopback(conn net.Conn) bool {
	at, ok := conn.RemoteAddr().(*net.TCPAddr)
	return ok && at.IP.IsLoopback()
}

// compose writes the mail. Every header value is made here or passes through
// oneLine and an encoder, so no text of the message can start a header.
func (e *emailChannel) compose(m ops.Message) ([]byte, error) {
	_, domain, _ := strings.Cut(e.from.Address, "@")
	to := make([]string, len(e.to))
	for i, a := range e.to {
		to[i] = a.String()
	}
	var mail bytes.Buffer
	parts := multipart.NewWriter(&mail)
	headers := []string{
		"From: " + e.from.String(),
		"To: " + strings.Join(to, ",\r\n "),
		"Subject: " + emailSubject(heading(m, 150)),
		"Date: " + e.env.Now().Format(time.RFC1123Z),
		"Message-ID: <" + emailToken(m.ID) + "@" + domain + ">",
		"MIME-Version: 1.0",
		"Content-Type: multipart/alternative; boundary=" + parts.Boundary(),
		"Auto-Submitted: auto-generated",
		"X-Auto-Response-Suppress: All",
		"Reeve-Delivery: " + emailToken(m.ID),
		"Reeve-Event: " + emailToken(string(m.Event)),
	}
	if m.IncidentID != "" {
		thread := "<" + emailToken(m.IncidentID) + "@" + domain + ">"
		headers = append(headers, "In-Reply-To: "+thread, "References: "+thread)
	}
	if m.Severity == ops.Critical && m.Event != ops.MessageResolved {
		headers = append(headers, "Importance: high")
	}
	mail.WriteString(strings.Join(headers, "\r\n") + "\r\n\r\n")
	plain := manyLines(m.Text, 100<<10)
	if m.URL != "" {
		plain += "\n\n" + oneLine(m.URL, 500)
	}
	err := errors.Join(
		emailPart(parts, "text/plain; charset=utf-8", plain+"\n"),
		emailPart(parts, "text/html; charset=utf-8", emailHTML(m)),
		parts.Close(),
	)
	return mail.Bytes(), err
}

// emailSubject encodes a subject; encoded words are put on lines of their
// own, so that no line is too long for a server.
func emailSubject(s string) string {
	return strings.ReplaceAll(mime.QEncoding.Encode("utf-8", s), "?= =?", "?=\r\n =?")
}

// emailToken answers an ID without what could end a header.
func emailToken(s string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f && !strings.ContainsRune("<>@\"\\(),:;", r) {
			return r
		}
		return -1
	}, s)
}

func emailPart(parts *multipart.Writer, kind, text string) error {
	w, err := parts.CreatePart(textproto.MIMEHeader{
		"Content-Type": {kind}, "Content-Transfer-Encoding": {"quoted-printable"},
	})
	if err != nil {
		return err
	}
	q := quotedprintable.NewWriter(w)
	_, err = io.WriteString(q, text)
	return errors.Join(err, q.Close())
}

func emailHTML(m ops.Message) string {
	var b strings.Builder
	color := "#b45309"
	switch {
	case m.Event == ops.MessageResolved:
		color = "#15803d"
	case m.Severity == ops.Critical:
		color = "#b91c1c"
	}
	b.WriteString("<!doctype html><html><body style=\"font-family:sans-serif;line-height:1.45\">\n")
	fmt.Fprintf(&b, "<p style=\"border-left:4px solid %s;padding-left:10px;font-size:17px\"><b>%s</b></p>\n",
		color, html.EscapeString(heading(m, 250)))
	for line := range strings.SplitSeq(manyLines(m.Text, 100<<10), "\n") {
		fmt.Fprintf(&b, "%s<br>\n", html.EscapeString(line))
	}
	if strings.HasPrefix(m.URL, "https://") || strings.HasPrefix(m.URL, "http://") {
		fmt.Fprintf(&b, "<p><a href=\"%s\">Open the incident</a></p>\n", html.EscapeString(m.URL))
	}
	b.WriteString("</body></html>\n")
	return b.String()
}
