package authority_test

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reeve/internal/authority"
	"reeve/internal/ops"
)

var (
	now  = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	skew = 5 * time.Second

	ann   = keyOf("ann")
	bob   = keyOf("bob")
	mal   = keyOf("mal")
	first = authority.ApproverSet{Version: 1, Keys: []authority.ApproverKey{public("ann", ann), public("bob", bob)}}
)

const host = "res_host"

// keyOf answers a key of a name, so that the corpus of the fuzzer stays valid.
func keyOf(name string) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte((name + strings.Repeat("-", 32))[:32]))
}

func public(name string, key ed25519.PrivateKey) authority.ApproverKey {
	p := key.Public().(ed25519.PublicKey)
	return authority.ApproverKey{ID: authority.KeyID(p), Public: p, Name: name, Added: now.Add(-24 * time.Hour)}
}

func plan() authority.Plan {
	return authority.Plan{
		ID: "act_1", Verb: "restart", Adapter: "docker", TargetHost: host, Target: "res_web", Generation: 7,
		Params: map[string]string{"timeout": "10"}, Preconditions: map[string]string{"state": "running"},
		Expiry: now.Add(time.Hour), IdempotencyKey: "idk_1", Reason: "it hangs", Proposer: "usr_cat",
	}
}

func approve(p authority.Plan, key ed25519.PrivateKey) authority.Approval {
	return authority.Approval{
		PlanHash: authority.Hash(p), Decision: authority.Approve, Reason: "yes",
		SignedAt: now.Add(-time.Minute), Expiry: now.Add(30 * time.Minute),
	}.Sign(key)
}

func ticket() authority.Ticket {
	p := plan()
	return authority.Ticket{Plan: p, Approval: approve(p, ann), Fence: 3, Deadline: now.Add(2 * time.Minute)}
}

func codeOf(err error) authority.Code {
	if r, ok := errors.AsType[*authority.Refusal](err); ok {
		return r.Code
	}
	return ""
}

func TestAGoodTicketIsLeaveToAct(t *testing.T) {
	if err := authority.Check(ticket(), first, now, host, skew); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(ticket())
	if err != nil {
		t.Fatal(err)
	}
	got, err := authority.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := authority.Check(got, first, now, host, skew); err != nil {
		t.Errorf("after it was sent: %v", err)
	}
}

// resigned changes an approval and lets a key sign it.
func resigned(key ed25519.PrivateKey, change func(*authority.Approval)) func(*authority.Ticket) {
	return func(t *authority.Ticket) {
		change(&t.Approval)
		t.Approval = t.Approval.Sign(key)
	}
}

// replanned changes a plan and lets it be approved.
func replanned(change func(*authority.Plan)) func(*authority.Ticket) {
	return func(t *authority.Ticket) {
		change(&t.Plan)
		t.Approval = approve(t.Plan, ann)
	}
}

func TestATicketIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*authority.Ticket)
		code   authority.Code
	}{
		"no fence":                      {func(t *authority.Ticket) { t.Fence = 0 }, authority.Malformed},
		"no deadline":                   {func(t *authority.Ticket) { t.Deadline = time.Time{} }, authority.Malformed},
		"no id":                         {replanned(func(p *authority.Plan) { p.ID = "" }), authority.Malformed},
		"no verb":                       {replanned(func(p *authority.Plan) { p.Verb = "" }), authority.Malformed},
		"no adapter":                    {replanned(func(p *authority.Plan) { p.Adapter = "" }), authority.Malformed},
		"no host":                       {replanned(func(p *authority.Plan) { p.TargetHost = "" }), authority.Malformed},
		"no target":                     {replanned(func(p *authority.Plan) { p.Target = "" }), authority.Malformed},
		"no idempotency key":            {replanned(func(p *authority.Plan) { p.IdempotencyKey = "" }), authority.Malformed},
		"no proposer":                   {replanned(func(p *authority.Plan) { p.Proposer = "" }), authority.Malformed},
		"no end":                        {replanned(func(p *authority.Plan) { p.Expiry = time.Time{} }), authority.Malformed},
		"no text":                       {replanned(func(p *authority.Plan) { p.Reason = "\xff" }), authority.Malformed},
		"no text in a parameter":        {replanned(func(p *authority.Plan) { p.Params["x"] = "\xff" }), authority.Malformed},
		"another host":                  {replanned(func(p *authority.Plan) { p.TargetHost = "res_other" }), authority.WrongHost},
		"another plan":                  {func(t *authority.Ticket) { t.Plan.Target = "res_db" }, authority.HashMismatch},
		"another generation":            {func(t *authority.Ticket) { t.Plan.Generation++ }, authority.HashMismatch},
		"one more parameter":            {func(t *authority.Ticket) { t.Plan.Params = map[string]string{"timeout": "10", "force": "1"} }, authority.HashMismatch},
		"one precondition less":         {func(t *authority.Ticket) { t.Plan.Preconditions = nil }, authority.HashMismatch},
		"a parameter as a precondition": {func(t *authority.Ticket) { t.Plan.Params, t.Plan.Preconditions = t.Plan.Preconditions, t.Plan.Params }, authority.HashMismatch},
		"rejected":                      {resigned(ann, func(a *authority.Approval) { a.Decision = authority.Reject }), authority.NotApproved},
		"no decision":                   {resigned(ann, func(a *authority.Approval) { a.Decision = "" }), authority.NotApproved},
		"a stranger's key":              {resigned(mal, func(*authority.Approval) {}), authority.UnknownApprover},
		"another approver's name":       {func(t *authority.Ticket) { t.Approval.Approver = public("bob", bob).ID }, authority.BadSignature},
		"no signature":                  {func(t *authority.Ticket) { t.Approval.Signature = nil }, authority.BadSignature},
		"a longer life":                 {func(t *authority.Ticket) { t.Approval.Expiry = t.Approval.Expiry.Add(time.Hour) }, authority.BadSignature},
		"signed in the future":          {resigned(ann, func(a *authority.Approval) { a.SignedAt = now.Add(skew + 1) }), authority.SignedInFuture},
		"signed before the key counted": {resigned(ann, func(a *authority.Approval) { a.SignedAt = now.Add(-25 * time.Hour) }), authority.SignedTooEarly},
		"the approval ended":            {resigned(ann, func(a *authority.Approval) { a.Expiry = now.Add(skew) }), authority.ApprovalExpired},
		"the plan ended":                {replanned(func(p *authority.Plan) { p.Expiry = now.Add(skew) }), authority.PlanExpired},
		"too late":                      {func(t *authority.Ticket) { t.Deadline = now.Add(skew) }, authority.DeadlinePassed},
		"may begin after the approval":  {func(t *authority.Ticket) { t.Deadline = now.Add(31 * time.Minute) }, authority.DeadlineTooLate},
	} {
		t.Run(name, func(t *testing.T) {
			bad := ticket()
			c.change(&bad)
			err := authority.Check(bad, first, now, host, skew)
			if codeOf(err) != c.code {
				t.Fatalf("%v (%q), want %q", err, codeOf(err), c.code)
			}
			if text, _ := ops.Shown(err); text == "" || ops.KindOf(err) != ops.Forbidden {
				t.Errorf("nobody is told why: %q", text)
			}
		})
	}
}

func TestWithoutASetAHostOrAClockNothingIsValid(t *testing.T) {
	for name, err := range map[string]error{
		"no set":    authority.Check(ticket(), authority.ApproverSet{}, now, host, skew),
		"no host":   authority.Check(ticket(), first, now, "", skew),
		"no clock":  authority.Check(ticket(), first, time.Time{}, host, skew),
		"no skew":   authority.Check(ticket(), first, now, host, -1),
		"nothing":   authority.Check(authority.Ticket{}, first, now, host, skew),
		"too early": authority.Check(ticket(), first, now.Add(-time.Hour), host, skew),
	} {
		if codeOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNoTwoPlansShareAHash tries neighbours: texts that move from one field to
// the next, from a key to its value, from one map to the other.
func TestNoTwoPlansShareAHash(t *testing.T) {
	word := rapid.SampledFrom([]string{"", "a", "b", "ab", `"`, `","`, `[`, `]`, "\\", "\u2028", "<", "\ufffd", "\xff", "\xfe", "base64", "/w=="})
	pairs := rapid.MapOfN(word, word, 0, 2)
	draw := rapid.Custom(func(t *rapid.T) authority.Plan {
		return authority.Plan{
			ID: word.Draw(t, "id"), Verb: word.Draw(t, "verb"), Target: word.Draw(t, "target"), Reason: word.Draw(t, "reason"),
			Generation: rapid.Int64Range(0, 1).Draw(t, "generation"), Params: pairs.Draw(t, "params"), Preconditions: pairs.Draw(t, "preconditions"),
			Expiry: time.Unix(rapid.Int64Range(0, 1).Draw(t, "s"), rapid.Int64Range(0, 1).Draw(t, "ns")),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		seen := map[string]authority.Plan{}
		for _, p := range rapid.SliceOfN(draw, 2, 30).Draw(t, "plans") {
			h := authority.Hash(p)
			if o, ok := seen[h]; ok && !samePlan(o, p) {
				t.Fatalf("%+v and %+v share a hash", o, p)
			}
			seen[h] = p
		}
	})
}

func samePlan(a, b authority.Plan) bool {
	return a.ID == b.ID && a.Verb == b.Verb && a.Target == b.Target && a.Reason == b.Reason && a.Generation == b.Generation &&
		a.Expiry.Equal(b.Expiry) && maps.Equal(a.Params, b.Params) && maps.Equal(a.Preconditions, b.Preconditions)
}

// TestTheHashOfAPlanStays: what was approved before an update is approved
// after it.
func TestTheHashOfAPlanStays(t *testing.T) {
	const want = "83618b955b285a6f09f8be829d8eeb1dae30c6351c700518f644601bee21c6e0"
	if got := authority.Hash(plan()); got != want {
		t.Errorf("%s: a change of the text needs another tag", got)
	}
}
