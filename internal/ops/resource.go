package ops

import (
	"strconv"
	"time"
)

// A Kind is a kind of resource, from a closed list.
type Kind string

// The kinds.
const (
	KindHost        Kind = "host"
	KindContainer   Kind = "container"
	KindService     Kind = "service" // containers that do one job: a compose service
	KindProject     Kind = "project" // services deployed together: a compose project
	KindUnit        Kind = "unit"    // a systemd unit
	KindFilesystem  Kind = "filesystem"
	KindDisk        Kind = "disk"
	KindArray       Kind = "array" // software RAID
	KindPool        Kind = "pool"  // ZFS pool or LVM volume group
	KindInterface   Kind = "interface"
	KindGPU         Kind = "gpu"
	KindCertificate Kind = "certificate" // served by a listener of the host
	KindCheck       Kind = "check"
	KindWorkload    Kind = "workload"  // what was declared that runs on a host
	KindComponent   Kind = "component" // a part of Reeve: collector, loop, store, channel
)

// A KindInfo describes a kind.
type KindInfo struct {
	Kind    Kind   `json:"kind"`
	Doc     string `json:"doc"`
	Parents []Kind `json:"parents"`
}

// Kinds is the closed list, with the kinds that a resource of the kind may
// have as parent.
var Kinds = []KindInfo{
	{KindHost, "A machine with an agent.", nil},
	{KindContainer, "A container of Docker or Podman.", []Kind{KindHost, KindService}},
	{KindService, "The containers of one compose service, with the replicas wanted and running.", []Kind{KindHost, KindProject}},
	{KindProject, "A compose project.", []Kind{KindHost}},
	{KindUnit, "A systemd unit.", []Kind{KindHost}},
	{KindFilesystem, "A mounted file system that holds data.", []Kind{KindHost}},
	{KindDisk, "A block device.", []Kind{KindHost}},
	{KindArray, "A software RAID array.", []Kind{KindHost}},
	{KindPool, "A ZFS pool or an LVM volume group.", []Kind{KindHost}},
	{KindInterface, "A network interface.", []Kind{KindHost}},
	{KindGPU, "A graphics processor.", []Kind{KindHost}},
	{KindCertificate, "A TLS certificate that a listener of the host serves.", []Kind{KindHost}},
	{KindCheck, "A probe of something from outside, or a heartbeat that is expected.", []Kind{KindHost}},
	{KindWorkload, "Something declared to run, or not to run, on a host: a container or a service.", []Kind{KindHost}},
	{KindComponent, "A part of Reeve itself: a collector, a loop, a store, a channel, a server.", []Kind{KindHost}},
}

// ValidKind reports whether k is on the list.
func ValidKind(k Kind) bool {
	for _, i := range Kinds {
		if i.Kind == k {
			return true
		}
	}
	return false
}

// Presence says whether a resource is there.
type Presence string

// The presences. A removed resource keeps its row as a tombstone.
const (
	Present Presence = "present"
	Absent  Presence = "absent"  // missing from one complete report
	Removed Presence = "removed" // missing from two, or removed by a person
)

// Attrs is typed state that a collector read of a resource: short texts under
// permanent names. A name that is missing is unknown, which is never the
// same as empty, false or 0.
type Attrs map[string]string

// Text answers an attribute; ok is false when it is unknown.
func (a Attrs) Text(name string) (v string, ok bool) { v, ok = a[name]; return v, ok }

// Is reports whether the attribute is known and equal to v.
func (a Attrs) Is(name, v string) bool { got, ok := a[name]; return ok && got == v }

// Bool answers a truth value; ok is false when it is unknown.
func (a Attrs) Bool(name string) (v, ok bool) {
	b, err := strconv.ParseBool(a[name])
	return b, err == nil
}

// Number answers a numeric attribute; ok is false when it is unknown.
func (a Attrs) Number(name string) (v float64, ok bool) {
	f, err := strconv.ParseFloat(a[name], 64)
	return f, err == nil
}

// volatile attributes change all the time.
var volatile = map[string]bool{
	"sync_percent": true, "scan": true, "last_beat": true, "failures": true,
	"restart_count": true, "updates_pending": true, "updates_security": true, "temperature": true, "took_ms": true, "clock_skew_seconds": true,
}

// Volatile reports whether an attribute changes all the time, so that its
// change is no news.
func Volatile(attr string) bool { return volatile[attr] }

// A ResourceKey is the identity of a resource at its source: names may
// repeat, keys do not. Host is the agent's host key ("" for a host itself is
// never right: a host's key has its own host).
type ResourceKey struct {
	Host   string `json:"host" doc:"Key of the host that saw it."`
	Source string `json:"source" doc:"What saw it: linux, docker, podman, systemd, check, reeve."`
	Key    string `json:"key" doc:"The source's own key."`
}

// A Resource is anything looked after, as the store keeps it.
type Resource struct {
	ID         string            `json:"id"`
	Kind       Kind              `json:"kind"`
	Name       string            `json:"name"`
	HostID     string            `json:"host_id" doc:"The host it is on; its own ID for a host."`
	HostName   string            `json:"host"`
	ParentID   string            `json:"parent_id,omitempty"`
	Key        ResourceKey       `json:"key"`
	Labels     map[string]string `json:"labels,omitempty"`
	Desired    Attrs             `json:"desired,omitempty" doc:"What a person, a policy or an API call wants of it."`
	Observed   Attrs             `json:"observed,omitempty" doc:"What was last seen of it."`
	Presence   Presence          `json:"presence" enum:"present,absent,removed"`
	Reachable  string            `json:"reachability" doc:"Of a host its state; of what is on it online, or unknown while the host is not heard of."`
	ReachWhy   string            `json:"reachability_reason,omitempty" doc:"Why a host is in its state."`
	Conflict   string            `json:"identity_conflict,omitempty" doc:"Of a host: what came with its key lately that is not it."`
	FirstSeen  time.Time         `json:"first_seen_at"`
	ObservedAt time.Time         `json:"observed_at"`
	Generation int64             `json:"generation" doc:"Raised when the thing behind the key was replaced."`
	Version    int64             `json:"version"`
}

// Label answers the labels that rules select by: the resource's own, and its
// kind, name and host.
func (r Resource) Label(name string) string {
	switch name {
	case "kind":
		return string(r.Kind)
	case "name":
		return r.Name
	case "host":
		return r.HostName
	}
	return r.Labels[name]
}
