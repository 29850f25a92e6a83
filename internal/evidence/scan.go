package evidence

import (
	"strings"
	"unicode"
)

// edges are signs around a word that are no part of it.
const edges = ".,;:!?()[]{}\"'“”‘’*_~<>=≈≤≥|"

// cutNumbers answers the numbers of a text in lower case, with their units,
// and the words with digits that are no numbers: names, addresses, versions.
func cutNumbers(text string) (numbers []said, words []string) {
	fields := strings.Fields(text)
	for i := 0; i < len(fields); i++ {
		after := ""
		if i+1 < len(fields) {
			after = fields[i+1]
			if after == "per" && i+2 < len(fields) && strings.HasPrefix(fields[i+2], "cent") {
				after = "percent"
			}
		}
		if !strings.ContainsAny(fields[i], "0123456789") {
			if n, ok := inWords(fields[i], after); ok {
				numbers = append(numbers, n)
			}
			continue
		}
		n, w := readWord(fields[i], after)
		numbers, words = append(numbers, n...), append(words, w...)
	}
	return numbers, words
}

// readWord reads one word with digits: a number with its unit, several that
// are joined (3/4, 80-90%, pid=12), or a name.
func readWord(word, after string) (numbers []said, words []string) {
	core := strings.TrimRight(strings.TrimLeft(word, edges+"+"), strings.ReplaceAll(edges, "%", ""))
	if core == "" {
		return nil, nil
	}
	if n, ok := oneNumber(core, after); ok {
		return []said{n}, nil
	}
	if ordinal(core) {
		return nil, nil
	}
	if strings.Count(core, ".") >= 2 || strings.HasPrefix(core, "/") {
		return nil, []string{core} // an address, a version, a path
	}
	parts := strings.FieldsFunc(core, func(r rune) bool { return strings.ContainsRune("/=:~<>≈≤≥+()[]{}×,;|–—→-", r) })
	if len(parts) < 2 {
		return nil, []string{core}
	}
	shared := unitAtEnd(core)
	for i, p := range parts {
		next := after
		if i < len(parts)-1 {
			next = shared
		}
		switch n, ok := oneNumber(p, next); {
		case ok:
			numbers = append(numbers, n)
		case strings.ContainsAny(p, "0123456789"):
			return nil, []string{core}
		case unicode.IsLetter([]rune(p)[0]) && strings.ContainsAny(core, "-") && !strings.ContainsAny(core, "=:"):
			// web-1, a-1-b: a name, unless the word is that of a unit.
			if _, ok := unitNamed(p); !ok && !plainWord(p) {
				return nil, []string{core}
			}
		}
	}
	return numbers, nil
}

// plainWord are words that are joined to a number with a hyphen: 30-minute
// average, 3-fold, 5-core.
func plainWord(p string) bool {
	switch p {
	case "fold", "core", "cores", "way", "node", "disk", "point", "step", "times", "bit", "line", "second", "day":
		return true
	}
	return false
}

// unitAtEnd answers the unit that ends a joined word, for its first number:
// the % of 80-90%.
func unitAtEnd(core string) string {
	tail := strings.TrimLeftFunc(core[strings.LastIndexAny(core, "0123456789")+1:], func(r rune) bool { return r == '-' })
	if _, ok := unitNamed(tail); ok {
		return tail
	}
	return ""
}

// oneNumber reads a word that is one number, with its unit behind it or in
// the word after.
func oneNumber(core, after string) (n said, ok bool) {
	n, rest, ok := parseNumber(core)
	if !ok {
		return n, false
	}
	rest = strings.TrimPrefix(rest, "-") // 30-minute
	if rest == "" {
		if u, ok := unitNamed(strings.Trim(after, edges)); ok && len(strings.Trim(after, edges)) > 0 && !single(after) {
			n.unit = u
		}
		return n, true
	}
	if rest == "x" || rest == "×" {
		return n, true
	}
	u, ok := unitNamed(rest)
	if rest == "m" && ok {
		u = unit{"time", []float64{60}}
	}
	n.unit = u
	return n, ok
}

// single reports whether the word after a number is one letter that stands for
// bytes only when it is joined to the number.
func single(after string) bool {
	switch strings.Trim(after, edges) {
	case "k", "m", "g", "t", "p", "e", "c", "d", "w":
		return true
	}
	return false
}

func ordinal(core string) bool {
	return len(core) == 3 && core[0] >= '1' && core[0] <= '9' && strings.Contains("st nd rd th", core[1:])
}

var (
	small = strings.Fields("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen")
	tens  = strings.Fields("- - twenty thirty forty fifty sixty seventy eighty ninety")
)

// inWords reads a number in words, where it is a fact: above twelve, or with a
// unit that is not one of time. Three disks and two hours ago are none.
func inWords(word, after string) (n said, ok bool) {
	word, after = strings.Trim(word, edges), strings.Trim(after, edges)
	value := wordValue(word)
	if value < 0 {
		return n, false
	}
	if u, known := unitNamed(after); known && !single(after) {
		n.unit = u
	}
	n.value, n.digit = value, 1
	return n, value > 12 || n.unit.kind != "" && n.unit.kind != "time"
}

func wordValue(word string) float64 {
	for i, w := range small {
		if w == word {
			return float64(i)
		}
	}
	head, tail, joined := strings.Cut(word, "-")
	for i, w := range tens {
		if w != head || i < 2 {
			continue
		}
		if !joined {
			return float64(10 * i)
		}
		if v := wordValue(tail); v > 0 && v < 10 {
			return float64(10*i) + v
		}
	}
	return -1
}
