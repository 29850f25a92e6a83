package collectors

import "testing"

func TestArrayStates(t *testing.T) {
	for _, c := range []struct{ mdstat, kernel, want string }{
		{"md0 : active raid1 sdb1[1] sda1[0]\n      8 blocks [2/2] [UU]\n", "clean", "clean"},
		{"md0 : active raid1 sdb1[1] sda1[0]\n      8 blocks [2/2] [UU]\n", "", "active"},
		{"md0 : active raid1 sda1[0]\n      8 blocks [2/1] [U_]\n", "active", "degraded"},
		{"md0 : active raid1 sda1[0]\n      8 blocks [2/1] [U_]\n      [=>..]  recovery =  5.1% (1/20) finish=1min\n", "active", "recovering"},
		{"md0 : active raid1 sdb1[1] sda1[0]\n      8 blocks [2/2] [UU]\n        resync=PENDING\n", "clean", "resync"},
		{"md0 : active raid1 sdb1[1] sda1[0]\n      8 blocks [2/2] [UU]\n      [=>..]  check =  50.0% (1/2)\n", "active", "checking"},
		{"md0 : active raid5 sdb1[1] sda1[0]\n      8 blocks [3/3] [UUU]\n      [=>..]  reshape = 0.0% (1/2)\n", "active", "reshaping"},
		{"md0 : inactive sdb1[1](S) sda1[0](S)\n      8 blocks\n", "inactive", "inactive"},
		{"md0 : active (auto-read-only) raid1 sdb1[1] sda1[0]\n      8 blocks [2/2] [UU]\n", "read-auto", "read-auto"},
		{"md0 : active raid0 sdb1[1] sda1[0](F)\n      8 blocks 512k chunks\n", "broken", "degraded"},
	} {
		arrays := parseMdstat([]byte(c.mdstat))
		if len(arrays) != 1 {
			t.Fatalf("%q: %d arrays", c.mdstat, len(arrays))
		}
		if got := arrays[0].state(c.kernel); got != c.want {
			t.Errorf("%q is %s, want %s", c.mdstat, got, c.want)
		}
	}
}

func TestMdstatOfStrangersIsPassedOver(t *testing.T) {
	if got := parseMdstat([]byte("Personalities : x\n../x : active raid1\nmd : \nunused devices: <none>\n   [9/9]\n")); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}
