package rest

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"reeve/internal/schema"
)

// The few parts of OpenAPI 3.1 that the description uses.
type (
	openAPI struct {
		OpenAPI    string                          `json:"openapi"`
		Info       openInfo                        `json:"info"`
		Paths      map[string]map[string]operation `json:"paths"`
		Components components                      `json:"components"`
	}
	openInfo struct {
		Title       string `json:"title"`
		Description string `json:"description"`
		Version     string `json:"version"`
	}
	operation struct {
		ID          string                `json:"operationId"`
		Summary     string                `json:"summary"`
		Parameters  []parameter           `json:"parameters,omitempty"`
		RequestBody *content              `json:"requestBody,omitempty"`
		Responses   map[string]content    `json:"responses"`
		Security    []map[string][]string `json:"security"`
		Needs       Permission            `json:"x-permission"`
	}
	parameter struct {
		Name        string         `json:"name"`
		In          string         `json:"in"`
		Description string         `json:"description,omitempty"`
		Required    bool           `json:"required,omitempty"`
		Schema      *schema.Schema `json:"schema"`
	}
	content struct {
		Description string               `json:"description,omitempty"`
		Required    bool                 `json:"required,omitempty"`
		Content     map[string]mediaType `json:"content,omitempty"`
	}
	mediaType struct {
		Schema *schema.Schema `json:"schema"`
	}
	components struct {
		Schemas         map[string]*schema.Schema `json:"schemas"`
		SecuritySchemes map[string]any            `json:"securitySchemes"`
	}
)

// CookieName begins the name of the cookie of a session; what tells
// installations on one machine apart follows, because browsers ignore the
// port.
const CookieName = "reeve_session"

// Describe writes the OpenAPI description of the routes. more adds to the
// types what no route names.
func Describe(routes []Route, more func(*schema.Set)) ([]byte, error) {
	set := schema.NewSet("#/components/schemas/", schemaName)
	doc := openAPI{OpenAPI: "3.1.0", Paths: map[string]map[string]operation{}}
	doc.Info = openInfo{Title: "Reeve", Version: "v1", Description: "Times are RFC 3339 in UTC, durations are numbers with the unit in the key, ratios are between 0 and 1. " +
		"Lists are {items, next}. Errors are RFC 9457 problems. Fields and values may be added at any time; none goes away or changes its meaning."}
	for _, r := range routes {
		if doc.Paths[r.Pattern] == nil {
			doc.Paths[r.Pattern] = map[string]operation{}
		}
		doc.Paths[r.Pattern][strings.ToLower(r.Method)] = r.operation(set)
	}
	more(set)
	doc.Components.Schemas = set.Defs()
	doc.Components.SecuritySchemes = map[string]any{
		"session": map[string]string{"type": "apiKey", "in": "cookie", "name": CookieName, "description": "The name goes on with what is the installation's own."},
		"token":   map[string]string{"type": "http", "scheme": "bearer"},
	}
	return json.MarshalIndent(doc, "", "  ")
}

func (r Route) operation(set *schema.Set) operation {
	op := operation{ID: operationID(r), Summary: r.Doc, Needs: r.Needs, Responses: map[string]content{}, Security: []map[string][]string{}}
	if r.Needs != Open && r.Needs != Public {
		op.Security = []map[string][]string{{"session": {}}, {"token": {}}}
	}
	op.Responses["default"] = content{Description: "A problem.", Content: map[string]mediaType{
		"application/problem+json": {set.Ref(reflect.TypeFor[Problem]())}}}
	switch {
	case r.Out == nil:
		op.Responses["200"] = content{Description: "See the summary."}
	case r.Out == reflect.TypeFor[None]():
		op.Responses["204"] = content{Description: "Done."}
	default:
		code := "200"
		if v, ok := reflect.Zero(r.Out).Interface().(statused); ok {
			code = strconv.Itoa(v.HTTPStatus())
		}
		op.Responses[code] = content{Description: "OK.", Content: map[string]mediaType{"application/json": {set.Ref(r.Out)}}}
	}
	if r.Takes != "" {
		op.RequestBody = &content{Required: true, Content: map[string]mediaType{r.Takes: {&schema.Schema{Type: "string", Format: "binary"}}}}
	}
	if r.In == nil {
		op.Parameters = pathParameters(r.Pattern)
		return op
	}
	for i := range r.In.NumField() {
		f := r.In.Field(i)
		if _, ok := f.Tag.Lookup("body"); ok {
			op.RequestBody = &content{Required: true, Content: map[string]mediaType{"application/json": {set.Ref(f.Type)}}}
			continue
		}
		op.Parameters = append(op.Parameters, parameterOf(f))
	}
	return op
}

func parameterOf(f reflect.StructField) parameter {
	p := parameter{Description: f.Tag.Get("doc"), Schema: schema.For(f.Type)}
	for _, in := range []string{"path", "query", "header"} {
		if name, ok := f.Tag.Lookup(in); ok {
			p.In, p.Name, p.Required = in, name, in == "path"
		}
	}
	if f.Type.Kind() == reflect.Map { // Written NAME=VALUE.
		p.Schema = &schema.Schema{Type: "array", Items: &schema.Schema{Type: "string"}}
	}
	return p
}

var pathParameter = regexp.MustCompile(`\{([a-z_]+)\}`)

func pathParameters(pattern string) []parameter {
	var all []parameter
	for _, m := range pathParameter.FindAllStringSubmatch(pattern, -1) {
		all = append(all, parameter{Name: m[1], In: "path", Required: true, Schema: &schema.Schema{Type: "string"}})
	}
	return all
}

// operationID makes a name of method and path: get_findings_by_id.
func operationID(r Route) string {
	path := strings.TrimPrefix(strings.TrimPrefix(r.Pattern, "/api/v1"), "/")
	words := []string{strings.ToLower(r.Method)}
	for w := range strings.FieldsFuncSeq(path, func(c rune) bool { return c == '/' || c == '-' || c == '.' }) {
		words = append(words, pathParameter.ReplaceAllString(w, "by_$1"))
	}
	return strings.Join(words, "_")
}

// plainPackages are those whose types keep their bare names in the
// description.
var plainPackages = []string{"api", "ops", "rest", "signin", "store", "watch"}

// schemaName names a type in the description: lists by what they hold, types
// of other packages with the package in front.
func schemaName(t reflect.Type) string {
	name := t.Name()
	if in, ok := strings.CutPrefix(name, "List["); ok {
		in = strings.TrimSuffix(in, "]")
		return in[strings.LastIndex(in, ".")+1:] + "List"
	}
	pkg := t.PkgPath()[strings.LastIndex(t.PkgPath(), "/")+1:]
	if slices.Contains(plainPackages, pkg) {
		return name
	}
	return strings.ToUpper(pkg[:1]) + pkg[1:] + name
}
