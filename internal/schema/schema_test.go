package schema_test

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reeve/internal/schema"
)

type inner struct {
	Path string `json:"path" doc:"Where it is."`
}

type colour string

type secret struct{ value string }

func (s secret) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

type base struct {
	ID string `json:"id" doc:"Who."`
}

type sample struct {
	base
	Name     string            `json:"name" doc:"What it is called | by people."`
	Colour   colour            `json:"colour" enum:"red,green" default:"red"`
	Tags     []string          `json:"tags,omitempty" enum:"a,b"`
	Limit    int               `json:"limit,omitempty" default:"5"`
	Ratio    float64           `json:"ratio,omitempty"`
	On       bool              `json:"on" default:"true"`
	At       time.Time         `json:"at,omitzero"`
	Wait     time.Duration     `json:"wait,omitempty"`
	Raw      json.RawMessage   `json:"raw,omitempty"`
	Secret   secret            `json:"secret,omitempty"`
	Inner    inner             `json:"inner"`
	Maybe    *inner            `json:"maybe"`
	List     []inner           `json:"list,omitempty"`
	Named    map[string]inner  `json:"named,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	Any      any               `json:"any,omitempty"`
	Hidden   string            `json:"-"`
	unseen   string
	Scenario string `koanf:"scenario" json:"scenario,omitempty" doc:"Both tags."`
}

func TestTagsBecomeTheSchema(t *testing.T) {
	s := schema.Of[sample]()
	_ = sample{}.unseen
	if s.Properties["name"].Description != "What it is called | by people." || s.Properties["id"].Description != "Who." {
		t.Errorf("descriptions: %+v", s.Properties["name"])
	}
	if diff := cmp.Diff([]any{"red", "green"}, s.Properties["colour"].Enum); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]any{"a", "b"}, s.Properties["tags"].Items.Enum); diff != "" || s.Properties["tags"].Type != "array" {
		t.Error(diff, s.Properties["tags"])
	}
	for name, want := range map[string]string{"limit": "5", "colour": `"red"`, "on": "true"} {
		if string(s.Properties[name].Default) != want {
			t.Errorf("default of %s: %s", name, s.Properties[name].Default)
		}
	}
	if s.Properties["at"].Format != "date-time" || s.Properties["secret"].Type != "string" || s.Properties["raw"].Type != "" {
		t.Errorf("at %+v, secret %+v", s.Properties["at"], s.Properties["secret"])
	}
	if s.Properties["inner"].Properties["path"].Description != "Where it is." || s.Properties["list"].Items.Properties["path"] == nil {
		t.Error("inner structs are not described")
	}
	for _, name := range []string{"Hidden", "unseen", "-"} {
		if s.Properties[name] != nil {
			t.Errorf("%s is shown", name)
		}
	}
	if _, err := s.Resolve(nil); err != nil {
		t.Errorf("not a valid schema: %v", err)
	}
}

func TestSetRefersToNamedStructs(t *testing.T) {
	set := schema.NewSet("#/components/schemas/", func(t reflect.Type) string { return t.Name() })
	if ref := set.Ref(reflect.TypeFor[sample]()).Ref; ref != "#/components/schemas/sample" {
		t.Errorf("reference: %s", ref)
	}
	s := set.Defs()["sample"]
	if s.Properties["inner"].Ref != "#/components/schemas/inner" || s.Properties["list"].Items.Ref == "" || s.Properties["named"].AdditionalProperties.Ref == "" {
		t.Errorf("references: %+v", s.Properties["inner"])
	}
	if len(s.Properties["maybe"].AnyOf) != 2 {
		t.Errorf("a pointer that is always written may be null: %+v", s.Properties["maybe"])
	}
	if set.Defs()["inner"] == nil || len(set.Defs()) != 2 {
		t.Errorf("definitions: %v", set.Defs())
	}
}

func TestCheckTellsWhichFieldIsWrong(t *testing.T) {
	s := schema.Of[sample]()
	good := `{"id":"1","name":"n","colour":"red","on":false,"inner":{"path":"/"},"maybe":null,"tags":["a"],"limit":3,"labels":{"x":"y"},"any":[1]}`
	for text, field := range map[string]string{
		good: "",
		strings.Replace(good, `"red"`, `"blue"`, 1):          "colour",
		strings.Replace(good, `["a"]`, `["c"]`, 1):           "tags[0]",
		strings.Replace(good, `"limit":3`, `"limit":"3"`, 1): "limit",
		strings.Replace(good, `"limit":3`, `"limit":3.5`, 1): "limit",
		strings.Replace(good, `"path"`, `"pth"`, 1):          "inner.path",
		strings.Replace(good, `"x":"y"`, `"x":1`, 1):         "labels.x",
		strings.Replace(good, `"id":"1",`, ``, 1):            "id",
		strings.Replace(good, `"limit":3`, `"limits":3`, 1):  "limits",
		strings.Replace(good, `"x":"y"`, `"x":"\u0000"`, 1):  "labels.x",
		strings.Replace(good, `"x":"y"`, `"\u0000":"y"`, 1):  "labels",
		`[]`: "", `null`: "", `"text"`: "",
	} {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		wrong := schema.Check(s, v)
		if _, ok := wrong[field]; !ok && (text != good || len(wrong) > 0) || text == good && len(wrong) > 0 {
			t.Errorf("%s: %v, want %q", text, wrong, field)
		}
	}
}

func TestTableListsEveryField(t *testing.T) {
	got := schema.Table(reflect.TypeFor[sample]())
	want, err := os.ReadFile("testdata/table.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

func TestCompareTellsWhatBreaks(t *testing.T) {
	type before struct {
		Name string `json:"name" doc:"Old."`
		Gone int    `json:"gone,omitempty"`
		Kind string `json:"kind" enum:"a,b"`
		In   inner  `json:"in"`
	}
	type after struct {
		Name  string   `json:"name" doc:"New."`
		Kind  string   `json:"kind" enum:"b,c"`
		In    []string `json:"in"`
		Fresh int      `json:"fresh,omitempty"`
	}
	if same := schema.Compare(schema.Of[before](), schema.Of[before]()); len(same) > 0 {
		t.Errorf("the same differs: %v", same)
	}
	breaks := map[string]bool{}
	for _, c := range schema.Compare(schema.Of[before](), schema.Of[after]()) {
		breaks[c.Path+" "+c.What] = c.Breaking
	}
	want := map[string]bool{
		`name description "Old." became "New."`: false, "gone removed": true, "kind value a removed": true, "kind value c added": false,
		"in type object became array": true, "fresh added": false, "in.path removed": true, "in[] schema added": false, "in.* schema removed": true,
	}
	if diff := cmp.Diff(want, breaks); diff != "" {
		t.Error(diff)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(`{"id":"1","name":"n","colour":"red","on":false,"inner":{"path":"/"},"maybe":null}`)
	f.Add(`{"labels":{"":[]},"tags":[null,{}],"named":{"x":{"path":3}}}`)
	f.Add(`[1e400]`)
	s := schema.Of[sample]()
	f.Fuzz(func(t *testing.T, text string) {
		var v any
		if json.Unmarshal([]byte(text), &v) != nil {
			return
		}
		wrong := schema.Check(s, v)
		var into sample
		if len(wrong) == 0 && json.Unmarshal([]byte(text), &into) != nil && !strings.Contains(text, `"at"`) && !strings.Contains(text, `"secret"`) {
			t.Logf("%s passes the check and does not decode", text)
		}
		for path, what := range wrong {
			if len(what) > 4096 || len(path) > 64*1024 {
				t.Errorf("a text of %d bytes", len(what))
			}
		}
	})
}
