package ops

import "time"

// A Sighting is a resource as one pass of a collector saw it.
type Sighting struct {
	Key      ResourceKey       `json:"key"`
	Kind     Kind              `json:"kind"`
	Name     string            `json:"name"`
	Parent   ResourceKey       `json:"parent" doc:"Zero for the host itself; otherwise the host unless said."`
	Labels   map[string]string `json:"labels,omitempty"`
	Observed Attrs             `json:"observed,omitempty"`
	// Generation changes when the thing behind the key was replaced by
	// another (a container recreated under one name); "" when there is no
	// such notion.
	Generation string `json:"generation,omitempty"`
}

// An Event is something that happened to a resource once: a kernel message,
// a container's end, an error line of a log. Its text is data from the
// estate.
type Event struct {
	Resource ResourceKey       `json:"resource"`
	Type     EventType         `json:"type"`
	At       time.Time         `json:"at"`
	Text     string            `json:"text"`
	Facts    map[string]string `json:"facts,omitempty"`
	// SourceID makes the event unique for its collector, so that reading it
	// twice is harmless.
	SourceID string `json:"source_id"`
	Count    int64  `json:"count" doc:"How many times it happened since the last report; at least 1."`
}

// An EventType is a type of event, from a closed list.
type EventType string

// The event types.
const (
	EventOOMKill       EventType = "oom_kill"
	EventIOError       EventType = "io_error"
	EventHungTask      EventType = "hung_task"
	EventHardwareError EventType = "hardware_error" // a machine check or a memory controller's report
	EventContainerExit EventType = "container_exit"
	EventContainerOOM  EventType = "container_oom"
	EventUnitFailed    EventType = "unit_failed"
	EventLogError      EventType = "log_error" // Facts: template; Count lines since the last report
	EventBoot          EventType = "boot"
)

// A Gap is something a collector could not read and will not be able to read
// until a person does something: a missing tool, a permission. It is shown as
// exactly that, once.
type Gap struct {
	What   string `json:"what" doc:"What is not seen because of it."`
	Why    string `json:"why"`
	Remedy string `json:"remedy,omitempty"`
}

// An Observation is what one pass of one collector on one host saw.
type Observation struct {
	Collector string     `json:"collector"`
	Started   time.Time  `json:"started_at"`
	Took      int64      `json:"took_us"`
	Sightings []Sighting `json:"sightings,omitempty"`
	Samples   []Sample   `json:"samples,omitempty"`
	Events    []Event    `json:"events,omitempty"`
	Gaps      []Gap      `json:"gaps,omitempty"`
	// Complete lists the kinds of which Sightings is the whole list: what is
	// not in it is gone.
	Complete []Kind `json:"complete,omitempty"`
	Err      string `json:"error,omitempty" doc:"Why the pass failed; what was read before it failed still counts."`
	// EveryMS is the collector's period, so that silence can be told from
	// slowness.
	EveryMS int64 `json:"every_ms"`
}

// A Report is what an agent hands to the server.
type Report struct {
	Host         HostIdentity  `json:"host"`
	Sequence     int64         `json:"sequence"`
	At           time.Time     `json:"at"`
	Observations []Observation `json:"observations"`
}

// A HostIdentity says which host a report is from.
type HostIdentity struct {
	Key    string            `json:"key" doc:"Made by the agent once and kept in its data directory."`
	Name   string            `json:"name"`
	BootID string            `json:"boot_id"`
	Labels map[string]string `json:"labels,omitempty"`
}

// HostResource answers the key of the host's own resource.
func (h HostIdentity) HostResource() ResourceKey { return HostKey(h.Key) }

// HostKey answers the key of the resource of the host with the given key.
func HostKey(host string) ResourceKey {
	return ResourceKey{Host: host, Source: "linux", Key: "host"}
}
