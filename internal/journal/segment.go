package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"reeve/internal/ops"
)

// A segment file is a header and records, all numbers big-endian.
//
//	header   magic 4 | format 4 | salt 8 | CRC of these 4
//	record   marker 4 | state 1 | level 1 | zero 2 | payload bytes 4 | CRC of the payload 4 |
//	         sequence 8 | samples 4 | lost samples 4 | CRC of these but marker and state 4 | payload
//
// The CRCs are CRC-32C and begin with the salt, whose first half is the
// marker: text from the estate inside a payload cannot pass for a record. A
// state is changed in place by writing its one byte. The header means the
// same in every format.
const (
	segmentMagic  = "RVSP"
	segmentFormat = 1
	segmentHeader = 20
	recordHeader  = 36
	stateAt       = 4
	stateWaiting  = 'W'
	stateDone     = 'D'
	segmentEnd    = ".seg"
)

// errDamaged is of bytes that are not what was written.
var errDamaged = errors.New("damaged")

type salt [8]byte

func (s salt) sum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(s[:], castagnoli), castagnoli, b)
}

// A segment is what is known of a segment file in memory.
type segment struct {
	number  uint64
	salt    salt
	size    int64
	records []record
	live    int   // records that are not done
	dead    int64 // bytes of what is done or damaged
	settled bool  // no state in it is known to be overtaken
}

// A record is where a report is and what is left of it.
type record struct {
	at       int64
	sequence int64
	size     uint32 // with its header
	samples  uint32
	lost     uint32
	level    level
	done     bool
	place    uint64 // in the queue; not in the file
}

// A level says how much of a report is kept. A file knows only the levels of
// samples: what is overtaken changes with every report.
type level uint8

const (
	whole     level = iota
	halved          // every second sample of each series
	bare            // none
	overtaken       // and no state that later reports tell anew
)

func (s *segment) path(dir string) string {
	return filepath.Join(dir, fmt.Sprintf("%016x%s", s.number, segmentEnd))
}

// segmentNumber answers the number in the name of a segment file.
func segmentNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentEnd)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 16, 62)
	return n, err == nil
}

func headerOf(s salt) []byte {
	b := append([]byte(segmentMagic), 0, 0, 0, segmentFormat)
	return sealHeader(append(b, s[:]...))
}

// sealHeader puts the CRC behind what is before it in a header.
func sealHeader(b []byte) []byte {
	b = b[:segmentHeader-4]
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// readHeader answers the salt of a segment.
func readHeader(r io.ReaderAt, name string) (s salt, err error) {
	var b [segmentHeader]byte
	if _, err := r.ReadAt(b[:], 0); err != nil {
		return s, unreadable(err)
	}
	if string(b[:4]) != segmentMagic || binary.BigEndian.Uint32(b[16:]) != crc32.Checksum(b[:16], castagnoli) {
		return s, errDamaged
	}
	if format := binary.BigEndian.Uint32(b[4:]); format != segmentFormat {
		return s, ops.Errorf(ops.Invalid, "%s was written by another program (format %d, this one reads %d): run the newer one, "+
			"or move the folder away and lose the reports in it", name, format, segmentFormat)
	}
	copy(s[:], b[8:])
	return s, nil
}

// encode answers the bytes of r with its payload, and sets its size.
func (r *record) encode(s salt, payload []byte) []byte {
	r.size = uint32(recordHeader + len(payload))
	b := make([]byte, 0, r.size)
	b = append(b, s[:4]...)
	b = append(b, stateWaiting, byte(r.level), 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.BigEndian.AppendUint32(b, s.sum(payload))
	b = binary.BigEndian.AppendUint64(b, uint64(r.sequence))
	b = binary.BigEndian.AppendUint32(b, r.samples)
	b = binary.BigEndian.AppendUint32(b, r.lost)
	b = binary.BigEndian.AppendUint32(b, s.sum(b[stateAt+1:]))
	return append(b, payload...)
}

// decodeHeader reads the header of a record that begins b.
func decodeHeader(b []byte, s salt) (r record, payloadSum uint32, ok bool) {
	if len(b) < recordHeader || !bytes.Equal(b[:4], s[:4]) {
		return r, 0, false
	}
	if binary.BigEndian.Uint32(b[32:]) != s.sum(b[stateAt+1:32]) {
		return r, 0, false
	}
	size := int64(binary.BigEndian.Uint32(b[8:])) + recordHeader
	if size != int64(uint32(size)) {
		return r, 0, false
	}
	return record{
		size: uint32(size), sequence: int64(binary.BigEndian.Uint64(b[16:])),
		samples: binary.BigEndian.Uint32(b[24:]), lost: binary.BigEndian.Uint32(b[28:]),
		level: min(level(b[5]), bare), done: b[stateAt] == stateDone,
	}, binary.BigEndian.Uint32(b[12:]), true
}

// payload reads the payload of a record, into buf when it is large enough.
// The error of bytes that will never be right again is errDamaged.
func (s *segment) payload(in io.ReaderAt, r record, buf []byte) ([]byte, error) {
	if cap(buf) < int(r.size) {
		buf = make([]byte, r.size)
	}
	buf = buf[:r.size]
	if _, err := in.ReadAt(buf, r.at); err != nil {
		return nil, unreadable(err)
	}
	_, sum, ok := decodeHeader(buf, s.salt)
	if !ok || s.salt.sum(buf[recordHeader:]) != sum {
		return nil, errDamaged
	}
	return buf[recordHeader:], nil
}
