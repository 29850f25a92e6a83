// Package tokens estimates how many tokens of a language model a text takes,
// so that budgets hold for models whose tokenizer we do not have.
package tokens

import "unicode/utf8"

// Estimate answers an estimate that errs on the side of more. It walks the
// text once and counts, after how byte-pair tokenizers of present models cut:
// a word of letters costs one token for every 5 letters begun, digits one for
// every 3, a run of blanks one (the single blank before a word none), every
// other ASCII sign one, and other scripts one a rune, two beyond the basic
// plane. `go test ./internal/tokens -run Ratio -v` prints bytes a token for
// the texts that Reeve sends.
func Estimate(text string) int64 {
	var n, letters, digits, blanks int64
	end := func() {
		n += (letters+4)/5 + (digits+2)/3
		letters, digits = 0, 0
	}
	for _, r := range text {
		switch {
		case r == ' ':
			end()
			blanks++
			continue
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z':
			if digits > 0 {
				end()
			}
			letters++
		case r >= '0' && r <= '9':
			if letters > 0 {
				end()
			}
			digits++
		default:
			end()
			n++
			if r > 0xFFFF || r == utf8.RuneError {
				n++
			}
		}
		if blanks > 1 {
			n++
		}
		blanks = 0
	}
	end()
	if blanks > 0 {
		n++
	}
	return n
}
