package detectors

import (
	"strings"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "monitor_blind",
	Title: "Many hosts are silent at once",
	Doc: "So many hosts fell silent together that the fault is likely Reeve's own network and not theirs: half of them where there are fewer than ten, else more than " +
		"three and more than 30 %. No host is judged unreachable meanwhile. Those that report again leave by themselves; after ten minutes with proof that the server's " +
		"own network works the others are judged. It clears when the brake is off.",
	Kinds: []ops.Kind{ops.KindComponent},
	Role:  detect.Host,
	Eval:  monitorBlind,
	Causes: []string{
		"The network of the Reeve server: its link, switch, route, DNS or firewall.",
		"A whole site, rack or hypervisor is down.",
		"The certificates of the agents or of the server no longer count.",
	},
	Checks: []string{
		"See the server's own network: `ip -br addr`, `ip route`, `ping GATEWAY`.",
		"See which hosts are held: `reeve hosts`.",
		"If they are down indeed: `reeve host release NAME`.",
	},
})

func monitorBlind(s detect.Subject) detect.Verdict {
	if !strings.HasPrefix(s.Resource.Key.Key, "fleet:") {
		return fine("%s does not judge hosts", s.Resource.Name)
	}
	attrs := s.Resource.Observed
	blind, ok := attrs.Bool("blind")
	switch {
	case !ok:
		return detect.NoData()
	case !blind:
		return fine("hosts are judged")
	}
	silent, _ := attrs.Text("silent")
	expected, _ := attrs.Text("expected")
	return detect.Badf(ops.Critical, "%s of %s hosts are silent at once; none of them is judged", silent, expected).AtOnce()
}
