package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

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

// An httpError carries a status that no kind has.
type httpError struct {
	status int
	cause  *ops.Error
}

func (e httpError) Error() string { return e.cause.Error() }

func (e httpError) Unwrap() error { return e.cause }

// errStale answers a change that was asked of an older version.
func errStale(what string, version int64) error {
	return httpError{http.StatusPreconditionFailed,
		ops.Errorf(ops.Conflict, "%s was changed meanwhile and is at version %d; read it again", what, version)}
}

// A tooManyError says when to try again.
type tooManyError struct {
	afterS int
	cause  *ops.Error
}

func (e tooManyError) Error() string { return e.cause.Error() }

func (e tooManyError) Unwrap() error { return e.cause }

// fail writes the one form of an error answer.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // Nobody waits for the answer.
	}
	p := problemOf(err)
	p.Instance = requestID(r.Context())
	if p.Status >= 500 && p.Status != http.StatusServiceUnavailable {
		s.log.ErrorContext(r.Context(), "request failed", "route", r.Pattern, "request", p.Instance, "err", err)
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

// nothing answers for paths of the API that no route has: 405 where another
// method would do, else 404.
func (s *Server) nothing() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var others []string
		for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
			try := r.Clone(r.Context())
			try.Method = method
			if _, pattern := s.mux.Handler(try); s.patterns[pattern] {
				others = append(others, method)
			}
		}
		if len(others) == 0 {
			s.fail(w, r, ops.Errorf(ops.NotFound, "the API has no %s", short(r.URL.Path)))
			return
		}
		for _, method := range others {
			w.Header().Add("Allow", method)
		}
		s.fail(w, r, httpError{http.StatusMethodNotAllowed,
			ops.Errorf(ops.Invalid, "%s does not answer %s", short(r.URL.Path), short(r.Method))})
	})
}
