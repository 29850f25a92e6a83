package notify

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reeve/internal/ops"
)

type sample struct {
	Name  string            `json:"name"`
	Mode  string            `json:"mode,omitempty" default:"a" enum:"a,b"`
	On    bool              `json:"on,omitempty"`
	Port  int               `json:"port,omitempty"`
	To    []string          `json:"to,omitempty"`
	Head  map[string]string `json:"head,omitempty"`
	Token Secret            `json:"token,omitempty"`
	Reach
}

func TestDecodeTakesValuesAndTexts(t *testing.T) {
	want := sample{Name: "n", Mode: "a", On: true, Port: 25, To: []string{"x", "y"}, Head: map[string]string{"k": "1"}, Token: NewSecret("s"), Reach: Reach{InsecureTLS: true}}
	for _, raw := range []map[string]any{
		{"name": "n", "on": true, "port": 25, "to": []any{"x", "y"}, "head": map[string]any{"k": 1}, "token": "s", "insecure_tls": true},
		{"name": "n", "on": "true", "port": "25", "to": "x, y,", "head": map[string]string{"k": "1"}, "token": "s", "insecure_tls": "true", "mode": ""},
	} {
		var got sample
		if err := Decode(raw, &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(Secret{})); d != "" {
			t.Error(d)
		}
	}
}

func TestDecodeNamesEverythingWrong(t *testing.T) {
	var got sample
	err := Decode(map[string]any{"mode": "c", "on": "maybe", "port": "x", "head": 3, "nmae": "n", "token": "file:/no/such/file"}, &got)
	_, fields := ops.Shown(err)
	for _, name := range []string{"name", "mode", "on", "port", "head", "nmae", "token"} {
		if fields[name] == "" {
			t.Errorf("%s is not named in %v", name, fields)
		}
	}
}

func TestSecretsComeFromFileAndEnvironmentAndAreMasked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(path, []byte("hidden\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("REEVE_TEST_SECRET", "hidden")
	sealed := func(name string) (string, error) {
		if name == "there" {
			return "hidden", nil
		}
		return NothingSealed(name)
	}
	for _, setting := range []string{"hidden", "file:" + path, "env:REEVE_TEST_SECRET", "sealed:there"} {
		s, err := ReadSecret(setting, sealed)
		if err != nil || s.Reveal() != "hidden" {
			t.Errorf("%s: %v", setting, err)
		}
		text, err := json.Marshal(map[string]Secret{"s": s})
		if err != nil {
			t.Fatal(err)
		}
		var logged strings.Builder
		slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "s", s)
		for _, shown := range []string{s.String(), fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, s), string(text), logged.String()} {
			if strings.Contains(shown, "hidden") {
				t.Errorf("shown: %s", shown)
			}
		}
	}
	for _, setting := range []string{"file:/no/such", "env:REEVE_NO_SUCH_VARIABLE", "sealed:nowhere"} {
		if _, err := ReadSecret(setting, sealed); ops.KindOf(err) != ops.Invalid {
			t.Errorf("%s: %v", setting, err)
		}
	}
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, make([]byte, secretLimitBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSecret("file:"+big, NothingSealed); err == nil {
		t.Error("a huge file was taken")
	}
}
