package evidence

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"reeve/internal/ops"
	"reeve/internal/redact"
)

// Prose takes out of free text every sentence with a number, a quote, a time,
// an ID or the name of something that nothing backs, and answers the rest with
// what was taken out and why. Numbers may be rounded in their last digit, by
// at most 2 %; small numbers in words are no facts.
func Prose(text string, facts []Known) (clean string, struck []ops.RunRejection) {
	b := back(facts)
	var kept []string
	for line := range strings.SplitSeq(strings.ToValidUTF8(text, "\uFFFD"), "\n") {
		var good []string
		for _, s := range sentences(line) {
			if why := b.wrong(s); why != "" {
				struck = append(struck, ops.RunRejection{What: redact.Line(s, 400), Reason: why})
			} else {
				good = append(good, s)
			}
		}
		if joined := strings.Join(good, " "); strings.TrimSpace(joined) != "" || line == "" && len(kept) > 0 {
			kept = append(kept, joined)
		}
	}
	return strings.TrimSpace(strings.Join(kept, "\n")), struck
}

// sentences splits a line after what ends a sentence and is followed by a
// blank.
func sentences(line string) []string {
	var all []string
	from := 0
	for i, r := range line {
		if !strings.ContainsRune(".!?。！？", r) {
			continue
		}
		end := i + utf8.RuneLen(r)
		next, _ := utf8.DecodeRuneInString(line[end:])
		wide := r > unicode.MaxLatin1
		if end < len(line) && !wide && !unicode.IsSpace(next) {
			continue
		}
		if r == '.' && shortened(line[from:i]) {
			continue
		}
		all = append(all, strings.TrimSpace(line[from:end]))
		from = end
	}
	if rest := strings.TrimSpace(line[from:]); rest != "" {
		all = append(all, rest)
	}
	return all
}

// shortened reports whether a text ends with an abbreviation, or is the number
// of an item of a list.
func shortened(text string) bool {
	word := strings.ToLower(text[strings.LastIndexByte(text, ' ')+1:])
	word = strings.TrimLeft(word, "([\"'")
	switch word {
	case "e.g", "i.e", "approx", "ca", "no", "vs", "cf", "resp", "incl", "etc":
		return word != "etc"
	}
	return len(strings.TrimSpace(text)) <= 2 && strings.TrimFunc(strings.TrimSpace(text), unicode.IsDigit) == ""
}

var (
	listMark  = regexp.MustCompile(`^\s*(?:[-*•]\s+)?(?:\d{1,2}[.)]\s+)?`)
	quoteForm = regexp.MustCompile("\"([^\"]+)\"|“([^”]+)”|„([^“”]+)[“”]|«([^»]+)»|「([^」]+)」|`+([^`]+)`+|(?:^|[\\s(\\[:])'([^'\\n]{2,}?)'(?:$|[\\s)\\].,;:!?])|‘([^’]{2,})’(?:$|[\\s)\\].,;:!?])")
	idForm    = regexp.MustCompile(`\b(?:res|sig|fnd|inc|evd|dlv|usr|tok|run|trg|mdc|inv|nte|act)_[0-9a-z]{6,}\b`)
	hanDigits = regexp.MustCompile(`[零〇一二三四五六七八九十百千万億亿兆]{2,}`)
	looseMark = regexp.MustCompile("[\"“”„«»「」`]")
)

// wrong says what of a sentence nothing backs, "" when all of it is backed.
func (b *backing) wrong(sentence string) string {
	if !wordy(sentence) {
		return "it is no sentence"
	}
	s := strings.ToLower(fold(listMark.ReplaceAllString(sentence, "")))
	for _, r := range s {
		if r > unicode.MaxASCII && unicode.IsNumber(r) && !unicode.Is(unicode.Han, r) {
			return fmt.Sprintf("the number %q is written in other digits and cannot be checked", string(r))
		}
	}
	for _, id := range idForm.FindAllString(s, -1) {
		if !b.knows(id) {
			return "nothing known has the ID " + id
		}
	}
	s, bad := b.cutQuotes(s)
	if bad != "" {
		return fmt.Sprintf("the words %q stand in nothing that was shown", redact.Line(bad, 120))
	}
	s = b.withoutNames(s)
	s, times := cutTimes(s)
	for _, m := range times {
		if !b.time(m) {
			return "nothing known happened at " + m.text()
		}
	}
	s = withoutTerms(s)
	numbers, words := cutNumbers(s)
	for _, n := range numbers {
		if !b.number(n) {
			return "nothing known is " + n.text()
		}
	}
	for _, w := range words {
		if !b.word(w) {
			return fmt.Sprintf("nothing known is called %q", redact.Line(w, 80))
		}
	}
	if han := hanDigits.FindString(s); han != "" && !b.word(han) {
		return fmt.Sprintf("the number %q cannot be checked", han)
	}
	return b.wrongName(s)
}

