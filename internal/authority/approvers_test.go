package authority_test

import (
	"crypto/ed25519"
	"slices"
	"testing"

	"reeve/internal/authority"
)

func keys(all ...authority.ApproverKey) []authority.ApproverKey { return all }

func TestAChainOfApproversIsWalkedFromThePinnedRoot(t *testing.T) {
	second := first.Next(keys(public("bob", bob), public("eve", keyOf("eve"))), ann)
	third := second.Next(keys(public("eve", keyOf("eve"))), bob)
	all := []authority.ApproverSet{first, second, third}
	got, err := authority.Chain(first.Hash(), all)
	if err != nil || got.Hash() != third.Hash() {
		t.Fatalf("%+v, %v", got, err)
	}
	for name, c := range map[string]struct {
		pin  string
		sets []authority.ApproverSet
		code authority.Code
	}{
		"nothing":        {first.Hash(), nil, authority.BadSet},
		"no pin":         {"", all, authority.WrongRoot},
		"another root":   {second.Hash(), all, authority.WrongRoot},
		"no root":        {second.Hash(), all[1:], authority.WrongVersion},
		"one is skipped": {first.Hash(), []authority.ApproverSet{first, third}, authority.WrongVersion},
		"going back":     {first.Hash(), []authority.ApproverSet{first, second, first}, authority.WrongVersion},
	} {
		if _, err := authority.Chain(c.pin, c.sets); codeOf(err) != c.code {
			t.Errorf("%s: %v (%q), want %q", name, err, codeOf(err), c.code)
		}
	}
	if err := authority.Check(ticket(), third, now, host, skew); codeOf(err) != authority.UnknownApprover {
		t.Errorf("a key that was taken out: %v", err)
	}
}

// TestASetOfApproversIsRefused: whatever does not follow, and whatever was
// changed after it was signed.
func TestASetOfApproversIsRefused(t *testing.T) {
	eve := public("eve", keyOf("eve"))
	good := first.Next(keys(public("ann", ann), eve), ann)
	other := authority.ApproverSet{Version: 1, Keys: keys(public("mal", mal))}
	unnamed, wrong := eve, eve
	unnamed.Name, wrong.ID = "", public("ann", ann).ID
	short := eve
	short.Public = short.Public[:31]
	many := make([]authority.ApproverKey, 65)
	for i := range many {
		many[i] = public("many", keyOf(string(rune('A'+i))))
	}
	for name, c := range map[string]struct {
		next authority.ApproverSet
		code authority.Code
	}{
		"by a stranger":                {first.Next(keys(eve), mal), authority.UnknownApprover},
		"by a key that it brings":      {first.Next(keys(eve), keyOf("eve")), authority.UnknownApprover},
		"of another chain":             {other.Next(keys(eve), mal), authority.WrongPredecessor},
		"the same again":               {first, authority.WrongVersion},
		"without keys":                 {first.Next(nil, ann), authority.BadSet},
		"with too many keys":           {first.Next(many, ann), authority.BadSet},
		"with a key twice":             {first.Next(keys(eve, eve), ann), authority.BadSet},
		"with a key without name":      {first.Next(keys(unnamed), ann), authority.BadSet},
		"with another key's ID":        {first.Next(keys(wrong), ann), authority.BadSet},
		"with a key that is too short": {first.Next(keys(short), ann), authority.BadSet},
		"with a key more":              {changed(good, func(s *authority.ApproverSet) { s.Keys = append(s.Keys, public("mal", mal)) }), authority.BadSignature},
		"with a name changed":          {changed(good, func(s *authority.ApproverSet) { s.Keys[1].Name = "ann" }), authority.BadSignature},
		"with another signer":          {changed(good, func(s *authority.ApproverSet) { s.SignedBy = public("bob", bob).ID }), authority.BadSignature},
		"unsigned":                     {changed(good, func(s *authority.ApproverSet) { s.Signature = nil }), authority.BadSignature},
	} {
		if err := authority.Follows(first, c.next); codeOf(err) != c.code {
			t.Errorf("%s: %v (%q), want %q", name, err, codeOf(err), c.code)
		}
	}
	if err := authority.Follows(first, good); err != nil {
		t.Error(err)
	}
}

func changed(s authority.ApproverSet, change func(*authority.ApproverSet)) authority.ApproverSet {
	s.Keys = slices.Clone(s.Keys)
	change(&s)
	return s
}

// TestASignatureIsForOneThing: a set's signature is none on an approval, and
// the other way round.
func TestASignatureIsForOneThing(t *testing.T) {
	next := first.Next(keys(public("ann", ann)), ann)
	bad := ticket()
	bad.Approval.Signature = next.Signature
	if err := authority.Check(bad, first, now, host, skew); codeOf(err) != authority.BadSignature {
		t.Error(err)
	}
	next.Signature = ticket().Approval.Signature
	if err := authority.Follows(first, next); codeOf(err) != authority.BadSignature {
		t.Error(err)
	}
	bad.Approval.Signature = ed25519.Sign(ann, []byte(bad.Approval.PlanHash))
	if err := authority.Check(bad, first, now, host, skew); codeOf(err) != authority.BadSignature {
		t.Error(err)
	}
}
