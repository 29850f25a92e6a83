package netns

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// serve answers requests on a host and how another one asks it.
func serve(t *testing.T, at, from *Host) (ask func(within time.Duration) error) {
	t.Helper()
	l, err := at.Listen(net.JoinHostPort(at.IP, "80"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "here") })}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return func(within time.Duration) error {
		client := from.Client()
		defer client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at.IP, nil)
		if err != nil {
			return err
		}
		answer, err := client.Do(r)
		if err == nil {
			answer.Body.Close()
		}
		return err
	}
}

func TestCutAndMend(t *testing.T) {
	n := New(t)
	a, b := n.Host(), n.Host()
	ask := serve(t, a, b)
	check := func(what string, want bool) {
		t.Helper()
		within := 10 * time.Second
		if !want {
			within = time.Second
		}
		if err := ask(within); (err == nil) != want {
			t.Errorf("%s: %v", what, err)
		}
	}
	check("whole", true)
	for _, ways := range [][]Way{{In}, {Out}, {In, Out}} {
		b.Cut(ways...)
		check("cut", false)
		b.Mend()
		check("mended", true)
	}
	b.Unplug()
	check("unplugged", false)
	b.Plug()
	check("plugged", true)
}

func TestSlowHostIsSlow(t *testing.T) {
	n := New(t)
	a, b := n.Host(), n.SlowHost(Line{Delay: 100 * time.Millisecond})
	ask := serve(t, a, b)
	if err := ask(10 * time.Second); err != nil { // who has the address is known from now on
		t.Fatal(err)
	}
	began := time.Now()
	if err := ask(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 400*time.Millisecond || took > 3*time.Second {
		t.Errorf("two round trips of 200 ms took %v", took)
	}
	lossy := n.SlowHost(Line{Loss: 1})
	if err := serve(t, lossy, a)(time.Second); err == nil {
		t.Error("a cable that loses everything carries")
	}
}
