package link

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"reeve/internal/ops"
)

var codes = map[ops.ErrorKind]connect.Code{
	ops.Invalid: connect.CodeInvalidArgument, ops.NotFound: connect.CodeNotFound, ops.Conflict: connect.CodeAborted,
	ops.Forbidden: connect.CodePermissionDenied, ops.Unavailable: connect.CodeUnavailable,
}

// toWire answers an error as the other side may read it: the message for
// people, and of what is nobody's business only that it failed.
func toWire(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*ops.Error](err); ok {
		if code, ok := codes[e.Kind]; ok {
			return connect.NewError(code, errors.New(e.Message))
		}
	}
	return connect.NewError(connect.CodeInternal, errors.New("the other side failed; its log says why"))
}

// FromWire answers what the other side said as an error of ours.
func FromWire(err error) error {
	e, ok := errors.AsType[*connect.Error](err)
	if err == nil || !ok || errors.Is(err, context.Canceled) {
		return err
	}
	if e.Code() == connect.CodeResourceExhausted { // larger than MaxMessage
		return ops.Because(ops.Invalid, err, "%s", e.Message())
	}
	for kind, code := range codes {
		if code == e.Code() {
			return ops.Because(kind, err, "%s", e.Message())
		}
	}
	return err
}

// Wire is toWire for handlers of other packages.
func Wire(err error) error { return toWire(err) }

// Failed reports whether the other side answered that it failed, which is not
// that it refused what was asked or was not reached.
func Failed(err error) bool {
	return connect.IsWireError(err) && connect.CodeOf(err) == connect.CodeInternal
}
