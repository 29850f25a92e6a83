package learn

import (
	"encoding/json"
	"strings"
	"unicode"
)

// ErrorLine reports whether a line of a log tells of an error, and answers
// what it says without its level and its time where these have a form that is
// known: JSON, logfmt, klog, or a level in capitals or brackets near the
// start. A line that names a lower level is none, whatever else it says.
func ErrorLine(line string) (message string, ok bool) {
	line = strings.TrimSpace(line)
	if line == "" || len(line) > maxErrorLine {
		return "", false
	}
	if line[0] == '{' {
		if message, ok, known := jsonLine(line); known {
			return message, ok
		}
	}
	if message, ok, known := logfmtLine(line); known {
		return message, ok
	}
	if klog, message := klogLine(line); klog != 0 {
		return message, klog == 'E' || klog == 'F'
	}
	if level, rest := levelNear(line); level != unknownLevel {
		return rest, level == errorLevel
	}
	return line, exception(line)
}

// maxErrorLine is the longest line that is read; longer ones are data.
const maxErrorLine = 16 << 10

type level int

const (
	unknownLevel level = iota
	errorLevel
	lowerLevel
)

// levelWord answers the level that a word names.
func levelWord(w string) level {
	switch strings.ToLower(w) {
	case "error", "err", "eror", "fatal", "panic", "critical", "crit", "severe", "emerg", "emergency", "alert", "dpanic":
		return errorLevel
	case "info", "information", "notice", "warn", "warning", "debug", "trace", "verbose", "dbug", "inf", "wrn", "dbg", "log", "statement", "detail", "hint":
		return lowerLevel
	}
	return unknownLevel
}

// jsonLine reads a line that is a JSON object; known is false when it is none
// or names no level.
func jsonLine(line string) (message string, ok, known bool) {
	var fields map[string]any
	if json.Unmarshal([]byte(line), &fields) != nil {
		return "", false, false
	}
	found := unknownLevel
	for _, name := range []string{"level", "severity", "lvl", "log.level", "levelname", "loglevel", "@l", "l"} {
		switch v := fields[name].(type) {
		case string:
			found = levelWord(v)
		case float64:
			// Bunyan and pino: 50 is error, 60 fatal.
			if found = lowerLevel; v >= 50 {
				found = errorLevel
			}
		}
		if found != unknownLevel {
			break
		}
	}
	if found == unknownLevel {
		return "", false, false
	}
	var parts []string
	for _, name := range []string{"msg", "message", "@m", "@mt", "event", "error", "err", "exception"} {
		if s, isText := fields[name].(string); isText && s != "" && len(parts) < 2 {
			parts = append(parts, s)
		}
	}
	if len(parts) == 0 {
		return line, found == errorLevel, true
	}
	return strings.Join(parts, ": "), found == errorLevel, true
}

// logfmtLine reads a line of key=value pairs; known is false without a level.
func logfmtLine(line string) (message string, ok, known bool) {
	found := unknownLevel
	for _, key := range []string{"level=", "lvl=", "severity="} {
		if v, has := logfmtValue(line, key); has && found == unknownLevel {
			found = levelWord(v)
		}
	}
	if found == unknownLevel {
		return "", false, false
	}
	var parts []string
	for _, key := range []string{"msg=", "message=", "err=", "error="} {
		if v, has := logfmtValue(line, key); has && v != "" {
			parts = append(parts, v)
		}
	}
	if len(parts) == 0 {
		return line, found == errorLevel, true
	}
	return strings.Join(parts, ": "), found == errorLevel, true
}

// logfmtValue answers the value of a key that begins a word.
func logfmtValue(line, key string) (v string, ok bool) {
	at := 0
	for {
		i := strings.Index(line[at:], key)
		if i < 0 {
			return "", false
		}
		if at += i; at == 0 || line[at-1] == ' ' || line[at-1] == '\t' {
			break
		}
		at += len(key)
	}
	rest := line[at+len(key):]
	if strings.HasPrefix(rest, `"`) {
		for i := 1; i < len(rest); i++ {
			switch rest[i] {
			case '\\':
				i++
			case '"':
				return strings.ReplaceAll(rest[1:i], `\"`, `"`), true
			}
		}
	}
	v, _, _ = strings.Cut(rest, " ")
	return v, true
}

// klogLine reads the head of Kubernetes' log lines: a letter for the level,
// month and day, time, thread, place, bracket.
func klogLine(line string) (letter byte, message string) {
	if len(line) < 14 || !strings.ContainsRune("IWEF", rune(line[0])) || line[5] != ' ' || line[8] != ':' || line[11] != ':' {
		return 0, ""
	}
	for _, i := range []int{1, 2, 3, 4, 6, 7, 9, 10, 12, 13} {
		if !isDigit(rune(line[i])) {
			return 0, ""
		}
	}
	if _, rest, ok := strings.Cut(line, "] "); ok {
		return line[0], rest
	}
	return line[0], line
}

// nearWords is how many words may stand before the level: a time, a host, a
// program, a thread.
const nearWords = 8

// levelNear looks for a level among the first words and answers what follows
// it. In capitals or in brackets a level is one anywhere there; a small word
// only with a colon behind it.
func levelNear(line string) (l level, rest string) {
	rest = line
	for range nearWords {
		rest = strings.TrimLeft(rest, " \t|")
		word, after := rest, ""
		if i := strings.IndexAny(rest, " \t|"); i >= 0 {
			word, after = rest[:i], rest[i:]
		}
		if word == "" {
			return unknownLevel, ""
		}
		core := strings.TrimFunc(word, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		marked := strings.HasPrefix(word, "[") || strings.HasPrefix(word, "<") || strings.HasPrefix(word, "(") || strings.HasSuffix(word, ":")
		if l := levelWord(core); l != unknownLevel && (marked || core == strings.ToUpper(core)) {
			after = strings.TrimLeft(after, " \t|:-")
			if after == "" {
				after = line
			}
			return l, after
		}
		rest = after
	}
	return unknownLevel, ""
}

// exception reports whether a line without a level is the head of an
// exception or a crash.
func exception(line string) bool {
	for _, head := range []string{"Traceback (most recent call last)", "Exception in thread", "panic: ", "fatal error: ", "Fatal error: ",
		"Uncaught ", "Unhandled ", "UnhandledPromiseRejection", "Segmentation fault", "terminate called", "Caused by: "} {
		if strings.HasPrefix(line, head) {
			return true
		}
	}
	if strings.Contains(line, "PHP Fatal error:") || strings.Contains(line, "core dumped") {
		return true
	}
	name, _, ok := strings.Cut(line, ": ")
	if !ok || strings.ContainsAny(name, " \t/=") {
		return false
	}
	return strings.HasSuffix(name, "Error") || strings.HasSuffix(name, "Exception")
}
