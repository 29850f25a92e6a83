package client

import (
	"errors"
	"strings"
	"testing"

	"reeve/internal/dial"
	"reeve/internal/ops"
)

func TestChooseTakesWhatIsMeantAndListsWhatMayBe(t *testing.T) {
	all := resourceCandidates([]ops.Resource{
		{ID: "res_06h04fhhs5aaaaaaaaaaaaa", Kind: ops.KindContainer, Name: "web", HostName: "nas"},
		{ID: "res_06h04fhhs5bbbbbbbbbbbbb", Kind: ops.KindContainer, Name: "web", HostName: "attic"},
		{ID: "res_06h04ghhs5ccccccccccccc", Kind: ops.KindService, Name: "shop/web", HostName: "nas"},
		{ID: "res_06h04ghhs5ddddddddddddd", Kind: ops.KindFilesystem, Name: "/", HostName: "nas"},
		{ID: "res_06h04ghhs5eeeeeeeeeeeee", Kind: ops.KindFilesystem, Name: "/data", HostName: "nas"},
	})
	for typed, want := range map[string]string{"shop/web": "res_06h04ghhs5ccccccccccccc", "web@attic": "res_06h04fhhs5bbbbbbbbbbbbb", "/": "res_06h04ghhs5ddddddddddddd",
		"filesystem:/data@nas": "res_06h04ghhs5eeeeeeeeeeeee", "res_06h04ghhs5e": "res_06h04ghhs5eeeeeeeeeeeee", "shop": "res_06h04ghhs5ccccccccccccc"} {
		if got, err := choose("resource", typed, all); err != nil || got != want {
			t.Errorf("%s: %q %v", typed, got, err)
		}
	}
	_, err := choose("resource", "web", all)
	_, wrong := errors.AsType[dial.Misuse](err)
	if !wrong || !strings.Contains(err.Error(), "res_06h04fhhs5aaaaaaaaaaaaa") || !strings.Contains(err.Error(), "attic") {
		t.Error(err)
	}
	_, err = choose("resource", "nothing", all)
	if e, ok := errors.AsType[dial.Answered](err); !ok || e.Cause.Kind != ops.NotFound {
		t.Error(err)
	}
}
