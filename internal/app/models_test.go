package app

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reeve/internal/config"
	"reeve/internal/ops"
	"reeve/internal/secret"
)

func TestMistakesAboutModelsNameTheNearestWord(t *testing.T) {
	for want, change := range map[string]func(*config.Models){
		"named as provider:model": func(m *config.Models) { m.Patrol = []string{"gpt-5"} },
		"did you mean anthropic?": func(m *config.Models) { m.Chat = []string{"antropic:claude-haiku-5-5"} },
		"did you mean acme?": func(m *config.Models) {
			m.Chat, m.Providers = []string{"acne:x"}, map[string]config.Provider{"acme": {URL: "http://x"}}
		},
		"type \"olama\"; did you mean ollama?":   func(m *config.Models) { m.Providers = map[string]config.Provider{"acme": {Type: "olama"}} },
		"the secret file /none cannot be opened": func(m *config.Models) { m.Providers = map[string]config.Provider{"openai": {Key: "file:/none"}} },
		"variable REEVE_TEST_NONE is not set": func(m *config.Models) {
			m.Providers = map[string]config.Provider{"openai": {Key: "env:REEVE_TEST_NONE"}}
		},
		"there is no script NAME.txt": func(m *config.Models) { m.Chat = []string{"scripted:x"} },
		"must look like https://host": func(m *config.Models) { m.Providers = map[string]config.Provider{"acme": {URL: "nowhere"}} },
	} {
		c := config.Default()
		change(&c.Models)
		if err := CheckConfig(c); err == nil || !strings.Contains(err.Error(), want) || ops.KindOf(err) != ops.Invalid {
			t.Errorf("%s: %v", want, err)
		}
	}
	file := filepath.Join(t.TempDir(), "reeve.yaml")
	if err := os.WriteFile(file, []byte("models:\n  patrol:\n  - ollama:x\n  - olama:x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := config.Load(config.Sources{File: file})
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckConfig(c); err == nil || !strings.Contains(err.Error(), ":4: there is no provider \"olama\"") {
		t.Errorf("%v", err)
	}
}

func TestKeysComeFromWhereTheyWereSet(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "of openai")
	t.Setenv("MY_KEY", "of mine")
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("of the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, p := range map[string]config.Provider{
		"of openai": {}, "of mine": {Key: "env:MY_KEY"}, "of the file": {Key: "file:" + file}, "itself": {Key: "itself"},
		"": {URL: "http://127.0.0.1:8000"}, // The key of a provider goes to nobody else.
	} {
		if got, err := keyOfProvider(p, "openai", unopened); err != nil || got != want {
			t.Errorf("%q: %q %v", want, got, err)
		}
	}
	c := config.Default()
	c.Models.Patrol = []string{"openai:gpt-5", "gemini:gemini-2.5-flash"}
	o, err := modelsOf(c, unopened)
	if err != nil || o.Providers["openai"] == nil || o.Missing["openai"] != "" || !strings.Contains(o.Missing["gemini"], "GEMINI_API_KEY") {
		t.Errorf("%v %v", o.Missing, err)
	}
	if o.Ceilings.DayMicroUSD != 5_000_000 || o.Ceilings.RunInput != 20_000 {
		t.Errorf("%+v", o.Ceilings)
	}
}

func TestKeysOfModelsAreMasked(t *testing.T) {
	const canary = "sk-canary-77aa55"
	c := config.Default()
	c.Models.Providers = map[string]config.Provider{"acme": {Key: canary, URL: "https://user:" + canary + "@host/v1?key=" + canary}, "other": {Key: "env:X"}}
	text, err := json.Marshal(configView(c, "reeve.yaml"))
	if err != nil || strings.Contains(string(text), canary) || !strings.Contains(string(text), `"key":"[redacted]"`) {
		t.Errorf("%s %v", text, err)
	}
}

func TestPricesThatAPersonSetComeFirst(t *testing.T) {
	one, two := 1.0, 2.0
	prices, err := pricesOf([]config.Price{{Model: "openai:gpt-5", Input: &one, Output: &two}, {Model: "openai:gpt-5-mini"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := prices.Cost("openai:gpt-5", ops.Tokens{Input: 10, Output: 10}); got == nil || *got != 30 {
		t.Errorf("%v", got)
	}
	if prices.Cost("openai:gpt-5-mini", ops.Tokens{Input: 10}) != nil || prices.Of("openai:gpt-5-mini", 0).Window == 0 {
		t.Error("a price that a person calls unknown is known, or its window is lost")
	}
}

// A sealed key that cannot be opened keeps its provider from being asked, and
// nothing else: the server must run for a person to seal it anew.
func TestSealedKeysStopOnlyWhatNeedsThem(t *testing.T) {
	keeper := secret.New(t.TempDir())
	sealed, err := keeper.Seal("acme", "sk-1")
	if err != nil {
		t.Fatal(err)
	}
	open := opener(keeper, []ops.SealedSetting{{Name: "acme", Sealed: sealed}, {Name: "other", Sealed: sealed}})
	for name, want := range map[string]string{"acme": "", "acmee": "did you mean acme?", "quite-else": "`reeve secret set quite-else` seals it", "other": "sealed for another name"} {
		c := config.Default()
		c.Models.Providers = map[string]config.Provider{"acme": {URL: "http://127.0.0.1:1", Key: "sealed:" + name}}
		o, err := modelsOf(c, open)
		if err != nil || o.Providers["acme"] == nil || !strings.Contains(o.Missing["acme"], want) || (want == "") != (o.Missing["acme"] == "") {
			t.Errorf("%s: %q %v", name, o.Missing["acme"], err)
		}
		c.OIDC.Issuer, c.OIDC.ClientSecret = "https://id.example.org", "sealed:"+name
		if got, err := oidcOf(c, open); want == "" && (err != nil || got.ClientSecret != "sk-1") || want != "" && ops.KindOf(err) != ops.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
		c.Channels = []map[string]any{{"name": "hook", "type": "webhook", "url": "sealed:" + name}}
		if err := CheckConfig(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		c.Channels[0]["ulr"] = "x"
		if err := CheckConfig(c); err == nil || !strings.Contains(err.Error(), "did you mean url?") {
			t.Errorf("%s: %v", name, err)
		}
		c.Channels = nil
		c.Models.Providers["acme"] = config.Provider{Key: "sealed:No Name"}
		if err := CheckConfig(c); err == nil || !strings.Contains(err.Error(), "small letters") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
