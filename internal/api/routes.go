package api

import (
	"net/http"
	"reflect"
	"slices"

	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/store"
	"reeve/internal/watch"
)

// remoteWriteBytes bounds one request of remote write.
const remoteWriteBytes = 32 << 20

// table is everything that can be asked: method and pattern, who may, what it
// is, and the handler. What concerns accounts is listed in package signin.
func (s *Server) table() []rest.Route {
	return slices.Concat(s.estateRoutes(), s.fleetRoutes(), s.workRoutes(), s.patrolRoutes(), s.inquiryRoutes(), s.modelRoutes(), s.sign.Routes(), s.settingRoutes(), s.machineRoutes())
}

func (s *Server) estateRoutes() []rest.Route {
	resources := rest.Typed("GET /api/v1/resources", rest.Read, "Resources, by name unless sorted otherwise.", s.resources)
	resources.Out = reflect.TypeFor[rest.List[ops.Resource]]()
	explain := rest.Typed("GET /api/v1/explain", rest.Read, "Why a condition of a resource is or is not a finding, delivered, suppressed.", s.explain)
	explainFinding := rest.Typed("GET /api/v1/explain/{id}", rest.Read, "The same for a finding.", s.explainFinding)
	explain.Out, explainFinding.Out = reflect.TypeFor[watch.Explanation](), reflect.TypeFor[watch.Explanation]()
	return []rest.Route{
		rest.Typed("GET /api/v1/status", rest.Read, "One screen: hosts, counts, loops, stores, collectors, channels, coverage.", s.status),

		resources,
		rest.Typed("GET /api/v1/resources/{id}", rest.Read, "One resource with what is below it, its metrics and its findings.", s.resource),
		rest.Typed("GET /api/v1/resources/{id}/series", rest.Read, "The course of some of its metrics, for a chart.", s.series),

		rest.Typed("GET /api/v1/findings", rest.Read, "Findings, the newest first.", s.findings),
		rest.Typed("GET /api/v1/findings/{id}", rest.Read, "One finding with resource, evidence, time-line, history and deliveries.", s.finding),
		rest.Typed("POST /api/v1/findings/{id}/ack", rest.Operate, "Acknowledge: somebody looks after it, reminders stop.", s.ackFinding),
		rest.Typed("POST /api/v1/findings/{id}/suppress", rest.Operate, "Tell nobody of it for a while; it is evaluated as before.", s.suppress),
		rest.Typed("POST /api/v1/findings/{id}/unsuppress", rest.Operate, "End a suppression.", s.unsuppress),
		rest.Typed("POST /api/v1/findings/{id}/resolve", rest.Operate, "Claim that it is solved; it stays open while its condition holds.", s.resolve),

		rest.Typed("GET /api/v1/incidents", rest.Read, "Incidents, the newest first.", s.incidents),
		rest.Typed("GET /api/v1/incidents/{id}", rest.Read, "One incident with members, resources, time-line, deliveries and its story.", s.incident),
		rest.Typed("POST /api/v1/incidents/{id}/ack", rest.Operate, "Acknowledge: somebody looks after it, reminders stop.", s.ackIncident),

		explain,
		explainFinding,

		rest.Typed("GET /api/v1/checks", rest.Read, "Declared checks.", s.checks),
		rest.Typed("POST /api/v1/checks", rest.Operate, "Declare a check.", s.addCheck),
		rest.Typed("PUT /api/v1/checks/{name}", rest.Operate, "Change a check.", s.changeCheck),
		rest.Typed("DELETE /api/v1/checks/{name}", rest.Operate, "Withdraw a check.", s.deleteCheck),

		rest.Typed("GET /api/v1/channels", rest.Read, "Configured channels and how they are doing.", s.channels),
		rest.Typed("POST /api/v1/channels/{name}/test", rest.Operate, "Send a test message.", s.testChannel),
		rest.Typed("GET /api/v1/deliveries", rest.Read, "Messages to channels, the newest first.", s.deliveries),
		rest.Typed("GET /api/v1/deliveries/{id}", rest.Read, "One message to a channel.", s.delivery),

		rest.Typed("GET /api/v1/detectors", rest.Read, "Detectors of this build.", s.detectors),
		rest.Typed("GET /api/v1/collectors", rest.Read, "Collectors of this build.", s.collectorTypes),
		rest.Typed("GET /api/v1/channel-types", rest.Read, "Types of channels of this build, with the schema of their settings.", s.channelTypes),
		rest.Typed("GET /api/v1/tools", rest.Read, "Tools that models may use, with the schema of their arguments.", s.toolViews),

		rest.Typed("GET /api/v1/audit", rest.Read, "Every committed change, the newest first.", s.audit),
		rest.Typed("GET /api/v1/audit/verify", rest.Read, "Re-compute the audit chain; one at a time.", s.verifyAudit).Slow(),
		rest.Plain("GET /api/v1/stream", rest.Read, "Server-sent events of every change, or with ?run=ID of one patrol; Last-Event-ID or ?after= resumes without a gap.", s.stream),
	}
}

func (s *Server) settingRoutes() []rest.Route {
	restore := rest.Plain("POST /api/v1/restore", rest.Administer, "Put a backup, which is the body, in the place of the database: it is checked, then the server starts again with it. "+
		"Accounts, tokens and sessions are those of the backup.", s.restore).BodyUpTo(restoreBytes).Slow()
	restore.Takes, restore.Out = uploadType, reflect.TypeFor[store.Restored]()
	return []rest.Route{
		rest.Typed("GET /api/v1/secrets", rest.Administer, "Sealed settings: their names, never their values.", s.secrets),
		rest.Typed("PUT /api/v1/secrets/{name}", rest.Administer, "Seal a setting, which the configuration names as sealed:NAME.", s.seal),
		rest.Typed("DELETE /api/v1/secrets/{name}", rest.Administer, "Delete a sealed setting.", s.deleteSecret),
		rest.Typed("GET /api/v1/config", rest.Administer, "The configuration in effect, secrets masked.", s.config),
		rest.Plain("POST /api/v1/backup", rest.Administer, "Download a consistent copy of the database.", s.backup).Slow(),
		restore,
	}
}

func (s *Server) machineRoutes() []rest.Route {
	prometheus := http.StripPrefix("/prometheus", s.deps.Metrics.Prometheus)
	return []rest.Route{
		rest.Plain("GET /healthz", rest.Open, "The process answers.", s.healthz),
		rest.Plain("GET /readyz", rest.Open, "The process can do its work.", s.readyz),
		rest.Plain("GET /metrics", rest.Public, "Prometheus metrics about Reeve itself; from elsewhere with the scope metrics:read.", s.selfMetrics()),
		rest.Plain("GET /api/openapi.json", rest.Open, "This description.", s.describeAPI),

		rest.Plain("GET /beat/{token}", rest.Open, "A heartbeat arrives.", s.beat),
		rest.Plain("POST /beat/{token}", rest.Open, "A heartbeat arrives.", s.beat),

		rest.Handing("GET /prometheus/", rest.MetricsRead, "The Prometheus HTTP API over the stored samples.", prometheus),
		rest.Handing("POST /prometheus/", rest.MetricsRead, "The same, for long queries.", prometheus),
		rest.Handing("POST /prometheus/api/v1/write", rest.MetricsWrite, "Prometheus remote write.", prometheus).BodyUpTo(remoteWriteBytes),
	}
}
