package app

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"reeve/internal/api"
	"reeve/internal/config"
	"reeve/internal/ops"
)

// minCertificateLife is what an agent, which looks at its certificate once a
// minute, needs to renew it in time.
const minCertificateLife = 2 * time.Minute

// addressErrors answers the first mistake in the addresses of others, and in
// how agents come in. Without it nobody would notice: they are used later.
func addressErrors(c config.Config) error {
	for _, x := range []struct{ key, value string }{{"deadman", c.Deadman}, {"metrics.url", c.Metrics.URL}, {"metrics.write_url", c.Metrics.WriteURL}} {
		if x.value != "" && !isWebAddress(x.value) { // it may hold a password: it is not shown
			return c.Because(x.key, ops.Errorf(ops.Invalid, "%s: the address must begin with http:// or https:// and name a host", x.key))
		}
	}
	if c.Fleet.Address != "" {
		if err := api.CheckAgentAddress(c.Fleet.Address); err != nil {
			return c.Because("fleet.address", ops.Errorf(ops.Invalid, "fleet.address: %v", err))
		}
	}
	for i, addr := range c.Fleet.Probe {
		if !isHostPort(addr) {
			key := fmt.Sprintf("fleet.probe[%d]", i)
			return c.Because(key, ops.Errorf(ops.Invalid, "%s: %q is not HOST:PORT, such as 192.0.2.1:443", key, addr))
		}
	}
	if life := time.Duration(c.Fleet.CertificateLife); life < minCertificateLife {
		return c.Because("fleet.certificate_life", ops.Errorf(ops.Invalid,
			"fleet.certificate_life: the least is %s, or agents cannot renew in time; whoever is away for longer has to join again", config.Duration(minCertificateLife)))
	}
	return nil
}

func isWebAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Hostname() != "" && (u.Scheme == "http" || u.Scheme == "https")
}

func isHostPort(text string) bool {
	host, port, err := net.SplitHostPort(text)
	n, notNumber := strconv.ParseUint(port, 10, 16)
	return err == nil && host != "" && notNumber == nil && n > 0
}
