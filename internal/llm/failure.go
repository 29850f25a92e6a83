package llm

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"reeve/internal/redact"
)

var (
	errRefused     = errors.New("the provider answered with an error")
	errNotProtocol = errors.New("the answer is a web page")
	errCutOff      = errors.New("the reply ends before its end")
	errMalformed   = errors.New("the reply is not what the protocol says")
)

// classOfCode knows the error types and codes of the providers. What is not
// here is judged by its status. Texts are never judged: where a provider says
// only in a text that a prompt is too long (Anthropic, Gemini and DeepSeek
// do), tooLong decides by what was sent.
var classOfCode = map[string]Class{
	// Anthropic
	"authentication_error": Auth, "permission_error": Auth, "billing_error": Credit, "rate_limit_error": RateLimit,
	"request_too_large": ContextLength, "overloaded_error": Transient, "api_error": Transient, "timeout_error": Transient,
	"not_found_error": Invalid,
	// OpenAI, DeepSeek and servers like theirs
	"invalid_api_key": Auth, "account_deactivated": Auth, "insufficient_quota": Credit, "billing_not_active": Credit,
	"billing_hard_limit_reached": Credit, "insufficient_balance": Credit, "rate_limit_exceeded": RateLimit,
	"context_length_exceeded": ContextLength, "exceed_context_size_error": ContextLength, "string_above_max_length": ContextLength,
	"content_filter": Refusal, "content_policy_violation": Refusal, "server_error": Transient, "service_unavailable": Transient,
	"engine_overloaded": Transient, "model_not_found": Invalid,
	// Gemini
	"API_KEY_INVALID": Auth, "UNAUTHENTICATED": Auth, "PERMISSION_DENIED": Auth, "FAILED_PRECONDITION": Credit,
	"RESOURCE_EXHAUSTED": RateLimit, "UNAVAILABLE": Transient, "INTERNAL": Transient, "DEADLINE_EXCEEDED": Transient,
	"ABORTED": Transient, "NOT_FOUND": Invalid,
}

func classOfStatus(status int) Class {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return Auth
	case status == http.StatusPaymentRequired:
		return Credit
	case status == http.StatusTooManyRequests:
		return RateLimit
	case status == http.StatusRequestEntityTooLarge:
		return ContextLength
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusTooEarly:
		return Transient
	case status >= 300:
		return Invalid
	}
	return Transient // an error in the middle of a reply that began well
}

// A complaint is a provider's error, in the words that all of them share.
type complaint struct {
	codes   []string // the most telling first
	message string
	retry   time.Duration
	window  int64
}

// readComplaint reads the error objects of every protocol here:
// {"error": {...}}, {"error": "text"}, the object itself, or a list of one.
func readComplaint(body []byte) complaint {
	var list []json.RawMessage
	if json.Unmarshal(body, &list) == nil && len(list) > 0 {
		body = list[0]
	}
	var outer struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &outer) == nil && len(outer.Error) > 0 && string(outer.Error) != "null" {
		body = outer.Error
	}
	var text string
	if json.Unmarshal(body, &text) == nil {
		return complaint{message: text}
	}
	var e struct {
		Code    any    `json:"code"`
		Type    string `json:"type"`
		Status  string `json:"status"`
		Message string `json:"message"`
		Context int64  `json:"n_ctx"`
		Details []struct {
			Reason string `json:"reason"`
			Retry  string `json:"retryDelay"`
		} `json:"details"`
	}
	// What does not fit is left out: half an error is better than none.
	_ = json.Unmarshal(body, &e)
	c := complaint{message: e.Message, window: max(e.Context, 0)}
	for _, d := range e.Details {
		c.codes = append(c.codes, d.Reason)
		if wait, err := time.ParseDuration(d.Retry); err == nil {
			c.retry = wait
		}
	}
	if code, ok := e.Code.(string); ok {
		c.codes = append(c.codes, code)
	}
	c.codes = append(c.codes, e.Type, e.Status)
	return c
}

// judge makes the Error of a provider's complaint.
func (w *wire) judge(status int, header http.Header, body []byte) *Error {
	c := readComplaint(body)
	e := &Error{Class: classOfStatus(status), Provider: w.name, Status: status, Message: w.clean(c.message)}
	if status == 0 || status/100 == 2 {
		e.Status = 0
	}
	for _, code := range c.codes {
		if code == "" {
			continue
		}
		if e.Code == "" {
			e.Code = redact.Line(code, 60)
		}
		if class, ok := classOfCode[code]; ok {
			e.Class, e.Code = class, code
			break
		}
	}
	if status/100 == 3 {
		e.Message = "it redirects elsewhere; set the address that it names"
	}
	if e.Class == RateLimit || e.Class == Transient {
		if e.RetryAfter = retryAfter(header, time.Now()); e.RetryAfter == 0 {
			e.RetryAfter = bounded(c.retry)
		}
	}
	if e.Class == ContextLength {
		if e.Window = c.window; e.Window == 0 {
			e.Window = windowIn(c.message)
		}
	}
	return e
}

