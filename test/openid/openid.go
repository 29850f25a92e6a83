// Package openid gives tests a real OpenID provider, in a process of its own:
// the example server of github.com/zitadel/oidc, a certified implementation.
// scripts/setup builds it; it is no dependency of Reeve.
package openid

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What the provider knows: a client and a person.
const (
	Client   = "web"
	Secret   = "secret"
	Person   = "test-user@localhost"
	Password = "verysecure"
)

const patience = 30 * time.Second

// Issuer answers the address of a provider that is not started yet. Nothing
// else listens there now.
func Issuer(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "http://localhost:" + port + "/"
}

// Start starts the provider of an issuer until the test ends. It sends people
// back to one address only.
func Start(t testing.TB, issuer, redirect string) {
	t.Helper()
	program, err := exec.LookPath("reeve-test-openid")
	if err != nil {
		t.Fatal("the OpenID provider is not installed: run scripts/setup")
	}
	path := filepath.Join(t.TempDir(), "log")
	log, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(program)
	cmd.Env = []string{"PORT=" + strings.TrimSuffix(issuer[strings.LastIndexByte(issuer, ':')+1:], "/"), "REDIRECT_URI=" + redirect}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { cmd.Wait(); close(exited) }()
	t.Cleanup(func() { cmd.Process.Kill(); <-exited })
	for end := time.Now().Add(patience); time.Now().Before(end); {
		r, err := http.Get(issuer + ".well-known/openid-configuration")
		if err == nil {
			r.Body.Close()
			return
		}
		select {
		case <-exited:
			said, _ := os.ReadFile(path)
			t.Fatalf("the OpenID provider ended at once:\n%s", said)
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatal("the OpenID provider does not answer")
}
