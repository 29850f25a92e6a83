package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"reeve/internal/ops"
)

const (
	leafRenew    = 20 * 24 * time.Hour // a leaf with less life left is replaced
	certLook     = time.Minute         // between two looks at given files
	maxLeafNames = 100
)

// Files say with which certificate the listener for the network serves.
type Files struct {
	// Cert and Key are files with the certificate and its key; without them
	// it is one of the own authority that is kept in DataDir.
	Cert, Key string
	DataDir   string
	// Names are names and addresses that the certificate is for, besides
	// those of this machine.
	Names []string
	// Else answers other settings for those who do not come for the page, and
	// nil for all others; nil for nobody.
	Else func(*tls.ClientHelloInfo) (*tls.Config, error)
}

// Listen opens a listener with TLS for the network.
func Listen(addr string, files Files) (net.Listener, error) {
	config, err := tlsConfig(files, time.Now)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, ops.Because(ops.Unavailable, err, "cannot listen on %s: %v", addr, cause(err))
	}
	config.GetConfigForClient = files.Else
	return tls.NewListener(l, config), nil
}

// tlsConfig makes the TLS settings of the listener for the network.
func tlsConfig(o Files, now func() time.Time) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	if (o.Cert == "") != (o.Key == "") {
		return nil, ops.Errorf(ops.Invalid, "the TLS certificate needs both its file and the file of its key")
	}
	if o.Cert != "" {
		given := &givenCert{certFile: o.Cert, keyFile: o.Key, now: now}
		if _, err := given.get(nil); err != nil {
			return nil, err
		}
		config.GetCertificate = given.get
		return config, nil
	}
	a, err := openAuthority(o.DataDir, now())
	if err != nil {
		return nil, err
	}
	leaf := &ownLeaf{authority: a, now: now, names: o.Names}
	config.GetCertificate = leaf.get
	return config, nil
}

// givenCert serves the certificate of two files and notices when they were
// renewed.
type givenCert struct {
	certFile, keyFile string
	now               func() time.Time

	mu     sync.Mutex
	cert   *tls.Certificate
	looked time.Time
}

func (g *givenCert) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if g.cert != nil && now.Sub(g.looked) < certLook {
		return g.cert, nil
	}
	g.looked = now
	cert, err := tls.LoadX509KeyPair(g.certFile, g.keyFile)
	switch {
	case err == nil:
		g.cert = &cert
	case g.cert == nil:
		return nil, ops.Because(ops.Invalid, err, "the TLS certificate %s with the key %s cannot be read", g.certFile, g.keyFile)
	}
	return g.cert, nil // While the files are being replaced, the one before stays.
}

// ownLeaf serves a certificate of the own authority for this machine's names
// and addresses. It is made anew in time, and when the machine has got
// another address.
type ownLeaf struct {
	authority *authority
	now       func() time.Time
	names     []string

	mu   sync.Mutex
	cert *tls.Certificate
}

func (l *ownLeaf) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	here := localIP(hello)
	// The clock may have been ahead when it was made.
	if l.cert != nil && l.cert.Leaf.NotAfter.Sub(now) > leafRenew && !now.Before(l.cert.Leaf.NotBefore) && (here == nil || holds(l.cert.Leaf, here)) {
		return l.cert, nil
	}
	names, addrs := machineNames(l.names, here)
	cert, err := l.authority.issue(names, addrs, now)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate: %w", err)
	}
	l.cert = cert
	return cert, nil
}

func holds(c *x509.Certificate, ip net.IP) bool {
	return slices.ContainsFunc(c.IPAddresses, ip.Equal)
}

// localIP answers the address of this machine that somebody connected to.
func localIP(hello *tls.ClientHelloInfo) net.IP {
	if hello == nil || hello.Conn == nil {
		return nil
	}
	if at, ok := hello.Conn.LocalAddr().(*net.TCPAddr); ok {
		return at.IP
	}
	return nil
}

// machineNames gathers the names and addresses of this machine.
func machineNames(more []string, here net.IP) (names []string, addrs []net.IP) {
	if host, err := os.Hostname(); err == nil && host != "" {
		names = append(names, host)
	}
	for _, n := range more {
		if ip := net.ParseIP(n); ip != nil {
			addrs = append(addrs, ip)
		} else if n != "" {
			names = append(names, n)
		}
	}
	names = append(names, "localhost")
	if here != nil {
		addrs = append(addrs, here)
	}
	addrs = append(addrs, net.IPv4(127, 0, 0, 1), net.IPv6loopback)
	if all, err := net.InterfaceAddrs(); err == nil {
		for _, a := range all {
			if in, ok := a.(*net.IPNet); ok && !in.IP.IsLoopback() {
				addrs = append(addrs, in.IP)
			}
		}
	}
	slices.Sort(names[min(1, len(names)):])
	return slices.Compact(names), addrs[:min(len(addrs), maxLeafNames)]
}

// cause answers the innermost part of an error, which is the one for people.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
