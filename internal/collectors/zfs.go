package collectors

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/internal/redact"
)

var _ = all.Add(collect.Definition{
	Name:        "zfs",
	Doc:         "Health, use and errors of ZFS pools, from zpool; without it, the health alone from /proc/spl/kstat/zfs.",
	Every:       time.Minute,
	Timeout:     30 * time.Second,
	Cost:        collect.Moderate,
	Permissions: "none",
	Metrics: []collect.Metric{
		{Name: "pool_used_ratio", Unit: "ratio", Doc: "Used part of the pool."},
		{Name: "pool_size_bytes", Unit: "bytes", Doc: "Size of the pool."},
		{Name: "pool_fragmentation_ratio", Unit: "ratio", Doc: "Fragmentation of the free space."},
		{Name: "pool_errors_count", Unit: "count", Doc: "Read, write and checksum errors of its disks, and errors in data."},
	},
	Kinds: []ops.Kind{ops.KindPool},
	Open:  func(env collect.Env) collect.Collector { return &zfsPools{env: env} },
})

// zfsMaxPools bounds a pass.
const zfsMaxPools = 128

type zfsPools struct {
	env collect.Env
	// textOnly is set once zpool has refused to print JSON: it is older than
	// OpenZFS 2.3.
	textOnly bool
}

func (z *zfsPools) Collect(ctx context.Context, out *collect.Batch) error {
	kstat, err := os.ReadDir(z.env.ProcPath("spl", "kstat", "zfs"))
	_, tool := z.env.Tools("zpool")
	// zpool would load the kernel module on a host that does not use ZFS.
	if err != nil && (z.env.Live || !tool) {
		out.Whole(ops.KindPool) // pools that were there once are gone
		return collect.ErrAbsent
	}
	if !tools(z.env, out, "zpool", "ZFS pools, apart from their health", "apt install zfsutils-linux") {
		z.healthOnly(out, kstat)
		return nil
	}
	list, err := z.env.Run(ctx, "zpool", "list", "-Hp", "-o", "name,size,alloc,free,frag,cap,health")
	if err == nil && list.Exit != 0 {
		err = fmt.Errorf("exit status %d: %s", list.Exit, redact.Line(string(list.Stderr), 300))
	}
	if err != nil {
		return fmt.Errorf("zpool list: %w", err)
	}
	status, err := z.status(ctx)
	if err != nil {
		return err
	}
	for _, p := range parseZpoolList(list.Stdout) {
		reportZpool(out, p, status[p.Name])
	}
	out.Whole(ops.KindPool)
	return nil
}

// healthOnly reports what the kernel says of the pools by itself.
func (z *zfsPools) healthOnly(out *collect.Batch, kstat []os.DirEntry) {
	for _, e := range kstat[:min(len(kstat), zfsMaxPools)] {
		health, ok := readWord(z.env.ProcPath("spl", "kstat", "zfs", e.Name(), "state"))
		if e.IsDir() && ok && zfsName.MatchString(e.Name()) {
			out.See(ops.Sighting{Key: out.Ref("zfs", "zpool:"+e.Name()), Kind: ops.KindPool, Name: e.Name(),
				Observed: ops.Attrs{"health": redact.Line(health, 40)}})
		}
	}
}

// status answers what zpool status says of each pool.
func (z *zfsPools) status(ctx context.Context) (map[string]zpoolStatus, error) {
	if !z.textOnly {
		answer, err := z.env.Run(ctx, "zpool", "status", "-p", "-j")
		if err != nil {
			return nil, fmt.Errorf("zpool status: %w", err)
		}
		if answer.Exit == 0 {
			return parseZpoolJSON(answer.Stdout)
		}
		z.textOnly = true
	}
	answer, err := z.env.Run(ctx, "zpool", "status", "-p")
	if err == nil && answer.Exit != 0 {
		err = fmt.Errorf("exit status %d: %s", answer.Exit, redact.Line(string(answer.Stderr), 300))
	}
	if err != nil {
		return nil, fmt.Errorf("zpool status: %w", err)
	}
	return parseZpoolText(answer.Stdout), nil
}

