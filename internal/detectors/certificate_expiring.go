package detectors

import (
	"fmt"
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "certificate_expiring",
	Title: "Certificate expires soon",
	Doc: "A TLS certificate that is served here or seen by a check expires within 21 days (warning) or 7 days (critical), or has expired. " +
		"For certificates known to live for less than 63 days the limits are a third and a ninth of their life. " +
		"It opens after a minute and clears when a newer one is served.",
	Kinds: []ops.Kind{ops.KindCertificate, ops.KindCheck},
	Role:  detect.Symptom,
	Hold:  time.Minute,
	Thresholds: []detect.Threshold{
		{Name: "warning", Default: 21, Unit: "days", Doc: "A warning from here on."},
		{Name: "critical", Default: 7, Unit: "days", Doc: "Critical from here on."},
	},
	Eval: certificateExpiring,
	Causes: []string{
		"Automatic renewal does not run or fails.",
		"It was renewed, but the service was not told to load the new one.",
		"It is renewed by hand and nobody did.",
	},
	Checks: []string{
		"See what is served: `echo | openssl s_client -connect HOST:PORT -servername NAME 2>/dev/null | openssl x509 -noout -dates -subject -issuer`.",
		"See renewal: `systemctl list-timers | grep -iE 'certbot|acme'`, `certbot certificates`, `certbot renew --dry-run`.",
		"Compare with the file on disk; if that is newer, reload the service.",
	},
})

func certificateExpiring(s detect.Subject) detect.Verdict {
	attrs, name := s.Resource.Observed, s.Resource.Name
	text, ok := attrs.Text("not_after")
	if s.Resource.Kind == ops.KindCheck {
		text, ok = attrs.Text("expires_at")
	}
	ends, err := time.Parse(time.RFC3339, text)
	if !ok || err != nil {
		return detect.NoData()
	}
	warning, critical := certificateLimits(s, ends)
	left := ends.Sub(s.Now)
	what := "The certificate of " + name
	v := fine("%s is valid for %s more", what, span(left))
	switch {
	case left <= 0:
		v = detect.Badf(ops.Critical, "%s expired %s ago, at %s", what, span(left), clock(ends))
	case left <= critical:
		v = detect.Badf(ops.Critical, "%s expires in %s, at %s", what, span(left), clock(ends))
	case left <= warning:
		v = detect.Badf(ops.Warning, "%s expires in %s, at %s", what, span(left), clock(ends))
	}
	v = v.Fact("expires_at", "%s", ends.UTC().Format(time.RFC3339)).Fact("days_left", "%s", fmt.Sprint(int(left.Hours()/24)))
	for _, fact := range []string{"subject", "issuer", "names", "process"} {
		if text, ok := attrs.Text(fact); ok && text != "" {
			v = v.Fact(fact, "%s", text)
		}
	}
	return v
}

// CertificateLimits shortens the limits for certificates that live shorter
// than three times the warning, which would otherwise always be expiring.
func certificateLimits(s detect.Subject, ends time.Time) (warning, critical time.Duration) {
	const day = 24 * time.Hour
	warning = time.Duration(s.Limit("warning") * float64(day))
	critical = time.Duration(s.Limit("critical") * float64(day))
	text, _ := s.Resource.Observed.Text("not_before")
	begins, err := time.Parse(time.RFC3339, text)
	if err != nil || !begins.Before(ends) {
		return warning, critical
	}
	life := ends.Sub(begins)
	return min(warning, life/3), min(critical, life/9)
}
