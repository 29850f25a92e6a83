package store

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
)

const (
	defaultLimit = 50
	maxLimit     = 1000
)

// limitOf bounds a page.
func limitOf(n int) int {
	if n <= 0 {
		return defaultLimit
	}
	return min(n, maxLimit)
}

// A where gathers conditions and their arguments; $? stands for the next
// placeholder.
type where struct {
	parts []string
	args  []any
}

func (w *where) add(cond string, args ...any) {
	for _, a := range args {
		cond = strings.Replace(cond, "$?", w.arg(a), 1)
	}
	w.parts = append(w.parts, cond)
}

// arg adds an argument and answers its placeholder.
func (w *where) arg(a any) string {
	w.args = append(w.args, a)
	return "$" + strconv.Itoa(len(w.args))
}

// in adds "column IN (...)"; with no values it chooses nothing.
func (w *where) in(column string, values []string) {
	if len(values) == 0 {
		w.parts = append(w.parts, "1 = 0")
		return
	}
	marks := make([]string, len(values))
	for i, v := range values {
		marks[i] = w.arg(v)
	}
	w.parts = append(w.parts, column+" IN ("+strings.Join(marks, ",")+")")
}

func (w *where) text() string {
	if len(w.parts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.parts, " AND ")
}

// yieldEvery is after how many rows of a long list others get the core.
const yieldEvery = 64

// collectRows reads and closes rows.
func collectRows[T any](rows *sql.Rows, scan func(*sql.Rows) (T, error)) ([]T, error) {
	defer rows.Close()
	all := []T{}
	for rows.Next() {
		if len(all)%yieldEvery == yieldEvery-1 {
			runtime.Gosched()
		}
		x, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, errors.Join(rows.Err(), rows.Close())
}

// toJSON writes a value whose marshalling cannot fail: maps and slices of
// plain types.
func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("store: %T does not marshal: %v", v, err))
	}
	if string(b) == "null" {
		return "{}"
	}
	return string(b)
}

func fromJSON(text string, into any) error {
	if text == "" || text == "{}" {
		return nil
	}
	return json.Unmarshal([]byte(text), into)
}

// likeText escapes a text for use inside LIKE ... ESCAPE '!'.
func likeText(s string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(strings.ToLower(s))
}
