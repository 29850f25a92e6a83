package collectors

import (
	"errors"
	"path"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

func TestFilesystemsOfAServer(t *testing.T) {
	obs := onTree(t, "server", "filesystem")
	var names []string
	for _, s := range obs.Sightings {
		names = append(names, s.Name)
	}
	// No pseudo file systems, no snaps, no container layers, no bind mounts.
	if got := strings.Join(names, " "); got != "/ /boot/efi /tank /tank/media /srv/old data /mnt/backup /mnt/gone /mnt/archive" {
		t.Errorf("%s", got)
	}
	near(t, obs, "fs:/", "fs_used_ratio", float64(25770000-9020000)/(25770000-9020000+7700000))
	near(t, obs, "fs:/", "fs_size_bytes", 25770000*4096)
	near(t, obs, "fs:/", "fs_available_bytes", 7700000*4096)
	near(t, obs, "fs:/", "fs_inodes_used_ratio", 1-6100000.0/6553600)
	if _, ok := find(obs, "fs:/boot/efi", "fs_inodes_used_ratio"); ok {
		t.Error("a file system without inodes has a share of them")
	}
	attrs(t, obs, "fs:/", ops.Attrs{"device": "/dev/mapper/vg0-root", "fstype": "ext4", "remote": "false", "read_only": "false", "hung": "false"})
	attrs(t, obs, "fs:/mnt/backup", ops.Attrs{"device": "nas.example:/backup", "remote": "true", "hung": "false"})
	if len(obs.Complete) != 1 || obs.Complete[0] != ops.KindFilesystem {
		t.Errorf("complete: %v", obs.Complete)
	}
}

func TestReadOnlyIsExpectedWhereFstabSaysSo(t *testing.T) {
	obs := onTree(t, "server", "filesystem")
	attrs(t, obs, "fs:/srv/old data", ops.Attrs{"read_only": "true", "read_only_expected": "true"})
	// fstab wants it writable, and the file system itself is read-only.
	attrs(t, obs, "fs:/mnt/archive", ops.Attrs{"read_only": "true", "read_only_expected": "false"})
}

const oneMount = "30 1 8:1 / /data rw - ext4 /dev/sda1 rw\n"

func TestReadOnlyRemountIsNoticedWithoutFstab(t *testing.T) {
	root := procFile(t, map[string]string{"self/mountinfo": oneMount + "31 1 8:2 / /cd rw - ext4 /dev/sdb1 ro\n"})
	replace(t, root+"/.reeve/statfs.json", `{"/data": {"blocks": 10, "bsize": 1}, "/cd": {"blocks": 10, "bsize": 1}}`)
	c := open(t, "filesystem", rootEnv(root))
	obs := mustPass(t, c, clock0)
	attrs(t, obs, "fs:/data", ops.Attrs{"read_only": "false", "read_only_expected": "false"})
	attrs(t, obs, "fs:/cd", ops.Attrs{"read_only": "true", "read_only_expected": "true"})
	replace(t, root+"/proc/self/mountinfo", strings.Replace(oneMount, "/dev/sda1 rw", "/dev/sda1 ro", 1))
	obs = mustPass(t, c, clock0.Add(time.Minute))
	attrs(t, obs, "fs:/data", ops.Attrs{"read_only": "true", "read_only_expected": "false"})
}

func TestHungMountHasNoNumbers(t *testing.T) {
	obs := onTree(t, "server", "filesystem")
	attrs(t, obs, "fs:/mnt/gone", ops.Attrs{"hung": "true", "remote": "true"})
	for _, s := range obs.Samples {
		if s.Resource.Key == "fs:/mnt/gone" {
			t.Errorf("%s of a mount that does not answer", s.Metric)
		}
	}
}

func TestHungMountIsAskedOnceAndWaitedForOnce(t *testing.T) {
	f := open(t, "filesystem", liveEnv()).(*filesystem)
	// The kernel never answers for this mount.
	dead := fsMount{number: "0:99", point: "/nowhere", fstype: "nfs4"}
	f.asked[dead.id()] = make(chan fsAnswer, 1)
	began := time.Now()
	answers, err := f.ask(t.Context(), []fsMount{dead, {number: "1:1", point: "/"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := answers["/nowhere"]; ok || answers["/"].err != nil || answers["/"].numbers.Blocks == 0 {
		t.Errorf("%+v", answers)
	}
	if took := time.Since(began); took > fsWait/2 {
		t.Errorf("a mount that was hung before cost %v", took)
	}
	f.asked[dead.id()] <- fsAnswer{numbers: fsNumbers{Blocks: 7}}
	if answers, _ = f.ask(t.Context(), []fsMount{dead}); answers["/nowhere"].numbers.Blocks != 7 || len(f.asked) != 0 {
		t.Errorf("%+v, asked %v", answers, f.asked)
	}
}

func TestMountThatMayNotBeSeenIsAGap(t *testing.T) {
	root := procFile(t, map[string]string{"self/mountinfo": oneMount})
	replace(t, root+"/.reeve/statfs.json", `{}`)
	obs := mustPass(t, open(t, "filesystem", rootEnv(root)), clock0)
	if len(obs.Gaps) != 1 || obs.Gaps[0].What != "space on /data" || len(obs.Samples) != 0 {
		t.Errorf("%+v", obs)
	}
}

func TestRealMounts(t *testing.T) {
	table := strings.Join([]string{
		"1 0 0:30 / / rw - overlay overlay rw",
		"2 1 8:1 /docker/volumes/a /etc/hosts rw - ext4 /dev/sda1 rw",
		"3 1 8:1 / /host rw - ext4 /dev/sda1 rw",
		"4 1 7:3 / /mnt/loop rw - ext4 /dev/loop3 rw",
		"5 1 0:44 / /mnt/loop/x rw - tmpfs tmpfs rw",
		"6 1 8:9 / /over rw - ext4 /dev/sdz rw",
		"7 1 8:10 / /over rw - xfs /dev/sdy rw",
		"8 1 0:60 /@ /b rw - btrfs /dev/sdc rw,subvol=/@",
		"9 1 0:60 /@home /b/home rw - btrfs /dev/sdc rw,subvol=/@home",
		"10 1 0:70 / /var/lib/docker/zfs/graph/1f rw - zfs tank/docker/1f rw",
		"11 1 0:71 / /var/lib/docker/volumes/nas/_data rw - nfs4 nas:/v rw",
		"12 1 8:40 / /var/lib/docker rw - ext4 /dev/sdd rw",
		"not a mount", "9 1 8:1 / relative rw - ext4 /dev/sda1 rw", "",
	}, "\n")
	names := func(mounts []fsMount) string {
		var all []string
		for _, m := range mounts {
			all = append(all, m.point)
		}
		return strings.Join(all, " ")
	}
	if got := names(realMounts(parseMounts([]byte(table)), nil, nil)); got != "/ /host /mnt/loop /over /b /var/lib/docker/volumes/nas/_data /var/lib/docker" {
		t.Error(got)
	}
	if got := names(realMounts(parseMounts([]byte(table)), []string{"tmpfs"}, []string{"/over", "/"})); got != "/host /mnt/loop /mnt/loop/x /b /var/lib/docker/volumes/nas/_data /var/lib/docker" {
		t.Error(got)
	}
}

func TestFilesystemNumbersThatCannotBe(t *testing.T) {
	var obs ops.Observation
	batch := collect.NewBatch(ops.HostIdentity{}, clock0, &obs)
	addFilesystem(ops.ResourceKey{}, fsNumbers{Blocks: 10, Free: 20, Available: 30, BlockSize: 1, Files: 5, FilesFree: 9}, batch)
	for _, s := range obs.Samples {
		if strings.HasSuffix(s.Metric, "_ratio") && !(s.Value >= 0 && s.Value <= 1) {
			t.Errorf("%s is %v", s.Metric, s.Value)
		}
	}
}

func TestFilesystemErrorIsAFailure(t *testing.T) {
	root := procFile(t, map[string]string{"self/mountinfo": oneMount})
	replace(t, root+"/.reeve/statfs.json", `[`)
	if _, err := pass(t, open(t, "filesystem", rootEnv(root)), clock0); err == nil || errors.Is(err, collect.ErrAbsent) {
		t.Errorf("%v", err)
	}
}

func FuzzParseMounts(f *testing.F) {
	f.Add([]byte(`52 28 8:1 / /srv/old\040data ro,relatime shared:52 - ext4 /dev/sda1 ro,errors=remount-ro`))
	f.Add([]byte("1 2 3 4 /\\777 6 - a b c\n - \n/ / / / /../.. / - - - -"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range realMounts(parseMounts(b), nil, nil) {
			if !strings.HasPrefix(m.point, "/") || path.Clean(m.point) != m.point {
				t.Fatalf("mount point %q", m.point)
			}
			if !utf8.ValidString(m.point) || !utf8.ValidString(m.device) {
				t.Fatalf("%q %q is no text", m.point, m.device)
			}
		}
		parseFstab(b)
	})
}
