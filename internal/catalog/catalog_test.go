package catalog_test

import (
	"testing"

	"reeve/internal/catalog"
)

func TestNamesAreSnakeCaseAndUnique(t *testing.T) {
	c := catalog.New("thing", func(s string) string { return s })
	c.Add("b_two")
	c.Add("a1")
	if all := c.All(); len(all) != 2 || all[0] != "a1" {
		t.Error(all)
	}
	if _, ok := c.Get("b_two"); !ok {
		t.Error("lost")
	}
	for _, bad := range []string{"", "B", "a-b", "_a", "a_", "a1"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q was taken", bad)
				}
			}()
			c.Add(bad)
		}()
	}
}
