package rest

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"reeve/internal/ops"
)

// statusOf is the whole mapping from error kinds to HTTP.
var statusOf = map[ops.ErrorKind]int{
	ops.Invalid:     http.StatusUnprocessableEntity,
	ops.NotFound:    http.StatusNotFound,
	ops.Conflict:    http.StatusConflict,
	ops.Unauthentic: http.StatusUnauthorized,
	ops.Forbidden:   http.StatusForbidden,
	ops.TooMany:     http.StatusTooManyRequests,
	ops.Unavailable: http.StatusServiceUnavailable,
	ops.Internal:    http.StatusInternalServerError,
}

// A Problem is the body of every error answer, as RFC 9457 describes it.
type Problem struct {
	Type     string            `json:"type" doc:"/problems/ and the kind of error."`
	Title    string            `json:"title"`
	Status   int               `json:"status"`
	Detail   string            `json:"detail,omitempty" doc:"What is wrong and what to do, for a person."`
	Instance string            `json:"instance" doc:"The request's ID, as the log has it."`
	Fields   map[string]string `json:"fields,omitempty" doc:"What is wrong with which field of the request."`
}

// Invalid answers an error about one field of a request.
func Invalid(field, format string, args ...any) error {
	err := ops.Errorf(ops.Invalid, format, args...)
	err.Fields = map[string]string{field: err.Message}
	return err
}

// An httpError carries a status that no kind has.
type httpError struct {
	status int
	cause  *ops.Error
}

func (e httpError) Error() string { return e.cause.Error() }

func (e httpError) Unwrap() error { return e.cause }

// WithStatus gives an error a status that its kind does not have.
func WithStatus(status int, cause *ops.Error) error { return httpError{status, cause} }

// Stale answers a change that was asked of an older version.
func Stale(what string, version int64) error {
	return httpError{http.StatusPreconditionFailed,
		ops.Errorf(ops.Conflict, "%s was changed meanwhile and is at version %d; read it again", what, version)}
}

// CheckMatch compares an If-Match header with the version that is there.
func CheckMatch(header, what string, version int64) error {
	if header == "" || header == "*" {
		return nil
	}
	for tag := range strings.SplitSeq(header, ",") {
		if strings.TrimSpace(tag) == `"`+strconv.FormatInt(version, 10)+`"` {
			return nil
		}
	}
	return Stale(what, version)
}

// A tooManyError says when to try again.
type tooManyError struct {
	afterS int
	cause  *ops.Error
}

func (e tooManyError) Error() string { return e.cause.Error() }

func (e tooManyError) Unwrap() error { return e.cause }

// TooMany answers an error that says when to try again.
func TooMany(afterS int, format string, args ...any) error {
	return tooManyError{afterS, ops.Errorf(ops.TooMany, format, args...)}
}

type requestKey struct{}

// WithRequestID gives a request the ID that problems and the log name it by.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// Fail writes the one form of an error answer, and logs what is our fault.
func Fail(log *slog.Logger, w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // Nobody waits for the answer.
	}
	p := problemOf(err)
	p.Instance, _ = r.Context().Value(requestKey{}).(string)
	if p.Status >= 500 && p.Status != http.StatusServiceUnavailable {
		log.ErrorContext(r.Context(), "request failed", "route", r.Pattern, "request", p.Instance, "err", err)
	}
	if late, ok := errors.AsType[tooManyError](err); ok {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, late.afterS)))
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="reeve"`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Del("ETag")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // The client went away; there is nobody to tell.
}

func problemOf(err error) Problem {
	kind := ops.KindOf(err)
	status := statusOf[kind]
	if other, ok := errors.AsType[httpError](err); ok {
		status = other.status
	}
	if big, ok := errors.AsType[*http.MaxBytesError](err); ok {
		kind, status = ops.Invalid, http.StatusRequestEntityTooLarge
		err = ops.Errorf(ops.Invalid, "the request is larger than %d bytes", big.Limit)
	}
	p := Problem{Type: "/problems/" + string(kind), Title: http.StatusText(status), Status: status}
	p.Detail, p.Fields = ops.Shown(err)
	return p
}

// Short cuts what somebody sent to a length that an error may tell.
func Short(s string) string {
	const limit = 100
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}
