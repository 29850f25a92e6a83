// Package llmfake holds servers that speak the wire protocols of language
// models on 127.0.0.1: OpenAI's chat completions, Anthropic's messages,
// Gemini's streamGenerateContent and Ollama's own chat. A script or a function
// says what they answer; every way in which a provider can fail has a name.
//
//	s := llmfake.Start(t, llmfake.Anthropic,
//		llmfake.Reply{Calls: []llmfake.Call{{Name: "get_host", Input: `{"id":"web"}`}}},
//		llmfake.Reply{Fault: llmfake.Overloaded},
//		llmfake.Reply{Text: "All is well."})
//	// ... a provider with the URL s.URL ...
//	s.Requests()
package llmfake

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// A Protocol is a way to speak with models.
type Protocol string

// The protocols.
const (
	OpenAI    Protocol = "openai"
	Anthropic Protocol = "anthropic"
	Gemini    Protocol = "gemini"
	Ollama    Protocol = "ollama"
)

// Protocols are all of them.
var Protocols = []Protocol{OpenAI, Anthropic, Gemini, Ollama}

// A Request is what a server was sent: as it came, and what it says in words
// that all protocols share.
type Request struct {
	Method, Path string
	Header       http.Header
	Body         []byte

	Model      string
	System     string
	Tools      []string // names of those offered
	Messages   []Message
	Structured bool // the reply shall fit a schema that the protocol carries
}

// A Message is what one side says.
type Message struct {
	Role    string // user or assistant
	Text    string
	Calls   []Call
	Results []Result
}

// A Call is a call of a tool.
type Call struct {
	ID    string // made by the server when empty
	Name  string
	Input string // as the model writes it, JSON or not
}

// A Result is what a tool answered.
type Result struct{ ID, Name, Text string }

// Last answers the last message; the zero one when there is none.
func (r Request) Last() Message {
	if len(r.Messages) == 0 {
		return Message{}
	}
	return r.Messages[len(r.Messages)-1]
}

// A Reply is what a server answers: a message with whatever is wrong with it,
// or a Fault, or bytes of one's own.
type Reply struct {
	Text     string
	Thinking string
	Sealed   string // of the thinking: Anthropic's signature, Gemini's thought signature (base 64)
	Redacted string // thinking that cannot be read (Anthropic)
	Calls    []Call
	Length   bool   // it ends because it is long enough
	Refusal  string // the model declines, in these words
	Filtered bool   // the provider's filter ends it
	Usage    Usage
	NoUsage  bool
	NoEnd    bool // it stops without the words that end it

	Split    int    // letters a piece of text or input; 7 when 0
	Bytes    int    // bytes a write, in the middle of lines and letters; whole pieces when 0
	Comments bool   // comments between the pieces, where the protocol has them
	Garbage  string // a piece in the middle that is no JSON
	CutAt    int    // bytes after which the connection breaks off
	SilentAt int    // bytes after which nothing comes until the caller leaves

	Fault      Fault
	RetryAfter string // of RateLimited and Overloaded, as the header says it
	Window     int64  // of TooLong

	Status int // with Body: the answer as it is
	Header map[string]string
	Body   string
}

// Usage is what a reply took, in tokens; the zero value is 100 and 10.
type Usage struct{ Input, Cached, CacheWrite, Output, Reasoning int }

// A Fault is a way in which a provider refuses a request, or fails in it.
type Fault string

// The faults, in the form in which each provider says them.
const (
	BadKey      Fault = "bad key"
	Forbidden   Fault = "forbidden"
	NoCredit    Fault = "no credit"    // Gemini and Ollama have no word of their own for it
	RateLimited Fault = "rate limited" // 429 with RetryAfter
	Overloaded  Fault = "overloaded"   // 529 or 503
	Broken      Fault = "broken"       // 500
	TooLong     Fault = "too long"     // the prompt, for Window
	TooLarge    Fault = "too large"    // the body: 413
	NoModel     Fault = "no model"
	BadRequest  Fault = "bad request"
	MidStream   Fault = "mid stream" // an error after the reply began
	Redirected  Fault = "redirected" // to another host
	WebPage     Fault = "web page"   // 200 and HTML
)

// A Model is one that the server says it has.
type Model struct {
	Name   string
	Window int64
	Digest string
}

// A Server is a running server.
type Server struct {
	URL    string
	Models []Model // set before the first request; one called fake by itself
	Key    string  // that requests must carry; "" for any

	protocol Protocol
	answer   func(Request) Reply
	http     *httptest.Server
	closing  chan struct{}
	once     sync.Once

	mu   sync.Mutex
	asks []Request
}

// Start starts a server that answers with the replies in order. A request
// after the last of them fails the test.
func Start(t testing.TB, p Protocol, script ...Reply) *Server {
	t.Helper()
	var mu sync.Mutex
	next := 0
	return Serve(t, p, func(Request) Reply {
		mu.Lock()
		defer mu.Unlock()
		if next >= len(script) {
			t.Errorf("%s was asked for more than the %d replies of its script", p, len(script))
			return Reply{Fault: BadRequest}
		}
		next++
		return script[next-1]
	})
}

// Serve starts a server for a test that answers what a function says, which
// may be called at the same time by several requests.
func Serve(t testing.TB, p Protocol, answer func(Request) Reply) *Server {
	t.Helper()
	s := New(p, answer)
	t.Cleanup(s.Close)
	return s
}

