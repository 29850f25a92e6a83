package llm

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"reeve/internal/ops"
	"reeve/internal/redact"
)

// A recording is one exchange in a file: without keys, cookies, the host, and
// whatever looks like a secret in the texts of both sides.
type recording struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"` // with the names of the query
	Request json.RawMessage   `json:"request,omitempty"`
	Status  int               `json:"status"`
	Header  map[string]string `json:"header,omitempty"`
	Reply   []string          `json:"reply"`         // line by line, ends included
	Cut     bool              `json:"cut,omitempty"` // the reply broke off after that
}

// keptHeaders are the only ones that are written down.
var keptHeaders = []string{"Content-Type", "Retry-After", "Retry-After-Ms"}

// A recorder writes down what goes over the wire.
type recorder struct {
	dir  string
	next http.RoundTripper

	mu   sync.Mutex
	seen map[string]int
}

func openRecorder(dir string, next http.RoundTripper) (http.RoundTripper, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, ops.Because(ops.Invalid, err, "the folder for recordings cannot be made")
	}
	return &recorder{dir: dir, next: next, seen: map[string]int{}}, nil
}

func (c *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := takeBody(req)
	if err != nil {
		return nil, err
	}
	res, err := c.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	r := recording{Method: req.Method, Path: plainPath(req.URL), Request: scrubJSON(body), Status: res.StatusCode, Header: map[string]string{}}
	for _, name := range keptHeaders {
		if v := res.Header.Get(name); v != "" {
			r.Header[name] = v
		}
	}
	name := c.name(r)
	res.Body = &recorded{from: res.Body, done: func(all []byte, whole bool) error {
		r.Cut = !whole
		for line := range strings.Lines(string(all)) {
			r.Reply = append(r.Reply, scrubLine(line))
		}
		b, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(c.dir, name), append(b, '\n'), 0o600)
	}}
	return res, nil
}

// name answers the file of an exchange: what was asked, and for the how
// manyth time.
func (c *recorder) name(r recording) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := r.key()
	c.seen[key]++
	return fmt.Sprintf("%s-%d.json", key, c.seen[key])
}

// key answers what a recording is found by: all that was asked.
func (r recording) key() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s\n%s", r.Method, r.Path, r.Request)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// recorded keeps what is read of a reply until it ends.
type recorded struct {
	from  io.ReadCloser
	all   bytes.Buffer
	whole bool
	once  sync.Once
	done  func(all []byte, whole bool) error
}

func (b *recorded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.all.Len() < maxReplyBytes {
		b.all.Write(p[:n])
	}
	if errors.Is(err, io.EOF) {
		b.whole = true
	}
	return n, err
}

// Close writes the recording. The caller may have stopped reading where the
// protocol says that all is said: what follows then is read first.
func (b *recorded) Close() error {
	var err error
	b.once.Do(func() { err = b.done(b.all.Bytes(), b.whole || complete(b.all.Bytes())) })
	return errors.Join(err, b.from.Close())
}

// complete reports whether a reply ends with the end of a line: a caller
// leaves a reply there and nowhere else.
func complete(all []byte) bool { return bytes.HasSuffix(all, []byte("\n")) }

// A replay answers from recordings alone.
type replay struct {
	dir string

	mu   sync.Mutex
	seen map[string]int
}

func openReplay(dir string) (http.RoundTripper, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, ops.Errorf(ops.Invalid, "the folder of recordings cannot be read")
	}
	return &replay{dir: dir, seen: map[string]int{}}, nil
}

func (c *replay) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	body, err := takeBody(req)
	if err != nil {
		return nil, err
	}
	asked := recording{Method: req.Method, Path: plainPath(req.URL), Request: scrubJSON(body)}
	c.mu.Lock()
	c.seen[asked.key()]++
	n := c.seen[asked.key()]
	c.mu.Unlock()
	b, err := os.ReadFile(filepath.Join(c.dir, fmt.Sprintf("%s-%d.json", asked.key(), n)))
	if err != nil {
		return nil, fmt.Errorf("no recording %s-%d.json of %s %s", asked.key(), n, asked.Method, asked.Path)
	}
	r, err := readRecording(b)
	if err != nil {
		return nil, err
	}
	res := &http.Response{StatusCode: r.Status, Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req, ContentLength: -1}
	for name, v := range r.Header {
		res.Header.Set(name, v)
	}
	reply := strings.NewReader(strings.Join(r.Reply, ""))
	res.Body = io.NopCloser(reply)
	if r.Cut {
		res.Body = io.NopCloser(io.MultiReader(reply, broken{}))
	}
	return res, nil
}

// broken is a connection that broke off.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func readRecording(b []byte) (recording, error) {
	var r recording
	if err := json.Unmarshal(b, &r); err != nil {
		return recording{}, fmt.Errorf("a recording cannot be read: %w", err)
	}
	if r.Status < 100 || r.Status > 599 {
		return recording{}, fmt.Errorf("a recording has the status %d", r.Status)
	}
	return r, nil
}

// takeBody reads a request's body and puts it back.
func takeBody(req *http.Request) ([]byte, error) {
	if req.Body == nil {
		return nil, nil
	}
	b, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body.Close()
	req.Body = io.NopCloser(bytes.NewReader(b))
	return b, nil
}

// plainPath answers the path with the names of the query: its values can be
// keys.
func plainPath(u *url.URL) string {
	plain := url.URL{Path: u.Path}
	query := url.Values{}
	for name := range u.Query() {
		query.Set(name, "")
	}
	plain.RawQuery = query.Encode()
	return plain.String()
}

// scrubLine takes secrets out of a line of a reply: out of its texts, where
// it is JSON.
func scrubLine(line string) string {
	text := strings.TrimRight(line, "\r\n")
	end := line[len(text):]
	prefix := ""
	if rest, ok := strings.CutPrefix(text, "data: "); ok {
		prefix, text = "data: ", rest
	}
	if clean := scrubJSON([]byte(text)); clean != nil {
		return prefix + string(clean) + end
	}
	return prefix + redact.Text(strings.ToValidUTF8(text, "\uFFFD")) + end
}

// scrubJSON takes secrets out of the texts of a JSON document; nil for what
// is none.
func scrubJSON(b []byte) json.RawMessage {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil || d.More() {
		return nil
	}
	clean, err := encode(scrub(v))
	if err != nil {
		return nil
	}
	return clean
}

func scrub(v any) any {
	switch v := v.(type) {
	case string:
		return redact.Text(v)
	case []any:
		for i := range v {
			v[i] = scrub(v[i])
		}
	case map[string]any:
		for name, x := range v {
			v[name] = scrub(x)
		}
	}
	return v
}
