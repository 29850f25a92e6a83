package collectors

import (
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
)

func TestInterfacesOfAServer(t *testing.T) {
	obs := onTree(t, "server", "network")
	var names []string
	for _, s := range obs.Sightings {
		names = append(names, s.Name)
	}
	if got := strings.Join(names, " "); got != "eno1 eno2 bond0 docker0" {
		t.Errorf("%s: the loopback and ends of container links are left out", got)
	}
	attrs(t, obs, "net:eno1", ops.Attrs{
		"operstate": "up", "carrier": "true", "admin_up": "true", "physical": "true", "speed_mbit": "1000", "mac": "0c:c4:7a:11:22:33", "was_up": "true",
	})
	attrs(t, obs, "net:eno2", ops.Attrs{"operstate": "down", "carrier": "false", "physical": "true", "speed_mbit": "", "was_up": "false"})
	attrs(t, obs, "net:docker0", ops.Attrs{"physical": "false"})
	attrs(t, obs, "net:bond0", ops.Attrs{"physical": "false"})
	near(t, obs, "net:eno1", "net_carrier", 1)
	near(t, obs, "net:eno2", "net_carrier", 0)
	none(t, obs, "tcp_retransmits_per_s")
}

// netTree makes a tree with one interface.
func netTree(t *testing.T, counters, carrier string) string {
	t.Helper()
	root := procFile(t, map[string]string{"net/dev": "a | b\nc | d\n  eth0: " + counters + "\n", "net/snmp": "Tcp: A RetransSegs\nTcp: 1 100\n"})
	for file, text := range map[string]string{"operstate": "up", "flags": "0x1003", "carrier": carrier, "address": "52:54:00:12:34:56", "device/vendor": "0x1af4"} {
		replace(t, root+"/sys/class/net/eth0/"+file, text+"\n")
	}
	return root
}

func TestNetworkRates(t *testing.T) {
	root := netTree(t, "1000 10 0 0 0 0 0 0 2000 20 0 0 0 0 0 0", "1")
	c := open(t, "network", rootEnv(root))
	mustPass(t, c, clock0)
	// The colon touches the counter on old kernels.
	replace(t, root+"/proc/net/dev", "a | b\nc | d\n  eth0:2000 20 10 20 0 0 0 0 2500 30 1 2 0 0 0 0\n")
	replace(t, root+"/proc/net/snmp", "Tcp: A RetransSegs\nTcp: 1 150\n")
	obs := mustPass(t, c, clock0.Add(10*time.Second))
	for metric, want := range map[string]float64{
		"net_receive_bytes_per_s": 100, "net_receive_packets_per_s": 1, "net_receive_errors_per_s": 1, "net_receive_drops_per_s": 2,
		"net_transmit_bytes_per_s": 50, "net_transmit_packets_per_s": 1, "net_transmit_errors_per_s": 0.1, "net_transmit_drops_per_s": 0.2,
	} {
		near(t, obs, "net:eth0", metric, want)
	}
	near(t, obs, "host", "tcp_retransmits_per_s", 5)
}

func TestInterfaceRemembersItsLink(t *testing.T) {
	root := netTree(t, "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0", "0")
	c := open(t, "network", rootEnv(root))
	attrs(t, mustPass(t, c, clock0), "net:eth0", ops.Attrs{"carrier": "false", "was_up": "false"})
	replace(t, root+"/sys/class/net/eth0/carrier", "1\n")
	replace(t, root+"/sys/class/net/eth0/speed", "2500\n")
	attrs(t, mustPass(t, c, clock0.Add(10*time.Second)), "net:eth0", ops.Attrs{"carrier": "true", "was_up": "true", "speed_mbit": "2500"})
	replace(t, root+"/sys/class/net/eth0/carrier", "0\n")
	obs := mustPass(t, c, clock0.Add(20*time.Second))
	attrs(t, obs, "net:eth0", ops.Attrs{"carrier": "false", "was_up": "true", "physical": "true", "speed_mbit": ""})
	// What is switched off has no carrier to read: that is unknown, not 0.
	replace(t, root+"/sys/class/net/eth0/carrier", "")
	replace(t, root+"/sys/class/net/eth0/flags", "0x1002\n")
	obs = mustPass(t, c, clock0.Add(30*time.Second))
	attrs(t, obs, "net:eth0", ops.Attrs{"carrier": "", "admin_up": "false", "was_up": "true"})
	none(t, obs, "net_carrier")
}

func FuzzParseNetDev(f *testing.F) {
	f.Add([]byte("  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"), []byte("Tcp: A RetransSegs\nTcp: 1 2\n"))
	f.Add([]byte("../x: 1 2\n:\neth0:1\n a:b: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"), []byte("Tcp: \nTcp: \nTcp: RetransSegs"))
	f.Fuzz(func(t *testing.T, dev, snmp []byte) {
		for _, d := range parseNetDev(dev, nil) {
			if d.name == "" || len(d.name) > 15 || strings.ContainsAny(d.name, "/\x00") {
				t.Fatalf("interface %q", d.name)
			}
		}
		parseRetransmits(snmp)
	})
}
