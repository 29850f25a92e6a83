package api

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"

	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/signin"
)

// contentPolicy lets the page load what this server serves and nothing else.
// Scripts may set the style of elements, as the charts do; texts may not.
const contentPolicy = "default-src 'self'; img-src 'self' data:; " +
	"object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"

// guard is what every request goes through first: an ID, strict headers, the
// check of the host's name, and a net under panics.
func (s *Server) guard(next http.Handler) http.Handler {
	var cross http.CrossOriginProtection
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := strings.ToLower(rand.Text()[:16])
		r = r.WithContext(rest.WithRequestID(r.Context(), id))
		defer s.rescue(w, r)
		s.setHeaders(w.Header(), r, id)
		if err := s.checkHost(r); err != nil {
			rest.Fail(s.log, w, r, err)
			return
		}
		// Browsers say where a request comes from. Programs with a token say
		// nothing and pass; heartbeats may come from anywhere.
		if !strings.HasPrefix(r.URL.Path, "/beat/") && signin.Bearer(r) == "" {
			if err := cross.Check(r); err != nil {
				rest.Fail(s.log, w, r, ops.Because(ops.Forbidden, err, "the request comes from another site"))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) setHeaders(h http.Header, r *http.Request, id string) {
	h.Set("X-Request-Id", id)
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

func (s *Server) rescue(w http.ResponseWriter, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if cause == http.ErrAbortHandler {
		panic(cause)
	}
	rest.Fail(s.log, w, r, fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
}

// checkHost refuses names that nobody gave to this server: a page of another
// site whose name was made to point here would send its own. Addresses cannot
// be re-pointed, and a request with a token was not made by a browser.
func (s *Server) checkHost(r *http.Request) error {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	if s.allowed[host] || strings.HasSuffix(host, ".localhost") || signin.Bearer(r) != "" || r.URL.Path == "/healthz" {
		return nil
	}
	return rest.WithStatus(http.StatusMisdirectedRequest, ops.Errorf(ops.Invalid,
		"this server does not know itself as %s: open it by its address, or set public_url in the configuration", rest.Short(host)))
}
