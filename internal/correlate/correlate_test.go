package correlate_test

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reeve/internal/correlate"
	"reeve/internal/ops"
)

var start = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)

func estate() correlate.Topology {
	topo := correlate.Topology{}
	add := func(id string, kind ops.Kind, name, host, parent string, attrs ops.Attrs) {
		topo[id] = ops.Resource{ID: id, Kind: kind, Name: name, HostID: host, ParentID: parent, Observed: attrs}
	}
	for _, h := range []string{"web1", "db1"} {
		add(h, ops.KindHost, h, h, "", nil)
		add(h+"/sda", ops.KindDisk, "sda", h, h, nil)
		add(h+"/sdb", ops.KindDisk, "sdb", h, h, nil)
		add(h+"/md0", ops.KindArray, "md0", h, h, ops.Attrs{"members": "sdb1,sdc1"})
		add(h+"/var", ops.KindFilesystem, "/var", h, h, ops.Attrs{"device": "/dev/md0"})
		add(h+"/root", ops.KindFilesystem, "/", h, h, ops.Attrs{"device": "/dev/sda2"})
		add(h+"/nginx", ops.KindUnit, "nginx.service", h, h, nil)
		add(h+"/site", ops.KindCheck, "site", h, h, nil)
		add(h+"/shop", ops.KindProject, "shop", h, h, nil)
		add(h+"/shop/api", ops.KindService, "shop/api", h, h+"/shop", nil)
		add(h+"/shop/db", ops.KindService, "shop/db", h, h+"/shop", nil)
		add(h+"/api-1", ops.KindContainer, "shop-api-1", h, h+"/shop/api", nil)
		add(h+"/db-1", ops.KindContainer, "shop-db-1", h, h+"/shop/db", nil)
		add(h+"/lone", ops.KindContainer, "lone", h, h, nil)
		add(h+"/smart", ops.KindComponent, "collector smart", h, h, nil)
		add(h+"/watch", ops.KindComponent, "loop watch", h, h, nil)
	}
	return topo
}

func member(resource, condition string, role, second int) correlate.Member {
	return correlate.Member{FindingID: resource + " " + condition, ResourceID: resource, Condition: condition, Role: role,
		OpenedAt: start.Add(time.Duration(second) * time.Second)}
}

// Draw makes findings of the estate, some of resources that are not in it.
func draw(t *rapid.T) []correlate.Member {
	ids := []string{"gone"}
	for id := range estate() {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	conditions := map[string]int{
		"memory_pressure": 2, "oom_kill": 2, "disk_smart_failing": 4, "disk_wear": 4, "raid_degraded": 3, "fs_full": 3,
		"fs_read_only": 3, "kernel_io_error": 3, "container_unhealthy": 1, "unit_failed": 1, "check_failing": 0,
		"service_down": 0, "log_errors_surging": 0, "reboot_required": 0, "data_missing": 0, "certificate_expiring": 0,
	}
	names := []string{}
	for name := range conditions {
		names = append(names, name)
	}
	slices.Sort(names)
	return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) correlate.Member {
		name := rapid.SampledFrom(names).Draw(t, "condition")
		return member(rapid.SampledFrom(ids).Draw(t, "resource"), name, conditions[name], rapid.IntRange(0, 4000).Draw(t, "second"))
	}), 0, 25, func(m correlate.Member) string { return m.FindingID }).Draw(t, "findings")
}

func groupOf(groups []correlate.Group) map[string]int {
	of := map[string]int{}
	for i, g := range groups {
		for _, m := range g.Members {
			of[m.FindingID] = i
		}
	}
	return of
}

func TestEachFindingIsInExactlyOneGroupWithAReason(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		findings := draw(t)
		groups := correlate.Groups(findings, estate())
		seen := map[string]int{}
		for _, g := range groups {
			if g.Members[0].FindingID != g.Root {
				t.Fatalf("root %s is not the first member", g.Root)
			}
			for _, m := range g.Members {
				seen[m.FindingID]++
				if m.Reason == "" {
					t.Fatalf("%s has no reason", m.FindingID)
				}
			}
		}
		for _, f := range findings {
			if seen[f.FindingID] != 1 {
				t.Fatalf("%s is in %d groups", f.FindingID, seen[f.FindingID])
			}
		}
		if len(seen) != len(findings) {
			t.Fatalf("%d findings became %d", len(findings), len(seen))
		}
	})
}

func TestRootHasTheHighestRoleThenTheEarliestOpening(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		findings := draw(t)
		byID := map[string]correlate.Member{}
		for _, f := range findings {
			byID[f.FindingID] = f
		}
		for _, g := range correlate.Groups(findings, estate()) {
			root := byID[g.Root]
			for _, m := range g.Members {
				x := byID[m.FindingID]
				if x.Role > root.Role || x.Role == root.Role && x.OpenedAt.Before(root.OpenedAt) {
					t.Fatalf("%s is the root, not %s", g.Root, m.FindingID)
				}
			}
		}
	})
}

func TestOrderOfArrivalDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		findings := draw(t)
		want := correlate.Groups(findings, estate())
		shuffled := slices.Clone(findings)
		rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed"))).Shuffle(len(shuffled), func(i, j int) {
			shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
		})
		if diff := cmp.Diff(want, correlate.Groups(shuffled, estate())); diff != "" {
			t.Fatal(diff)
		}
		// One by one, with each told twice, the end is the same.
		if diff := cmp.Diff(want, correlate.Groups(append(shuffled, findings...), estate())); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestAddingAFindingNeverSplitsAGroup(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		findings := draw(t)
		if len(findings) == 0 {
			return
		}
		before := groupOf(correlate.Groups(findings[1:], estate()))
		after := groupOf(correlate.Groups(findings, estate()))
		for a := range before {
			for b := range before {
				if before[a] == before[b] && after[a] != after[b] {
					t.Fatalf("%s and %s were one group before %s came", a, b, findings[0].FindingID)
				}
			}
		}
	})
}

// Text writes groups for comparison: one line a member.
func text(groups []correlate.Group) string {
	var b strings.Builder
	for i, g := range groups {
		for _, m := range g.Members {
			fmt.Fprintf(&b, "%d %s: %s\n", i, m.FindingID, m.Reason)
		}
	}
	return b.String()
}

const (
	alone = "it is the only finding"
	cause = "it is taken as the cause: of these findings it is the nearest to a cause by its kind, or opened first of the nearest"
)

