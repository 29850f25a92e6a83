package collectors

import (
	"reeve/internal/collect"
	"reeve/internal/containers"
	"reeve/internal/ops"
)

var _ = all.Add(collect.Definition{
	Name: "podman",
	Doc: "Containers of Podman, through the socket of its API (systemctl enable --now podman.socket). " +
		"Option sockets=PATH,... replaces the usual paths.",
	Every: containers.Every, Timeout: 3 * containers.Every, Cost: collect.Moderate, Permissions: "root, or the user whose containers they are",
	Metrics: containers.Metrics, Kinds: []ops.Kind{ops.KindContainer, ops.KindService, ops.KindProject},
	Open: func(env collect.Env) collect.Collector {
		return containers.NewCollector(env, containers.Podman, containers.Sockets(env, containers.Podman))
	},
})
