package investigate

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"reeve/internal/evidence"
	"reeve/internal/ops"
	"reeve/internal/store"
)

// A phrase is words by which programs say what is wrong, whoever wrote them.
type phrase struct {
	form  *regexp.Regexp
	cause string
}

func says(form, cause string) phrase { return phrase{regexp.MustCompile(`(?i)` + form), cause} }

// phrases in the order in which they are tried: what names a cause most
// exactly comes first. They only name; they choose nothing.
var phrases = []phrase{
	says(`address already in use|bind.*in use|port is already allocated`, "Another program holds the port that it wants"),
	says(`no space left on device|disk quota exceeded|ENOSPC`, "It cannot write: the disk or its quota is full"),
	says(`too many open files|EMFILE|ENFILE`, "It has as many files open as it may"),
	says(`read-only file ?system|EROFS`, "It cannot write: the file system is read-only"),
	says(`out of memory|cannot allocate memory|oom-?kill|heap out of memory|OutOfMemoryError|ENOMEM`, "It gets no more memory"),
	says(`x509|certificate (has expired|verify failed|is not yet valid|signed by unknown)|tls: (bad|failed)|ssl.*(handshake|verify)`, "A TLS certificate is not accepted"),
	says(`authentication failed|password authentication|access denied for user|invalid credentials|\b401\b|unauthorized|login failed`, "Its credentials are refused"),
	says(`no such host|could not resolve|name or service not known|temporary failure in name resolution|NXDOMAIN|EAI_AGAIN|getaddrinfo`, "A name that it needs cannot be resolved: DNS"),
	says(`connection refused|ECONNREFUSED`, "What it wants to connect to does not listen"),
	says(`no route to host|network is unreachable|EHOSTUNREACH|ENETUNREACH`, "What it wants to connect to cannot be reached over the network"),
	says(`i/o timeout|timed? ?out|ETIMEDOUT|deadline exceeded`, "What it waits for does not answer in time"),
	says(`exec format error`, "Its program is built for another processor"),
	says(`(executable file|command) not found|no such file or directory.*exec|exec.*no such file`, "The command that it is to run does not exist"),
	says(`(undefined|missing|required).{0,30}(variable|env|setting|option)|environment variable .{0,60}(not set|required|missing)|must be set`, "A setting that it needs is missing"),
	says(`(invalid|bad|unknown|syntax error|cannot parse|failed to (parse|load)|error (parsing|loading)).{0,40}(config|configuration|directive|yaml|json|toml|\.conf)|(config|configuration).{0,40}(invalid|error|failed|not found)`, "Its configuration is not accepted"),
	says(`permission denied|operation not permitted|EACCES|EPERM`, "It may not do what it tries: permissions"),
	says(`no such file or directory|ENOENT|file not found`, "A file that it needs is not there"),
	says(`segmentation fault|segfault|SIGSEGV|core dumped|panic:|fatal error:|unhandled exception|traceback \(most recent`, "The program itself crashes"),
	says(`i/o error|input/output error|EIO|medium error|blk_update_request|buffer i/o`, "A disk cannot be read or written"),
	says(`deadlock|lock wait timeout|database is locked|too many (connections|clients)`, "Its database is overloaded or locked"),
	says(`\b(429|too many requests)\b|rate limit`, "It is sent away for asking too often"),
	says(`migration.{0,40}(failed|error)|schema.{0,30}(mismatch|version)`, "The schema of its database does not fit its version"),
}

// causeOf answers what a line says is wrong, "" when it says nothing known.
func causeOf(line string) string {
	for _, p := range phrases {
		if p.form.MatchString(line) {
			return p.cause
		}
	}
	return ""
}

// A said is one form of error of a log.
type saying struct {
	resource ops.Resource
	text     string // its newest line
	count    int64
	first    time.Time
	early    ops.Event // the newest line that came before it began, or soon after
}

// judgeLog tells the most frequent errors of a log since an hour before it
// began. One that says a known thing is a likely cause.
func judgeLog(s *Scene, r Read) []Sign {
	all := sayings(s, r)
	if len(all) == 0 {
		return signf("no error lines of %s since %s", where(s, r.Of), clock(s.Began.Add(-eventsBefore)))
	}
	var signs []Sign
	for _, x := range all[:min(3, len(all))] {
		sign := Sign{Text: fmt.Sprintf("%d × in the log of %s since %s: %s", x.count, name(x.resource), clock(x.first), x.text)}
		if x.early.Text != "" {
			if cause := causeOf(x.early.Text); cause != "" {
				confidence := medium
				if x.resource.ID != s.Resource.ID && x.resource.ID != s.Parent.ID {
					confidence = low // many things write there
				}
				sign = sign.because(confidence, x.resource.ID, cause+": its log says so",
					ops.Claim{Kind: "quote", ResourceID: x.resource.ID, Text: x.early.Text})
			}
		}
		signs = append(signs, sign)
	}
	return signs
}

func sayings(s *Scene, r Read) []*saying {
	wanted := map[string]ops.Resource{}
	for _, t := range s.targets(r.Of) {
		wanted[t.ID] = t
	}
	byForm := map[string]*saying{}
	for _, e := range s.Events {
		res, ok := wanted[e.ResourceID]
		if !ok || e.Type != ops.EventLogError {
			continue
		}
		form := res.ID + cmp.Or(e.Facts["template_id"], e.Facts["template"], e.Text)
		x := byForm[form]
		if x == nil {
			x = &saying{resource: res, first: e.At}
			byForm[form] = x
		}
		x.text, x.count = e.Text, x.count+max(1, e.Count)
		if !e.At.After(s.Began.Add(time.Minute)) {
			x.early = e.Event
		}
	}
	all := make([]*saying, 0, len(byForm))
	for _, x := range byForm {
		all = append(all, x)
	}
	// What came before it began tells more than what followed.
	slices.SortFunc(all, func(a, b *saying) int {
		return cmp.Or(cmp.Compare(flagged(b), flagged(a)), cmp.Compare(b.count, a.count), strings.Compare(a.text, b.text))
	})
	return all
}

func flagged(x *saying) int {
	switch {
	case x.early.Text != "" && causeOf(x.early.Text) != "":
		return 2
	case x.early.Text != "":
		return 1
	}
	return 0
}

// hear takes lines of logs that were read live, by resource, in with what is
// stored of them: those that say a known thing.
func (s *Scene) hear(lines map[string][]evidence.Text) {
	seen := map[string]bool{}
	for _, e := range s.Events {
		seen[e.ResourceID+e.Text] = true
	}
	for _, id := range slices.Sorted(maps.Keys(lines)) {
		for _, l := range lines[id] {
			cause := causeOf(l.Text)
			if cause == "" || l.At.IsZero() || seen[id+l.Text] {
				continue
			}
			s.Events = append(s.Events, store.StoredEvent{ResourceID: id, Event: ops.Event{Type: ops.EventLogError, At: l.At, Text: l.Text, Count: 1,
				Facts: map[string]string{"template_id": cause}}})
			seen[id+l.Text] = true
		}
	}
	slices.SortStableFunc(s.Events, func(a, b store.StoredEvent) int { return a.At.Compare(b.At) })
}
