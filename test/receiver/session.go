package receiver

import (
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"net/textproto"
	"strings"
	"time"
)

// A session is one SMTP conversation.
type session struct {
	server *SMTP
	conn   net.Conn
	text   *textproto.Conn
	mail   Mail
	secure bool
	user   string
	helo   string
}

func newSession(server *SMTP, conn net.Conn) *session {
	s := &session{server: server, conn: conn}
	if server.options.Implicit {
		s.encrypt()
	} else {
		s.text = textproto.NewConn(conn)
	}
	return s
}

func (s *session) encrypt() {
	secure := tls.Server(s.conn, &tls.Config{Certificates: []tls.Certificate{*s.server.options.TLS}})
	s.text = textproto.NewConn(secure)
	s.secure = true
}

func (s *session) run() {
	if s.text.PrintfLine("220 localhost ready") != nil {
		return
	}
	for {
		line, err := s.text.ReadLine()
		if err != nil {
			return
		}
		verb, argument, _ := strings.Cut(line, " ")
		verb = strings.ToUpper(verb)
		if !s.answer(verb, argument) {
			return
		}
	}
}

// answer handles one command and reports whether the session goes on.
func (s *session) answer(verb, argument string) bool {
	if s.replaced(verb, argument) {
		return true
	}
	switch verb {
	case "EHLO", "HELO":
		s.helo = argument
		s.hello(verb)
	case "STARTTLS":
		if s.server.options.TLS == nil || s.secure {
			s.say("502 not offered")
			break
		}
		s.say("220 go ahead")
		s.encrypt()
	case "AUTH":
		s.auth(argument)
	case "MAIL":
		s.from(argument)
	case "RCPT":
		s.mail.To = append(s.mail.To, address(argument))
		s.say("250 ok")
	case "DATA":
		return s.data()
	case "RSET", "NOOP":
		s.say("250 ok")
	case "QUIT":
		s.say("221 bye")
		return false
	default:
		s.say("502 unknown")
	}
	return true
}

func (s *session) say(line string) { s.text.PrintfLine("%s", line) }

func (s *session) replaced(verb, argument string) bool {
	if s.server.options.Reply == nil {
		return false
	}
	reply := s.server.options.Reply(verb, argument)
	if reply != "" {
		s.say(reply)
	}
	return reply != ""
}

func (s *session) hello(verb string) {
	if verb == "HELO" {
		s.say("250 localhost")
		return
	}
	lines := []string{"localhost", "8BITMIME"}
	if s.server.options.TLS != nil && !s.secure {
		lines = append(lines, "STARTTLS")
	}
	if len(s.server.options.Users) > 0 {
		mechanisms := s.server.options.Auth
		if mechanisms == "" {
			mechanisms = "PLAIN LOGIN"
		}
		lines = append(lines, "AUTH "+mechanisms)
	}
	for i, line := range lines {
		mark := "-"
		if i == len(lines)-1 {
			mark = " "
		}
		s.say("250" + mark + line)
	}
}

func (s *session) auth(argument string) {
	mechanism, initial, _ := strings.Cut(argument, " ")
	var user, password string
	switch strings.ToUpper(mechanism) {
	case "PLAIN":
		parts := strings.Split(decode(initial), "\x00")
		if len(parts) == 3 {
			user, password = parts[1], parts[2]
		}
	case "LOGIN":
		user = s.ask("Username:")
		password = s.ask("Password:")
	}
	if want, ok := s.server.options.Users[user]; !ok || want != password {
		s.say("535 5.7.8 wrong user name or password")
		return
	}
	s.user = user
	s.say("235 welcome")
}

func (s *session) ask(question string) string {
	s.say("334 " + base64.StdEncoding.EncodeToString([]byte(question)))
	line, err := s.text.ReadLine()
	if err != nil {
		return ""
	}
	return decode(line)
}

func decode(text string) string {
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return ""
	}
	return string(plain)
}

func (s *session) from(argument string) {
	if len(s.server.options.Users) > 0 && s.user == "" {
		s.say("530 5.7.0 sign in first")
		return
	}
	s.mail = Mail{From: address(argument)}
	s.say("250 ok")
}

func (s *session) data() bool {
	s.say("354 go on")
	text, err := io.ReadAll(io.LimitReader(s.text.DotReader(), bodyLimitBytes))
	if err != nil {
		return false
	}
	if s.replaced("DATA-END", "") {
		return true
	}
	s.mail.Data, s.mail.TLS, s.mail.User, s.mail.Helo = text, s.secure, s.user, s.helo
	s.mail.At = time.Now()
	s.server.keep(s.mail)
	s.say("250 taken")
	return true
}

// address answers what is between the angle brackets of MAIL FROM or RCPT TO.
func address(argument string) string {
	_, rest, _ := strings.Cut(argument, "<")
	inside, _, _ := strings.Cut(rest, ">")
	return inside
}