func TestRules(t *testing.T) {
	for name, c := range map[string]struct {
		findings []correlate.Member
		want     string
	}{
		"what runs on a host in trouble": {
			[]correlate.Member{
				member("web1", "memory_pressure", 2, 0), member("web1/lone", "container_unhealthy", 1, 40),
				member("web1/site", "check_failing", 0, 300), member("db1/lone", "container_unhealthy", 1, 40),
			},
			"0 web1 memory_pressure: " + cause + "\n" +
				"0 web1/lone container_unhealthy: opened 40 s after memory pressure on host web1, on which it runs\n" +
				"0 web1/site check_failing: opened 5 min after memory pressure on host web1, from which it is probed\n" +
				"1 db1/lone container_unhealthy: " + alone + "\n",
		},
		"a part of the host in trouble": {
			[]correlate.Member{member("web1/var", "fs_full", 3, 60), member("web1/nginx", "unit_failed", 1, 0)},
			"0 web1/var fs_full: " + cause + "\n" +
				"0 web1/nginx unit_failed: opened 60 s before fs full on file system /var, which belongs to the host on which it runs\n",
		},
		"too far apart": {
			[]correlate.Member{member("web1", "memory_pressure", 2, 0), member("web1/lone", "container_unhealthy", 1, 601)},
			"0 web1 memory_pressure: " + alone + "\n1 web1/lone container_unhealthy: " + alone + "\n",
		},
		"one compose project": {
			[]correlate.Member{
				member("web1/db-1", "container_exited_badly", 1, 0), member("web1/shop/db", "service_down", 0, 1),
				member("web1/api-1", "container_unhealthy", 1, 30), member("web1/lone", "container_unhealthy", 1, 30),
			},
			"0 web1/db-1 container_exited_badly: " + cause + "\n" +
				"0 web1/shop/db service_down: opened 1 s after container exited badly on container shop-db-1 of the same compose project\n" +
				"0 web1/api-1 container_unhealthy: opened 30 s after container exited badly on container shop-db-1 of the same compose project\n" +
				"1 web1/lone container_unhealthy: " + alone + "\n",
		},
		"the chain of devices": {
			[]correlate.Member{
				member("web1/sdb", "disk_smart_failing", 4, 5), member("web1/md0", "raid_degraded", 3, 0),
				member("web1/var", "fs_read_only", 3, 10), member("web1/root", "fs_read_only", 3, 10), member("web1/sda", "disk_smart_failing", 4, 700),
			},
			"0 web1/sdb disk_smart_failing: " + cause + "\n" +
				"0 web1/md0 raid_degraded: opened 5 s before disk smart failing on disk sdb, which is below it\n" +
				"0 web1/var fs_read_only: opened 10 s after raid degraded on array md0, which is below it\n" +
				"1 web1/root fs_read_only: " + alone + "\n" +
				"2 web1/sda disk_smart_failing: " + alone + "\n",
		},
		"parts of Reeve": {
			[]correlate.Member{
				member("web1/smart", "collector_failing", 0, 0), member("web1/watch", "loop_failing", 1, 20),
				member("web1", "memory_pressure", 2, 20),
			},
			"0 web1/watch loop_failing: " + cause + "\n" +
				"0 web1/smart collector_failing: opened 20 s before loop failing on loop watch; both are parts of Reeve\n" +
				"1 web1 memory_pressure: " + alone + "\n",
		},
		"what comes with the calendar": {
			[]correlate.Member{member("web1", "memory_pressure", 2, 0), member("web1", "reboot_required", 0, 1), member("web1/sda", "disk_wear", 4, 1),
				member("web1/lone", "container_unhealthy", 1, 1)},
			"0 web1 memory_pressure: " + cause + "\n" +
				"0 web1/lone container_unhealthy: opened 1 s after memory pressure on host web1, on which it runs\n" +
				"1 web1 reboot_required: " + alone + "\n2 web1/sda disk_wear: " + alone + "\n",
		},
		"the same resource, also when it is gone": {
			[]correlate.Member{member("gone", "check_failing", 0, 0), member("gone", "log_errors_surging", 0, 0)},
			"0 gone check_failing: " + cause + "\n0 gone log_errors_surging: opened together with check failing on the same resource\n",
		},
		"two causes through one effect": {
			[]correlate.Member{member("web1", "host_cpu_high", 2, 0), member("web1/nginx", "unit_failed", 1, 400), member("web1/var", "fs_full", 3, 800)},
			"0 web1/var fs_full: " + cause + "\n" +
				"0 web1 host_cpu_high: opened 6 min before unit failed on unit nginx.service, which may fail from this\n" +
				"0 web1/nginx unit_failed: opened 6 min before fs full on file system /var, which belongs to the host on which it runs\n",
		},
	} {
		if diff := cmp.Diff(c.want, text(correlate.Groups(c.findings, estate()))); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestFileSystemsKnowTheirDevice(t *testing.T) {
	pool := func(source, name string) ops.Resource {
		return ops.Resource{ID: "below", Kind: ops.KindPool, Name: name, HostID: "h", Key: ops.ResourceKey{Source: source}}
	}
	disk := func(name string) ops.Resource {
		return ops.Resource{ID: "below", Kind: ops.KindDisk, Name: name, HostID: "h"}
	}
	for _, c := range []struct {
		device string
		below  ops.Resource
		want   bool
	}{
		{"/dev/sda1", disk("sda"), true}, {"/dev/sda", disk("sda"), true}, {"/dev/sdaa1", disk("sda"), false},
		{"/dev/nvme0n1p2", disk("nvme0n1"), true}, {"/dev/nvme0n10p2", disk("nvme0n1"), false}, {"/dev/sdb1", disk("sda"), false},
		{"/dev/mapper/my--vg-root", pool("lvm", "my-vg"), true}, {"/dev/my-vg/root", pool("lvm", "my-vg"), true},
		{"/dev/mapper/vg-root", pool("lvm", "my-vg"), false}, {"tank/data", pool("zfs", "tank"), true}, {"tank", pool("zfs", "tank"), true},
		{"tank2/data", pool("zfs", "tank"), false}, {"", disk("sda"), false},
	} {
		fs := ops.Resource{ID: "fs", Kind: ops.KindFilesystem, Name: "/x", HostID: "h", Observed: ops.Attrs{"device": c.device}}
		if c.device == "" {
			fs.Observed = nil
		}
		topo := correlate.Topology{"fs": fs, "below": c.below}
		groups := correlate.Groups([]correlate.Member{member("fs", "fs_read_only", 3, 0), member("below", "zfs_degraded", 3, 0)}, topo)
		if got := len(groups) == 1; got != c.want {
			t.Errorf("%s on %s: %v", c.device, c.below.Name, got)
		}
	}
}

// A storm of findings must not cost a pass its time.
func BenchmarkGroupsOfAStorm(b *testing.B) {
	topo := correlate.Topology{"web1": {ID: "web1", Kind: ops.KindHost, Name: "web1", HostID: "web1"}}
	findings := []correlate.Member{member("web1", "memory_pressure", 2, 0)}
	for i := range 3000 {
		id := fmt.Sprint("web1/", i)
		topo[id] = ops.Resource{ID: id, Kind: ops.KindContainer, Name: id, HostID: "web1", ParentID: "web1"}
		findings = append(findings, member(id, "container_unhealthy", 1, i%500))
	}
	for b.Loop() {
		if n := len(correlate.Groups(findings, topo)); n != 1 {
			b.Fatalf("%d groups", n)
		}
	}
}

func BenchmarkGroupsWithoutACommonCause(b *testing.B) {
	topo := correlate.Topology{}
	var findings []correlate.Member
	for i := range 3000 {
		id := fmt.Sprint("web1/", i)
		topo[id] = ops.Resource{ID: id, Kind: ops.KindContainer, Name: id, HostID: "web1", ParentID: "web1"}
		findings = append(findings, member(id, "container_unhealthy", 1, i%500))
	}
	for b.Loop() {
		if n := len(correlate.Groups(findings, topo)); n != len(findings) {
			b.Fatalf("%d groups", n)
		}
	}
}
