package config

// Workload declares what should be of one thing on a host.
type Workload struct {
	Host    string `koanf:"host" doc:"Name of the host; empty for this machine."`
	Driver  string `koanf:"driver" doc:"docker, podman or systemd; reeve drivers lists them."`
	Name    string `koanf:"name" doc:"Of the container, or of the unit with .service."`
	Desired string `koanf:"desired" doc:"running, paused, stopped or absent; default running."`
}
