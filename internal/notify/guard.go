package notify

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"reeve/internal/ops"
)

const (
	dialTimeout    = 10 * time.Second
	requestTimeout = 20 * time.Second
	redirectsLimit = 3
)

// A Reach says what a channel's HTTP client may do beyond the ordinary. It is
// part of the settings of channels that speak HTTP.
type Reach struct {
	AllowPrivateRedirects bool   `json:"allow_private_redirects,omitempty" doc:"Follow redirects to private, loopback and link-local addresses too. The configured address itself may always be private."`
	InsecureTLS           bool   `json:"insecure_tls,omitempty" doc:"Accept any TLS certificate."`
	CAFile                string `json:"ca_file,omitempty" doc:"File of PEM certificates to trust besides the system's."`
}

// NewClient makes an HTTP client for one channel. The address that a person
// configured may be anywhere; where the receiver redirects to may not be
// private, which is checked on the address that is really dialled, so a name
// that resolves differently the second time gains nothing. A redirect that
// would turn a POST into a GET or leave TLS is refused: the message would not
// arrive.
func NewClient(reach Reach) (*http.Client, error) {
	trust, err := Trust(reach)
	if err != nil {
		return nil, err
	}
	first := transport(trust, &net.Dialer{Timeout: dialTimeout})
	first.Proxy = http.ProxyFromEnvironment
	later := first
	if !reach.AllowPrivateRedirects {
		// Its own connection pool: a connection that was allowed as a
		// first target must not serve a redirect. And no proxy, which would
		// resolve the name out of our sight.
		later = transport(trust, &net.Dialer{Timeout: dialTimeout, Control: refusePrivate})
	}
	return &http.Client{
		Transport:     hops{first: first, later: later},
		CheckRedirect: checkRedirect,
		Timeout:       requestTimeout,
	}, nil
}

// Trust answers the TLS settings that a Reach asks for.
func Trust(reach Reach) (*tls.Config, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: reach.InsecureTLS}
	if reach.CAFile == "" {
		return trust, nil
	}
	text, err := os.ReadFile(reach.CAFile)
	if err != nil {
		return nil, ops.Because(ops.Invalid, err, "the file of certificates %s cannot be read", reach.CAFile)
	}
	if trust.RootCAs, err = x509.SystemCertPool(); err != nil {
		trust.RootCAs = x509.NewCertPool()
	}
	if !trust.RootCAs.AppendCertsFromPEM(text) {
		return nil, ops.Errorf(ops.Invalid, "the file %s holds no PEM certificate", reach.CAFile)
	}
	return trust, nil
}

func transport(trust *tls.Config, dialer *net.Dialer) *http.Transport {
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        trust.Clone(),
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        30 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  requestTimeout,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// hops sends the first request and those that follow a redirect through
// different transports.
type hops struct{ first, later http.RoundTripper }

func (h hops) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Response != nil {
		return h.later.RoundTrip(r)
	}
	return h.first.RoundTrip(r)
}

func checkRedirect(r *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case len(via) > redirectsLimit:
		return Refused(nil, fmt.Sprintf("the receiver redirects more than %d times", redirectsLimit))
	case r.Method != first.Method:
		return Refused(nil, fmt.Sprintf("the receiver redirects to %s in a way that drops the message; configure that address instead", place(r)))
	case r.URL.Scheme != "https" && first.URL.Scheme == "https":
		return Refused(nil, "the receiver redirects from https to "+r.URL.Scheme)
	}
	if r.URL.Host != first.URL.Host {
		keepPlainHeaders(r.Header)
	}
	return nil
}

// keepPlainHeaders removes what another host must not see: tokens come in
// headers of many names.
func keepPlainHeaders(h http.Header) {
	for name := range h {
		switch {
		case name == "Content-Type", name == "Accept", name == "User-Agent", strings.HasPrefix(name, "Reeve-"):
		default:
			h.Del(name)
		}
	}
}

func place(r *http.Request) string { return r.URL.Scheme + "://" + r.URL.Host }

var errPrivate = errors.New("the address is private")

// refusePrivate is the Control of a dialer: it sees the resolved address.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || Private(at.Addr()) {
		return Refused(errPrivate, "the receiver redirects to a private address; set allow_private_redirects if that is right")
	}
	return nil
}

var privateNets = parseNets(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4",
	"64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2002::/16", "fec0::/10",
)

func parseNets(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// Private reports whether an address is not plainly on the public internet:
// private, loopback, link-local, multicast, shared or reserved ranges, and
// IPv6 ranges that carry an IPv4 address inside.
func Private(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return true
	}
	for _, n := range privateNets {
		if n.Contains(a) {
			return true
		}
	}
	return false
}
