package collectors

import (
	"reeve/internal/collect"
	"reeve/internal/containers"
	"reeve/internal/ops"
)

var _ = all.Add(collect.Definition{
	Name: "docker",
	Doc: "Containers of Docker: state, health, restarts, exits, use of the machine, and the compose services " +
		"they add up to. Option sockets=PATH,... replaces the usual paths.",
	Every: containers.Every, Timeout: 3 * containers.Every, Cost: collect.Moderate, Permissions: "group docker",
	Metrics: containers.Metrics, Kinds: []ops.Kind{ops.KindContainer, ops.KindService, ops.KindProject},
	Open: func(env collect.Env) collect.Collector {
		return containers.NewCollector(env, containers.Docker, containers.Sockets(env, containers.Docker))
	},
})
