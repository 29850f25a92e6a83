package collectors

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"reeve/internal/ops"
)

// seedTool adds every answer that a recorded tree holds of a tool.
func seedTool(f *testing.F, tree, tool string) {
	f.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "trees", tree, ".reeve", "tools", tool+".json"))
	if err != nil {
		f.Fatal(err)
	}
	var answers map[string]struct{ Stdout string }
	if err := json.Unmarshal(b, &answers); err != nil {
		f.Fatal(err)
	}
	for _, a := range answers {
		f.Add([]byte(a.Stdout))
	}
}

func seedFile(f *testing.F, tree, path string) {
	f.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "trees", tree, path))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
}

// number fails on what cannot be stored as a sample of a size or a count.
func number(t *testing.T, what string, v float64) {
	t.Helper()
	if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		t.Fatalf("%s is %g", what, v)
	}
}

func FuzzParseSmart(f *testing.F) {
	seedTool(f, "nas", "smartctl")
	f.Add([]byte(`{"ata_smart_attributes":{"table":[{"id":5,"raw":{"string":"x","value":1e300}}]}}`))
	f.Add([]byte(`{"temperature":"hot","nvme_smart_health_information_log":{"critical_warning":1e99}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		devices, _ := parseSmartScan(b)
		for _, d := range devices {
			if strings.HasPrefix(d.Name, "-") || strings.HasPrefix(d.Type, "-") || len(devices) > smartMaxDisks {
				t.Fatalf("a scan led to the arguments %q", d)
			}
		}
		r, err := parseSmart[smartReport](b)
		if err != nil {
			return
		}
		r.complaint()
		for _, v := range r.values() {
			if math.IsNaN(v.value) || math.IsInf(v.value, 0) {
				t.Fatalf("%s is %g", v.metric, v.value)
			}
		}
		passed, _ := r.passed(0)
		if !passed && r.reason(passed) == "" {
			t.Fatal("a disk failed without a reason")
		}
	})
}

func FuzzParseMdstat(f *testing.F) {
	seedFile(f, "nas", "proc/mdstat")
	f.Add([]byte("Personalities : x\nmd0 : active (read-only) raid1 sda1[0]\n  8 blocks [9999/9999] [UU]\n  resync = 999.9%"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, a := range parseMdstat(b) {
			number(t, "percent", a.Percent)
			if a.Percent > 100 || a.Active < 0 || a.Total < 0 || strings.Contains(a.Name, "/") || a.state("") == "" {
				t.Fatalf("%+v", a)
			}
		}
	})
}

func FuzzParseZpoolList(f *testing.F) {
	seedTool(f, "nas", "zpool")
	f.Add([]byte("dead\t-\t-\t-\t-\t-\tUNAVAIL\n"))
	f.Add([]byte("tank\t1.2T\t4K\t1\t12%\t1\tONLINE"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, p := range parseZpoolList(b) {
			number(t, "size", p.Size)
			number(t, "used", p.Used)
			if p.Name == "" || !utf8.ValidString(p.Health) {
				t.Fatalf("%+v", p)
			}
		}
	})
}

func FuzzParseZpoolStatus(f *testing.F) {
	seedTool(f, "nas", "zpool")
	f.Add([]byte(zpoolDegradedText))
	f.Add([]byte("pool: a\nconfig:\n\tNAME STATE READ WRITE CKSUM\n\ta ONLINE 1K x -3\nerrors: 9E of"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fromJSON, _ := parseZpoolJSON(b)
		for _, all := range []map[string]zpoolStatus{fromJSON, parseZpoolText(b)} {
			for _, s := range all {
				number(t, "errors", s.Count)
			}
		}
	})
}

func FuzzParseVgs(f *testing.F) {
	seedTool(f, "nas", "vgs")
	f.Add([]byte(`{"report":[{"vg":[{"vg_name":"a","vg_size":"5B","vg_free":"9","vg_missing_pv_count":"-1"}]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		groups, _ := parseVgs(b)
		for _, g := range groups {
			number(t, "size", g.Size)
			if g.Free > g.Size || g.Free < 0 || g.Missing < 0 {
				t.Fatalf("%+v", g)
			}
		}
	})
}

func FuzzParseNVIDIA(f *testing.F) {
	seedTool(f, "gpu", "nvidia-smi")
	f.Add([]byte("0, GPU-1, A, B, C, 5, 1, 2, 3, 4, [N/A]\n0, , , , , , , , \nNo devices were found\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, g := range parseNVIDIA(b) {
			for column := range nvidiaNumbers {
				if v, ok := g.number(column); ok {
					number(t, "a column", v)
				}
			}
		}
	})
}

func FuzzParseROCm(f *testing.F) {
	seedTool(f, "gpu_amd", "rocm-smi")
	f.Add([]byte(`{"card0":null,"system":{"Driver version":5},"card1":{"GPU use (%)":{}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		gpus, _ := parseROCm(b)
		for _, g := range gpus {
			if v, ok := g.number("GPU use (%)"); ok {
				number(t, "use", v)
			}
			if g.Key == "" || g.Model == "" || !utf8.ValidString(g.Key) {
				t.Fatalf("%+v", g)
			}
		}
	})
}

func FuzzParseUnits(f *testing.F) {
	seedTool(f, "systemdhost", "systemctl")
	f.Add([]byte(`[{"unit":"--now.service","load":"loaded","active":"failed","sub":"failed"},{"unit":"a b.service"}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		units, _ := parseUnitList(b)
		units = append(units, sortUnits(parseUnitTable(b))...)
		shown := parseUnitShow(b)
		if len(shown) > systemdMaxUnits {
			t.Fatal("more units than the bound")
		}
		for _, u := range units {
			u.fill(shown[u.Name])
			if strings.ContainsAny(u.Name, " \n\x00") || len(u.Name) > 255 {
				t.Fatalf("the argument %q", u.Name)
			}
		}
	})
}

func FuzzParseUpdates(f *testing.F) {
	seedTool(f, "systemdhost", "apt-get")
	f.Add([]byte(dnfCheckUpdate))
	f.Add([]byte(dnfAdvisories))
	f.Add([]byte("Installed: Available:\nmusl-1.2.4-r1 < 1.2.4-r2\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		lines := bytes.Count(b, []byte("\n")) + 1
		n := parseAptUpgrade(b)
		if n.Security > n.Pending || n.Pending > lines || parseDnfUpdates(b) > lines || parseApkVersions(b) > lines || parseDnfAdvisories(b) > lines {
			t.Fatalf("more updates than lines: %+v", n)
		}
	})
}

func FuzzCompareReleases(f *testing.F) {
	f.Add("6.1.0-9-amd64", "6.1.0-30-amd64")
	f.Add("5.14.0-427.el9_4.x86_64", "5.14.0-503.el9_5.x86_64")
	f.Fuzz(func(t *testing.T, a, b string) {
		if x, y := compareReleases(a, b), compareReleases(b, a); (x > 0) != (y < 0) || (x == 0) != (y == 0) {
			t.Fatalf("%q against %q is %d, back %d", a, b, x, y)
		}
		kernelFlavour(a)
	})
}

func FuzzParseListening(f *testing.F) {
	f.Add([]byte(procNetTCP))
	f.Add([]byte("   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 77 1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range parseListening(b) {
			if !s.Addr.IsValid() || s.Addr.Port() == 0 {
				t.Fatalf("%v", s.Addr)
			}
		}
	})
}

func FuzzParseKernelRecord(f *testing.F) {
	for _, c := range kernelMessages {
		f.Add([]byte("3,12,99,-;" + c.text + "\n SUBSYSTEM=x\n"))
	}
	f.Add([]byte("11,18446744073709551615,18446744073709551615,c,caller=T1;x"))
	f.Add([]byte(";"))
	f.Fuzz(func(t *testing.T, b []byte) {
		splitKernelRecords(b)
		r, ok := parseKernelRecord(b)
		if !ok {
			return
		}
		if r.At < 0 || strings.Contains(r.Text, "\n") {
			t.Fatalf("%+v", r)
		}
		parseVictim(r.Text)
		if typ, facts, ok := classifyKernel(r.Text); ok {
			for k, v := range facts {
				if typ == ops.EventType("") || len(v) > 110 || !utf8.ValidString(v) {
					t.Fatalf("%s=%q", k, v)
				}
			}
		}
	})
}