// New starts a server for whoever closes it.
func New(p Protocol, answer func(Request) Reply) *Server {
	s := &Server{protocol: p, answer: answer, closing: make(chan struct{}), Models: []Model{{Name: "fake", Window: 32768, Digest: "sha256:f00d"}}}
	s.http = httptest.NewServer(s)
	s.URL = s.http.URL
	return s
}

// Close ends the server and whatever it still sends.
func (s *Server) Close() {
	s.once.Do(func() { close(s.closing) })
	s.http.Close()
}

// Requests answers what was asked of models so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.asks...)
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	if s.Key != "" && !s.knows(q.Header) {
		s.refuse(w, Reply{Fault: BadKey})
		return
	}
	if found, ok := s.list(q.URL.Path); ok {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, found)
		return
	}
	if !isChat(s.protocol, q.URL.Path) || q.Method != http.MethodPost {
		http.Error(w, "no such path", http.StatusNotFound)
		return
	}
	r := Request{Method: q.Method, Path: q.URL.RequestURI(), Header: q.Header.Clone(), Body: body}
	if err := r.read(s.protocol); err != nil {
		s.refuse(w, Reply{Fault: BadRequest})
		return
	}
	s.mu.Lock()
	s.asks = append(s.asks, r)
	s.mu.Unlock()
	s.reply(w, q, r, s.answer(r))
}

func (s *Server) knows(h http.Header) bool {
	for _, name := range []string{"Authorization", "X-Api-Key", "X-Goog-Api-Key"} {
		if strings.TrimPrefix(h.Get(name), "Bearer ") == s.Key {
			return true
		}
	}
	return false
}

func isChat(p Protocol, path string) bool {
	switch p {
	case OpenAI:
		return strings.HasSuffix(path, "/chat/completions")
	case Anthropic:
		return strings.HasSuffix(path, "/v1/messages")
	case Gemini:
		return strings.HasSuffix(path, ":streamGenerateContent")
	}
	return path == "/api/chat"
}

// reply sends a reply with all that is wrong with it.
func (s *Server) reply(w http.ResponseWriter, q *http.Request, r Request, reply Reply) {
	for name, v := range reply.Header {
		w.Header().Set(name, v)
	}
	if reply.Status != 0 {
		w.WriteHeader(reply.Status)
		io.WriteString(w, reply.Body)
		return
	}
	if reply.Fault != "" && reply.Fault != MidStream {
		s.refuse(w, reply)
		return
	}
	if reply.Usage == (Usage{}) {
		reply.Usage = Usage{Input: 100, Output: 10}
	}
	if reply.Split == 0 {
		reply.Split = 7
	}
	w.Header().Set("Content-Type", map[bool]string{true: "application/x-ndjson", false: "text/event-stream"}[s.protocol == Ollama])
	w.WriteHeader(http.StatusOK)
	p := &pace{w: w, reply: reply, left: s.closing, gone: q.Context().Done()}
	p.flush()
	for _, piece := range s.pieces(r, reply) {
		if !p.send(piece) {
			return
		}
	}
}

// pieces answers the parts of a stream with what disturbs them.
func (s *Server) pieces(r Request, reply Reply) []string {
	var all []string
	switch s.protocol {
	case OpenAI:
		all = openaiPieces(r, reply)
	case Anthropic:
		all = anthropicPieces(r, reply)
	case Gemini:
		all = geminiPieces(r, reply)
	case Ollama:
		all = ollamaPieces(r, reply)
	}
	middle := len(all) / 2
	disturb := reply.Garbage
	if reply.Fault == MidStream {
		_, disturb = complaint(s.protocol, Reply{Fault: Overloaded})
	}
	if disturb != "" {
		if s.protocol == Ollama {
			disturb += "\n"
		} else {
			name := map[bool]string{true: "error", false: "content_block_delta"}[reply.Fault == MidStream]
			disturb = event(s.protocol, name, disturb)
		}
		all = append(all[:middle:middle], append([]string{disturb}, all[middle:]...)...)
	}
	if reply.Comments && s.protocol != Ollama {
		var with []string
		for _, p := range all {
			with = append(with, ": keep-alive\n\n", ":\n"+p)
		}
		all = with
	}
	return all
}

// pace writes pieces at the pace of a reply.
type pace struct {
	w     http.ResponseWriter
	reply Reply
	sent  int
	left  chan struct{}
	gone  <-chan struct{}
}

func (p *pace) flush() { http.NewResponseController(p.w).Flush() }

// send writes a piece; false when nothing more can be sent.
func (p *pace) send(piece string) bool {
	size := p.reply.Bytes
	if size == 0 || size > len(piece) {
		size = len(piece)
	}
	for len(piece) > 0 {
		n := min(size, len(piece))
		stop := 0
		for _, at := range []int{p.reply.CutAt, p.reply.SilentAt} {
			if at > 0 && p.sent+n >= at {
				n, stop = min(n, at-p.sent), at
			}
		}
		if _, err := io.WriteString(p.w, piece[:n]); err != nil {
			return false
		}
		p.sent, piece = p.sent+n, piece[n:]
		p.flush()
		if stop > 0 {
			p.end(stop)
			return false
		}
	}
	return true
}

// end breaks off, or is silent until the caller or the server leaves.
func (p *pace) end(at int) {
	if at == p.reply.SilentAt {
		select {
		case <-p.gone:
		case <-p.left:
		}
	}
	panic(http.ErrAbortHandler)
}
