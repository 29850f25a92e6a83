package patrol

import (
	"strings"
	"unicode"
)

// plainWords are words that English sentences can hardly do without, and that
// mean nothing in other languages written with the same letters.
var plainWords = func() map[string]bool {
	all := map[string]bool{}
	for w := range strings.FieldsSeq(`the are were and to its with this that these those has have not for from which by been after
		before since when while because than there their they but will would may can could should looks seems other more most only
		nothing still until within every both another into down now again same`) {
		all[w] = true
	}
	return all
}()

// english reports whether a sentence reads like English, the language in which
// what it says can be judged: Latin letters, and of its words one in ten, and
// one at least, is a plain one.
func english(sentence string) bool {
	words, plain := 0, 0
	for w := range strings.FieldsFuncSeq(strings.ToLower(sentence), func(r rune) bool { return !unicode.IsLetter(r) }) {
		words++
		if plainWords[w] {
			plain++
		}
		for _, r := range w {
			if !unicode.Is(unicode.Latin, r) {
				return false
			}
		}
	}
	return plain > 0 && plain*10 >= words
}
