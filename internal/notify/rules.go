package notify

import (
	"slices"
	"strings"
	"time"

	"reeve/internal/config"
	"reeve/internal/ops"
)

// Rules are the section notify of the configuration. Every field has a
// default: without the section every channel is told of everything, within
// the ceilings.
type Rules struct {
	Routes            []Route         `json:"routes,omitempty" doc:"Which channels are told of what: the first that matches a finding decides. What no route matches goes to every channel."`
	QuietHours        []QuietHours    `json:"quiet_hours,omitempty" doc:"When only critical messages pass; the others come as one digest at the end."`
	TimeZone          string          `json:"time_zone,omitempty" doc:"IANA name of the zone of quiet hours and of times in messages; default the server's."`
	ChannelMaxPerHour int             `json:"channel_max_per_hour,omitempty" default:"60" doc:"Most messages to one channel in an hour; what is above comes as a digest."`
	TotalMaxPerHour   int             `json:"total_max_per_hour,omitempty" default:"200" doc:"Most messages to all channels together in an hour."`
	DigestEvery       config.Duration `json:"digest_every,omitempty" default:"15m" doc:"Least time between two digests to one channel."`
	ReminderEvery     config.Duration `json:"reminder_every,omitempty" default:"4h" doc:"How often a critical incident that nobody has acknowledged is told again; 0 for never."`
}

// A Route sends findings that it matches to its channels. An empty selector
// matches everything; * and ? match in names and values.
type Route struct {
	Severities []string          `json:"severities,omitempty" doc:"warning, critical."`
	Kinds      []string          `json:"kinds,omitempty" doc:"Kinds of resources."`
	Conditions []string          `json:"conditions,omitempty" doc:"Conditions; advisory for all that only a model saw, which is told only where a route names it."`
	Hosts      []string          `json:"hosts,omitempty" doc:"Names of hosts."`
	Names      []string          `json:"names,omitempty" doc:"Names of resources."`
	Labels     map[string]string `json:"labels,omitempty" doc:"Labels of the resource."`
	Channels   []string          `json:"channels,omitempty" doc:"Names of channels; none keeps the findings from being told."`
	Continue   bool              `json:"continue,omitempty" doc:"Look at the routes after this one too."`
}

// A Policy is checked rules, ready to decide by.
type Policy struct {
	channels    []string
	routes      []Route
	quiet       []quiet
	zone        *time.Location
	perChannel  int
	total       int
	digestEvery time.Duration
	remindEvery time.Duration
}

// least is how small a ceiling or a digest interval may be set.
const (
	leastPerHour = 1
	leastDigest  = time.Minute
)

// NewPolicy checks the section notify of the configuration for the named
// channels.
func NewPolicy(raw map[string]any, channels []string) (Policy, error) {
	var r Rules
	if err := Decode(raw, &r); err != nil {
		return Policy{}, err
	}
	p := Policy{
		channels: slices.Sorted(slices.Values(channels)), routes: r.Routes, zone: time.Local,
		perChannel: r.ChannelMaxPerHour, total: r.TotalMaxPerHour,
		digestEvery: time.Duration(r.DigestEvery), remindEvery: time.Duration(r.ReminderEvery),
	}
	if p.perChannel < leastPerHour || p.total < leastPerHour {
		return Policy{}, ops.Errorf(ops.Invalid, "setting channel_max_per_hour and total_max_per_hour: are at least %d", leastPerHour)
	}
	if p.digestEvery < leastDigest {
		return Policy{}, ops.Errorf(ops.Invalid, "setting digest_every: is at least %s", leastDigest)
	}
	var err error
	if r.TimeZone != "" {
		if p.zone, err = loadZone(r.TimeZone); err != nil {
			return Policy{}, err
		}
	}
	for _, q := range r.QuietHours {
		parsed, err := q.parse(p.zone)
		if err != nil {
			return Policy{}, err
		}
		p.quiet = append(p.quiet, parsed)
	}
	return p, p.checkNames(r)
}

func (p Policy) checkNames(r Rules) error {
	for i, route := range r.Routes {
		for _, s := range route.Severities {
			if !ops.Severity(s).Valid() {
				return ops.Errorf(ops.Invalid, "setting routes: route %d: the severity is warning or critical, not %q", i+1, s)
			}
		}
		for _, k := range route.Kinds {
			if !ops.ValidKind(ops.Kind(k)) {
				return ops.Errorf(ops.Invalid, "setting routes: route %d: there is no kind %q", i+1, k)
			}
		}
		if err := p.known(route.Channels, "routes"); err != nil {
			return err
		}
	}
	for _, q := range r.QuietHours {
		if err := p.known(q.Channels, "quiet_hours"); err != nil {
			return err
		}
	}
	return nil
}

func (p Policy) known(names []string, setting string) error {
	for _, name := range names {
		if !slices.Contains(p.channels, name) {
			return ops.Errorf(ops.Invalid, "setting %s: there is no channel %q; configured are: %s", setting, name, strings.Join(p.channels, ", "))
		}
	}
	return nil
}

// Channels answers the names of the channels that are to be told of a
// finding.
func (p Policy) Channels(f ops.Finding, r ops.Resource) []string {
	advice := f.Origin == ops.OriginPatrol
	if advice {
		f.Condition = ops.Advisory
	}
	var names []string
	for _, route := range p.routes {
		if !route.matches(f, r) || advice && len(route.Conditions) == 0 {
			continue
		}
		names = append(names, route.Channels...)
		if !route.Continue {
			slices.Sort(names)
			return slices.Compact(names)
		}
	}
	if names == nil && !advice {
		return p.channels
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (r Route) matches(f ops.Finding, of ops.Resource) bool {
	for name, form := range r.Labels {
		value, ok := of.Labels[name]
		if !ok || !glob(form, value) {
			return false
		}
	}
	return anyMatches(r.Severities, string(f.Severity)) && anyMatches(r.Kinds, string(of.Kind)) &&
		anyMatches(r.Conditions, f.Condition) && anyMatches(r.Hosts, of.HostName) && anyMatches(r.Names, of.Name)
}

func anyMatches(forms []string, text string) bool {
	return len(forms) == 0 || slices.ContainsFunc(forms, func(form string) bool { return glob(form, text) })
}

// glob reports whether a text has a form in which * stands for any text and ?
// for any character. It goes back to the last star only, so no form takes
// longer than the product of both lengths.
func glob(form, text string) bool {
	f, t := []rune(form), []rune(text)
	i, j, star, mark := 0, 0, -1, 0
	for j < len(t) {
		switch {
		case i < len(f) && f[i] == '*':
			star, mark = i, j
			i++
		case i < len(f) && (f[i] == '?' || f[i] == t[j]):
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(f) && f[i] == '*' {
		i++
	}
	return i == len(f)
}
