package api

import (
	"net/http"
	"reflect"
	"strconv"

	"reeve/internal/rest"
	"reeve/internal/schema"
	"reeve/internal/watch"
)

// describe writes the OpenAPI description of the routes.
func describe(routes []rest.Route) ([]byte, error) {
	return rest.Describe(routes, func(set *schema.Set) {
		for _, event := range []reflect.Type{reflect.TypeFor[HelloEvent](), reflect.TypeFor[SamplesEvent]()} {
			set.Ref(event)
		}
		// The story is told by a function of the desk and has no type in the detail.
		set.Defs()["IncidentDetail"].Properties["explain"] = set.Ref(reflect.TypeFor[watch.Story]())
	})
}

// describeAPI serves the OpenAPI description.
func (s *Server) describeAPI(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(s.openapi)))
	_, _ = w.Write(s.openapi) // The client went away; there is nobody to tell.
	return nil
}