func reportZpool(out *collect.Batch, p zpool, s zpoolStatus) {
	ref := out.Ref("zfs", "zpool:"+p.Name)
	attrs := ops.Attrs{"health": p.Health}
	if s.Known {
		attrs["errors"], attrs["scan"] = redact.Line(s.Errors, 300), redact.Line(s.Scan, 300)
		attrs["failed"] = redact.Line(strings.Join(s.Failed, ", "), 500)
		out.Add(ref, "pool_errors_count", s.Count)
	}
	out.See(ops.Sighting{Key: ref, Kind: ops.KindPool, Name: p.Name, Observed: attrs})
	if p.Size > 0 {
		out.Add(ref, "pool_size_bytes", p.Size)
		out.Add(ref, "pool_used_ratio", p.Used/p.Size)
	}
	if p.Fragmentation >= 0 {
		out.Add(ref, "pool_fragmentation_ratio", p.Fragmentation/100)
	}
}

var zfsName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.: -]{0,255}$`)

// A zpool is a line of zpool list.
type zpool struct {
	Name          string
	Size, Used    float64
	Fragmentation float64 // percent, -1 when unknown
	Health        string
}

// parseZpoolList reads zpool list -Hp with the columns name, size, alloc,
// free, frag, cap and health. A pool that is not available has "-" for most.
func parseZpoolList(b []byte) []zpool {
	var pools []zpool
	for len(b) > 0 && len(pools) < zfsMaxPools {
		var line []byte
		line, b = nextLine(b)
		f := strings.Split(string(line), "\t")
		if len(f) != 7 || !zfsName.MatchString(f[0]) {
			continue
		}
		p := zpool{Name: f[0], Size: zfsNumber(f[1], 0), Used: zfsNumber(f[2], 0),
			Fragmentation: zfsNumber(strings.TrimSuffix(f[4], "%"), -1), Health: redact.Line(f[6], 40)}
		pools = append(pools, p)
	}
	return pools
}

// zfsNumber reads a count as zpool prints it, exact or shortened ("1.2K").
func zfsNumber(s string, otherwise float64) float64 {
	scale := 1.0
	if n := len(s); n > 1 {
		if i := strings.IndexByte("KMGTPE", s[n-1]); i >= 0 {
			scale, s = float64(uint64(1)<<(10*(i+1))), s[:n-1]
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || v < 0 || v > 1e20 {
		return otherwise
	}
	return math.Round(v * scale)
}

// A zpoolStatus is what zpool status says of a pool.
type zpoolStatus struct {
	Known  bool
	Errors string
	Scan   string
	Count  float64
	Failed []string // leaf devices that are not as they should be, with their state
}

// zfsText is a value that one version prints as a text, another as a number.
type zfsText string

// UnmarshalJSON takes any scalar.
func (t *zfsText) UnmarshalJSON(b []byte) error {
	*t = zfsText(strings.Trim(string(b), `"`))
	return nil
}

type zpoolVdev struct {
	Name     string               `json:"name"`
	State    string               `json:"state"`
	Type     string               `json:"vdev_type"`
	Read     zfsText              `json:"read_errors"`
	Write    zfsText              `json:"write_errors"`
	Checksum zfsText              `json:"checksum_errors"`
	Vdevs    map[string]zpoolVdev `json:"vdevs"`
}

