package learn

import (
	"cmp"
	"slices"
	"time"
)

// logLearning is how long after a log is first seen every form in it counts
// as usual.
const logLearning = 10 * time.Minute

// A Log is what is known of one log: the forms of its errors.
type Log struct {
	Since     time.Time `json:"since"` // first seen
	Seen      time.Time `json:"seen"`
	Templates Templates `json:"templates"`
}

// LogErrors counts the error lines of one log within one pass.
type LogErrors struct {
	Lines int64
	forms map[string]*LogForm
}

// A LogForm counts the lines of one form.
type LogForm struct {
	Group  *Group
	New    bool // never seen in this log before
	Count  int64
	Sample string // the first line
	At     time.Time
}

// Take reads one line into a count. Broken says that its source calls it an
// error, whatever it says.
func (l *Log) Take(into *LogErrors, at, now time.Time, text string, broken bool) {
	message, ok := ErrorLine(text)
	if !ok && !broken {
		return
	}
	if !ok {
		message = text
	}
	into.Lines++
	group, fresh := l.Templates.Take(message, at)
	f := into.forms[group.ID]
	if f == nil {
		f = &LogForm{Group: group, New: fresh && now.Sub(l.Since) >= logLearning, Sample: text}
		if into.forms == nil {
			into.forms = map[string]*LogForm{}
		}
		into.forms[group.ID] = f
	}
	f.Count++
	f.At = at
}

// Forms answers the most frequent forms, at most n.
func (e *LogErrors) Forms(n int) []*LogForm {
	all := make([]*LogForm, 0, len(e.forms))
	for _, f := range e.forms {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b *LogForm) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Group.ID, b.Group.ID))
	})
	return all[:min(n, len(all))]
}
