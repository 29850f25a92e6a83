package ops

import (
	"errors"
	"fmt"
)

// An ErrorKind classes an error by what the caller can do about it.
type ErrorKind string

// The error kinds. The API maps each to one HTTP status.
const (
	Invalid     ErrorKind = "invalid"
	NotFound    ErrorKind = "not_found"
	Conflict    ErrorKind = "conflict"
	Unauthentic ErrorKind = "unauthenticated"
	Forbidden   ErrorKind = "forbidden"
	TooMany     ErrorKind = "too_many_requests"
	Unavailable ErrorKind = "unavailable"
	Internal    ErrorKind = "internal"
)

// An Error is meant for a person: its message is safe to show and says what
// to do. Err is the cause; it is logged and never shown.
type Error struct {
	Kind    ErrorKind
	Message string
	Fields  map[string]string // field name to what is wrong with it
	Err     error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error of the given kind whose message is safe to show.
func Errorf(kind ErrorKind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Because makes an Error of the given kind with a cause that is not shown.
func Because(kind ErrorKind, cause error, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), Err: cause}
}

// KindOf answers the kind of err: Internal unless someone classed it.
func KindOf(err error) ErrorKind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// Shown answers what a person may read of err; nothing unless someone classed
// it.
func Shown(err error) (message string, fields map[string]string) {
	if e, ok := errors.AsType[*Error](err); ok && e.Kind != Internal {
		return e.Message, e.Fields
	}
	return "", nil
}
