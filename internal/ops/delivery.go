package ops

import (
	"time"

	"reeve/internal/flow"
)

// A DeliveryState says where a delivery is on its way.
type DeliveryState string

// The delivery states.
const (
	DeliveryQueued    DeliveryState = "queued"
	DeliverySending   DeliveryState = "sending"
	DeliveryDelivered DeliveryState = "delivered"
	DeliveryDead      DeliveryState = "dead"
	DeliveryDropped   DeliveryState = "dropped" // overtaken: what it would say is no longer true or is in a digest
)

// A DeliveryEvent moves a delivery.
type DeliveryEvent string

// The delivery events.
const (
	DeliverySend   DeliveryEvent = "send"
	DeliveryAccept DeliveryEvent = "accept" // the receiver took it
	DeliveryRetry  DeliveryEvent = "retry"  // it failed, or the process died while sending
	DeliveryGiveUp DeliveryEvent = "give_up"
	DeliveryDrop   DeliveryEvent = "drop"
	DeliveryHold   DeliveryEvent = "hold" // not now: quiet hours, or a ceiling is reached
)

// DeliveryFlow is the life of a delivery.
var DeliveryFlow = flow.New("delivery", DeliveryQueued, flow.Table[DeliveryState, DeliveryEvent]{
	DeliveryQueued:    {DeliverySend: DeliverySending, DeliveryDrop: DeliveryDropped, DeliveryHold: DeliveryQueued},
	DeliverySending:   {DeliveryAccept: DeliveryDelivered, DeliveryRetry: DeliveryQueued, DeliveryGiveUp: DeliveryDead},
	DeliveryDelivered: {},
	DeliveryDead:      {},
	DeliveryDropped:   {},
})

// A Delivery is one message to one channel.
type Delivery struct {
	ID          string        `json:"id"`
	Channel     string        `json:"channel"`
	DedupeKey   string        `json:"dedupe_key"`
	State       DeliveryState `json:"state" enum:"queued,sending,delivered,dead,dropped"`
	Message     Message       `json:"message"`
	IncidentID  string        `json:"incident_id,omitempty"`
	Attempts    int64         `json:"attempts"`
	NextAt      time.Time     `json:"next_at"`
	CreatedAt   time.Time     `json:"created_at"`
	DeliveredAt time.Time     `json:"delivered_at,omitzero"`
	Err         string        `json:"error,omitempty"`
	Version     int64         `json:"version"`
}

// A MessageEvent says why a message is sent.
type MessageEvent string

// The message events.
const (
	MessageOpened   MessageEvent = "opened"
	MessageRose     MessageEvent = "rose"
	MessageReminder MessageEvent = "reminder"
	MessageFlapping MessageEvent = "flapping"
	MessageResolved MessageEvent = "resolved"
	MessageDigest   MessageEvent = "digest"
	MessageTest     MessageEvent = "test"
)

// A Message is what a person is told, before a channel gives it its form.
// Every text in it may hold names from the estate: channels escape them.
type Message struct {
	ID         string           `json:"id" doc:"The delivery's ID; the same in every attempt."`
	Event      MessageEvent     `json:"event"`
	Severity   Severity         `json:"severity"`
	Title      string           `json:"title" doc:"One line."`
	Text       string           `json:"text" doc:"Plain text, a few lines: what, since when, why, what to check."`
	IncidentID string           `json:"incident_id,omitempty"`
	URL        string           `json:"url,omitempty" doc:"The incident's page, when Reeve knows its own address."`
	At         time.Time        `json:"at"`
	Findings   []MessageFinding `json:"findings,omitempty" doc:"The members, the root first; at most 20."`
	More       int              `json:"more,omitempty" doc:"Members not listed."`
}

// A MessageFinding is a member of the incident a message tells of.
type MessageFinding struct {
	ID        string            `json:"id"`
	Condition string            `json:"condition"`
	Severity  Severity          `json:"severity"`
	State     FindingState      `json:"state"`
	Resource  string            `json:"resource"`
	Kind      Kind              `json:"kind"`
	Host      string            `json:"host"`
	Summary   string            `json:"summary"`
	Since     time.Time         `json:"since"`
	Labels    map[string]string `json:"labels,omitempty"`
}
