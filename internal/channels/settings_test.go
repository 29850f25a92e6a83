package channels

import (
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reeve/internal/notify"
	"reeve/internal/ops"
	"reeve/internal/schema"
)

// What the form says is required is what opening requires, and every setting
// says what it is.
func TestSettingsAndTheirSchemaAgree(t *testing.T) {
	for _, d := range All() {
		form := schema.For(reflect.TypeOf(d.Settings))
		for name, field := range form.Properties {
			if field.Description == "" {
				t.Errorf("%s.%s has no doc", d.Name, name)
			}
		}
		into := reflect.New(reflect.TypeOf(d.Settings))
		_, wrong := ops.Shown(notify.Decode(map[string]any{}, into.Interface()))
		var required []string
		for name := range wrong {
			required = append(required, name)
		}
		slices.Sort(required)
		slices.Sort(form.Required)
		if diff := cmp.Diff(form.Required, required); diff != "" {
			t.Errorf("%s: %s", d.Name, diff)
		}
	}
}
