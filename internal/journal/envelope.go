package journal

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"strings"

	"reeve/internal/ops"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// envelopeFormat is the format of small files that this program writes.
const envelopeFormat = 1

// envelope answers the text of a small file: a line that says what it is and
// proves that it is whole, then body. The first line means the same in every
// format.
func envelope(what string, body []byte) []byte {
	return fmt.Appendf(nil, "reeve %s %d %08x\n%s", what, envelopeFormat, crc32.Checksum(body, castagnoli), body)
}

// open answers the body of a small file. The error of a damaged one, or of
// one from a newer program, names the file and says what to do.
func open(what, path string, text []byte, remedy string) ([]byte, error) {
	damaged := func(why string) error {
		return ops.Errorf(ops.Invalid, "%s is damaged (%s); %s", path, why, remedy)
	}
	line, body, ok := bytes.Cut(text, []byte("\n"))
	words := strings.Split(string(line), " ")
	if !ok || len(words) != 4 || words[0] != "reeve" || words[1] != what {
		return nil, damaged("it does not begin as a " + what + " does")
	}
	var format int
	if n, err := fmt.Sscanf(words[2], "%d", &format); n != 1 || err != nil || format < 1 {
		return nil, damaged("it has no format")
	}
	if format > envelopeFormat {
		return nil, ops.Errorf(ops.Invalid, "%s was written by a newer program (format %d, this one reads %d); run that one or a newer one", path, format, envelopeFormat)
	}
	if words[3] != fmt.Sprintf("%08x", crc32.Checksum(body, castagnoli)) {
		return nil, damaged("its checksum is wrong")
	}
	return body, nil
}
