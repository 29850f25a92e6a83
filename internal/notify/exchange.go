package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"reeve/internal/redact"
)

const (
	answerLimitBytes = 64 << 10
	retryAfterLimit  = time.Hour
	userAgent        = "reeve"
)

// A Request is what a channel posts.
type Request struct {
	Method string // POST when empty
	URL    string
	Header map[string]string
	Type   string // application/json when empty
	Body   []byte
}

// PostJSON sends a value as a JSON body. The answer's body, bounded, is for
// channels whose receivers say more than the status.
func PostJSON(ctx context.Context, client *http.Client, r Request, body any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, Refused(err, "the message cannot be written as JSON")
	}
	r.Body = text
	return Exchange(ctx, client, r)
}

// Exchange makes one request and answers the body of an answer with a 2xx
// status. Every error is a *Failure: 408, 425, 429, 5xx and a failed network
// may pass, all else needs a person. No error shows the URL, which often is
// the secret.
func Exchange(ctx context.Context, client *http.Client, r Request) ([]byte, error) {
	if r.Method == "" {
		r.Method = http.MethodPost
	}
	if r.Type == "" {
		r.Type = "application/json"
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, Refused(withoutURL(err), "the address of the receiver is not valid")
	}
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Content-Type", r.Type)
	for name, value := range r.Header {
		req.Header.Set(name, value)
	}
	answer, err := client.Do(req)
	if err != nil {
		return nil, networkFailure(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, answerLimitBytes))
	if answer.StatusCode/100 == 2 {
		return body, nil // It was taken: how the answer ends does not matter.
	}
	return nil, statusFailure(answer, body, err)
}

func networkFailure(err error) *Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	err = withoutURL(err)
	f := Unreached(err, "the receiver cannot be reached: "+redact.Line(err.Error(), 200))
	f.Nobody = notConnected(err)
	return f
}

// notConnected reports whether an error says that no connection was made.
func notConnected(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// withoutURL takes off the wrapping that repeats the URL.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

func statusFailure(answer *http.Response, body []byte, cause error) *Failure {
	status := answer.StatusCode
	f := &Failure{
		Permanent: !passing(status),
		Nobody:    status/100 == 4 || status/100 == 3,
		Message:   fmt.Sprintf("the receiver answered %d %s", status, http.StatusText(status)),
		Err:       cause,
	}
	if f.Permanent && status/100 == 3 {
		f.Message += " without a place to go"
	}
	if text := redact.Line(string(body), 200); text != "" {
		f.Message += ": " + text
	}
	if !f.Permanent {
		f.RetryAfter = max(retryAfter(answer.Header, time.Now()), retryAfterBody(body))
	}
	return f
}

func passing(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status/100 == 5 || status/100 == 1
}

// retryAfter answers what a Retry-After header asks for, at most an hour: a
// receiver does not decide for how long nobody is told.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(text, 64); err == nil && s > 0 {
		return time.Duration(min(s, retryAfterLimit.Seconds()) * float64(time.Second))
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return min(at.Sub(now), retryAfterLimit)
	}
	return 0
}

// retryAfterBody answers what receivers ask for in the body instead: Discord,
// Telegram and Matrix each in their own way.
func retryAfterBody(body []byte) time.Duration {
	var said struct {
		Seconds    float64 `json:"retry_after"`
		MS         float64 `json:"retry_after_ms"`
		Parameters struct {
			Seconds float64 `json:"retry_after"`
		} `json:"parameters"`
	}
	if json.Unmarshal(body, &said) != nil {
		return 0
	}
	seconds := max(said.Seconds, said.MS/1000, said.Parameters.Seconds, 0)
	return time.Duration(min(seconds, retryAfterLimit.Seconds()) * float64(time.Second))
}
