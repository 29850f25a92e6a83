package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"reeve/internal/ops"
)

// The lives of certificates.
const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 30 * 24 * time.Hour
	leafRenew     = 20 * 24 * time.Hour // a leaf with less life left is replaced
	certLook      = time.Minute         // between two looks at given files
	maxLeafNames  = 100
)

// The files of the own authority, in the data directory.
const (
	authorityCert = "tls/ca.crt"
	authorityKey  = "tls/ca.key"
)

// tlsConfig makes the TLS settings of the listener for the network.
func tlsConfig(o TLSFiles, now func() time.Time) (*tls.Config, error) {
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

// authority is a certificate authority of this installation alone.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// openAuthority reads the authority of the data directory, or makes it.
func openAuthority(dataDir string, now time.Time) (*authority, error) {
	certPath, keyPath := filepath.Join(dataDir, authorityCert), filepath.Join(dataDir, authorityKey)
	pair, err := tls.LoadX509KeyPair(certPath, keyPath)
	if errors.Is(err, fs.ErrNotExist) {
		return makeAuthority(certPath, keyPath, now)
	}
	if err != nil {
		return nil, ops.Because(ops.Invalid, err, "the certificate authority in %s cannot be read; restore it, or remove both files to make a new one", filepath.Dir(certPath))
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, ops.Errorf(ops.Invalid, "the key of the certificate authority in %s is of another kind than Reeve makes", filepath.Dir(certPath))
	}
	return &authority{pair.Leaf, key}, nil
}

func makeAuthority(certPath, keyPath string, now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname() // Without one the name is shorter.
	form := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Reeve on " + host, Organization: []string{"Reeve"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(keyPath), 0o700); err != nil {
		return nil, ops.Because(ops.Unavailable, err, "the folder %s cannot be made", filepath.Dir(keyPath))
	}
	// The certificate comes last: while it is missing both are made anew.
	if err := os.WriteFile(keyPath, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600); err != nil {
		return nil, fmt.Errorf("write the key of the authority: %w", err)
	}
	if err := os.WriteFile(certPath, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return nil, fmt.Errorf("write the certificate of the authority: %w", err)
	}
	return &authority{cert, key}, nil
}

func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}

// issue makes a certificate for names and addresses.
func (a *authority) issue(names []string, addrs []net.IP, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	form := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: names[0]},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(leafLife), DNSNames: names, IPAddresses: addrs,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, form, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key, Leaf: leaf}, err
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
	if l.cert != nil && l.cert.Leaf.NotAfter.Sub(now) > leafRenew && (here == nil || holds(l.cert.Leaf, here)) {
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
