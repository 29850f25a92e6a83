package authority_test

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"reeve/internal/authority"
)

// fields are all that an approver's signature stands for.
func fields(t *authority.Ticket) map[string]*string {
	p, a := &t.Plan, &t.Approval
	return map[string]*string{
		"id": &p.ID, "verb": &p.Verb, "adapter": &p.Adapter, "host": &p.TargetHost, "target": &p.Target,
		"key": &p.IdempotencyKey, "reason": &p.Reason, "proposer": &p.Proposer,
		"hash": &a.PlanHash, "approver": &a.Approver, "decision": (*string)(&a.Decision), "why": &a.Reason,
	}
}

// refusedAfter checks a ticket that was changed.
func refusedAfter(t *testing.T, what string, change func(*authority.Ticket)) {
	t.Helper()
	bad := ticket()
	bad.Plan.Params, bad.Plan.Preconditions = maps.Clone(bad.Plan.Params), maps.Clone(bad.Plan.Preconditions)
	change(&bad)
	if err := authority.Check(bad, first, now, host, skew); codeOf(err) == "" {
		t.Errorf("%s: %v", what, err)
	}
}

// TestAnyFlippedBitIsRefused flips every bit of everything that was signed.
func TestAnyFlippedBitIsRefused(t *testing.T) {
	good := ticket()
	for name, text := range fields(&good) {
		for bit := range len(*text) * 8 {
			refusedAfter(t, name, func(t *authority.Ticket) {
				f := fields(t)[name]
				*f = flip(*f, bit)
			})
		}
	}
	for bit := range len(good.Approval.Signature) * 8 {
		refusedAfter(t, "signature", func(t *authority.Ticket) {
			t.Approval.Signature = []byte(flip(string(t.Approval.Signature), bit))
		})
	}
	for bit := range 63 {
		refusedAfter(t, "generation", func(t *authority.Ticket) { t.Plan.Generation ^= 1 << bit })
		for _, at := range []func(*authority.Ticket) *time.Time{
			func(t *authority.Ticket) *time.Time { return &t.Plan.Expiry },
			func(t *authority.Ticket) *time.Time { return &t.Approval.Expiry },
			func(t *authority.Ticket) *time.Time { return &t.Approval.SignedAt },
		} {
			refusedAfter(t, "time", func(t *authority.Ticket) {
				f := at(t)
				*f = time.Unix(0, f.UnixNano()^1<<bit)
			})
		}
	}
	for _, of := range []func(*authority.Ticket) map[string]string{
		func(t *authority.Ticket) map[string]string { return t.Plan.Params },
		func(t *authority.Ticket) map[string]string { return t.Plan.Preconditions },
	} {
		flipPairs(t, of(&good), of)
	}
}

func flipPairs(t *testing.T, pairs map[string]string, of func(*authority.Ticket) map[string]string) {
	for k, v := range pairs {
		for bit := range len(v) * 8 {
			refusedAfter(t, "value of "+k, func(t *authority.Ticket) { of(t)[k] = flip(v, bit) })
		}
		for bit := range len(k) * 8 {
			refusedAfter(t, "name "+k, func(t *authority.Ticket) {
				delete(of(t), k)
				of(t)[flip(k, bit)] = v
			})
		}
		refusedAfter(t, "no "+k, func(t *authority.Ticket) { delete(of(t), k) })
	}
}

func flip(s string, bit int) string {
	b := []byte(s)
	b[bit/8] ^= 1 << (bit % 8)
	return string(b)
}

// TestAnyFlippedBitOnTheWireIsRefused flips every bit of a ticket as it is
// sent. What is let pass must mean the same: the name of a field in capitals,
// or an attempt's fence and deadline, which nobody signs.
func TestAnyFlippedBitOnTheWireIsRefused(t *testing.T) {
	text, err := json.Marshal(ticket())
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(text) * 8 {
		got, err := authority.Decode([]byte(flip(string(text), bit)))
		if err != nil || authority.Check(got, first, now, host, skew) != nil {
			continue
		}
		if want := ticket(); authority.Hash(got.Plan) != authority.Hash(want.Plan) || got.Approval.Approver != want.Approval.Approver {
			t.Errorf("bit %d: %+v", bit, got)
		}
	}
}
