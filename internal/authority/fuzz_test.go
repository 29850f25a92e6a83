package authority_test

import (
	"encoding/json"
	"testing"

	"reeve/internal/authority"
)

// FuzzTicket: no bytes crash the decoder or the check, and the only ticket of
// ann's that passes is the one that she approved.
func FuzzTicket(f *testing.F) {
	good, err := json.Marshal(ticket())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	want := ticket()
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := authority.Decode(data)
		if err != nil {
			if codeOf(err) != authority.Malformed {
				t.Fatal(err)
			}
			return
		}
		if authority.Check(got, first, now, host, skew) == nil && authority.Hash(got.Plan) != authority.Hash(want.Plan) {
			t.Fatalf("nobody approved %+v", got.Plan)
		}
		text, err := json.Marshal(got)
		if err != nil {
			return // a time that JSON cannot write
		}
		again, err := authority.Decode(text)
		if err != nil || authority.Hash(again.Plan) != authority.Hash(got.Plan) {
			t.Fatalf("%+v was sent and read as %+v: %v", got, again, err)
		}
	})
}
