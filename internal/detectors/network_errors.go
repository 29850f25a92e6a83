package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "network_errors",
	Title: "Network interface loses packets",
	Doc: "Of the packets of an interface a noticeable share had errors or was dropped, as a mean over five minutes, for five minutes. " +
		"A few lost packets, or drops on an interface with hardly any traffic, are normal. It clears after five minutes below half of it.",
	Kinds: []ops.Kind{ops.KindInterface},
	Role:  detect.Hardware,
	Metrics: []string{
		"net_receive_errors_per_s", "net_transmit_errors_per_s", "net_receive_drops_per_s", "net_transmit_drops_per_s",
		"net_receive_packets_per_s", "net_transmit_packets_per_s",
	},
	Window: 6 * time.Minute,
	Hold:   5 * time.Minute,
	Clear:  5 * time.Minute,
	Thresholds: []detect.Threshold{
		{Name: "warning", Default: 1, Unit: "percent", Doc: "Share of bad packets that is a warning."},
		{Name: "critical", Default: 10, Unit: "percent", Doc: "Share of bad packets that is critical."},
		{Name: "rate", Default: 5, Unit: "per_s", Doc: "Fewer bad packets a second than this are never a finding."},
	},
	Eval: networkErrors,
	Causes: []string{
		"A bad cable, plug, transceiver or switch port; a duplex mismatch.",
		"More packets than the host can take: too few queues or too small buffers, a flood.",
		"A fault of the driver or the card.",
	},
	Checks: []string{
		"See which counter grows: `ip -s -s link show dev IFACE`, `ethtool -S IFACE | grep -iE 'err|drop|miss|crc'`.",
		"See speed and duplex: `ethtool IFACE`.",
		"CRC and frame errors: change cable or port. Drops and missed: `ethtool -g IFACE` and raise the rings.",
		"See the counters of the switch port.",
	},
})

func networkErrors(s detect.Subject) detect.Verdict {
	errors, x1, ok1 := bothWays(s, "errors")
	drops, x2, ok2 := bothWays(s, "drops")
	packets, x3, ok3 := bothWays(s, "packets")
	if !ok1 || !ok2 || !ok3 {
		return detect.NoData()
	}
	bad := errors + drops
	share := 0.0
	if bad > 0 {
		share = bad / (packets + bad)
	}
	state, sev := detect.Levels(points(share), s.Limit("warning"), s.Limit("critical"), s.Limit("warning")/2)
	if bad < s.Limit("rate")/2 {
		state, sev = detect.Good, ""
	} else if bad < s.Limit("rate") && state == detect.Bad {
		state, sev = detect.Between, ""
	}
	return say(state, sev, "%s loses %s of its packets: %.1f errors and %.1f drops a second", s.Resource.Name, percent(share), errors, drops).
		With(x1...).With(x2...).With(x3...).
		Fact("lost", "%s", percent(share)).Fact("errors_per_s", "%.1f", errors).Fact("drops_per_s", "%.1f", drops)
}

// BothWays adds up what was received and transmitted.
func bothWays(s detect.Subject, what string) (sum float64, used []ops.Series, ok bool) {
	for _, way := range []string{"receive", "transmit"} {
		x, ok := s.One("net_" + way + "_" + what + "_per_s")
		if !ok {
			return 0, nil, false
		}
		v, ok := mean(s, x, 5*time.Minute)
		if !ok {
			return 0, nil, false
		}
		sum += v
		used = append(used, x)
	}
	return sum, used, true
}
