package config

// Fleet sets how other machines are watched.
type Fleet struct {
	Address         string   `koanf:"address" doc:"Where agents reach this server: reeve://HOST:PORT, or https://HOST behind a proxy; default listen_tls with an address of this machine."`
	CertificateLife Duration `koanf:"certificate_life" default:"7d" doc:"How long an agent's certificate counts; it is renewed after two thirds; at least 2m. An agent that is away until its end has to join again."`
	Probe           []string `koanf:"probe" doc:"HOST:PORT of things outside, such as the gateway: while many hosts are silent at once, one that answers proves that the fault is not here."`
}

func defaultFleet() Fleet { return Fleet{CertificateLife: Days(7)} }
