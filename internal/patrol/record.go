package patrol

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"time"

	"reeve/internal/llm"
	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/schema"
	"reeve/internal/tool"
	"reeve/internal/turn"
)

// A recording is what the model of a run was given and answered, so that
// another can be given the same.
type recording struct {
	Version int               `json:"version"`
	Model   string            `json:"model"`
	System  string            `json:"system"`
	Specs   []recordedSpec    `json:"tools"`
	Seed    string            `json:"seed"`
	Aliases map[string]string `json:"aliases"`
	Open    []string          `json:"open"` // findings that need a verdict
	Calls   []recordedCall    `json:"calls"`
	Said    []saying          `json:"said"`
	Reply   string            `json:"reply"`
	// Veiled are the resources whose names were replaced; nil for none.
	Veiled []ops.Resource `json:"veiled,omitempty"`
}

// A recordedSpec is a tool as it was offered.
type recordedSpec struct {
	Name   string         `json:"name"`
	Doc    string         `json:"doc"`
	Effect tool.Effect    `json:"effect"`
	Schema *schema.Schema `json:"schema"`
}

// record keeps what the model was given and answered.
func (c *consultation) record() {
	r := recording{Version: 1, Model: c.asked, System: system, Seed: c.seed.Text, Aliases: c.seed.Aliases, Calls: c.box.recorded(), Said: c.desk.said,
		Reply: redact.Cut(redact.Text(c.reply), 8000)}
	for id := range c.desk.open {
		r.Open = append(r.Open, id)
	}
	for _, s := range c.box.Specs() {
		r.Specs = append(r.Specs, recordedSpec(s))
	}
	if c.veil != nil {
		for _, id := range c.seed.Aliases {
			if x, ok := c.desk.scope[id]; ok {
				r.Veiled = append(r.Veiled, ops.Resource{ID: x.ID, Kind: x.Kind, Name: x.Name, HostID: x.HostID, HostName: x.HostName, Labels: x.Labels})
			}
		}
	}
	packed, err := pack(r)
	if err != nil {
		c.p.log.Warn("a run cannot be replayed", "run", c.l.run.ID, "err", err)
		return
	}
	c.l.record = packed
}

// pack answers a recording as compressed JSON in base64.
func pack(r recording) ([]byte, error) {
	var b bytes.Buffer
	text := base64.NewEncoder(base64.StdEncoding, &b)
	small := gzip.NewWriter(text)
	for _, step := range []func() error{func() error { return json.NewEncoder(small).Encode(r) }, small.Close, text.Close} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// mostUnpacked bounds a recording that is read: it was written by us, and a
// database may still hold anything.
const mostUnpacked = 32 << 20

// unpack reads a recording.
func unpack(packed string) (r recording, err error) {
	small, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, bytes.NewReader([]byte(packed))))
	if err == nil {
		err = json.NewDecoder(io.LimitReader(small, mostUnpacked)).Decode(&r)
	}
	if err != nil || r.Version != 1 {
		return r, ops.Because(ops.Invalid, err, "what was recorded of the run cannot be read by this build")
	}
	return r, nil
}

// toolCall answers one call for the record of a run.
func toolCall(call llm.ToolCall, r tool.Result, took time.Duration) ops.RunToolCall {
	sum := sha256.Sum256([]byte(r.Text))
	kept := ops.RunToolCall{Tool: redact.Line(call.Name, 64), OutputHash: hex.EncodeToString(sum[:]), OutputBytes: int64(len(r.Text)), TookUS: took.Microseconds()}
	if text := redact.Text(string(call.Input)); len(text) <= 4<<10 && json.Valid([]byte(text)) {
		kept.Input = json.RawMessage(text)
	} else {
		kept.Input, _ = json.Marshal(redact.Line(text, 2<<10))
	}
	if r.Failed {
		kept.Err = redact.Line(r.Text, 300)
	}
	return kept
}

// veil answers the veil of a recording.
func (r recording) veil() *turn.Veil {
	if len(r.Veiled) == 0 {
		return nil
	}
	return turn.NewVeil(r.Veiled)
}
