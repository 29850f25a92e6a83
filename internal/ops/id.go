package ops

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"time"
)

var idText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// The prefixes of IDs.
const (
	ResourceID = "res"
	SignalID   = "sig"
	FindingID  = "fnd"
	IncidentID = "inc"
	EvidenceID = "evd"
	DeliveryID = "dlv"
	UserID     = "usr"
	TokenID    = "tok"
	RunID      = "run"
	TriggerID  = "trg"
	CallID     = "mdc"
	HostID     = "host"
	InviteID   = "ivt"
	ServerID   = "srv"
	WorkloadID = "wkl"
	ActionID   = "act"

	InvestigationID = "inv"
	NoteID          = "nte"
)

// NewID makes an ID that sorts by time: prefix, underscore, then 48 bits of
// milliseconds and 64 random bits in Crockford's base 32.
func NewID(prefix string) string {
	var b [14]byte
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(time.Now().UnixMilli()))
	copy(b[:6], ms[2:])
	rand.Read(b[6:])
	return prefix + "_" + idText.EncodeToString(b[:])
}

// IDKind answers the prefix of an ID, "" for a text that is none.
func IDKind(id string) string {
	prefix, rest, ok := strings.Cut(id, "_")
	if !ok || len(rest) != 23 {
		return ""
	}
	if _, err := idText.DecodeString(rest); err != nil {
		return ""
	}
	return prefix
}
