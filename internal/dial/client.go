package dial

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

// A Client speaks to one server.
type Client struct {
	Base  string
	Token string
	Hint  string // where the token came from, or how to get one
	http  *http.Client
}

// New makes the client of the server at a place.
func New(at Place) (*Client, error) {
	u, err := url.Parse(at.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, misuse("%q is not the address of a server; write it like http://127.0.0.1:7433", at.URL)
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = answerWithin
	if at.Authority != "" {
		if t.TLSClientConfig, err = trust(at.Authority); err != nil {
			return nil, err
		}
	}
	return &Client{Base: strings.TrimRight(at.URL, "/"), Token: at.Token, Hint: at.Hint, http: &http.Client{Transport: t,
		// The token goes to the server that was named and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// trust reads certificates that are believed beside those of the system.
func trust(file string) (*tls.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, misuse("the certificate file %s cannot be read (%s)", file, LastReason(err))
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, misuse("%s holds no certificate in PEM form", file)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// Do sends a request and answers the answer when it is good. The caller closes
// its body.
func (c *Client) Do(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.Base+path, content)
	if err != nil {
		return nil, misuse("the address %s cannot be asked (%s)", c.Base, LastReason(err))
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}
	return c.Send(r)
}

// Send sends a request and answers the answer when it is good; every other one
// is an error. The caller closes its body.
func (c *Client) Send(r *http.Request) (*http.Response, error) {
	answer, err := c.http.Do(r)
	if err != nil {
		if r.Context().Err() != nil {
			return nil, r.Context().Err()
		}
		return nil, Unreachable{c.Base, err}
	}
	if answer.StatusCode >= 200 && answer.StatusCode < 300 {
		return answer, nil
	}
	defer answer.Body.Close()
	return nil, c.refusal(answer)
}

// refusal reads the problem that the server answered.
func (c *Client) refusal(answer *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxErrorBytes))
	if err != nil {
		return Unreachable{c.Base, err}
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
		e.Message = fmt.Sprintf("%s answers %s; it seems not to be a Reeve", c.Base, answer.Status)
	}
	if e.Kind == ops.Unauthentic {
		e.Message += "; " + c.Hint
	}
	return Answered{e}
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

// Raw asks and answers the body as it came.
func (c *Client) Raw(ctx context.Context, method, path string, body any) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return c.Whole(ctx, method, path, body)
}

// Whole is raw for what takes as long as it takes.
func (c *Client) Whole(ctx context.Context, method, path string, body any) (json.RawMessage, error) {
	answer, err := c.Do(ctx, method, path, body)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, Unreachable{c.Base, fmt.Errorf("no answer within %v", answerWithin)}
		}
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes+1))
	if err != nil {
		return nil, Unreachable{c.Base, err}
	}
	if len(text) > maxAnswerBytes {
		return nil, fmt.Errorf("the answer of %s is larger than %d MiB; ask for less", c.Base, maxAnswerBytes>>20)
	}
	return text, nil
}

// ServerName answers where the answers come from, for headings.
func (c *Client) ServerName() string {
	return strings.TrimPrefix(strings.TrimPrefix(c.Base, "http://"), "https://")
}
