package rest

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// None is the answer of a route that has nothing to say: 204.
type None struct{}

// Raw is an answer that is encoded already, with its entity tag.
type Raw struct {
	Body []byte
	ETag string
}

// statused answers have a status of their own instead of 200.
type statused interface{ HTTPStatus() int }

// versioned answers carry their version as an entity tag, for If-Match.
type versioned interface{ EntityVersion() int64 }

// A List is a page of a list. Next is the cursor of the next page, absent at
// the end.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"Hand it back as cursor to read on; absent at the end."`
}

// ListOf makes a page of a list; next is "" at the end.
func ListOf[T any](items []T, next string) List[T] { return List[T]{Full(items), next} }

// Full answers an empty list for none: in JSON a list is never null.
func Full[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// Reply writes an answer as JSON, or as the kind of answer that it is.
func Reply(w http.ResponseWriter, r *http.Request, out any) error {
	h := w.Header()
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	var body []byte
	switch v := out.(type) {
	case None:
		w.WriteHeader(http.StatusNoContent)
		return nil
	case Raw:
		h.Set("ETag", v.ETag)
		h.Set("Cache-Control", "private, no-cache")
		if v.ETag != "" && r.Header.Get("If-None-Match") == v.ETag {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		body = v.Body
	default:
		var err error
		if body, err = json.Marshal(out); err != nil {
			return err
		}
		if v, ok := out.(versioned); ok {
			h.Set("ETag", `"`+strconv.FormatInt(v.EntityVersion(), 10)+`"`)
		}
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if v, ok := out.(statused); ok {
		w.WriteHeader(v.HTTPStatus())
	}
	_, _ = w.Write(body) // The client went away; there is nobody to tell.
	return nil
}
