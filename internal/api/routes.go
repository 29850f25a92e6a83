package api

import (
	"net/http"
	"reflect"
	"slices"

	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/internal/watch"
)

// remoteWriteBytes bounds one request of remote write.
const remoteWriteBytes = 32 << 20

// table is everything that can be asked: method and pattern, who may, what it
// is, and the handler.
func (s *Server) table() []Route {
	return slices.Concat(s.estateRoutes(), s.patrolRoutes(), s.inquiryRoutes(), s.modelRoutes(), s.accountRoutes(), s.machineRoutes())
}

func (s *Server) estateRoutes() []Route {
	resources := route("GET /api/v1/resources", Read, "Resources, by name unless sorted otherwise.", s.resources)
	resources.Out = reflect.TypeFor[List[ops.Resource]]()
	explain := route("GET /api/v1/explain", Read, "Why a condition of a resource is or is not a finding, delivered, suppressed.", s.explain)
	explainFinding := route("GET /api/v1/explain/{id}", Read, "The same for a finding.", s.explainFinding)
	explain.Out, explainFinding.Out = reflect.TypeFor[watch.Explanation](), reflect.TypeFor[watch.Explanation]()
	return []Route{
		route("GET /api/v1/status", Read, "One screen: hosts, counts, loops, stores, collectors, channels, coverage.", s.status),
		route("GET /api/v1/hosts", Read, "Hosts with their newest readings.", s.hosts),
		route("GET /api/v1/hosts/{id}", Read, "One host, by its ID, its resource or its name.", s.host),

		resources,
		route("GET /api/v1/resources/{id}", Read, "One resource with what is below it, its metrics and its findings.", s.resource),
		route("GET /api/v1/resources/{id}/series", Read, "The course of some of its metrics, for a chart.", s.series),

		route("GET /api/v1/findings", Read, "Findings, the newest first.", s.findings),
		route("GET /api/v1/findings/{id}", Read, "One finding with resource, evidence, time-line, history and deliveries.", s.finding),
		route("POST /api/v1/findings/{id}/ack", Operate, "Acknowledge: somebody looks after it, reminders stop.", s.ackFinding),
		route("POST /api/v1/findings/{id}/suppress", Operate, "Tell nobody of it for a while; it is evaluated as before.", s.suppress),
		route("POST /api/v1/findings/{id}/unsuppress", Operate, "End a suppression.", s.unsuppress),
		route("POST /api/v1/findings/{id}/resolve", Operate, "Claim that it is solved; it stays open while its condition holds.", s.resolve),

		route("GET /api/v1/incidents", Read, "Incidents, the newest first.", s.incidents),
		route("GET /api/v1/incidents/{id}", Read, "One incident with members, resources, time-line, deliveries and its story.", s.incident),
		route("POST /api/v1/incidents/{id}/ack", Operate, "Acknowledge: somebody looks after it, reminders stop.", s.ackIncident),

		explain,
		explainFinding,

		route("GET /api/v1/checks", Read, "Declared checks.", s.checks),
		route("POST /api/v1/checks", Operate, "Declare a check.", s.addCheck),
		route("PUT /api/v1/checks/{name}", Operate, "Change a check.", s.changeCheck),
		route("DELETE /api/v1/checks/{name}", Operate, "Withdraw a check.", s.deleteCheck),

		route("GET /api/v1/channels", Read, "Configured channels and how they are doing.", s.channels),
		route("POST /api/v1/channels/{name}/test", Operate, "Send a test message.", s.testChannel),
		route("GET /api/v1/deliveries", Read, "Messages to channels, the newest first.", s.deliveries),
		route("GET /api/v1/deliveries/{id}", Read, "One message to a channel.", s.delivery),

		route("GET /api/v1/detectors", Read, "Detectors of this build.", s.detectors),
		route("GET /api/v1/collectors", Read, "Collectors of this build.", s.collectorTypes),
		route("GET /api/v1/channel-types", Read, "Types of channels of this build, with the schema of their settings.", s.channelTypes),
		route("GET /api/v1/tools", Read, "Tools that models may use, with the schema of their arguments.", s.toolViews),

		route("GET /api/v1/audit", Read, "Every committed change, the newest first.", s.audit),
		route("GET /api/v1/audit/verify", Read, "Re-compute the audit chain; one at a time.", s.verifyAudit).slow(),
		plain("GET /api/v1/stream", Read, "Server-sent events of every change, or with ?run=ID of one patrol; Last-Event-ID or ?after= resumes without a gap.", s.stream),
	}
}

