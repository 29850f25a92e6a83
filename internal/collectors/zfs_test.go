package collectors

import (
	"os"
	"path/filepath"
	"testing"

	"reeve/internal/collect"
)

// zpoolDegradedText is what zpool before OpenZFS 2.3 prints.
const zpoolDegradedText = `  pool: fast
 state: ONLINE
  scan: none requested
config:

	NAME        STATE     READ WRITE CKSUM
	fast        ONLINE       0     0     0
	  nvme0n1p4  ONLINE       0     0     0

errors: No known data errors

  pool: tank
 state: DEGRADED
status: One or more devices could not be used because the label is missing or
	invalid.  Sufficient replicas exist for the pool to continue
	functioning in a degraded state.
action: Replace the device using 'zpool replace'.
   see: https://openzfs.github.io/openzfs-docs/msg/ZFS-8000-4J
  scan: resilver in progress since Sun Mar  1 09:12:44 2026
	1.20T scanned at 512M/s, 488G issued at 203M/s, 5.00T total
	61.0G resilvered, 9.53% done, 06:29:01 to go
config:

	NAME                      STATE     READ WRITE CKSUM
	tank                      DEGRADED     0     0     0
	  raidz1-0                DEGRADED     0     0     0
	    sda                   ONLINE       0     0     7  (resilvering)
	    replacing-1           DEGRADED     0     0     0
	      1290381290381       UNAVAIL      3     1     0  was /dev/sdb1
	      sdq                 ONLINE       0     0     0  (resilvering)
	    sdc                   ONLINE   1.20K     0     0
	logs	
	  sdl                     ONLINE       0     0     0
	spares
	  sdx                     AVAIL   

errors: 12 data errors, use '-v' for a list
`

func zfsRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "proc", "spl", "kstat", "zfs", "tank")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "state"), []byte("SUSPENDED\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestOldZpoolIsReadAsText(t *testing.T) {
	env := answers(rootEnv(zfsRoot(t)), map[string]collect.Output{
		"zpool list -Hp -o name,size,alloc,free,frag,cap,health": {Stdout: []byte(
			"fast\t1000\t250\t750\t1%\t25\tONLINE\ntank\t2000\t1000\t1000\t-\t50\tDEGRADED\ngone\t-\t-\t-\t-\t-\tUNAVAIL\n")},
		"zpool status -p -j": {Exit: 2, Stderr: []byte("invalid option 'j'\nusage:\n")},
		"zpool status -p":    {Stdout: []byte(zpoolDegradedText)},
	})
	c := open(t, "zfs", env)
	for range 2 {
		obs := mustPass(t, c, clock0)
		checkSeen(t, "zpool-text", "zfs", obs)
	}
	if !c.(*zfsPools).textOnly {
		t.Error("JSON is asked for in vain every pass")
	}
}

func TestWithoutZpoolTheHealthIsStillSeen(t *testing.T) {
	obs := mustPass(t, open(t, "zfs", rootEnv(zfsRoot(t))), clock0)
	want := `gap "ZFS pools, apart from their health" "zpool is not installed" "apt install zfsutils-linux"
see pool zfs/zpool:tank "tank" health="SUSPENDED"
`
	if got := seenText(obs); got != want {
		t.Errorf("got %s want %s", got, want)
	}
}

// TestZpoolIsNotRunWithoutTheModule: it would load it.
func TestZpoolIsNotRunWithoutTheModule(t *testing.T) {
	env := answers(rootEnv(t.TempDir()), map[string]collect.Output{"zpool list": {}})
	env.Live = true
	if _, err := pass(t, open(t, "zfs", env), clock0); err != collect.ErrAbsent {
		t.Errorf("got %v", err)
	}
}

func TestFailingZpoolIsAnError(t *testing.T) {
	env := answers(rootEnv(zfsRoot(t)), map[string]collect.Output{
		"zpool list -Hp -o name,size,alloc,free,frag,cap,health": {Exit: 1, Stderr: []byte("Permission denied the ZFS utilities must be run as root.\n")},
	})
	obs, err := pass(t, open(t, "zfs", env), clock0)
	if err == nil || len(obs.Complete) > 0 {
		t.Errorf("got %v, %s", err, seenText(obs))
	}
}
