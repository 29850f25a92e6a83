// Package authority says what makes an order to change a host valid. Server
// and agent run the same code, so that neither has to believe the other: an
// agent that is told to act by a server that somebody took over still wants
// the signature of a person whose key it knows.
//
// A Plan is what is to be done, and nothing but what is written in it. An
// Approval is one person's signed decision on the hash of one plan. An
// ApproverSet holds the keys that may decide; each set is signed by a key of
// the set before it, and the hash of the first one is pinned in the line that
// joined the agent. A Ticket is what an agent is sent: plan, approval, and the
// attempt. Check refuses it unless everything is right.
//
// What Check cannot know is left to its caller, the agent's journal: whether
// the idempotency key was used, and whether the fence is above every one
// before. The fence and the deadline are of the attempt and come from the
// server; no person signs them. They can only narrow what was approved.
package authority

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"reeve/internal/ops"
)

// A Code is why something was refused, for programs.
type Code string

// The codes.
const (
	Malformed        Code = "malformed"
	HashMismatch     Code = "hash_mismatch"
	WrongHost        Code = "wrong_host"
	NotApproved      Code = "not_approved"
	UnknownApprover  Code = "unknown_approver"
	BadSignature     Code = "bad_signature"
	SignedInFuture   Code = "signed_in_future"
	SignedTooEarly   Code = "signed_too_early" // before its key was an approver's
	ApprovalExpired  Code = "approval_expired"
	PlanExpired      Code = "plan_expired"
	DeadlinePassed   Code = "deadline_passed"
	DeadlineTooLate  Code = "deadline_too_late"
	BadSet           Code = "bad_set"
	WrongRoot        Code = "wrong_root"
	WrongVersion     Code = "wrong_version"
	WrongPredecessor Code = "wrong_predecessor"
)

// A Refusal is an error that says why something is not valid.
type Refusal struct {
	Code Code
	err  *ops.Error
}

func (r *Refusal) Error() string { return r.err.Error() }

// Unwrap answers the error as people may see it.
func (r *Refusal) Unwrap() error { return r.err }

func refuse(code Code, format string, args ...any) error {
	return &Refusal{code, ops.Errorf(ops.Forbidden, format, args...)}
}

// canonical writes values as one JSON array. Different values never give one
// text: each has its place, and what is no text in UTF-8, which JSON would
// mend, is written as an array.
func canonical(values ...any) []byte {
	for i, v := range values {
		values[i] = plain(v)
	}
	text, err := json.Marshal(values)
	if err != nil {
		panic("authority: " + err.Error()) // strings, integers and arrays of them only
	}
	return text
}

func plain(v any) any {
	switch v := v.(type) {
	case string:
		if utf8.ValidString(v) {
			return v
		}
		return []any{"base64", base64.StdEncoding.EncodeToString([]byte(v))}
	case time.Time:
		return []any{v.Unix(), v.Nanosecond()}
	case map[string]string:
		pairs := make([]any, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			pairs = append(pairs, []any{plain(name), plain(v[name])})
		}
		return pairs
	}
	return v
}
