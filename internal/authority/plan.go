package authority

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
	"unicode/utf8"
)

// A Plan is one change to one target. It is immutable: another change, or the
// same one to another generation of the target, is another plan.
type Plan struct {
	ID             string            `json:"id"`
	Verb           string            `json:"verb"`
	Adapter        string            `json:"adapter" doc:"What carries the verb out: docker, systemd ..."`
	TargetHost     string            `json:"target_host"`
	Target         string            `json:"target"`
	Generation     int64             `json:"generation" doc:"Of the target; what replaced it is not meant."`
	Params         map[string]string `json:"params,omitempty"`
	Preconditions  map[string]string `json:"preconditions,omitempty" doc:"What must be read of the target right before, by attribute."`
	Expiry         time.Time         `json:"expires_at"`
	IdempotencyKey string            `json:"idempotency_key"`
	Reason         string            `json:"reason"`
	Proposer       string            `json:"proposer"`
}

// planTag versions the text of a plan. A new field means a new tag.
const planTag = "reeve plan v1"

// Hash answers what an approver signs: SHA-256, in hex, over a canonical text
// of every field. No two plans share a text.
func Hash(p Plan) string {
	return digest(canonical(planTag, p.ID, p.Verb, p.Adapter, p.TargetHost, p.Target, p.Generation,
		p.Params, p.Preconditions, p.Expiry, p.IdempotencyKey, p.Reason, p.Proposer))
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// complete answers why a plan cannot be carried out by anybody.
func (p Plan) complete() error {
	for _, f := range []struct{ name, text string }{
		{"id", p.ID}, {"verb", p.Verb}, {"adapter", p.Adapter}, {"target host", p.TargetHost},
		{"target", p.Target}, {"idempotency key", p.IdempotencyKey}, {"proposer", p.Proposer},
	} {
		if f.text == "" {
			return refuse(Malformed, "the plan has no %s", f.name)
		}
	}
	if p.Expiry.IsZero() {
		return refuse(Malformed, "the plan has no end")
	}
	if !readable(p.ID, p.Verb, p.Adapter, p.TargetHost, p.Target, p.IdempotencyKey, p.Reason, p.Proposer) || !readableMap(p.Params) || !readableMap(p.Preconditions) {
		return refuse(Malformed, "the plan holds what is no text, so nobody could read what was approved")
	}
	return nil
}

func readable(all ...string) bool {
	for _, s := range all {
		if !utf8.ValidString(s) {
			return false
		}
	}
	return true
}

func readableMap(m map[string]string) bool {
	for k, v := range m {
		if !readable(k, v) {
			return false
		}
	}
	return true
}
