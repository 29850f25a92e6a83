package cli

import (
	"errors"
	"fmt"
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
	if exitCode(err) != exitWrongUse || !strings.Contains(err.Error(), "res_06h04fhhs5aaaaaaaaaaaaa") || !strings.Contains(err.Error(), "attic") {
		t.Error(err)
	}
	if _, err := choose("resource", "nothing", all); exitCode(err) != exitFailed {
		t.Error(err)
	}
}

func TestShortenedIDsStayApart(t *testing.T) {
	ids := []string{"fnd_06h04fhhs5aaaaaaaaaaaaa", "fnd_06h04fhhs5aaaaaaaaaaaab", "fnd_06h04zzzzzzzzzzzzzzzzzz"}
	short := shortened(ids)
	if short[ids[0]] == short[ids[1]] || len(shortened(ids[1:])[ids[1]]) != 17 {
		t.Error(short)
	}
}

func TestExitCodesFollowTheKindOfError(t *testing.T) {
	for kind, want := range map[ops.ErrorKind]int{ops.Invalid: exitWrongUse, ops.Forbidden: exitRefused, ops.Unauthentic: exitRefused, ops.NotFound: exitFailed, ops.Conflict: exitFailed, ops.Internal: exitFailed} {
		if got := exitCode(fmt.Errorf("x: %w", answered(ops.Errorf(kind, "m")))); got != want {
			t.Errorf("%s: %d", kind, got)
		}
	}
	if exitCode(dial.Unreachable{URL: "u", Cause: errors.New("x")}) != exitUnreachable || exitCode(wrongUse("x")) != exitWrongUse || exitCode(errors.New("x")) != exitFailed {
		t.Error("kinds of errors got mixed up")
	}
}
