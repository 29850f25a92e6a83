// Package client is the server as the command line sees it: which one a person
// means, which of its things they mean, and its lists as a whole. Package dial
// carries the requests. What to ask for, and how an answer looks, is not known
// here.
package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"reeve/internal/dial"
	"reeve/internal/ops"
)

// A Client asks one server. It looks for it when it is asked for the first
// time.
type Client struct {
	at   *Options
	open *dial.Client // once something was asked
}

// New makes the client of a server. The options are read when it is asked for
// the first time: by then the command line has been.
func New(at *Options) *Client { return &Client{at: at} }

// Connect finds the server, once, and answers the connection to it, for what
// is no JSON: streams, files, and answers that take long.
func (c *Client) Connect() (*dial.Client, error) {
	if c.open != nil {
		return c.open, nil
	}
	at, err := c.locate()
	if err != nil {
		return nil, err
	}
	c.open, err = dial.New(at)
	return c.open, err
}

// Get asks for a value of the API.
func (c *Client) Get(ctx context.Context, path string, into any) error {
	_, err := c.Fetch(ctx, path, into)
	return err
}

// Fetch asks for a value of the API and answers its text too.
func (c *Client) Fetch(ctx context.Context, path string, into any) (json.RawMessage, error) {
	return c.Call(ctx, http.MethodGet, path, nil, into)
}

// Call asks the API for something and reads the answer; into may be nil.
func (c *Client) Call(ctx context.Context, method, path string, body, into any) (json.RawMessage, error) {
	to, err := c.Connect()
	if err != nil {
		return nil, err
	}
	text, err := to.Raw(ctx, method, path, body)
	if err != nil || into == nil {
		return text, err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return nil, fmt.Errorf("%s answers what this program does not understand (%s); is it a Reeve of another version?", to.Base, dial.LastReason(err))
	}
	return text, nil
}

// A List is a page of a list of the API, whose items are kept as they came.
type List struct {
	Items []json.RawMessage `json:"items"`
	Next  string            `json:"next,omitempty"`
}

// pageSize is the most that the API answers at once.
const pageSize = 1000

// Listed reads a list of the API over its pages: at most limit items, 0 for
// all.
func (c *Client) Listed(ctx context.Context, path string, q url.Values, limit int) (List, error) {
	all := List{Items: []json.RawMessage{}}
	ask := url.Values{}
	for k, v := range q {
		ask[k] = v
	}
	for {
		want := pageSize
		if limit > 0 {
			want = min(want, limit-len(all.Items))
		}
		ask.Set("limit", fmt.Sprint(want))
		var page List
		if err := c.Get(ctx, path+"?"+ask.Encode(), &page); err != nil {
			return all, err
		}
		all.Items, all.Next = append(all.Items, page.Items...), page.Next
		if page.Next == "" || limit > 0 && len(all.Items) >= limit {
			return all, nil
		}
		ask.Set("cursor", page.Next)
	}
}

// Read decodes the items of a list.
func Read[T any](l List) ([]T, error) {
	all := make([]T, len(l.Items))
	for i, text := range l.Items {
		if err := json.Unmarshal(text, &all[i]); err != nil {
			return nil, fmt.Errorf("an item of the answer cannot be understood (%s); is the server of another version?", dial.LastReason(err))
		}
	}
	return all, nil
}

// answered makes an error of the kind that a server answers.
func answered(kind ops.ErrorKind, format string, args ...any) error {
	return dial.Answered{Cause: ops.Errorf(kind, format, args...)}
}

// misuse makes an error of the one who typed.
func misuse(format string, args ...any) error {
	return dial.Misuse{Message: fmt.Sprintf(format, args...)}
}
