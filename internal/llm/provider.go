package llm

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"reeve/internal/ops"
	"reeve/internal/redact"
)

// ProviderOptions say how a provider is reached.
type ProviderOptions struct {
	Type   string // anthropic, openai, deepseek, gemini or ollama; "": what the name says, openai for other names
	URL    string // "": the provider's own
	Key    string
	Window int64 // context window of its models in tokens; 0 for the usual one of the type

	Timeout     time.Duration // of one call, until its last byte
	IdleTimeout time.Duration // how long a reply that has begun may stand still

	RecordDir string // where to keep every exchange without its secrets; "" for nowhere
	ReplayDir string // where to find the replies instead of asking; "" to ask
}

const (
	callTimeout = 5 * time.Minute
	idleTimeout = time.Minute
)

// A kind is one way to speak, under the name that settings call it by.
type kind struct {
	url    string // of the provider itself
	path   string // added to an address without one
	key    bool   // whether the provider itself takes nobody without
	window int64  // of the smallest of its present models in tokens; 0 when they differ too much
	open   func(*wire) Provider
}

var kinds = map[string]kind{
	"anthropic": {url: "https://api.anthropic.com", key: true, window: 200_000, open: newAnthropic},
	"openai":    {url: "https://api.openai.com/v1", path: "/v1", key: true, open: newOpenAI},
	"deepseek":  {url: "https://api.deepseek.com/v1", path: "/v1", key: true, window: 131_072, open: newDeepSeek},
	"gemini":    {url: "https://generativelanguage.googleapis.com/v1beta", path: "/v1beta", key: true, window: 1_048_576, open: newGemini},
	"ollama":    {url: "http://127.0.0.1:11434", open: newOllama},
}

// TypeOf answers the type of a provider that names none.
func TypeOf(name string) string {
	if _, ok := kinds[name]; ok {
		return name
	}
	return "openai"
}

// OpenProvider makes the provider of a name; nothing is sent yet. Providers
// that can name their models are Listers.
func OpenProvider(name string, o ProviderOptions) (Provider, error) {
	if o.Type == "" {
		o.Type = TypeOf(name)
	}
	k, ok := kinds[o.Type]
	if !ok {
		return nil, ops.Errorf(ops.Invalid, "provider %s: %q is no type; the types are %s", name, redact.Line(o.Type, 40), strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
	}
	w := &wire{name: name, kind: o.Type, key: o.Key, window: o.Window, needsKey: k.key && o.URL == ""}
	if w.window == 0 {
		w.window = k.window
	}
	if w.base = strings.TrimRight(o.URL, "/"); w.base == "" {
		w.base = k.url
	}
	u, err := url.Parse(w.base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, ops.Errorf(ops.Invalid, "provider %s: its address must look like https://host or http://host:port", name)
	}
	if u.Path == "" {
		w.base += k.path
	}
	next, err := layers(o)
	if err != nil {
		return nil, err
	}
	if w.timeout = o.Timeout; w.timeout <= 0 {
		w.timeout = callTimeout
	}
	idle := o.IdleTimeout
	if idle <= 0 {
		idle = idleTimeout
	}
	w.client = &http.Client{
		Transport:     &transport{next: next, idle: idle, limit: maxReplyBytes},
		CheckRedirect: sameHost,
	}
	return k.open(w), nil
}

// layers answers what is below the transport: the network, a recorder over
// it, or recordings alone.
func layers(o ProviderOptions) (http.RoundTripper, error) {
	if o.ReplayDir != "" {
		return openReplay(o.ReplayDir)
	}
	if o.RecordDir != "" {
		return openRecorder(o.RecordDir, network())
	}
	return network(), nil
}