// failed makes the Error of what went wrong in a call.
func (w *wire) failed(ctx context.Context, ex *exchange, err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		known.Provider = w.name
		return known
	}
	if errors.Is(err, errRefused) {
		return w.judge(ex.status, ex.header, ex.failure)
	}
	e := &Error{Class: Transient, Provider: w.name, Message: w.clean(err.Error()), Err: err}
	var untrusted *tls.CertificateVerificationError
	switch {
	case ctx.Err() != nil:
		e.Class, e.Message = Cancelled, "the caller ended the call"
	case errors.Is(err, errTimeout):
		e.Code, e.Message = "timeout", "no whole reply within "+w.timeout.String()
	case errors.Is(err, errSilent):
		e.Code, e.Message = "silent", "the reply stood still"
	case errors.Is(err, errTooLong), errors.Is(err, errMalformed), errors.Is(err, errNotProtocol):
		e.Class = Protocol
	case errors.As(err, &untrusted):
		e.Class, e.Code, e.Message = Invalid, "certificate", "its certificate is not trusted: "+w.clean(untrusted.Unwrap().Error())
	case ex.status != 0:
		e.Code, e.Message = "cut_off", "the connection broke off in the middle of the reply"
	default:
		e.Code, e.Message = "unreachable", "cannot be reached: "+w.clean(innermost(err).Error())
	}
	return e
}

// innermost answers the error at the bottom, which names no address with a
// user's name in it.
func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// clean bounds a provider's text and takes secrets out of it.
func (w *wire) clean(s string) string {
	if w.key != "" {
		s = strings.ReplaceAll(s, w.key, redact.Mask)
	}
	return redact.Line(s, 300)
}

// longestWait bounds what a provider may ask for.
const longestWait = 24 * time.Hour

func bounded(d time.Duration) time.Duration { return min(max(d, 0), longestWait) }

// retryAfter reads how long to wait: Retry-After in seconds or as a date, its
// form in milliseconds, or when the limit that is used up is reset (Anthropic
// says a time, OpenAI a duration). 0 when nothing is said.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 {
		return bounded(time.Duration(min(ms, 1e9) * float64(time.Millisecond)))
	}
	after := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(after, 64); err == nil && s > 0 {
		return bounded(time.Duration(min(s, 1e6) * float64(time.Second)))
	}
	if at, err := http.ParseTime(after); err == nil {
		return bounded(at.Sub(now))
	}
	var longest time.Duration
	for name := range h {
		remaining, ok := strings.CutSuffix(name, "-Remaining")
		if ok && h.Get(name) == "0" {
			if at, err := time.Parse(time.RFC3339, h.Get(remaining+"-Reset")); err == nil {
				longest = max(longest, at.Sub(now))
			}
			continue
		}
		if of, ok := strings.CutPrefix(name, "X-Ratelimit-Remaining-"); ok && h.Get(name) == "0" {
			if wait, err := time.ParseDuration(h.Get("X-Ratelimit-Reset-" + of)); err == nil {
				longest = max(longest, wait)
			}
		}
	}
	return bounded(longest)
}

// windowIn reads the window out of the text of an error whose class is known.
// The texts name what was asked for and what there is, in either order: the
// window is the smaller of the numbers that can be one.
func windowIn(message string) int64 {
	var window int64
	for _, word := range strings.FieldsFunc(message, func(r rune) bool { return (r < '0' || r > '9') && r != ',' }) {
		n, err := strconv.ParseInt(strings.ReplaceAll(word, ",", ""), 10, 64)
		if err == nil && n >= 1024 && n <= 100_000_000 && (window == 0 || n < window) {
			window = n
		}
	}
	return window
}

// tooLong makes a refused request one that was too long where its size says
// so: some providers say it in a text alone.
func (w *wire) tooLong(err error, estimate int64) error {
	var e *Error
	if !errors.As(err, &e) || e.Class != Invalid || e.Status != http.StatusBadRequest || w.window == 0 || estimate < w.window*3/4 {
		return err
	}
	e.Class = ContextLength
	if e.Window = windowIn(e.Message); e.Window == 0 {
		e.Window = w.window
	}
	return e
}
