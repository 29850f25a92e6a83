package containers

import "reeve/internal/collect"

// Metrics are what the collectors of containers emit.
var Metrics = []collect.Metric{
	{Name: "container_running", Unit: "bool", Doc: "1 while the container runs."},
	{Name: "container_cpu_ratio", Unit: "ratio", Doc: "Use of the processor, 1 for one whole core."},
	{Name: "container_memory_bytes", Unit: "bytes", Doc: "Working set: memory in use without file pages that can be given back."},
	{Name: "container_memory_limit_bytes", Unit: "bytes", Doc: "The container's limit, where it has one."},
	{Name: "container_memory_used_ratio", Unit: "ratio", Doc: "Working set to limit, where it has one."},
	{Name: "container_restarts_total", Unit: "count", Doc: "Restarts since the container's name was first seen; those that a person asked for do not count."},
	{Name: "container_net_receive_bytes_per_s", Unit: "bytes_per_s", Doc: "Received over all interfaces of the container."},
	{Name: "container_net_transmit_bytes_per_s", Unit: "bytes_per_s", Doc: "Sent over all interfaces of the container."},
	{Name: "container_block_read_bytes_per_s", Unit: "bytes_per_s", Doc: "Read from block devices."},
	{Name: "container_block_write_bytes_per_s", Unit: "bytes_per_s", Doc: "Written to block devices."},
	{Name: "container_pids_count", Unit: "count", Doc: "Processes and threads."},
	{Name: "service_desired_count", Unit: "count", Doc: "Replicas that are meant to run: containers of the service, less those that a person stopped and those that ended well and may."},
	{Name: "service_running_count", Unit: "count", Doc: "Replicas that run."},
	{Name: "service_failures_1h_count", Unit: "count", Doc: "Containers of the service that ended badly within an hour."},
	{Name: "service_restarts_24h_count", Unit: "count", Doc: "Restarts of the service's containers within a day."},
}

// Sockets answers the paths on which an engine may be: those of the option
// sockets, or the usual ones. Each engine may stand behind the other's path.
func Sockets(env collect.Env, runtime string) []string {
	if env.Option != nil {
		if named := collect.Words(env.Option("sockets")); len(named) > 0 {
			return named
		}
	}
	if runtime == Podman {
		return append(append([]string(nil), env.PodmanSockets...), env.DockerSockets...)
	}
	return env.DockerSockets
}
