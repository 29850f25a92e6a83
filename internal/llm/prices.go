package llm

import (
	"bytes"
	_ "embed"
	"fmt"
	"math"
	"strings"

	"github.com/goccy/go-yaml"

	"reeve/internal/ops"
)

//go:embed prices.yaml
var priceTable []byte

// A Price is a row of the price table: US dollars a million tokens, nil where
// unknown. Cached and CacheWrite default to Input.
type Price struct {
	Model      string   `yaml:"model" json:"model" doc:"provider:model; * matches."`
	UpTo       int64    `yaml:"up_to" json:"up_to_tokens" doc:"Of the prompt: a longer one has another price; 0 for any."`
	Input      *float64 `yaml:"input" json:"input" doc:"US dollars a million input tokens; null when unknown."`
	Output     *float64 `yaml:"output" json:"output" doc:"US dollars a million output tokens; null when unknown."`
	Cached     *float64 `yaml:"cached" json:"cached" doc:"The same for input read from the provider's cache."`
	CacheWrite *float64 `yaml:"cache_write" json:"cache_write" doc:"The same for input written to the provider's cache."`
	Window     int64    `yaml:"window" json:"window" doc:"Context window in tokens; 0 when unknown."`
	Date       string   `yaml:"date" json:"date" doc:"When somebody last looked."`
	Source     string   `yaml:"source" json:"source" doc:"Where."`
}

// Prices are price rows; the first that matches a model holds.
type Prices []Price

// BuiltInPrices answers the table that is part of the program.
func BuiltInPrices() (Prices, error) {
	var table struct {
		Sources map[string]string `yaml:"sources"`
		Prices  Prices            `yaml:"prices"`
	}
	if err := yaml.NewDecoder(bytes.NewReader(priceTable), yaml.Strict()).Decode(&table); err != nil {
		return nil, fmt.Errorf("read the built-in price table: %w", err)
	}
	for i, row := range table.Prices {
		if source, ok := table.Sources[row.Source]; ok {
			table.Prices[i].Source = source
		}
	}
	return table.Prices, nil
}

// Of answers the row for a model and a prompt of so many tokens; a zero row,
// where every price is unknown, when there is none.
func (p Prices) Of(model string, input int64) Price {
	for _, row := range p {
		if glob(row.Model, model) && (row.UpTo == 0 || input <= row.UpTo) {
			return row
		}
	}
	return Price{}
}

// Cost answers what a call cost, rounded up to a millionth of a US dollar;
// nil when the price is unknown.
func (p Prices) Cost(model string, t ops.Tokens) *int64 { return p.Of(model, t.Input).cost(t) }

// Most answers what a call costs at most: nothing of it from the cache, and
// written there where that costs more.
func (p Prices) Most(model string, in, out int64) *int64 {
	row, t := p.Of(model, in), ops.Tokens{Input: in, Output: out}
	if row.CacheWrite != nil && row.Input != nil && *row.CacheWrite > *row.Input {
		t.CacheWrite = in
	}
	return row.cost(t)
}

// Known reports whether what a call costs can be told.
func (p Price) Known() bool { return p.Input != nil && p.Output != nil }

func (p Price) cost(t ops.Tokens) *int64 {
	if !p.Known() {
		return nil
	}
	cached, written := *p.Input, *p.Input
	if p.Cached != nil {
		cached = *p.Cached
	}
	if p.CacheWrite != nil {
		written = *p.CacheWrite
	}
	fresh := max(0, t.Input-t.Cached-t.CacheWrite)
	cost := float64(fresh)**p.Input + float64(t.Cached)*cached + float64(t.CacheWrite)*written + float64(t.Output)**p.Output
	micro := int64(math.Ceil(cost - 1e-9))
	return &micro
}

// glob reports whether a text has a form in which * stands for any text and ?
// for one character.
func glob(form, text string) bool {
	for form != "" {
		switch {
		case form[0] == '*':
			for i := range len(text) + 1 {
				if glob(strings.TrimLeft(form, "*"), text[i:]) {
					return true
				}
			}
			return false
		case text == "" || form[0] != '?' && form[0] != text[0]:
			return false
		}
		form, text = form[1:], text[1:]
	}
	return text == ""
}
