// Package config reads what a person set: built-in defaults, then reeve.yaml,
// then REEVE_* of the environment, then flags. Nothing needs to be set to
// start. A key that nobody knows is an error that names the nearest known one,
// because a setting that is silently ignored is worse than none.
package config

import (
	"reeve/internal/collect"
)

// A Config is everything that can be set. Names are permanent.
type Config struct {
	Data      string `koanf:"data" doc:"Folder of the database, the metrics and the keys; default $XDG_DATA_HOME/reeve, /var/lib/reeve for root."`
	Database  string `koanf:"database" doc:"sqlite:PATH or postgres://...; default the file reeve.db in the data folder." secret:"true"`
	Listen    string `koanf:"listen" default:"127.0.0.1:7433" doc:"Address of the page and the API without TLS; keep it on loopback."`
	ListenTLS string `koanf:"listen_tls" doc:"Address of the page and the API with TLS, for browsers of the network; empty for none."`
	TLSCert   string `koanf:"tls_cert" doc:"Certificate file for listen_tls; default one signed by Reeve's own CA."`
	TLSKey    string `koanf:"tls_key" doc:"Key file of tls_cert."`
	PublicURL string `koanf:"public_url" doc:"Where people reach the page; goes into messages."`
	Deadman   string `koanf:"deadman" doc:"Address of a dead-man service outside, asked for every minute while Reeve lives and judges: when that ends, the service tells you." secret:"true"`
	LogLevel  string `koanf:"log_level" default:"info" doc:"debug, info, warn or error."`

	Metrics    Metrics                   `koanf:"metrics" doc:"Where samples are kept."`
	Agent      Agent                     `koanf:"agent" doc:"The agent for this machine inside the server."`
	Collectors map[string]map[string]any `koanf:"collectors" doc:"Per collector: every, enabled, and its own options."`
	Detectors  map[string]Detector       `koanf:"detectors" doc:"Per condition: enabled, hold, clear, thresholds, and exceptions under where."`
	Checks     []collect.Check           `koanf:"checks" doc:"Probes of services, and heartbeats that are expected."`
	Channels   []map[string]any          `koanf:"channels" doc:"Where messages go: name, type, and the settings of the type." secret:"true"`
	Notify     map[string]any            `koanf:"notify" doc:"Routes, quiet hours, ceilings, reminders."`
	OIDC       OIDC                      `koanf:"oidc" doc:"Sign-in through an OpenID Connect provider."`

	Models      Models      `koanf:"models" doc:"Language models; none are needed."`
	Patrol      Patrol      `koanf:"patrol" doc:"When the estate is looked over."`
	Investigate Investigate `koanf:"investigate" doc:"Inquiries into incidents."`
	Workloads   []Workload  `koanf:"workloads" doc:"What should run on the hosts, and what should not."`
	Fleet       Fleet       `koanf:"fleet" doc:"Other machines, watched by their own agents."`

	places places // of the keys in the file
}

// Metrics says where samples are kept and for how long.
type Metrics struct {
	URL             string   `koanf:"url" doc:"Base address of a Prometheus-compatible store to use instead of the embedded one." secret:"true"`
	WriteURL        string   `koanf:"write_url" doc:"Where samples are sent; default url + /api/v1/write." secret:"true"`
	Retention       Duration `koanf:"retention" default:"30d" doc:"How long raw samples are kept."`
	RollupRetention Duration `koanf:"rollup_retention" default:"730d" doc:"How long five-minute roll-ups are kept."`
	MaxSize         Size     `koanf:"max_size" default:"8GB" doc:"How much disk the embedded store may take."`
}

// Agent sets the agent inside the server.
type Agent struct {
	Enabled bool              `koanf:"enabled" default:"true" doc:"Whether this machine is watched."`
	Name    string            `koanf:"name" doc:"Name of this host; default its hostname."`
	Labels  map[string]string `koanf:"labels" doc:"Labels of this host."`
	Proc    string            `koanf:"proc" default:"/proc" doc:"Root of proc; another one than /proc is a recorded tree."`
	Sys     string            `koanf:"sys" default:"/sys" doc:"Root of sys; default /sys."`
	Root    string            `koanf:"root" default:"/" doc:"Root of the file system; default /."`
	Docker  []string          `koanf:"docker_sockets" doc:"Sockets of Docker; default the usual places."`
	Podman  []string          `koanf:"podman_sockets" doc:"Sockets of Podman; default the usual places."`
}

// Detector sets one condition.
type Detector struct {
	Enabled    *bool              `koanf:"enabled" doc:"Whether it is looked for; default true."`
	Hold       *Duration          `koanf:"hold" doc:"How long it must be true before it opens."`
	Clear      *Duration          `koanf:"clear" doc:"How long it must be false before it resolves."`
	Thresholds map[string]float64 `koanf:"thresholds" doc:"Its thresholds by name; reeve detectors lists them."`
	Where      []Exception        `koanf:"where" doc:"Other settings for some resources; the last that matches wins."`
}

// Exception sets a condition for the resources it selects.
type Exception struct {
	Kinds      []string           `koanf:"kinds" doc:"Kinds of resources."`
	Hosts      []string           `koanf:"hosts" doc:"Names of hosts; * and ? match."`
	Names      []string           `koanf:"names" doc:"Names of resources; * and ? match."`
	Resources  []string           `koanf:"resources" doc:"IDs of resources."`
	Labels     map[string]string  `koanf:"labels" doc:"Labels; * and ? match in values."`
	Enabled    *bool              `koanf:"enabled" doc:"Whether it is looked for."`
	Hold       *Duration          `koanf:"hold" doc:"How long it must be true before it opens."`
	Clear      *Duration          `koanf:"clear" doc:"How long it must be false before it resolves."`
	Thresholds map[string]float64 `koanf:"thresholds" doc:"Thresholds by name."`
}

// OIDC sets sign-in through a provider.
type OIDC struct {
	Issuer       string            `koanf:"issuer" doc:"Address of the provider; empty for none."`
	ClientID     string            `koanf:"client_id" doc:"Client registered there."`
	ClientSecret string            `koanf:"client_secret" doc:"Its secret: a value, file:PATH, env:NAME or sealed:NAME." secret:"true"`
	RedirectURL  string            `koanf:"redirect_url" doc:"Where the provider sends people back; default the address they came from + /api/v1/session/oidc/callback."`
	RoleClaim    string            `koanf:"role_claim" default:"groups" doc:"Claim whose values give roles; default groups."`
	Roles        map[string]string `koanf:"roles" doc:"Value of the claim to role: viewer, operator or admin."`
	DefaultRole  string            `koanf:"default_role" doc:"Role of who has none; empty refuses them."`
}

// Default answers the configuration of someone who set nothing.
func Default() Config {
	return Config{
		Listen:   "127.0.0.1:7433",
		LogLevel: "info",
		Metrics:  Metrics{Retention: Days(30), RollupRetention: Days(730), MaxSize: 8 << 30},
		Agent:    Agent{Enabled: true, Proc: "/proc", Sys: "/sys", Root: "/"},
		OIDC:     OIDC{RoleClaim: "groups"},

		Models:      defaultModels(),
		Patrol:      defaultPatrol(),
		Investigate: defaultInvestigate(),
		Fleet:       defaultFleet(),
	}
}
