// Package learn finds what is usual in what was seen: arithmetic over windows
// and patterns, without a clock, a store or a model.
package learn

import (
	"encoding/hex"
	"hash/fnv"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Templates groups lines of one log by form. The way follows Drain (He, Zhu,
// Zheng, Lyu: Drain: An Online Log Parsing Approach with Fixed Depth Tree,
// ICWS 2017, doi:10.1109/ICWS.2017.13): what looks like a variable is masked
// first, lines are told apart by their number of words and their first word,
// and a line joins the most similar group of those or makes a new one. A
// linear search takes the place of the tree: a log has few error forms.
type Templates struct {
	Groups []*Group `json:"groups"`
}

// A Group is one form of line.
type Group struct {
	ID    string    `json:"id"` // made of the form's first line, and kept
	Words []string  `json:"words"`
	Seen  time.Time `json:"seen"`
}

// Template answers the form as a text.
func (g *Group) Template() string { return strings.Join(g.Words, " ") }

// Bounds of what is kept.
const (
	maxGroups    = 200
	maxWords     = 60
	maxTemplated = 600 // bytes of a line that make its form
)

// Lines are alike when this share of their words is equal, place by place;
// short ones only when they are the same, because each word of them counts.
const (
	alike     = 0.7
	leastLike = 4
)

// Any stands in a template where lines of the group differ.
const Any = "<*>"

// Take puts a line into its group. Fresh says that the group is new.
func (t *Templates) Take(line string, now time.Time) (g *Group, fresh bool) {
	words := strings.Fields(Mask(line))
	words = words[:min(len(words), maxWords)]
	best, most := (*Group)(nil), 0.0
	for _, g := range t.Groups {
		if s := similar(g.Words, words); s > most {
			best, most = g, s
		}
	}
	if best != nil && (most == 1 || len(words) >= leastLike && most >= alike) {
		best.join(words, now)
		return best, false
	}
	g = &Group{ID: TemplateID(strings.Join(words, " ")), Words: words, Seen: now}
	t.add(g)
	return g, true
}

// add takes in a group; the one not seen for longest gives way.
func (t *Templates) add(g *Group) {
	if len(t.Groups) < maxGroups {
		t.Groups = append(t.Groups, g)
		return
	}
	oldest := 0
	for i, x := range t.Groups {
		if x.Seen.Before(t.Groups[oldest].Seen) {
			oldest = i
		}
	}
	t.Groups[oldest] = g
}

func (g *Group) join(words []string, now time.Time) {
	g.Seen = now
	for i, w := range words {
		if g.Words[i] != w {
			g.Words[i] = Any
		}
	}
}

// similar answers the share of equal words, 0 for lines that can never be of
// one form.
func similar(form, words []string) float64 {
	if len(form) != len(words) || len(words) == 0 || form[0] != words[0] {
		return 0
	}
	same := 0
	for i, w := range words {
		if form[i] == w || form[i] == Any {
			same++
		}
	}
	return float64(same) / float64(len(words))
}

// TemplateID answers a short name of a form.
func TemplateID(template string) string {
	h := fnv.New64a()
	h.Write([]byte(template))
	return hex.EncodeToString(h.Sum(nil))
}

// Mask answers a line with what looks like a variable replaced by the name of
// its kind: quoted texts, times, addresses, identifiers, numbers, the parts
// of paths that hold digits.
func Mask(line string) string {
	if len(line) > maxTemplated {
		cut := maxTemplated
		for cut > 0 && !utf8.RuneStart(line[cut]) {
			cut--
		}
		line = line[:cut]
	}
	var b strings.Builder
	for i, w := range strings.Fields(unquote(line)) {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(maskWord(w, 2))
	}
	return b.String()
}

// unquote puts <str> in the place of quoted texts. A quote opens at the
// start of a word or after = : ( [ { and closes at the next of its kind, so
// that an apostrophe is none.
func unquote(line string) string {
	var b strings.Builder
	for i := 0; i < len(line); {
		c := line[i]
		opens := (c == '"' || c == '\'' || c == '`') && (i == 0 || strings.IndexByte(" \t=:([{,", line[i-1]) >= 0)
		if opens {
			if end := strings.IndexByte(line[i+1:], c); end >= 0 {
				b.WriteString("<str>")
				i += end + 2
				continue
			}
		}
		b.WriteByte(c)
		i++
	}
	return b.String()
}

// maskWord masks one word; depth bounds how often it looks inside.
func maskWord(w string, depth int) string {
	if !strings.ContainsFunc(w, isDigit) && !strings.Contains(w, "@") && !longHex(w) {
		return w
	}
	start := strings.IndexFunc(w, isCore)
	end := strings.LastIndexFunc(w, isCore)
	if start < 0 {
		return w
	}
	_, size := utf8.DecodeRuneInString(w[end:])
	head, core, tail := w[:start], w[start:end+size], w[end+size:]
	if kind := kindOf(core); kind != "" {
		return head + kind + tail
	}
	if scheme, rest, ok := strings.Cut(core, "://"); ok && !strings.Contains(scheme, "=") {
		rest, _, _ = strings.Cut(rest, "?")
		return head + scheme + "://" + maskPath(rest) + tail
	}
	if key, value, ok := strings.Cut(core, "="); ok && depth > 0 && key != "" {
		return head + maskDigits(key) + "=" + maskWord(value, depth-1) + tail
	}
	if strings.Contains(core, "/") {
		return head + maskPath(core) + tail
	}
	return head + maskDigits(core) + tail
}

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

// isCore reports whether a character belongs to a word and is not the
// punctuation around it.
func isCore(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '/' || r == '<' || r == '>'
}

// kindOf names a word that is a variable as a whole, "" when it is not.
func kindOf(w string) string {
	switch {
	case isUUID(w):
		return "<uuid>"
	case isAddress(w):
		return "<ip>"
	case isTime(w):
		return "<time>"
	case longHex(w) || strings.HasPrefix(w, "0x") && isHex(w[2:]):
		return "<hex>"
	case strings.Count(w, "@") == 1 && !strings.ContainsAny(w, "/="):
		return "<mail>"
	}
	return ""
}

func isHex(w string) bool {
	return w != "" && strings.Trim(w, "0123456789abcdefABCDEF") == ""
}

// longHex reports whether a word is an identifier in hexadecimal: long, and
// not a word or a plain number that happens to use its letters.
func longHex(w string) bool {
	return len(w) >= 8 && isHex(w) && strings.ContainsAny(w, "0123456789") && strings.ContainsAny(w, "abcdefABCDEF")
}

func isUUID(w string) bool {
	if len(w) != 36 || w[8] != '-' || w[13] != '-' || w[18] != '-' || w[23] != '-' {
		return false
	}
	return isHex(strings.ReplaceAll(w, "-", ""))
}

func isAddress(w string) bool {
	if len(w) < 3 || len(w) > 60 || !strings.ContainsAny(w, ".:") {
		return false
	}
	if strings.Contains(w, "]:") {
		// The bracket that opens was taken for punctuation.
		w = "[" + w
	}
	if _, err := netip.ParseAddrPort(w); err == nil {
		return true
	}
	w, _, _ = strings.Cut(w, "/")
	_, err := netip.ParseAddr(w)
	return err == nil
}

// isTime reports whether a word is a date, a time of day or both: digits with
// the separators of such, and nothing else.
func isTime(w string) bool {
	if len(w) < 8 || !isDigit(rune(w[0])) {
		return false
	}
	day := strings.Count(w, "-") >= 2 || strings.Count(w, "/") == 2
	if !day && strings.Count(w, ":") != 2 {
		return false
	}
	return strings.Trim(w, "0123456789-:./,+TZ") == ""
}

// maskPath masks the parts of a path that hold digits, and keeps the others.
func maskPath(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		switch kind := kindOf(p); {
		case kind != "":
			parts[i] = kind
		case strings.ContainsFunc(p, isDigit):
			parts[i] = maskDigits(p)
		}
	}
	return strings.Join(parts, "/")
}

// maskDigits puts <n> in the place of each number, with the point or comma
// and the sign that belong to it.
func maskDigits(w string) string {
	var b strings.Builder
	for i := 0; i < len(w); {
		if !isDigit(rune(w[i])) {
			b.WriteByte(w[i])
			i++
			continue
		}
		for i < len(w) && (isDigit(rune(w[i])) || (w[i] == '.' || w[i] == ',') && i+1 < len(w) && isDigit(rune(w[i+1]))) {
			i++
		}
		b.WriteString("<n>")
	}
	return b.String()
}
