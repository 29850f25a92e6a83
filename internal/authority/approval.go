package authority

import (
	"crypto/ed25519"
	"time"
)

// A Decision is what an approver says to a plan.
type Decision string

// The decisions.
const (
	Approve Decision = "approve"
	Reject  Decision = "reject"
)

// An Approval is one person's signed decision on one plan.
type Approval struct {
	PlanHash  string    `json:"plan_hash"`
	Approver  string    `json:"approver" doc:"ID of the key that signed."`
	Decision  Decision  `json:"decision"`
	Reason    string    `json:"reason"`
	SignedAt  time.Time `json:"signed_at"`
	Expiry    time.Time `json:"expires_at"`
	Signature []byte    `json:"signature"`
}

// approvalTag keeps a signature on an approval from being one on anything
// else, in this version or another.
const approvalTag = "reeve approval v1"

// message is what is signed.
func (a Approval) message() []byte {
	return canonical(approvalTag, a.PlanHash, a.Approver, string(a.Decision), a.Reason, a.SignedAt, a.Expiry)
}

// Sign answers the approval with the approver and the signature of a key.
func (a Approval) Sign(key ed25519.PrivateKey) Approval {
	a.Approver = KeyID(key.Public().(ed25519.PublicKey))
	a.Signature = ed25519.Sign(key, a.message())
	return a
}

// check answers why an approval gives no authority at now. Doubt about the
// clock counts against it: what may have ended within maxSkew has ended.
func (a Approval) check(set ApproverSet, now time.Time, maxSkew time.Duration) error {
	key, ok := set.key(a.Approver)
	if !ok {
		return refuse(UnknownApprover, "key %q is not one that may approve", a.Approver)
	}
	if !ed25519.Verify(key.Public, a.message(), a.Signature) {
		return refuse(BadSignature, "the signature is not %s's on this approval", key.Name)
	}
	switch {
	case a.Decision != Approve:
		return refuse(NotApproved, "the decision was %q", a.Decision)
	case a.SignedAt.After(now.Add(maxSkew)):
		return refuse(SignedInFuture, "the approval was signed at %s, which is still to come", stamp(a.SignedAt))
	case a.SignedAt.Add(maxSkew).Before(key.Added):
		return refuse(SignedTooEarly, "the approval was signed at %s, before its key was one that may approve", stamp(a.SignedAt))
	case !now.Add(maxSkew).Before(a.Expiry):
		return refuse(ApprovalExpired, "the approval ended at %s", stamp(a.Expiry))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
