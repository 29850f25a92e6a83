package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"reeve/internal/ops"
)

// A Route is one thing that can be asked.
type Route struct {
	Method  string
	Pattern string
	Needs   Permission
	Doc     string
	// In and Out are the types of a typed route, nil where a plain handler
	// reads and writes by itself.
	In, Out reflect.Type
	// Takes is the type of a body that a plain handler reads, "" for none.
	Takes string
	// MaxBody bounds the body in bytes.
	MaxBody int64
	// Slow says that the answer may take longer than the listener's patience.
	Slow bool

	answer func(s *Server, w http.ResponseWriter, r *http.Request) error
}

const maxBodyBytes = 1 << 20

// none is the answer of a route that has nothing to say: 204.
type none struct{}

// noInput is the input of a route that takes none.
type noInput struct{}

// raw is an answer that is encoded already.
type raw struct {
	body []byte
	etag string
}

// statused answers have a status of their own instead of 200.
type statused interface{ status() int }

// versioned answers carry their version as an entity tag, for If-Match.
type versioned interface{ version() int64 }

// route makes a typed route; what is "METHOD /pattern".
func route[In, Out any](what string, needs Permission, doc string, f func(context.Context, In) (Out, error)) Route {
	method, pattern, _ := strings.Cut(what, " ")
	plan := planOf(reflect.TypeFor[In]())
	return Route{Method: method, Pattern: pattern, Needs: needs, Doc: doc, MaxBody: maxBodyBytes,
		In: reflect.TypeFor[In](), Out: reflect.TypeFor[Out](),
		answer: func(s *Server, w http.ResponseWriter, r *http.Request) error {
			var in In
			if err := plan.decode(r, reflect.ValueOf(&in).Elem()); err != nil {
				return err
			}
			out, err := f(r.Context(), in)
			if err != nil {
				return err
			}
			return reply(w, r, out)
		}}
}

// plain makes a route whose handler reads and writes by itself.
func plain(what string, needs Permission, doc string, f func(http.ResponseWriter, *http.Request) error) Route {
	method, pattern, _ := strings.Cut(what, " ")
	return Route{Method: method, Pattern: pattern, Needs: needs, Doc: doc, MaxBody: maxBodyBytes,
		answer: func(_ *Server, w http.ResponseWriter, r *http.Request) error { return f(w, r) }}
}

// handing makes a route that another handler serves.
func handing(what string, needs Permission, doc string, h http.Handler) Route {
	return plain(what, needs, doc, func(w http.ResponseWriter, r *http.Request) error {
		h.ServeHTTP(w, r)
		return nil
	})
}

func (r Route) bodyUpTo(n int64) Route { r.MaxBody = n; return r }

func (r Route) slow() Route { r.Slow = true; return r }

// serve makes the handler of a route: session, permission, body limit, then
// the answer.
func (s *Server) serve(route Route) http.Handler {
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, route.MaxBody)
		r, err := s.sign.authorize(r, route.Needs)
		if err == nil && route.Slow {
			rc := http.NewResponseController(w)
			err = errors.Join(rc.SetReadDeadline(time.Time{}), rc.SetWriteDeadline(time.Time{}))
		}
		if err == nil {
			err = route.answer(s, w, r)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	})
	if route.Needs == Open {
		return inner
	}
	return s.sign.withSession(inner)
}

func reply(w http.ResponseWriter, r *http.Request, out any) error {
	h := w.Header()
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	var body []byte
	switch v := out.(type) {
	case none:
		w.WriteHeader(http.StatusNoContent)
		return nil
	case raw:
		h.Set("ETag", v.etag)
		h.Set("Cache-Control", "private, no-cache")
		if v.etag != "" && r.Header.Get("If-None-Match") == v.etag {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		body = v.body
	default:
		var err error
		if body, err = json.Marshal(out); err != nil {
			return err
		}
		if v, ok := out.(versioned); ok {
			h.Set("ETag", `"`+strconv.FormatInt(v.version(), 10)+`"`)
		}
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if v, ok := out.(statused); ok {
		w.WriteHeader(v.status())
	}
	_, _ = w.Write(body) // The client went away; there is nobody to tell.
	return nil
}

// checkMatch compares an If-Match header with the version that is there.
func checkMatch(header, what string, version int64) error {
	if header == "" || header == "*" {
		return nil
	}
	for tag := range strings.SplitSeq(header, ",") {
		if strings.TrimSpace(tag) == `"`+strconv.FormatInt(version, 10)+`"` {
			return nil
		}
	}
	return errStale(what, version)
}

// A List is a page of a list. Next is the cursor of the next page, absent at
// the end.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"Hand it back as cursor to read on; absent at the end."`
}

func listOf[T any](items []T, next string) List[T] {
	if items == nil {
		items = []T{}
	}
	return List[T]{items, next}
}

func short(s string) string {
	const limit = 100
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}

func invalid(field, format string, args ...any) error {
	err := ops.Errorf(ops.Invalid, format, args...)
	err.Fields = map[string]string{field: err.Message}
	return err
}
