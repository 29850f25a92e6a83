// Package flow expresses a lifecycle as a table: state, event, next state.
// The table is the only place that says which moves are legal; the store
// refuses every other one.
package flow

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Table lists every legal move. Go refuses a duplicate key, so a state
// cannot answer one event in two ways.
type Table[S, E ~string] map[S]map[E]S

// A Machine is a checked, immutable Table.
type Machine[S, E ~string] struct {
	what  string
	start S
	table Table[S, E]
}

// New checks a table; call it from a package variable. It panics when a state
// cannot be reached from start: that is a mistake in the table.
func New[S, E ~string](what string, start S, table Table[S, E]) *Machine[S, E] {
	m := &Machine[S, E]{what: what, start: start, table: table}
	seen := m.reachable()
	for from := range table {
		if !seen[from] {
			panic(fmt.Sprintf("flow %s: %s cannot be reached from %s", what, from, start))
		}
	}
	return m
}

func (m *Machine[S, E]) reachable() map[S]bool {
	seen := map[S]bool{m.start: true}
	for todo := []S{m.start}; len(todo) > 0; todo = todo[1:] {
		for _, to := range m.table[todo[0]] {
			if !seen[to] {
				seen[to] = true
				todo = append(todo, to)
			}
		}
	}
	return seen
}

// Name answers what the lifecycle is of.
func (m *Machine[S, E]) Name() string { return m.what }

// Start answers the first state.
func (m *Machine[S, E]) Start() S { return m.start }

// States answers every state, sorted.
func (m *Machine[S, E]) States() []S { return slices.Sorted(maps.Keys(m.reachable())) }

// Events answers the events that state s answers, sorted.
func (m *Machine[S, E]) Events(s S) []E { return slices.Sorted(maps.Keys(m.table[s])) }

// Next answers where event on leads from state from, or an *IllegalError.
func (m *Machine[S, E]) Next(from S, on E) (S, error) {
	to, ok := m.table[from][on]
	if !ok {
		return from, &IllegalError{What: m.what, From: string(from), On: string(on)}
	}
	return to, nil
}

// Final reports whether s has no way out.
func (m *Machine[S, E]) Final(s S) bool { return len(m.table[s]) == 0 }

// An IllegalError is a move that the table does not have.
type IllegalError struct{ What, From, On string }

func (e *IllegalError) Error() string {
	return fmt.Sprintf("%s: cannot %s while %s", e.What, e.On, e.From)
}

// Mermaid draws the table for the documentation.
func (m *Machine[S, E]) Mermaid() string {
	var b strings.Builder
	fmt.Fprintf(&b, "stateDiagram-v2\n  [*] --> %s\n", m.start)
	for _, from := range slices.Sorted(maps.Keys(m.table)) {
		for _, on := range m.Events(from) {
			fmt.Fprintf(&b, "  %s --> %s: %s\n", from, m.table[from][on], on)
		}
	}
	for _, s := range m.States() {
		if m.Final(s) {
			fmt.Fprintf(&b, "  %s --> [*]\n", s)
		}
	}
	return b.String()
}
