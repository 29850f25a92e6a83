// Package collectors is the catalogue of what an agent can read of its host:
// one collector a file, each an island over its Env. Reading and parsing are
// apart everywhere: parsers take bytes, so that they can be fuzzed.
package collectors

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"reeve/internal/catalog"
	"reeve/internal/collect"
)

var all = catalog.New("collector", func(d collect.Definition) string { return d.Name })

// All answers every collector, by name.
func All() []collect.Definition { return all.All() }

// Get answers the collector with the given name.
func Get(name string) (collect.Definition, bool) { return all.Get(name) }

// smallLimit bounds what readSmall takes in: no file of /proc or /sys that a
// collector wants is larger (the longest is the table of mounts of a host with
// thousands of containers), whatever a recorded tree holds.
const smallLimit = 4 << 20

// readSmall reads a whole small file. It fails when the file is larger than
// smallLimit or is a pipe without data: it never waits.
func readSmall(path string) ([]byte, error) { return readInto(nil, path) }

// readInto is readSmall into a buffer that the caller keeps for the next
// pass. It uses plain system calls because os.ReadFile registers each file
// with the network poller, which costs more than reading a file of /proc.
func readInto(buf []byte, path string) ([]byte, error) {
	fd, err := openRetry(path)
	if err != nil {
		return buf[:0], &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	if cap(buf) == 0 {
		buf = make([]byte, 0, 4096)
	}
	buf = buf[:0]
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, make([]byte, cap(buf))...)[:len(buf)]
		}
		n, err := unix.Read(fd, buf[len(buf):cap(buf)])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return buf[:0], &fs.PathError{Op: "read", Path: path, Err: err}
		case n <= 0:
			return buf, nil
		}
		if buf = buf[:len(buf)+n]; len(buf) > smallLimit {
			return buf[:0], fmt.Errorf("read %s: larger than %d bytes", path, smallLimit)
		}
	}
}

func openRetry(path string) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// readWord answers the first line of a small file without the space around
// it; ok is false when it cannot be read or is empty.
func readWord(path string) (word string, ok bool) {
	b, err := readSmall(path)
	if err != nil {
		return "", false
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	word = strings.TrimSpace(string(line))
	return word, word != ""
}

// readUint answers the number that a small file holds.
func readUint(path string) (n uint64, ok bool) {
	b, err := readSmall(path)
	if err != nil {
		return 0, false
	}
	return parseUint(bytes.TrimSpace(b))
}

// parseUint parses decimal digits and nothing else.
func parseUint(b []byte) (n uint64, ok bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	for _, c := range b {
		d := uint64(c - '0')
		if c < '0' || c > '9' || n > (1<<64-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}

// nextLine cuts the first line off b.
func nextLine(b []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(b, []byte("\n"))
	return line, rest
}

// nextField cuts the first field off b, past any blanks before it.
func nextField(b []byte) (field, rest []byte) {
	start := 0
	for start < len(b) && (b[start] == ' ' || b[start] == '\t') {
		start++
	}
	end := start
	for end < len(b) && b[end] != ' ' && b[end] != '\t' {
		end++
	}
	return b[start:end], b[end:]
}

// parseUints fills into with the numbers that a line starts with and answers
// how many there were.
func parseUints(line []byte, into []uint64) int {
	for i := range into {
		var field []byte
		field, line = nextField(line)
		n, ok := parseUint(field)
		if !ok {
			return i
		}
		into[i] = n
	}
	return len(into)
}

// missing reports whether an error says that a file is not there.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)
}

// truth is the text of a truth value in attributes.
func truth(v bool) string { return strconv.FormatBool(v) }

// whole is the text of a count in attributes.
func whole[N ~int | ~int64 | ~uint64 | ~uint32](n N) string { return fmt.Sprintf("%d", n) }

// bit is a truth value as a sample.
func bit(v bool) float64 {
	if v {
		return 1
	}
	return 0
}

// rates turns counters into rates per second. Its zero value is ready.
type rates[K comparable] struct {
	last map[K]count
}

type count struct {
	value uint64
	at    time.Time
}

// ratePause is how long a counter may be unread before the mean over the
// pause says nothing about now.
const ratePause = 10 * time.Minute

// per answers how fast a counter grew since it was last seen. ok is false the
// first time, after a reset, and when the time between is not credible (the
// clock was set back, or nobody looked for long).
func (r *rates[K]) per(key K, value uint64, now time.Time) (perSecond float64, ok bool) {
	if r.last == nil {
		r.last = map[K]count{}
	}
	was, seen := r.last[key]
	r.last[key] = count{value, now}
	passed := now.Sub(was.at)
	if !seen || value < was.value || passed <= 0 || passed > ratePause {
		return 0, false
	}
	return float64(value-was.value) / passed.Seconds(), true
}

// forget drops the counters that were not seen at now, so that what is gone
// does not fill the memory.
func (r *rates[K]) forget(now time.Time) {
	for k, c := range r.last {
		if !c.at.Equal(now) {
			delete(r.last, k)
		}
	}
}

// tools answers whether a program that the collector needs is installed, and
// files the gap when it is not.
func tools(env collect.Env, out *collect.Batch, name, what, remedy string) bool {
	if _, ok := env.Tools(name); ok {
		return true
	}
	out.Gap(what, name+" is not installed", remedy)
	return false
}

// blockDevices answers the names of the kernel's block devices, sorted.
func blockDevices(env collect.Env) (names []string, err error) {
	entries, err := os.ReadDir(env.SysPath("block"))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}
