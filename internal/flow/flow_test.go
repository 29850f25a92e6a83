package flow_test

import (
	"errors"
	"strings"
	"testing"

	"reeve/internal/flow"
)

type state string
type event string

var door = flow.New("door", state("open"), flow.Table[state, event]{
	"open":   {"close": "shut"},
	"shut":   {"open": "open", "nail": "nailed"},
	"nailed": {},
})

func TestOnlyListedMovesAreLegal(t *testing.T) {
	if to, err := door.Next("shut", "nail"); to != "nailed" || err != nil {
		t.Fatal(to, err)
	}
	to, err := door.Next("open", "nail")
	var illegal *flow.IllegalError
	if to != "open" || !errors.As(err, &illegal) || illegal.On != "nail" || !strings.Contains(err.Error(), "cannot nail while open") {
		t.Fatal(to, err)
	}
	if !door.Final("nailed") || door.Final("shut") || door.Start() != "open" || len(door.States()) != 3 || len(door.Events("shut")) != 2 {
		t.Fatal(door)
	}
}

func TestAnUnreachableStateIsAMistake(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("accepted")
		}
	}()
	flow.New("x", state("a"), flow.Table[state, event]{"a": {}, "b": {"e": "a"}})
}

func TestMermaidNamesEveryMove(t *testing.T) {
	text := door.Mermaid()
	for _, line := range []string{"[*] --> open", "open --> shut: close", "shut --> nailed: nail", "nailed --> [*]"} {
		if !strings.Contains(text, line) {
			t.Errorf("%q is missing in\n%s", line, text)
		}
	}
}