// parseZpoolJSON reads zpool status -j.
func parseZpoolJSON(b []byte) (map[string]zpoolStatus, error) {
	var doc struct {
		Pools map[string]struct {
			ErrorCount zfsText `json:"error_count"`
			Scan       struct {
				Function string  `json:"function"`
				State    string  `json:"state"`
				End      zfsText `json:"end_time"`
				Errors   zfsText `json:"errors"`
			} `json:"scan_stats"`
			Vdevs   map[string]zpoolVdev `json:"vdevs"`
			Logs    map[string]zpoolVdev `json:"logs"`
			Special map[string]zpoolVdev `json:"special"`
			Dedup   map[string]zpoolVdev `json:"dedup"`
			Cache   map[string]zpoolVdev `json:"l2cache"`
			Spares  map[string]zpoolVdev `json:"spares"`
		} `json:"pools"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("parse zpool status: %w", err)
	}
	status := map[string]zpoolStatus{}
	for name, p := range doc.Pools {
		s := zpoolStatus{Known: true, Errors: "No known data errors", Count: zfsNumber(string(p.ErrorCount), 0)}
		if s.Count > 0 {
			s.Errors = fmt.Sprintf("%g data errors", s.Count)
		}
		if p.Scan.Function != "" {
			s.Scan = strings.ToLower(p.Scan.Function+" "+p.Scan.State) + " with " + cmp.Or(string(p.Scan.Errors), "0") + " errors"
			if p.Scan.State == "FINISHED" && p.Scan.End != "" {
				s.Scan += " on " + zfsTime(string(p.Scan.End))
			}
		}
		for _, class := range []map[string]zpoolVdev{p.Vdevs, p.Logs, p.Special, p.Dedup, p.Cache, p.Spares} {
			s.leaves(class, 0)
		}
		slices.Sort(s.Failed)
		status[name] = s
	}
	return status, nil
}

// zfsTime answers a time for people: exact output has seconds since 1970.
func zfsTime(s string) string {
	seconds, ok := parseUint([]byte(s))
	if !ok || seconds > 1<<40 {
		return s
	}
	return time.Unix(int64(seconds), 0).UTC().Format(time.DateTime) + " UTC"
}

// zfsMaxDepth bounds the nesting of devices; real pools have four levels.
const zfsMaxDepth = 8

// leaves counts the errors of the devices that have no devices below them:
// those above repeat them.
func (s *zpoolStatus) leaves(vdevs map[string]zpoolVdev, depth int) {
	for _, v := range vdevs {
		if len(v.Vdevs) > 0 && depth < zfsMaxDepth {
			s.leaves(v.Vdevs, depth+1)
			continue
		}
		s.leaf(v.Name, v.State, string(v.Read), string(v.Write), string(v.Checksum))
	}
}

// leaf counts in one device.
func (s *zpoolStatus) leaf(name, state string, counts ...string) {
	for _, c := range counts {
		s.Count += zfsNumber(c, 0)
	}
	if state != "ONLINE" && state != "AVAIL" && state != "INUSE" && len(s.Failed) < 64 {
		s.Failed = append(s.Failed, name+" "+state)
	}
}

var zfsVdevLine = regexp.MustCompile(`^\t( *)(\S+) +([A-Z]+)(?: +(\S+) +(\S+) +(\S+))?`)

// parseZpoolText reads zpool status as it is printed for people.
func parseZpoolText(b []byte) map[string]zpoolStatus {
	status := map[string]zpoolStatus{}
	var name, section string
	var s zpoolStatus
	var vdevs []zpoolLine
	done := func() {
		if name != "" && len(status) < zfsMaxPools {
			s.lines(vdevs)
			status[name] = s
		}
		name, s, vdevs = "", zpoolStatus{}, nil
	}
	for len(b) > 0 {
		var raw []byte
		raw, b = nextLine(b)
		line := string(raw)
		if m := zfsVdevLine.FindStringSubmatch(line); m != nil && section == "config" {
			vdevs = append(vdevs, zpoolLine{len(m[1]), m[2], m[3], m[4:7]})
			continue
		}
		head, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok || strings.Contains(head, " ") || strings.HasPrefix(line, "\t") {
			if section == "scan" && line != "" {
				s.Scan += " " + strings.TrimSpace(line)
			}
			continue
		}
		if section = head; head == "pool" {
			done()
			name, s.Known = strings.TrimSpace(rest), true
		}
		s.field(head, strings.TrimSpace(rest))
	}
	done()
	return status
}

// A zpoolLine is a device in the table of zpool status.
type zpoolLine struct {
	indent int
	name   string
	state  string
	counts []string
}

// field takes in a head line of zpool status.
func (s *zpoolStatus) field(head, rest string) {
	switch head {
	case "scan":
		s.Scan = rest
	case "errors":
		s.Errors = rest
		if n, _, ok := strings.Cut(rest, " "); ok {
			s.Count += zfsNumber(n, 0)
		}
	}
}

// lines counts in the leaves of the table: the lines whose next one is not
// indented deeper. The head of the table has no state that is one.
func (s *zpoolStatus) lines(table []zpoolLine) {
	for i, v := range table {
		inner := i+1 < len(table) && table[i+1].indent > v.indent
		if !inner && v.state != "STATE" {
			s.leaf(v.name, v.state, v.counts...)
		}
	}
}