func (s *Server) accountRoutes() []Route {
	in := s.sign
	restore := plain("POST /api/v1/restore", Administer, "Put a backup, which is the body, in the place of the database: it is checked, then the server starts again with it. "+
		"Accounts, tokens and sessions are those of the backup.", s.restore).bodyUpTo(restoreBytes).slow()
	restore.Takes, restore.Out = uploadType, reflect.TypeFor[store.Restored]()
	return []Route{
		route("GET /api/v1/session", Public, "Who is signed in.", in.session),
		route("POST /api/v1/session", Public, "Sign in with a password.", in.withPassword),
		route("POST /api/v1/session/link", Public, "Sign in with the one-time link, on the machine that Reeve runs on.", in.withLink),
		route("POST /api/v1/session/links", Administer, "Make a one-time link; the one before it ends.", in.makeLink),
		route("POST /api/v1/session/password", Personal, "Set one's own password; other sessions end.", in.setPassword),
		route("DELETE /api/v1/session", Public, "Sign out.", in.signOut),
		plain("GET /api/v1/session/oidc", Public, "Sign in through the OpenID provider: redirects there.", in.toProvider),
		plain("GET /api/v1/session/oidc/callback", Public, "Where the OpenID provider sends people back to.", in.fromProvider),

		route("GET /api/v1/users", Administer, "Accounts.", s.users),
		route("POST /api/v1/users", Administer, "Make an account.", s.addUser),
		route("PUT /api/v1/users/{id}", Administer, "Change role or password of an account, or disable it.", s.changeUser),
		route("DELETE /api/v1/users/{id}", Administer, "Delete an account with its tokens.", s.deleteUser),

		route("GET /api/v1/tokens", Personal, "API tokens: one's own; an admin sees all.", s.tokens),
		route("POST /api/v1/tokens", Personal, "Make an API token; its secret is shown once.", s.addToken),
		route("DELETE /api/v1/tokens/{id}", Personal, "Revoke an API token.", s.deleteToken),

		route("GET /api/v1/secrets", Administer, "Sealed settings: their names, never their values.", s.secrets),
		route("PUT /api/v1/secrets/{name}", Administer, "Seal a setting, which the configuration names as sealed:NAME.", s.seal),
		route("DELETE /api/v1/secrets/{name}", Administer, "Delete a sealed setting.", s.deleteSecret),
		route("GET /api/v1/config", Administer, "The configuration in effect, secrets masked.", s.config),
		plain("POST /api/v1/backup", Administer, "Download a consistent copy of the database.", s.backup).slow(),
		restore,
	}
}

func (s *Server) machineRoutes() []Route {
	prometheus := http.StripPrefix("/prometheus", s.deps.Metrics.Prometheus)
	return []Route{
		plain("GET /healthz", Open, "The process answers.", s.healthz),
		plain("GET /readyz", Open, "The process can do its work.", s.readyz),
		plain("GET /metrics", Public, "Prometheus metrics about Reeve itself; from elsewhere with the scope metrics:read.", s.selfMetrics()),
		plain("GET /api/openapi.json", Open, "This description.", s.describeAPI),

		plain("GET /beat/{token}", Open, "A heartbeat arrives.", s.beat),
		plain("POST /beat/{token}", Open, "A heartbeat arrives.", s.beat),

		handing("GET /prometheus/", MetricsRead, "The Prometheus HTTP API over the stored samples.", prometheus),
		handing("POST /prometheus/", MetricsRead, "The same, for long queries.", prometheus),
		handing("POST /prometheus/api/v1/write", MetricsWrite, "Prometheus remote write.", prometheus).bodyUpTo(remoteWriteBytes),
	}
}
