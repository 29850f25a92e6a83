package llm

import (
	"slices"

	"reeve/internal/ops"
)

// A Grade is what an exam found a model good for; each includes the ones
// before it.
type Grade string

// The grades. Unexamined is the zero value.
const (
	Unexamined       Grade = ""
	GradeNone        Grade = "none"
	GradeExplain     Grade = "explain"     // words for what is known: no tools
	GradePatrol      Grade = "patrol"      // tools, reports and assessments
	GradeInvestigate Grade = "investigate" // long inquiries among hostile text
)

// Grades lists the grades of an exam, the least first.
var Grades = []Grade{GradeNone, GradeExplain, GradePatrol, GradeInvestigate}

// Allows reports whether a model with this grade may do what needs another.
func (g Grade) Allows(need Grade) bool {
	return g != GradeNone && slices.Index(Grades, g) >= slices.Index(Grades, need)
}

// Needs answers the least grade for a use.
func Needs(use ops.ModelUse) Grade {
	switch use {
	case ops.UseInvestigation:
		return GradeInvestigate
	case ops.UsePatrol, ops.UseProposal:
		return GradePatrol
	}
	return GradeExplain
}
