package llm

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxFrameBytes bounds one message of a stream.
const maxFrameBytes = 4 << 20

// errDone is answered by a reader of messages that wants no more.
var errDone = errors.New("done")

// readEvents hands the data of every server-sent event to each. Comments,
// names and other fields are passed over: every provider repeats in the data
// what the name says. The data of an event that was cut off is not handed
// over.
func readEvents(r io.Reader, each func([]byte) error) error {
	lines := bufio.NewReaderSize(r, 32<<10)
	var data []byte
	some := false
	for {
		line, err := readLine(lines)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		end := errors.Is(err, io.EOF)
		if value, ok := bytes.CutPrefix(line, []byte("data:")); ok && !end {
			if some {
				data = append(data, '\n')
			}
			data, some = append(data, bytes.TrimPrefix(value, []byte(" "))...), true
			if len(data) > maxFrameBytes {
				return errTooLong
			}
		}
		if some && (end || len(line) == 0) {
			if err := each(data); err != nil {
				return ignoreDone(err)
			}
			data, some = data[:0], false
		}
		if end {
			return nil
		}
	}
}

// readLines hands every line that is not blank to each: newline-delimited
// JSON. A last line without its end was cut off and is not handed over.
func readLines(r io.Reader, each func([]byte) error) error {
	lines := bufio.NewReaderSize(r, 32<<10)
	for {
		line, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if err := each(line); err != nil {
			return ignoreDone(err)
		}
	}
}

// readWhole hands the whole body to each.
func readWhole(r io.Reader, each func([]byte) error) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return ignoreDone(each(b))
}

func ignoreDone(err error) error {
	if errors.Is(err, errDone) {
		return nil
	}
	return err
}

// readLine answers a line without its end; with io.EOF, what came after the
// last end of a line.
func readLine(r *bufio.Reader) ([]byte, error) {
	var all []byte
	for {
		piece, err := r.ReadSlice('\n')
		all = append(all, piece...)
		if len(all) > maxFrameBytes {
			return nil, fmt.Errorf("one line: %w", errTooLong)
		}
		if err == nil {
			all = bytes.TrimSuffix(all[:len(all)-1], []byte("\r"))
			return all, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return all, err
		}
	}
}
