package collectors

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

var _ = all.Add(collect.Definition{
	Name:  "network",
	Doc:   "Traffic, errors and link state of network interfaces. The loopback and the host's ends of container and VM links are left out.",
	Every: 10 * time.Second, Cost: collect.Cheap, Permissions: "none",
	Metrics: append(netMetrics(),
		collect.Metric{Name: "net_carrier", Unit: "bool", Doc: "1 when the interface has a link."},
		collect.Metric{Name: "tcp_retransmits_per_s", Unit: "per_s", Doc: "TCP segments sent again, on the host."},
	),
	Kinds: []ops.Kind{ops.KindInterface},
	Open: func(env collect.Env) collect.Collector {
		return &network{env: env, links: map[string]netLink{}, wasUp: map[string]bool{}}
	},
})

const (
	netMax     = 256
	netRefresh = 10 * time.Minute
)

// netColumns are the columns of /proc/net/dev that are reported.
var netColumns = [...]struct {
	column      int
	metric, doc string
}{
	{0, "net_receive_bytes_per_s", "Bytes received."},
	{1, "net_receive_packets_per_s", "Packets received."},
	{2, "net_receive_errors_per_s", "Packets received broken."},
	{3, "net_receive_drops_per_s", "Packets received and dropped."},
	{8, "net_transmit_bytes_per_s", "Bytes sent."},
	{9, "net_transmit_packets_per_s", "Packets sent."},
	{10, "net_transmit_errors_per_s", "Packets that could not be sent."},
	{11, "net_transmit_drops_per_s", "Packets dropped instead of sent."},
}

func netMetrics() []collect.Metric {
	var metrics []collect.Metric
	for _, c := range netColumns {
		unit := "per_s"
		if strings.Contains(c.metric, "bytes") {
			unit = "bytes_per_s"
		}
		metrics = append(metrics, collect.Metric{Name: c.metric, Unit: unit, Doc: c.doc})
	}
	return metrics
}

type network struct {
	env      collect.Env
	buf      []byte
	devices  []netDevice
	rates    rates[netCounter]
	segments rates[string]
	links    map[string]netLink
	// wasUp remembers which interfaces had a link since the agent started: a
	// port that never had one is not a broken one.
	wasUp map[string]bool
}

type netCounter struct {
	name   string
	column int
}

type netDevice struct {
	name     string
	counters [16]uint64
}

// netLink is what changes only with the link. Reading the speed takes a lock
// that drivers hold for long, so it is not read every pass.
type netLink struct {
	carrier, state string
	speed, mac     string
	physical       bool
	read           time.Time
}

func (n *network) Collect(_ context.Context, out *collect.Batch) (err error) {
	if n.buf, err = readInto(n.buf, n.path("dev")); err != nil {
		return err
	}
	n.devices = parseNetDev(n.buf, n.devices[:0])
	if len(n.devices) > netMax {
		out.Gap("some network interfaces", fmt.Sprintf("there are more than %d", netMax), "")
		n.devices = n.devices[:netMax]
	}
	for i := range n.devices {
		n.report(&n.devices[i], out)
	}
	out.Whole(ops.KindInterface)
	n.rates.forget(out.Now)
	maps.DeleteFunc(n.links, func(name string, _ netLink) bool { return !n.listed(name) })
	if len(n.wasUp) > 4*netMax {
		maps.DeleteFunc(n.wasUp, func(name string, _ bool) bool { return !n.listed(name) })
	}
	if n.buf, err = readInto(n.buf, n.path("snmp")); missing(err) {
		return nil
	} else if err != nil {
		return err
	}
	if sent, ok := parseRetransmits(n.buf); ok {
		if v, ok := n.segments.per("retransmits", sent, out.Now); ok {
			out.Add(out.HostRef(), "tcp_retransmits_per_s", v)
		}
	}
	return nil
}

// path answers a file of the host's network name space. With the host's /proc
// mounted elsewhere the agent is in a container with a name space of its own.
func (n *network) path(name string) string {
	if n.env.Live && path.Clean(n.env.Proc) != "/proc" {
		return n.env.ProcPath("1", "net", name)
	}
	return n.env.ProcPath("net", name)
}

func (n *network) listed(name string) bool {
	for i := range n.devices {
		if n.devices[i].name == name {
			return true
		}
	}
	return false
}

