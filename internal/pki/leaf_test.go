package pki

import (
	"testing"
	"time"
)

func TestACertificateOfTheFutureIsNotServed(t *testing.T) {
	dir, today := t.TempDir(), time.Now()
	if _, err := openAuthority(dir, today); err != nil {
		t.Fatal(err)
	}
	now := today.Add(40 * 24 * time.Hour) // the clock is wrong at the start
	config, err := tlsConfig(Files{DataDir: dir}, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	for _, now = range []time.Time{now, today} {
		cert, err := config.GetCertificate(nil)
		if err != nil || now.Before(cert.Leaf.NotBefore) || now.After(cert.Leaf.NotAfter) {
			t.Errorf("at %v: %v to %v, %v", now, cert.Leaf.NotBefore, cert.Leaf.NotAfter, err)
		}
	}
}
