// Package pki holds the certificates of this installation: its own authority,
// which is made on its first use and kept in the data directory, and the
// listener for the network, which serves with a certificate of that authority
// or with one that the operator gives.
package pki

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
	"time"

	"reeve/internal/ops"
)

// The lives of certificates.
const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 30 * 24 * time.Hour
)

// The files of the own authority, in the data directory.
const (
	authorityCert = "tls/ca.crt"
	authorityKey  = "tls/ca.key"
)

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

func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}
