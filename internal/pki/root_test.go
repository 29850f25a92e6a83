package pki_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/internal/pki"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func newRoot(t *testing.T) *pki.Root {
	t.Helper()
	r, err := pki.NewRoot(noon)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func request(t *testing.T, name string) []byte {
	t.Helper()
	key, err := pki.NewHostKey()
	if err != nil {
		t.Fatal(err)
	}
	der, err := pki.Request(key, name)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestAnAuthorityIsReadBackAsItWasWritten(t *testing.T) {
	r := newRoot(t)
	text, err := r.Text()
	if err != nil {
		t.Fatal(err)
	}
	again, err := pki.ParseRoot(text)
	if err != nil || again.Fingerprint() != r.Fingerprint() || !strings.HasPrefix(r.Fingerprint(), "sha256:") {
		t.Fatalf("%v, %v", again, err)
	}
	leaf, err := again.SignHost(request(t, "host_1"), "host_1", time.Hour, noon)
	if err != nil {
		t.Fatal(err)
	}
	if err := leaf.CheckSignatureFrom(r.Cert); err != nil {
		t.Error(err)
	}
	other, err := newRoot(t).Text()
	if err != nil {
		t.Fatal(err)
	}
	key := text[strings.Index(text, "-----BEGIN EC"):]
	foreign := other[:strings.Index(other, "-----BEGIN EC")]
	for name, bad := range map[string]string{"empty": "", "half": text[:len(text)/2], "without its key": strings.TrimSuffix(text, key), "of two authorities": foreign + key} {
		if _, err := pki.ParseRoot(bad); ops.KindOf(err) != ops.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsIssuedServesItsPurposeOnly(t *testing.T) {
	r := newRoot(t)
	server, err := r.IssueServer(noon)
	if err != nil {
		t.Fatal(err)
	}
	host, err := r.SignHost(request(t, "host_1"), "host_1", pki.HostLife, noon)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(c *x509.Certificate, use x509.ExtKeyUsage, at time.Time) error {
		_, err := c.Verify(x509.VerifyOptions{Roots: pki.Pool([]*x509.Certificate{r.Cert}), KeyUsages: []x509.ExtKeyUsage{use}, CurrentTime: at})
		return err
	}
	for name, x := range map[string]struct {
		cert *x509.Certificate
		use  x509.ExtKeyUsage
		at   time.Time
		ok   bool
	}{
		"a server serves":                        {server.Leaf, x509.ExtKeyUsageServerAuth, noon, true},
		"a server is no agent":                   {server.Leaf, x509.ExtKeyUsageClientAuth, noon, false},
		"a host speaks":                          {host, x509.ExtKeyUsageClientAuth, noon, true},
		"a host is no server":                    {host, x509.ExtKeyUsageServerAuth, noon, false},
		"a host just before its end":             {host, x509.ExtKeyUsageClientAuth, noon.Add(pki.HostLife - time.Second), true},
		"a host after its end":                   {host, x509.ExtKeyUsageClientAuth, noon.Add(pki.HostLife + time.Second), false},
		"a server for a clock a day behind":      {server.Leaf, x509.ExtKeyUsageServerAuth, noon.Add(-23 * time.Hour), true},
		"a server for a clock a week behind":     {server.Leaf, x509.ExtKeyUsageServerAuth, noon.Add(-7 * 24 * time.Hour), false},
		"a server after its end":                 {server.Leaf, x509.ExtKeyUsageServerAuth, noon.Add(pki.ServerLife + time.Second), false},
		"a host for a server's clock far behind": {host, x509.ExtKeyUsageClientAuth, noon.Add(-time.Hour), false},
	} {
		if err := verify(x.cert, x.use, x.at); (err == nil) != x.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if host.IsCA || server.Leaf.IsCA || r.Cert.MaxPathLen != 0 {
		t.Error("what is issued can issue")
	}
}

// TestARequestAsksForNothingButItsKey: names, uses and the rank of an
// authority that a request claims are ignored.
func TestARequestAsksForNothingButItsKey(t *testing.T) {
	r := newRoot(t)
	key, err := pki.NewHostKey()
	if err != nil {
		t.Fatal(err)
	}
	asks := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "host_other", Organization: []string{"admins"}}, DNSNames: []string{pki.ServerName},
		ExtraExtensions: []pkix.Extension{{Id: []int{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}}}}
	der, err := x509.CreateCertificateRequest(rand.Reader, asks, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := r.SignHost(der, "host_1", time.Hour, noon)
	if err != nil {
		t.Fatal(err)
	}
	if leaf.Subject.String() != "CN=host_1" || len(leaf.DNSNames) > 0 || leaf.IsCA {
		t.Errorf("%s %v %v", leaf.Subject, leaf.DNSNames, leaf.IsCA)
	}
	if !key.PublicKey.Equal(leaf.PublicKey) {
		t.Error("it is for another key")
	}
}

func TestRequestsThatAreNotSignedOrForOtherKeysAreRefused(t *testing.T) {
	r := newRoot(t)
	good := request(t, "host_1")
	forged := append([]byte(nil), good...)
	forged[len(forged)-1] ^= 1
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	big, err := pki.Request(p384, "host_1")
	if err != nil {
		t.Fatal(err)
	}
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsas, err := pki.Request(old, "host_1")
	if err != nil {
		t.Fatal(err)
	}
	for name, der := range map[string][]byte{"nothing": nil, "noise": []byte("noise"), "a broken signature": forged, "P-384": big, "RSA": rsas} {
		if _, err := r.SignHost(der, "host_1", time.Hour, noon); ops.KindOf(err) != ops.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOnlyAuthoritiesAreTrusted(t *testing.T) {
	r := newRoot(t)
	host, err := r.SignHost(request(t, "host_1"), "host_1", time.Hour, noon)
	if err != nil {
		t.Fatal(err)
	}
	if trust, err := pki.ParseTrust([][]byte{r.Cert.Raw, newRoot(t).Cert.Raw}); err != nil || len(trust) != 2 {
		t.Errorf("%d, %v", len(trust), err)
	}
	for name, der := range map[string][]byte{"a host": host.Raw, "noise": []byte("noise"), "nothing": nil} {
		if _, err := pki.ParseTrust([][]byte{r.Cert.Raw, der}); ops.KindOf(err) != ops.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSerialNumbersDiffer(t *testing.T) {
	r := newRoot(t)
	seen := map[string]bool{}
	for range 100 {
		leaf, err := r.SignHost(request(t, "host_1"), "host_1", time.Hour, noon)
		if err != nil || leaf.SerialNumber.Sign() <= 0 || seen[leaf.SerialNumber.String()] {
			t.Fatalf("%v, %v", leaf.SerialNumber, err)
		}
		seen[leaf.SerialNumber.String()] = true
	}
}
