package turn

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"reeve/internal/ops"
)

// A Veil puts stable pseudonyms (host-1, container-3, label-2) in the place of
// names of hosts and resources and of values of their labels, and names in the
// place of pseudonyms. Whatever Hide answers, Show turns into what it was.
//
// What says nothing about whose estate it is stays: names that every machine
// has (eth0, /var), names of fewer than three characters or without a letter,
// and parts of Reeve itself. A nil Veil changes nothing.
type Veil struct {
	pseudonyms map[string]string
	names      map[string]string // of pseudonyms
	lengths    map[byte][]int    // lengths of the names that begin with a byte, the longest first
}

// NewVeil makes the veil of an estate. Names count in the order of the
// resources' IDs, so that new resources do not rename old ones.
func NewVeil(resources []ops.Resource) *Veil {
	v := &Veil{pseudonyms: map[string]string{}, names: map[string]string{}, lengths: map[byte][]int{}}
	sorted := slices.SortedFunc(slices.Values(resources), func(a, b ops.Resource) int { return strings.Compare(a.ID, b.ID) })
	counts := map[string]int{}
	add := func(kind, name string) {
		if _, ok := v.pseudonyms[name]; ok || !telling(name) {
			return
		}
		counts[kind]++
		p := kind + "-" + strconv.Itoa(counts[kind])
		v.pseudonyms[name], v.names[p] = p, name
		if at := v.lengths[name[0]]; !slices.Contains(at, len(name)) {
			v.lengths[name[0]] = append(at, len(name))
		}
	}
	for _, r := range sorted {
		if r.HostName != "" && r.Kind != ops.KindHost {
			add(string(ops.KindHost), r.HostName)
		}
		if r.Kind != ops.KindComponent {
			add(string(r.Kind), r.Name)
		}
		if short, _, ok := strings.Cut(r.Name, "."); ok && r.Kind == ops.KindHost {
			add(string(ops.KindHost), short)
		}
		for _, key := range sortedKeys(r.Labels) {
			add("label", r.Labels[key])
		}
	}
	for _, at := range v.lengths {
		slices.SortFunc(at, func(a, b int) int { return b - a })
	}
	return v
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// common are names that say nothing about whose they are.
var common = regexp.MustCompile(`^(?:/|/(?:boot(?:/efi)?|var(?:/(?:log|lib|tmp|cache|lib/docker))?|home|tmp|usr|opt|srv|root|mnt|media|run|dev|proc|sys|etc|data)|(?:eth|ens|enp|eno|wlan|wlp|docker|br|veth|lo|bond|tun|tap|wg|sd|nvme|md|vd|xvd|loop|dm-|sr)[0-9a-z]{0,10}|true|false|yes|no|none|linux|docker|podman|systemd|running|production|staging|latest|default|amd64|arm64|x86_64)$`)

// telling reports whether a name is worth a pseudonym.
func telling(name string) bool {
	return utf8.ValidString(name) && utf8.RuneCountInString(name) >= 3 && strings.ContainsFunc(name, unicode.IsLetter) && !common.MatchString(name) && !isKind(name) &&
		strings.TrimSpace(name) == name
}

func isKind(name string) bool { return ops.ValidKind(ops.Kind(name)) || name == "label" }

// pseudonymForm finds pseudonyms, and what only looks like one: that has a
// tilde put in by Hide, and one more for those it had.
var pseudonymForm = func() *regexp.Regexp {
	kinds := []string{"label"}
	for _, k := range ops.Kinds {
		kinds = append(kinds, string(k.Kind))
	}
	return regexp.MustCompile(`(` + strings.Join(kinds, "|") + `)(~*)-([0-9]+)`)
}()

// Hide answers a text without the names.
func (v *Veil) Hide(text string) string {
	if v == nil || text == "" {
		return text
	}
	var b strings.Builder
	plain := 0 // where the text begins that holds no name
	for i := 0; i < len(text); {
		name := v.nameAt(text, i)
		if name == "" {
			i++
			continue
		}
		b.WriteString(escape(text[plain:i]))
		b.WriteString(v.pseudonyms[name])
		i += len(name)
		plain = i
	}
	b.WriteString(escape(text[plain:]))
	return b.String()
}

func escape(text string) string { return pseudonymForm.ReplaceAllString(text, "$1~$2-$3") }

// nameAt answers the longest name that stands alone at a place, "" for none.
func (v *Veil) nameAt(text string, at int) string {
	for _, n := range v.lengths[text[at]] {
		if at+n > len(text) {
			continue
		}
		name := text[at : at+n]
		if _, ok := v.pseudonyms[name]; ok && alone(text, at, at+n) {
			return name
		}
	}
	return ""
}

// alone reports whether a part of a text is no part of a longer word.
func alone(text string, at, end int) bool {
	first, _ := utf8.DecodeRuneInString(text[at:])
	before, _ := utf8.DecodeLastRuneInString(text[:at])
	last, _ := utf8.DecodeLastRuneInString(text[:end])
	after, _ := utf8.DecodeRuneInString(text[end:])
	if unicode.IsDigit(after) {
		return false // a pseudonym would run into the digit
	}
	return (at == 0 || !wordly(first) || !wordly(before)) && (end == len(text) || !wordly(last) || !wordly(after))
}

func wordly(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// Show answers a text with the names put back.
func (v *Veil) Show(text string) string {
	if v == nil || !strings.Contains(text, "-") {
		return text
	}
	return pseudonymForm.ReplaceAllStringFunc(text, func(s string) string {
		if kind, rest, ok := strings.Cut(s, "~"); ok {
			return kind + rest
		}
		if name, ok := v.names[s]; ok {
			return name
		}
		return s
	})
}

// hideJSON is Hide for the texts in a JSON document; what is none is hidden
// as it is.
func (v *Veil) hideJSON(doc json.RawMessage) json.RawMessage { return v.each(doc, v.Hide) }

// showJSON is Show for the texts in a JSON document.
func (v *Veil) showJSON(doc json.RawMessage) json.RawMessage { return v.each(doc, v.Show) }

func (v *Veil) each(doc json.RawMessage, change func(string) string) json.RawMessage {
	if v == nil {
		return doc
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var value any
	if !json.Valid(doc) || d.Decode(&value) != nil {
		return json.RawMessage(change(string(doc)))
	}
	out, err := json.Marshal(mapTexts(value, change))
	if err != nil {
		return doc
	}
	return out
}

func mapTexts(value any, change func(string) string) any {
	switch x := value.(type) {
	case string:
		return change(x)
	case []any:
		for i := range x {
			x[i] = mapTexts(x[i], change)
		}
	case map[string]any:
		for k := range x {
			x[k] = mapTexts(x[k], change)
		}
	}
	return value
}

// String says how much is hidden.
func (v *Veil) String() string {
	if v == nil {
		return "nothing hidden"
	}
	return fmt.Sprintf("%d names hidden", len(v.names))
}
