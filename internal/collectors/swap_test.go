package collectors

import (
	"testing"
	"time"
)

func TestSwap(t *testing.T) {
	obs := onTree(t, "server", "swap")
	near(t, obs, "host", "swap_total_bytes", 8388604<<10)
	near(t, obs, "host", "swap_used_ratio", 1-8126460.0/8388604)
	none(t, obs, "swap_in_bytes_per_s")
}

func TestSwapRates(t *testing.T) {
	root := procFile(t, map[string]string{"meminfo": "SwapTotal: 0 kB\nSwapFree: 0 kB\n", "vmstat": "pswpin 10\npswpout 100\n"})
	c := open(t, "swap", rootEnv(root))
	mustPass(t, c, clock0)
	replace(t, root+"/proc/vmstat", "pgpgin 1\npswpin 30\npswpout 110\n")
	obs := mustPass(t, c, clock0.Add(10*time.Second))
	near(t, obs, "host", "swap_in_bytes_per_s", 2*4096)
	near(t, obs, "host", "swap_out_bytes_per_s", 4096)
	near(t, obs, "host", "swap_total_bytes", 0)
	none(t, obs, "swap_used_ratio")
}

func FuzzParseSwapped(f *testing.F) {
	f.Add([]byte("pswpin 1\npswpout 2\n"))
	f.Add([]byte("pswpin\npswpout -2\npswpin 99999999999999999999999"))
	f.Fuzz(func(t *testing.T, b []byte) { parseSwapped(b) })
}
