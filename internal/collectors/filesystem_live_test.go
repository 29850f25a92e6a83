package collectors

import (
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"reeve/internal/ops"
)

// TestFilesystemWhoseServerIsDead mounts a FUSE file system that nobody
// serves: the kernel blocks every statfs of it, as it does for an NFS server
// that went away, until the connection is cut.
func TestFilesystemWhoseServerIsDead(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("only root may mount; run the tests as root")
	}
	device, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("this kernel has no FUSE: %v", err)
	}
	point := t.TempDir()
	if err := unix.Mount("dead", point, "fuse.sshfs", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", device)); err != nil {
		unix.Close(device)
		t.Skipf("this environment does not let FUSE be mounted: %v", err)
	}
	cut := func() {
		unix.Close(device)
		_ = unix.Unmount(point, unix.MNT_DETACH)
	}
	defer cut()
	c := open(t, "filesystem", liveEnv())

	began := time.Now()
	obs := mustPass(t, c, began)
	if took := time.Since(began); took > fsWait+5*time.Second {
		t.Errorf("the pass took %v", took)
	}
	attrs(t, obs, "fs:"+point, ops.Attrs{"hung": "true", "remote": "true", "fstype": "fuse.sshfs"})
	value(t, obs, "fs:/", "fs_used_ratio") // the others are reported all the same

	began = time.Now()
	obs = mustPass(t, c, began)
	if took := time.Since(began); took > fsWait/2 {
		t.Errorf("the second pass waited %v for a mount that it knows to hang", took)
	}
	attrs(t, obs, "fs:"+point, ops.Attrs{"hung": "true"})

	cut()
	for deadline := time.Now().Add(20 * time.Second); len(c.(*filesystem).asked) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the question that hung never ended")
		}
		obs = mustPass(t, c, time.Now())
	}
	for _, s := range obs.Sightings {
		if s.Key.Key == "fs:"+point {
			t.Error("what was unmounted is still seen")
		}
	}
}
