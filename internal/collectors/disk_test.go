package collectors

import (
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
)

func TestDisksOfAServer(t *testing.T) {
	obs := onTree(t, "server", "disk")
	var names []string
	for _, s := range obs.Sightings {
		names = append(names, s.Name)
	}
	if got := strings.Join(names, " "); got != "sda sdb nvme0n1" {
		t.Errorf("%s: partitions, loops, arrays and mapped devices are not disks", got)
	}
	attrs(t, obs, "disk:sda", ops.Attrs{
		"model": "ST8000VN004-3CP1", "serial": "WSD1sdaX", "rotational": "true", "transport": "sata", "size_bytes": "8001563222016",
	})
	attrs(t, obs, "disk:nvme0n1", ops.Attrs{
		"model": "Samsung SSD 980 PRO 1TB", "serial": "S5GXNX0T812736", "rotational": "false", "transport": "nvme", "size_bytes": "1000204886016",
	})
	if len(obs.Samples) != 0 {
		t.Error("the first pass has no rates")
	}
}

func TestDiskOfASingleBoardComputer(t *testing.T) {
	obs := onTree(t, "raspberry", "disk")
	if len(obs.Sightings) != 1 {
		t.Errorf("%v", obs.Sightings)
	}
	attrs(t, obs, "disk:mmcblk0", ops.Attrs{"model": "SD32G", "transport": "mmc", "rotational": "false"})
}

func TestDiskRates(t *testing.T) {
	root := procFile(t, map[string]string{"diskstats": " 8 0 sda 100 0 1000 50 200 0 2000 150 0 1000 200 0 0 0 0 0 0\n"})
	replace(t, root+"/sys/block/sda/size", "2048\n")
	c := open(t, "disk", rootEnv(root))
	mustPass(t, c, clock0)
	replace(t, root+"/proc/diskstats", " 8 0 sda 150 0 3000 150 250 0 2000 250 0 6000 400 0 0 0 0 0 0\n")
	obs := mustPass(t, c, clock0.Add(10*time.Second))
	near(t, obs, "disk:sda", "disk_read_bytes_per_s", 200*512)
	near(t, obs, "disk:sda", "disk_write_bytes_per_s", 0)
	near(t, obs, "disk:sda", "disk_reads_per_s", 5)
	near(t, obs, "disk:sda", "disk_writes_per_s", 5)
	near(t, obs, "disk:sda", "disk_busy_ratio", 0.5)
	near(t, obs, "disk:sda", "disk_await_seconds", 0.002)
	// A disk that was swapped counts from 0 again.
	replace(t, root+"/proc/diskstats", " 8 0 sda 1 0 1 1 1 0 1 1 0 1 1\n")
	if obs := mustPass(t, c, clock0.Add(20*time.Second)); len(obs.Samples) != 0 || len(obs.Sightings) != 1 {
		t.Errorf("%v", obs.Samples)
	}
}

func TestTransports(t *testing.T) {
	for link, want := range map[string]string{
		"../devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda":                      "sata",
		"../devices/pci0000:00/0000:00:1c.4/host0/port-0:0/end_device-0:0/target0:0:0/0:0:0:0/block/sda":   "sas",
		"../devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sda":          "usb",
		"../devices/pci0000:00/0000:00:05.0/virtio2/block/vda":                                             "virtio",
		"../devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0004:00/VMBUS:00/f8b3/host0/target0:0:0/0:0:0:0/block/sda": "scsi",
		"../devices/platform/host3/session1/target3:0:0/3:0:0:1/block/sda":                                 "iscsi",
		"../devices/virtual/block/x": "",
	} {
		if got := transportOf("sda", link); got != want {
			t.Errorf("%s: %q, want %q", link, got, want)
		}
	}
}

func FuzzDisk(f *testing.F) {
	f.Add([]byte(" 8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n"), []byte("\x00\x80\x00\x04ABCD"))
	f.Add([]byte(" 8 0 ../../etc 1 2 3 4 5 6 7 8 9 10 11\n8 0\n"), []byte("\x00\x80\xff\xff"))
	root := procFile(f, map[string]string{"diskstats": ""})
	replace(f, root+"/sys/block/sda/size", "2048\n")
	c := open(f, "disk", rootEnv(root))
	f.Fuzz(func(t *testing.T, stats, page []byte) {
		replace(t, root+"/proc/diskstats", string(stats))
		obs, _ := pass(t, c, clock0)
		for _, s := range obs.Sightings {
			if s.Name != "sda" {
				t.Fatalf("saw disk %q", s.Name)
			}
		}
		parseSerialPage(page)
	})
}