// mostSigns is how much of a sentence may be neither letters, digits, blanks
// nor what names and numbers are written with.
const mostSigns = 0.25

// wordy reports whether a text reads like words: what is mostly signs says
// nothing that anyone could check.
func wordy(text string) bool {
	letters, signs, all := 0, 0, 0
	for _, r := range text {
		all++
		switch {
		case unicode.IsLetter(r):
			letters++
		case r == utf8.RuneError:
			return false
		case unicode.IsDigit(r), unicode.IsSpace(r), unicode.IsMark(r), strings.ContainsRune("/._-:%'`\",(),", r):
		default:
			signs++
		}
	}
	return letters > 0 && float64(signs) <= mostSigns*float64(all)
}

func (b *backing) knows(id string) bool {
	for _, n := range b.names {
		if n == id {
			return true
		}
	}
	return b.word(id)
}

// cutQuotes takes the quotes out of a sentence; bad is the first that nothing
// backs. A mark without its other half is one quote to the end.
func (b *backing) cutQuotes(s string) (rest, bad string) {
	rest = quoteForm.ReplaceAllStringFunc(s, func(m string) string {
		words := strings.Trim(m, " ()[]:.,;!?")
		words = strings.Trim(words, "\"“”„«»「」`'‘’")
		if bad == "" && !b.quote(words) {
			bad = words
		}
		return " "
	})
	if at := looseMark.FindStringIndex(rest); at != nil && bad == "" {
		if words := rest[at[1]:]; !b.quote(words) {
			bad = words
		}
		rest = rest[:at[0]]
	}
	return rest, bad
}

// terms are words of the trade with digits in them.
var terms = regexp.MustCompile(`\b(?:ext[234]|ipv[46]|x86_64|x86|amd64|arm64|armv[78]|utf-?8|sha-?(?:1|256|512)|md5|base64|http/?[123](?:\.[01])?|tls ?1\.[0123]|raid-?(?:0|1|5|6|10)|raidz[123]?|k8s|k3s|s3|ec2|cgroups? ?v?[12]|zfs2|log4j2?|python[23]|oauth2?|i2c|lz4|bzip2|gzip9|p2p|h264|l[1234] cache|layer [1-7]|e2fsck|fat32|x509|http2|quic1|usb ?[23](?:\.\d)?|ntpv4|nfsv?[34]|smb[123]|z-?wave|m\.2|24/7|level=\w+)\b`)

func withoutTerms(s string) string { return terms.ReplaceAllString(s, " ") }

var (
	kindWord = `(?:host|server|machine|node|container|service|unit|disk|drive|volume|pool|array|interface|device|file system|filesystem|mount|mount point|project|vm|check|datastore|pod)`
	// named is the kind of a resource with what looks like a name after it.
	named = regexp.MustCompile(`\b` + kindWord + `s? (?:called |named )?(/[a-z0-9_./-]*[a-z0-9]|[a-z0-9-]+(?:[_@.][a-z0-9-]+)+)`)
	// calledSo is a name that is given as one.
	calledSo = regexp.MustCompile(`\b(?:called|named) ([a-z0-9][a-z0-9_./:@-]*[a-z0-9])`)
	unitFile = regexp.MustCompile(`\b[a-z0-9_@.:\\-]+\.(?:service|timer|socket|mount|target|slice|scope)\b`)
	fullHost = regexp.MustCompile(`\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:lan|local|internal|home|localdomain|corp|example|com|net|org|io|dev|cloud|test|arpa)\b`)
)

// wrongName finds what looks like the name of a resource in what is left of a
// sentence without the known names.
func (b *backing) wrongName(s string) string {
	for _, form := range []*regexp.Regexp{named, calledSo, unitFile, fullHost} {
		for _, m := range form.FindAllStringSubmatch(s, -1) {
			if name := strings.Trim(m[len(m)-1], ".:-"); name != "" && name != "e.g" && name != "i.e" && !b.word(name) {
				return fmt.Sprintf("nothing known is called %q", redact.Line(name, 80))
			}
		}
	}
	return ""
}

func (m moment) text() string {
	switch {
	case !m.clock:
		return m.at.Format("2 January")
	case !m.date:
		return m.at.Format("15:04 UTC")
	}
	return m.at.Format("2006-01-02 15:04 UTC")
}

func (n said) text() string {
	text := strconv.FormatFloat(n.value, 'g', -1, 64)
	switch n.unit.kind {
	case "":
		return text
	case "percent":
		return text + " %"
	case "time":
		return fmt.Sprintf("%s times %g s", text, n.unit.worth[0])
	case "celsius":
		return text + " °C"
	}
	return fmt.Sprintf("%s times %g bytes", text, n.unit.worth[0])
}
