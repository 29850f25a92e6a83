package llm

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// A Listing is a model that a provider says it has.
type Listing struct {
	Name   string
	Window int64  // context in tokens; 0 when the provider does not say
	Digest string // of its weights, where the provider says it; a new one is a new model
}

// A Lister is a provider that can name its models. Errors are of type *Error.
type Lister interface {
	List(ctx context.Context) ([]Listing, error)
}

var (
	_ Lister = anthropicProvider{}
	_ Lister = openaiProvider{}
	_ Lister = geminiProvider{}
	_ Lister = &ollamaProvider{}
)

// get asks for one JSON object.
func (w *wire) get(ctx context.Context, method, path string, header map[string]string, body, into any) error {
	_, err := w.do(ctx, call{method: method, path: path, header: header, body: body, form: "application/json", read: readWhole, each: func(b []byte) error {
		if err := json.Unmarshal(b, into); err != nil {
			return malformed(err)
		}
		return nil
	}})
	return err
}

// List names the models of the account.
func (p anthropicProvider) List(ctx context.Context) ([]Listing, error) {
	var got struct {
		Data []struct {
			ID     string `json:"id"`
			Window int64  `json:"max_input_tokens"`
		} `json:"data"`
	}
	if err := p.w.get(ctx, http.MethodGet, "/v1/models?limit=1000", p.header(), nil, &got); err != nil {
		return nil, err
	}
	var all []Listing
	for _, m := range got.Data {
		all = append(all, Listing{Name: m.ID, Window: count(m.Window)})
	}
	return all, nil
}

// List names the models of the server. The context is what vLLM, OpenRouter
// and llama.cpp add to the protocol.
func (p openaiProvider) List(ctx context.Context) ([]Listing, error) {
	var got struct {
		Data []struct {
			ID      string `json:"id"`
			Max     int64  `json:"max_model_len"`
			Context int64  `json:"context_length"`
			Meta    struct {
				Context int64 `json:"n_ctx_train"`
			} `json:"meta"`
		} `json:"data"`
	}
	if err := p.w.get(ctx, http.MethodGet, "/models", p.header(), nil, &got); err != nil {
		return nil, err
	}
	var all []Listing
	for _, m := range got.Data {
		all = append(all, Listing{Name: m.ID, Window: count(max(m.Max, m.Context, m.Meta.Context))})
	}
	return all, nil
}

// List names the models that can be asked for text.
func (p geminiProvider) List(ctx context.Context) ([]Listing, error) {
	var got struct {
		Models []struct {
			Name    string   `json:"name"`
			Window  int64    `json:"inputTokenLimit"`
			Methods []string `json:"supportedGenerationMethods"`
		} `json:"models"`
	}
	if err := p.w.get(ctx, http.MethodGet, "/models?pageSize=1000", p.header(), nil, &got); err != nil {
		return nil, err
	}
	var all []Listing
	for _, m := range got.Models {
		if len(m.Methods) == 0 || slices.Contains(m.Methods, "generateContent") {
			all = append(all, Listing{Name: strings.TrimPrefix(m.Name, "models/"), Window: count(m.Window)})
		}
	}
	return all, nil
}

// List names the models on the server, with the context that each was made
// for.
func (p *ollamaProvider) List(ctx context.Context) ([]Listing, error) {
	var got struct {
		Models []struct {
			Name   string `json:"name"`
			Digest string `json:"digest"`
		} `json:"models"`
	}
	if err := p.w.get(ctx, http.MethodGet, "/api/tags", p.header(), nil, &got); err != nil {
		return nil, err
	}
	var all []Listing
	for _, m := range got.Models {
		all = append(all, Listing{Name: m.Name, Window: p.windowOf(ctx, m.Name), Digest: m.Digest})
	}
	return all, nil
}

// show asks what a model is. Its context is under the name of its family:
// "llama.context_length".
func (p *ollamaProvider) show(ctx context.Context, model string) (Listing, error) {
	var got struct {
		Info map[string]any `json:"model_info"`
	}
	if err := p.w.get(ctx, http.MethodPost, "/api/show", p.header(), map[string]string{"model": model}, &got); err != nil {
		return Listing{}, err
	}
	l := Listing{Name: model}
	for _, name := range slices.Sorted(maps.Keys(got.Info)) {
		if n, ok := got.Info[name].(float64); ok && strings.HasSuffix(name, ".context_length") {
			l.Window = count(int64(n))
		}
	}
	return l, nil
}
