package journald

import (
	"bytes"
	"cmp"
	"encoding/json"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"reeve/internal/redact"
)

// An Entry is what matters of an entry of the journal.
type Entry struct {
	At   time.Time
	Unit string // "" for what is the host's
	Text string
	// Failed says that it was written as an error or as worse.
	Failed bool
}

// parse reads the output of journalctl --output=json: one object a
// line. It answers the entries, at most limit bytes of text from the newest
// back, and the cursor of the last. What comes from containers is left out,
// because it is read from their engine, and so is what the kernel writes
// below an error.
func parse(b []byte, limit int) (entries []Entry, cursor string) {
	for line := range bytes.Lines(b) {
		var f struct {
			Cursor    string          `json:"__CURSOR"`
			Micros    string          `json:"__REALTIME_TIMESTAMP"`
			Message   json.RawMessage `json:"MESSAGE"`
			Priority  string          `json:"PRIORITY"`
			Unit      string          `json:"_SYSTEMD_UNIT"`
			About     string          `json:"UNIT"`
			Container string          `json:"CONTAINER_NAME"`
			Transport string          `json:"_TRANSPORT"`
		}
		// A field of another form than usual is left out; the others count.
		json.Unmarshal(line, &f)
		if f.Cursor == "" || len(f.Cursor) > 500 {
			continue
		}
		cursor = f.Cursor
		micros, err := strconv.ParseInt(f.Micros, 10, 64)
		text := message(f.Message)
		if err != nil || text == "" || f.Container != "" {
			continue
		}
		priority, err := strconv.Atoi(f.Priority)
		e := Entry{At: time.UnixMicro(micros).UTC(), Unit: unit(cmp.Or(f.About, f.Unit)), Text: text, Failed: err == nil && priority <= 3}
		if e.Failed || f.Transport != "kernel" {
			entries = append(entries, e)
		}
	}
	size := 0
	for i := len(entries) - 1; i >= 0; i-- {
		if size += len(entries[i].Text); size > limit {
			return entries[i+1:], cursor
		}
	}
	return entries, cursor
}

// message reads a message, which is a text, or bytes where it is no valid
// text.
func message(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s[:min(len(s), 16<<10)]
	}
	var b []uint8
	if json.Unmarshal(raw, &b) != nil {
		return ""
	}
	return string(b[:min(len(b), 16<<10)])
}

// unit answers the unit that an entry is of, "" for sessions and for
// what is of no unit: those are the host's.
func unit(name string) string {
	switch filepath.Ext(name) {
	case ".service", ".timer", ".socket", ".mount", ".path", ".target":
		if !strings.HasPrefix(name, "user@") {
			return redact.Line(name, 200)
		}
	}
	return ""
}
