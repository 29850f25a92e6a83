package turn_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"reeve/internal/llm"
	"reeve/internal/ops"
	"reeve/internal/turn"
)

func veiled() []ops.Resource {
	return []ops.Resource{
		{ID: "res_1", Kind: ops.KindHost, Name: "acme-web.example.org", HostName: "acme-web.example.org"},
		{ID: "res_2", Kind: ops.KindContainer, Name: "payroll", HostName: "acme-web.example.org", Labels: map[string]string{"team": "finance-acme", "on": "true"}},
		{ID: "res_3", Kind: ops.KindContainer, Name: "payroll-db", HostName: "acme-web.example.org"},
		{ID: "res_4", Kind: ops.KindFilesystem, Name: "/", HostName: "acme-web.example.org"},
		{ID: "res_5", Kind: ops.KindFilesystem, Name: "/srv/acme", HostName: "acme-web.example.org"},
		{ID: "res_6", Kind: ops.KindInterface, Name: "eth0", HostName: "acme-web.example.org"},
		{ID: "res_7", Kind: ops.KindHost, Name: "container-1", HostName: "container-1"},
		{ID: "res_8", Kind: ops.KindComponent, Name: "collector smart", HostName: "acme-web.example.org"},
	}
}

func TestVeilHidesNamesAndPutsThemBack(t *testing.T) {
	v := turn.NewVeil(veiled())
	for in, want := range map[string]string{
		"payroll on acme-web.example.org": "container-1 on host-1",
		"payroll-db, not payroll":         "container-2, not container-1",
		"/srv/acme/x is on / of acme-web": "filesystem-1/x is on / of host-2",
		"eth0 of container-1":             "eth0 of host-3",
		"payrolls of the payroller":       "payrolls of the payroller",
		"team=finance-acme on=true":       "team=label-1 on=true",
		"container-9 is nobody":           "container~-9 is nobody",
		"host~-1 and host~~-2":            "host~~-1 and host~~~-2",
		"collector smart":                 "collector smart",
		"payroll2, payroll_2, 2payroll":   "payroll2, container-1_2, 2payroll",
	} {
		if got := v.Hide(in); got != want {
			t.Errorf("%q is hidden as %q, want %q", in, got, want)
		}
		if back := v.Show(v.Hide(in)); back != in {
			t.Errorf("%q comes back as %q", in, back)
		}
	}
	if v.Show("look at container-2 on host-1.") != "look at payroll-db on acme-web.example.org." || v.Show("container-77") != "container-77" {
		t.Error("what a model says is not put back")
	}
	var none *turn.Veil
	if none.Hide("payroll") != "payroll" || none.Show("host-1") != "host-1" {
		t.Error("a veil that is none changes something")
	}
}

func TestPseudonymsStayWhenResourcesCome(t *testing.T) {
	before, after := turn.NewVeil(veiled()), turn.NewVeil(append(veiled(), ops.Resource{ID: "res_9", Kind: ops.KindContainer, Name: "aaa-first"}))
	for _, r := range veiled() {
		if before.Hide(r.Name) != after.Hide(r.Name) {
			t.Errorf("%s was %s and is %s", r.Name, before.Hide(r.Name), after.Hide(r.Name))
		}
	}
}

// TestVeilIsUndoneExactly holds for texts made of names, pseudonyms and
// anything else; and no name stands in what was hidden but as a pseudonym.
func TestVeilIsUndoneExactly(t *testing.T) {
	kinds := []ops.Kind{ops.KindHost, ops.KindContainer, ops.KindUnit, ops.KindFilesystem, ops.KindCheck}
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.OneOf(rapid.SampledFrom([]string{"host-1", "container-2", "web", "web-1", "db.lan", "/srv/x", "label-3", "ünïcode", "a b c", "x~-1", "-lead", "trail-"}), rapid.StringMatching(`[a-z0-9/._-]{1,9}`))
		var resources []ops.Resource
		for i, n := range rapid.SliceOfN(name, 1, 8).Draw(rt, "names") {
			resources = append(resources, ops.Resource{ID: fmt.Sprintf("res_%d", i), Kind: rapid.SampledFrom(kinds).Draw(rt, "kind"), Name: n, HostName: "web-1"})
		}
		v := turn.NewVeil(resources)
		piece := rapid.OneOf(name, rapid.SampledFrom([]string{" ", "-", "~", "1", "7", ": ", "host", "container-", "\"", "\n", "host~-4"}), rapid.String())
		text := strings.Join(rapid.SliceOfN(piece, 0, 12).Draw(rt, "text"), rapid.SampledFrom([]string{"", " "}).Draw(rt, "between"))
		hidden := v.Hide(text)
		if back := v.Show(hidden); back != text {
			rt.Fatalf("%q is hidden as %q and comes back as %q", text, hidden, back)
		}
		if again := v.Hide(text); again != hidden {
			rt.Fatalf("%q is hidden as %q and as %q", text, hidden, again)
		}
		for _, r := range resources {
			p := v.Hide(r.Name)
			if p == r.Name || strings.ContainsAny(r.Name, "~") || isPseudonym(r.Name) {
				continue
			}
			for word := range strings.FieldsSeq(hidden) {
				if word == r.Name {
					rt.Fatalf("%q still says %q", hidden, r.Name)
				}
			}
		}
	})
}

func isPseudonym(name string) bool {
	_, number, ok := strings.Cut(name, "-")
	return ok && strings.TrimFunc(number, unicode.IsDigit) == ""
}

func TestModelNeverSeesAVeiledName(t *testing.T) {
	b := &box{answer: func(w string) string { return "payroll says " + w }}
	s := &script{replies: []llm.Reply{reply(llm.Part{Text: "I look at container-1."}, call("a", "look", `{"word":"host-1"}`)), reply(llm.Part{Text: "container-1 on host-1 is fine."})}}
	j := job(s, b, turn.Limits{})
	j.Veil = turn.NewVeil(veiled())
	j.Seed = []llm.Message{llm.Say(llm.User, "What of payroll on acme-web.example.org?")}
	j.Ask = func(ctx context.Context, r llm.Request, see func(llm.Event)) (llm.Reply, error) {
		text, err := json.Marshal(r)
		if err != nil || strings.Contains(string(text), "payroll") || strings.Contains(string(text), "acme") {
			t.Errorf("sent %s (%v)", text, err)
		}
		s.requests = append(s.requests, r)
		next := s.replies[len(s.requests)-1]
		for _, c := range next.Message.Text() {
			see(llm.Event{Text: string(c)})
		}
		return next, nil
	}
	var said strings.Builder
	j.See = func(e turn.Event) {
		if e.Kind == turn.SeeText {
			said.WriteString(e.Text)
		}
	}
	r, err := turn.Run(t.Context(), j)
	if err != nil || r.Text != "payroll on acme-web.example.org is fine." {
		t.Fatalf("%q %v", r.Text, err)
	}
	if string(r.Calls[0].Input) != `{"word":"acme-web.example.org"}` {
		t.Errorf("the tool was given %s", r.Calls[0].Input)
	}
	if said.String() != "I look at payroll.payroll on acme-web.example.org is fine." {
		t.Errorf("a person was shown %q", said.String())
	}
}
