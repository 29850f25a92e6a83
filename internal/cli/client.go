package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"reeve/internal/ops"
)

// The bounds of one request.
const (
	answerWithin   = 60 * time.Second
	maxAnswerBytes = 512 << 20
	maxErrorBytes  = 1 << 20
)

// A client speaks to one server.
type client struct {
	base  string
	token string
	hint  string // where the token came from, or how to get one
	http  *http.Client
}

// newClient makes the client of a server. authority is a file, "" for the
// authorities of the system.
func newClient(at place, authority string) (*client, error) {
	u, err := url.Parse(at.url)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, wrongUse("%q is not the address of a server; write it like http://127.0.0.1:7433", at.url)
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = answerWithin
	if authority != "" {
		if t.TLSClientConfig, err = trust(authority); err != nil {
			return nil, err
		}
	}
	return &client{base: strings.TrimRight(at.url, "/"), token: at.token, hint: at.hint, http: &http.Client{Transport: t,
		// The token goes to the server that was named and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// trust reads certificates that are believed beside those of the system.
func trust(file string) (*tls.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, wrongUse("the certificate file %s cannot be read (%s)", file, lastReason(err))
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, wrongUse("%s holds no certificate in PEM form", file)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// ask connects to the server, once.
func (s *session) ask() (*client, error) {
	if s.client != nil {
		return s.client, nil
	}
	at, err := s.locate()
	if err != nil {
		return nil, err
	}
	s.client, err = newClient(at, at.authority)
	return s.client, err
}

// do sends a request and answers the answer when it is good. The caller closes
// its body.
func (c *client) do(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return nil, wrongUse("the address %s cannot be asked (%s)", c.base, lastReason(err))
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	return c.send(r)
}

func (c *client) send(r *http.Request) (*http.Response, error) {
	answer, err := c.http.Do(r)
	if err != nil {
		if r.Context().Err() != nil {
			return nil, r.Context().Err()
		}
		return nil, unreachableError{c.base, err}
	}
	if answer.StatusCode >= 200 && answer.StatusCode < 300 {
		return answer, nil
	}
	defer answer.Body.Close()
	return nil, c.refusal(answer)
}

// refusal reads the problem that the server answered.
func (c *client) refusal(answer *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxErrorBytes))
	if err != nil {
		return unreachableError{c.base, err}
	}
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	e := &ops.Error{Kind: kindOf(answer.StatusCode)}
	switch kind {
	case "application/problem+json":
		var p struct {
			Title    string            `json:"title"`
			Detail   string            `json:"detail"`
			Instance string            `json:"instance"`
			Fields   map[string]string `json:"fields"`
		}
		if json.Unmarshal(text, &p) == nil {
			e.Message, e.Fields = p.Detail, p.Fields
			if e.Message == "" {
				e.Message = fmt.Sprintf("the server failed (%s); its log tells more under request %s", p.Title, p.Instance)
			}
		}
	case "application/json": // The Prometheus API has its own form.
		var p struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(text, &p) == nil {
			e.Message = p.Error
		}
	}
	if e.Message == "" {
		e.Message = fmt.Sprintf("%s answers %s; it seems not to be a Reeve", c.base, answer.Status)
	}
	if e.Kind == ops.Unauthentic {
		e.Message += "; " + c.hint
	}
	return answerError{e}
}

func kindOf(status int) ops.ErrorKind {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return ops.Invalid
	case http.StatusNotFound:
		return ops.NotFound
	case http.StatusConflict, http.StatusPreconditionFailed:
		return ops.Conflict
	case http.StatusUnauthorized:
		return ops.Unauthentic
	case http.StatusForbidden:
		return ops.Forbidden
	case http.StatusTooManyRequests:
		return ops.TooMany
	case http.StatusServiceUnavailable:
		return ops.Unavailable
	}
	return ops.Internal
}

// raw asks and answers the body as it came.
func (c *client) raw(ctx context.Context, method, path string, body any) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return c.whole(ctx, method, path, body)
}

// whole is raw for what takes as long as it takes.
func (c *client) whole(ctx context.Context, method, path string, body any) (json.RawMessage, error) {
	answer, err := c.do(ctx, method, path, body)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, unreachableError{c.base, fmt.Errorf("no answer within %v", answerWithin)}
		}
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes+1))
	if err != nil {
		return nil, unreachableError{c.base, err}
	}
	if len(text) > maxAnswerBytes {
		return nil, fmt.Errorf("the answer of %s is larger than %d MiB; ask for less", c.base, maxAnswerBytes>>20)
	}
	return text, nil
}

// get asks for a value of the API.
func (s *session) get(ctx context.Context, path string, into any) error {
	_, err := s.fetch(ctx, path, into)
	return err
}

// fetch asks for a value of the API and answers its text too.
func (s *session) fetch(ctx context.Context, path string, into any) (json.RawMessage, error) {
	return s.call(ctx, http.MethodGet, path, nil, into)
}

// call asks the API for something and reads the answer; into may be nil.
func (s *session) call(ctx context.Context, method, path string, body, into any) (json.RawMessage, error) {
	c, err := s.ask()
	if err != nil {
		return nil, err
	}
	text, err := c.raw(ctx, method, path, body)
	if err != nil || into == nil {
		return text, err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return nil, fmt.Errorf("%s answers what this program does not understand (%s); is it a Reeve of another version?", c.base, lastReason(err))
	}
	return text, nil
}

// A list is a page of a list of the API, whose items are kept as they came.
type list struct {
	Items []json.RawMessage `json:"items"`
	Next  string            `json:"next,omitempty"`
}

// pageSize is the most that the API answers at once.
const pageSize = 1000

// listed reads a list of the API over its pages: at most limit items, 0 for
// all.
func (s *session) listed(ctx context.Context, path string, q url.Values, limit int) (list, error) {
	all := list{Items: []json.RawMessage{}}
	ask := url.Values{}
	for k, v := range q {
		ask[k] = v
	}
	for {
		want := pageSize
		if limit > 0 {
			want = min(want, limit-len(all.Items))
		}
		ask.Set("limit", fmt.Sprint(want))
		var page list
		if err := s.get(ctx, path+"?"+ask.Encode(), &page); err != nil {
			return all, err
		}
		all.Items, all.Next = append(all.Items, page.Items...), page.Next
		if page.Next == "" || limit > 0 && len(all.Items) >= limit {
			return all, nil
		}
		ask.Set("cursor", page.Next)
	}
}

// read decodes the items of a list.
func read[T any](l list) ([]T, error) {
	all := make([]T, len(l.Items))
	for i, text := range l.Items {
		if err := json.Unmarshal(text, &all[i]); err != nil {
			return nil, fmt.Errorf("an item of the answer cannot be understood (%s); is the server of another version?", lastReason(err))
		}
	}
	return all, nil
}
