package ops

import "time"

// A Transition is one committed change, and at once its audit entry: the row
// that time-lines, cursors and the event stream read. Seq is commit order.
type Transition struct {
	Seq      int64             `json:"seq"`
	At       time.Time         `json:"at"`
	Actor    string            `json:"actor" doc:"user:NAME, token:NAME, or the worker that did it: watch, notify, ingest ..."`
	OnBehalf string            `json:"on_behalf,omitempty"`
	Verb     string            `json:"verb" doc:"The event of the lifecycle, or what was done."`
	Object   string            `json:"object" doc:"finding, incident, delivery, resource, user, token, channel, check, settings ..."`
	ObjectID string            `json:"object_id"`
	From     string            `json:"from,omitempty"`
	To       string            `json:"to,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Before   string            `json:"before_digest,omitempty"`
	After    string            `json:"after_digest,omitempty"`
	Facts    map[string]string `json:"facts,omitempty"`
	PrevHash string            `json:"prev_hash"`
	Hash     string            `json:"hash"`
}
