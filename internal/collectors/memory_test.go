package collectors

import "testing"

func TestCacheAndARCAreNotUsedMemory(t *testing.T) {
	obs := onTree(t, "server", "memory")
	const total, available = 65742408 << 10, 9817232<<10 + 32177651712 - 2103757056
	near(t, obs, "host", "memory_total_bytes", total)
	near(t, obs, "host", "memory_available_bytes", available)
	near(t, obs, "host", "memory_used_ratio", 1-float64(available)/total)
	near(t, obs, "host", "memory_cached_bytes", (8123456+412332+712344-312344)<<10)
	near(t, obs, "host", "zfs_arc_bytes", 32177651712)
}

func TestMemoryOfAKernelWithoutMemAvailable(t *testing.T) {
	obs := onTree(t, "old-kernel", "memory")
	near(t, obs, "host", "memory_available_bytes", (102828+120356+1012312+100244-12312)<<10)
	none(t, obs, "zfs_arc_bytes")
}

func TestMemoryWithoutTotal(t *testing.T) {
	for _, text := range []string{"", "MemTotal: 0 kB\n", "MemFree: 1 kB\n", "MemTotal: x kB\n"} {
		if _, err := pass(t, open(t, "memory", rootEnv(procFile(t, map[string]string{"meminfo": text}))), clock0); err == nil {
			t.Errorf("%q is taken as memory", text)
		}
	}
}

func FuzzMemory(f *testing.F) {
	f.Add([]byte("MemTotal: 100 kB\nMemAvailable: 50 kB\n"), []byte("size 4 10000000000\nc_min 4 1\n"))
	f.Add([]byte("MemTotal: 1 kB\nMemAvailable: 18446744073709551615 kB\nShmem: 9 kB"), []byte("size 4 18446744073709551615"))
	root := procFile(f, map[string]string{"meminfo": "", "spl/kstat/zfs/arcstats": ""})
	c := open(f, "memory", rootEnv(root))
	f.Fuzz(func(t *testing.T, info, arc []byte) {
		replace(t, root+"/proc/meminfo", string(info))
		replace(t, root+"/proc/spl/kstat/zfs/arcstats", string(arc))
		obs, err := pass(t, c, clock0)
		if err != nil {
			return
		}
		if v := value(t, obs, "host", "memory_used_ratio"); !(v >= 0 && v <= 1) {
			t.Fatalf("used %v", v)
		}
	})
}
