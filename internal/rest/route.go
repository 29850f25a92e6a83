// Package rest is the machinery below the routes of the API. A Route is a
// method, a pattern, a permission, a sentence and a function from a struct of
// inputs to a value or an error; decoding, problems and the OpenAPI
// description follow from the types. It also says who a Caller is and what
// callers may do, and how often.
//
// Start reading in route.go. What can be asked is listed in packages signin
// and api.
package rest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"time"
)

// A Route is one thing that can be asked.
type Route struct {
	Method  string
	Pattern string
	Needs   Permission
	Doc     string
	// In and Out are the types of what is read and answered, nil where a
	// plain handler does that by itself.
	In, Out reflect.Type
	// Takes is the type of a body that a plain handler reads, "" for none.
	Takes string

	maxBody int64 // bytes
	slow    bool
	answer  func(w http.ResponseWriter, r *http.Request) error
}

const maxBodyBytes = 1 << 20

// Typed makes a route that answers what f makes of its input; what is
// "METHOD /pattern". An input is a struct whose fields have a tag each: path,
// query, header, or body for what the JSON body becomes.
func Typed[In, Out any](what string, needs Permission, doc string, f func(context.Context, In) (Out, error)) Route {
	r := Reading(what, needs, doc, func(w http.ResponseWriter, r *http.Request, in In) error {
		out, err := f(r.Context(), in)
		if err != nil {
			return err
		}
		return Reply(w, r, out)
	})
	r.Out = reflect.TypeFor[Out]()
	return r
}

// Reading makes a route whose handler gets a typed input and writes its answer
// by itself.
func Reading[In any](what string, needs Permission, doc string, f func(http.ResponseWriter, *http.Request, In) error) Route {
	plan := planOf(reflect.TypeFor[In]())
	r := Plain(what, needs, doc, func(w http.ResponseWriter, r *http.Request) error {
		var in In
		if err := plan.decode(r, reflect.ValueOf(&in).Elem()); err != nil {
			return err
		}
		return f(w, r, in)
	})
	r.In = reflect.TypeFor[In]()
	return r
}

// Plain makes a route whose handler reads and writes by itself.
func Plain(what string, needs Permission, doc string, f func(http.ResponseWriter, *http.Request) error) Route {
	method, pattern, _ := strings.Cut(what, " ")
	return Route{Method: method, Pattern: pattern, Needs: needs, Doc: doc, maxBody: maxBodyBytes, answer: f}
}

// Handing makes a route that another handler serves.
func Handing(what string, needs Permission, doc string, h http.Handler) Route {
	return Plain(what, needs, doc, func(w http.ResponseWriter, r *http.Request) error {
		h.ServeHTTP(w, r)
		return nil
	})
}

// BodyUpTo answers the route with another bound of its body, in bytes.
func (r Route) BodyUpTo(n int64) Route { r.maxBody = n; return r }

// Slow answers the route as one whose answer may take longer than the
// listener's patience.
func (r Route) Slow() Route { r.slow = true; return r }

// Handler answers requests on the route, errors as problems. It does not look
// at what the route needs: whoever lets requests through to it does.
func (r Route) Handler(log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		req.Body = http.MaxBytesReader(w, req.Body, r.maxBody)
		var err error
		if r.slow {
			rc := http.NewResponseController(w)
			err = errors.Join(rc.SetReadDeadline(time.Time{}), rc.SetWriteDeadline(time.Time{}))
		}
		if err == nil {
			err = r.answer(w, req)
		}
		if err != nil {
			Fail(log, w, req, err)
		}
	})
}