func (n *network) report(d *netDevice, out *collect.Batch) {
	ref := out.Ref("linux", "net:"+d.name)
	attrs := ops.Attrs{}
	state, ok := readWord(n.env.SysPath("class", "net", d.name, "operstate"))
	if ok {
		attrs["operstate"] = state
	}
	if flags, ok := readWord(n.env.SysPath("class", "net", d.name, "flags")); ok {
		if f, err := strconv.ParseUint(flags, 0, 32); err == nil {
			attrs["admin_up"] = truth(f&1 == 1)
		}
	}
	// The carrier of an interface that is switched off cannot be read.
	carrier, _ := readWord(n.env.SysPath("class", "net", d.name, "carrier"))
	if carrier == "0" || carrier == "1" {
		attrs["carrier"] = truth(carrier == "1")
		out.Add(ref, "net_carrier", bit(carrier == "1"))
	}
	n.wasUp[d.name] = n.wasUp[d.name] || carrier == "1"
	link := n.link(d.name, carrier, state, out.Now)
	attrs["was_up"] = truth(n.wasUp[d.name])
	attrs["physical"] = truth(link.physical)
	if link.speed != "" {
		attrs["speed_mbit"] = link.speed
	}
	if link.mac != "" {
		attrs["mac"] = link.mac
	}
	out.See(ops.Sighting{Key: ref, Kind: ops.KindInterface, Name: d.name, Observed: attrs})
	for _, c := range netColumns {
		if v, ok := n.rates.per(netCounter{d.name, c.column}, d.counters[c.column], out.Now); ok {
			out.Add(ref, c.metric, v)
		}
	}
}

func (n *network) link(name, carrier, state string, now time.Time) netLink {
	known, ok := n.links[name]
	age := now.Sub(known.read)
	if ok && known.carrier == carrier && known.state == state && age >= 0 && age < netRefresh {
		return known
	}
	at := func(file string) string { return n.env.SysPath("class", "net", name, file) }
	link := netLink{carrier: carrier, state: state, read: now}
	// Only hardware has a device; a wireless or virtio card counts as such.
	_, err := os.Lstat(at("device"))
	link.physical = err == nil
	if carrier == "1" {
		if speed, ok := readUint(at("speed")); ok && speed > 0 && speed < 1<<24 {
			link.speed = whole(speed)
		}
	}
	if mac, ok := readWord(at("address")); ok && mac != "00:00:00:00:00:00" && len(mac) <= 64 {
		link.mac = mac
	}
	n.links[name] = link
	return link
}

// notReported are prefixes of interfaces that are one end of a pair made for
// a container or a virtual machine: their number has no bound.
var notReported = []string{"veth", "cali", "lxc", "cilium_", "fwbr", "fwpr", "fwln", "tap", "vnet", "ifb"}

func reportable(name string) bool {
	if name == "lo" || name == "" || len(name) > 15 || strings.ContainsAny(name, "/\x00") || name[0] == '.' {
		return false
	}
	for _, p := range notReported {
		if strings.HasPrefix(name, p) {
			return false
		}
	}
	return strings.ToValidUTF8(name, "") == name
}

// parseNetDev appends the interfaces of /proc/net/dev that are reported: two
// lines of heading, then name, colon and 16 counters. The colon may touch the
// first counter, and a name may hold colons of its own.
func parseNetDev(b []byte, devices []netDevice) []netDevice {
	for len(b) > 0 && len(devices) <= netMax {
		var line []byte
		line, b = nextLine(b)
		colon := bytes.LastIndexByte(line, ':')
		if colon < 0 {
			continue
		}
		d := netDevice{name: string(bytes.TrimSpace(line[:colon]))}
		if reportable(d.name) && parseUints(line[colon+1:], d.counters[:]) == len(d.counters) {
			devices = append(devices, d)
		}
	}
	return devices
}

// parseRetransmits reads Tcp RetransSegs from /proc/net/snmp, where a line of
// names stands above a line of values.
func parseRetransmits(b []byte) (n uint64, ok bool) {
	var names []byte
	for len(b) > 0 {
		var line []byte
		line, b = nextLine(b)
		rest, tcp := bytes.CutPrefix(line, []byte("Tcp: "))
		if !tcp {
			continue
		}
		if names == nil {
			names = rest
			continue
		}
		for len(names) > 0 && len(rest) > 0 {
			var name, value []byte
			name, names = nextField(names)
			value, rest = nextField(rest)
			if string(name) == "RetransSegs" {
				return parseUint(value)
			}
		}
		return 0, false
	}
	return 0, false
}
