package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"reeve/internal/dial"
)

// ask connects to the server, once.
func (s *session) ask() (*dial.Client, error) {
	if s.client != nil {
		return s.client, nil
	}
	at, err := s.locate()
	if err != nil {
		return nil, err
	}
	s.client, err = dial.New(at)
	return s.client, err
}

// get asks for a value of the API.
func (s *session) get(ctx context.Context, path string, into any) error {
	_, err := s.fetch(ctx, path, into)
	return err
}

// fetch asks for a value of the API and answers its text too.
func (s *session) fetch(ctx context.Context, path string, into any) (json.RawMessage, error) {
	return s.call(ctx, http.MethodGet, path, nil, into)
}

// call asks the API for something and reads the answer; into may be nil.
func (s *session) call(ctx context.Context, method, path string, body, into any) (json.RawMessage, error) {
	c, err := s.ask()
	if err != nil {
		return nil, err
	}
	text, err := c.Raw(ctx, method, path, body)
	if err != nil || into == nil {
		return text, err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return nil, fmt.Errorf("%s answers what this program does not understand (%s); is it a Reeve of another version?", c.Base, dial.LastReason(err))
	}
	return text, nil
}

// A list is a page of a list of the API, whose items are kept as they came.
type list struct {
	Items []json.RawMessage `json:"items"`
	Next  string            `json:"next,omitempty"`
}

// pageSize is the most that the API answers at once.
const pageSize = 1000

// listed reads a list of the API over its pages: at most limit items, 0 for
// all.
func (s *session) listed(ctx context.Context, path string, q url.Values, limit int) (list, error) {
	all := list{Items: []json.RawMessage{}}
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
		var page list
		if err := s.get(ctx, path+"?"+ask.Encode(), &page); err != nil {
			return all, err
		}
		all.Items, all.Next = append(all.Items, page.Items...), page.Next
		if page.Next == "" || limit > 0 && len(all.Items) >= limit {
			return all, nil
		}
		ask.Set("cursor", page.Next)
	}
}

// read decodes the items of a list.
func read[T any](l list) ([]T, error) {
	all := make([]T, len(l.Items))
	for i, text := range l.Items {
		if err := json.Unmarshal(text, &all[i]); err != nil {
			return nil, fmt.Errorf("an item of the answer cannot be understood (%s); is the server of another version?", dial.LastReason(err))
		}
	}
	return all, nil
}
