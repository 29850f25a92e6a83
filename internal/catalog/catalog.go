// Package catalog holds the definitions that the files of a catalogue package
// add to it, one definition a file, each under a unique and permanent name.
package catalog

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
)

// A Catalog is a set of definitions of one kind.
type Catalog[T any] struct {
	what  string
	name  func(T) string
	items map[string]T
}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// New makes an empty catalog. What is the word for one item in messages; name
// answers an item's name.
func New[T any](what string, name func(T) string) *Catalog[T] {
	return &Catalog[T]{what: what, name: name, items: map[string]T{}}
}

// Add takes a definition in and returns it. It is meant for package variables
// and panics on a name that is not snake_case or is taken: names are stored
// and so must be right before the program starts.
func (c *Catalog[T]) Add(item T) T {
	n := c.name(item)
	if !nameForm.MatchString(n) {
		panic(fmt.Sprintf("%s %q: a name is snake_case", c.what, n))
	}
	if _, taken := c.items[n]; taken {
		panic(fmt.Sprintf("%s %q is defined twice", c.what, n))
	}
	c.items[n] = item
	return item
}

// All answers the definitions sorted by name.
func (c *Catalog[T]) All() []T {
	all := make([]T, 0, len(c.items))
	for _, item := range c.items {
		all = append(all, item)
	}
	slices.SortFunc(all, func(a, b T) int { return cmp.Compare(c.name(a), c.name(b)) })
	return all
}

// Get answers the definition with the given name.
func (c *Catalog[T]) Get(name string) (T, bool) {
	item, ok := c.items[name]
	return item, ok
}
