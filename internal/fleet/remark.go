package fleet

import (
	"fmt"
	"time"

	"golang.org/x/mod/semver"

	"reeve/internal/ops"
)

// remarks is the collector under which the server adds to a report what only
// it knows of the host.
const remarks = "fleet"

// The attributes of a host that the server adds.
const (
	attrSkew     = "clock_skew_seconds"
	attrAgent    = "agent_version"
	attrOutdated = "agent_outdated"
	attrReadOnly = "agent_read_only"
)

// remark answers what the server knows of a host beside its report.
func (f *Fleet) remark(h ops.Host, c heard) ops.Observation {
	now := time.Now().UTC()
	attrs := ops.Attrs{attrSkew: fmt.Sprint(int64(c.skew.Round(time.Second) / time.Second)), attrAgent: h.Version,
		attrReadOnly: fmt.Sprint(h.ReadOnly), attrOutdated: f.outdated(h)}
	return ops.Observation{Collector: remarks, Started: now, EveryMS: h.Beat().Milliseconds(), Sightings: []ops.Sighting{{
		Key: ops.HostKey(h.ID), Kind: ops.KindHost, Name: h.Name, Observed: attrs}}}
}

// outdated says in which way an agent is behind its server, "" in none.
func (f *Fleet) outdated(h ops.Host) string {
	if semver.IsValid(h.Version) && semver.IsValid(f.Version) && semver.Compare(h.Version, f.Version) < 0 {
		return fmt.Sprintf("the agent is %s, the server %s", h.Version, f.Version)
	}
	return ""
}

// rightBelow is the difference of clocks that is left as it is.
const rightBelow = 2 * time.Second

// setRight moves the times of a report onto the server's clock, when the
// host's own is off: charts and windows of hosts must line up. The host is
// told of its clock by a finding.
func setRight(r *ops.Report, skew time.Duration, now time.Time) {
	if skew.Abs() >= rightBelow {
		shift := func(t *time.Time) {
			if !t.IsZero() {
				*t = t.Add(-skew)
			}
		}
		shift(&r.At)
		for i := range r.Observations {
			o := &r.Observations[i]
			shift(&o.Started)
			for j := range o.Samples {
				shift(&o.Samples[j].At)
			}
			for j := range o.Events {
				shift(&o.Events[j].At)
			}
		}
	}
	if r.At.After(now) || r.At.IsZero() {
		r.At = now
	}
}
