package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"time"

	"reeve/internal/ops"
)

// The lives of what a Root issues, and its own.
const (
	RootLife   = 10 * 365 * 24 * time.Hour
	ServerLife = 24 * time.Hour
	HostLife   = 7 * 24 * time.Hour
	// backdate lets certificates count for clocks that are a little behind,
	// behind those that agents look at: an agent whose clock is wrong must get
	// in, since that is how people hear of its clock.
	backdate = 5 * time.Minute
	behind   = 24 * time.Hour
)

// ServerName is the name in every certificate of a server for its agents:
// they know it by their authority and not by its address.
const ServerName = "server.reeve.internal"

// A Root is the certificate authority between a server and its agents.
type Root struct {
	Cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewRoot makes a new authority.
func NewRoot(now time.Time) (*Root, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	form := &x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{CommonName: "Reeve agents", Organization: []string{"Reeve"}},
		NotBefore: now.Add(-behind), NotAfter: now.Add(RootLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	cert, err := sign(form, form, key.Public(), key)
	return &Root{cert, key}, err
}

// Text answers certificate and key as PEM: a secret.
func (r *Root) Text() (string, error) {
	der, err := x509.MarshalECPrivateKey(r.key)
	if err != nil {
		return "", err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Cert.Raw})
	return string(text) + string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})), nil
}

// ParseRoot reads what Text answered.
func ParseRoot(text string) (*Root, error) {
	pair, err := tls.X509KeyPair([]byte(text), []byte(text))
	if err != nil {
		return nil, ops.Because(ops.Invalid, err, "the authority of the agents is damaged; restore the database, or make another with `reeve ca rotate --force`")
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, ops.Errorf(ops.Invalid, "the key of the authority of the agents is of another kind than Reeve makes")
	}
	return &Root{pair.Leaf, key}, nil
}

// Fingerprint answers what an agent pins: the SHA-256 of the authority's
// public key, as sha256:HEX.
func (r *Root) Fingerprint() string { return Fingerprint(r.Cert) }

// Fingerprint answers the SHA-256 of a certificate's public key, as
// sha256:HEX.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// IssueServer makes a key and a certificate for a server, with the
// authority's own behind it for those who join.
func (r *Root) IssueServer(now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	form := &x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{CommonName: ServerName}, DNSNames: []string{ServerName},
		NotBefore: now.Add(-behind), NotAfter: now.Add(ServerLife), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	leaf, err := sign(form, r.Cert, key.Public(), r.key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw, r.Cert.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// SignHost makes the certificate of an agent from its request, under the
// name of its host's key. What else the request asks for is ignored.
func (r *Root) SignHost(request []byte, hostID string, life time.Duration, now time.Time) (*x509.Certificate, error) {
	csr, err := x509.ParseCertificateRequest(request)
	if err == nil {
		err = csr.CheckSignature()
	}
	if err != nil {
		return nil, ops.Because(ops.Invalid, err, "the certificate request cannot be read or is not signed with its own key")
	}
	if key, ok := csr.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		return nil, ops.Errorf(ops.Invalid, "the certificate request is for another kind of key than ECDSA on P-256")
	}
	form := &x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{CommonName: hostID},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(life), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	return sign(form, r.Cert, csr.PublicKey, r.key)
}

// NewHostKey makes the key of an agent.
func NewHostKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// Request answers a request for the certificate of an agent's key, DER.
func Request(key crypto.Signer, hostID string) ([]byte, error) {
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: hostID}}, key)
}

// Pool answers a pool of authorities.
func Pool(trust []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range trust {
		pool.AddCert(c)
	}
	return pool
}

// ParseTrust reads certificates of authorities, DER; one that cannot be an
// authority is an error.
func ParseTrust(all [][]byte) ([]*x509.Certificate, error) {
	var trust []*x509.Certificate
	for _, der := range all {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, ops.Because(ops.Invalid, err, "the certificate of an authority cannot be read")
		}
		if !c.IsCA || !bytes.Equal(c.RawIssuer, c.RawSubject) {
			return nil, ops.Errorf(ops.Invalid, "the certificate of %q is not one of an authority", c.Subject.CommonName)
		}
		trust = append(trust, c)
	}
	return trust, nil
}

// sign makes a certificate and reads it back.
func sign(form, by *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, form, by, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func newSerial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}
