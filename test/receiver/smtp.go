package receiver

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"time"
)

// A Mail is what the SMTP receiver took.
type Mail struct {
	At   time.Time
	From string
	To   []string
	Data []byte // header and body as they came, dots unstuffed
	TLS  bool
	User string // who signed in, "" for nobody
	Helo string
}

// SMTPOptions say how the SMTP receiver behaves.
type SMTPOptions struct {
	TLS      *tls.Certificate // offers STARTTLS
	Implicit bool             // speaks TLS from the first byte
	// Users are names with passwords; when there are any, mail is taken only
	// after signing in. Auth lists the mechanisms offered, "PLAIN LOGIN" when
	// empty.
	Users map[string]string
	Auth  string
	// Reply may answer a command in the receiver's place ("" for the usual
	// answer): the verb in upper case, its argument, or "DATA-END" for the
	// end of a message.
	Reply func(verb, argument string) string
}

// SMTP is a running SMTP receiver.
type SMTP struct {
	Addr string // host:port

	options  SMTPOptions
	listener net.Listener
	wg       sync.WaitGroup
	mu       sync.Mutex
	conns    map[net.Conn]bool
	mails    []Mail
	sessions int
	news     chan struct{}
}

// NewSMTP starts an SMTP receiver.
func NewSMTP(options SMTPOptions) (*SMTP, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for SMTP: %w", err)
	}
	s := &SMTP{
		Addr: listener.Addr().String(), options: options, listener: listener,
		conns: map[net.Conn]bool{}, news: make(chan struct{}),
	}
	s.wg.Go(s.accept)
	return s, nil
}

// Close stops the receiver and ends its sessions.
func (s *SMTP) Close() error {
	err := s.listener.Close()
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
	return err
}

// Mails answers everything taken so far.
func (s *SMTP) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Sessions answers how many connections were made.
func (s *SMTP) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions
}

// Wait waits until at least n mails were taken and answers them all; when ctx
// ends first, those that were.
func (s *SMTP) Wait(ctx context.Context, n int) ([]Mail, error) {
	for {
		s.mu.Lock()
		got, news := append([]Mail(nil), s.mails...), s.news
		s.mu.Unlock()
		if len(got) >= n {
			return got, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return got, fmt.Errorf("%d of %d mails came: %w", len(got), n, ctx.Err())
		}
	}
}

func (s *SMTP) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[conn] = true
		s.sessions++
		s.mu.Unlock()
		s.wg.Go(func() {
			defer s.forget(conn)
			conn.SetDeadline(time.Now().Add(time.Minute))
			newSession(s, conn).run()
		})
	}
}

func (s *SMTP) forget(conn net.Conn) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

func (s *SMTP) keep(m Mail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, m)
	close(s.news)
	s.news = make(chan struct{})
}
