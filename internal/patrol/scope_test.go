package patrol

import (
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
)

func estateOfTwo() []ops.Resource {
	host := func(name string) ops.Resource {
		return ops.Resource{ID: "res_" + name, Kind: ops.KindHost, Name: name, HostID: "res_" + name, HostName: name, Key: ops.HostKey("key_" + name), Presence: ops.Present}
	}
	below := func(h ops.Resource, kind ops.Kind, name string) ops.Resource {
		return ops.Resource{ID: "res_" + h.Name + "_" + name, Kind: kind, Name: name, HostID: h.ID, HostName: h.Name, ParentID: h.ID, Presence: ops.Present,
			Key: ops.ResourceKey{Host: h.Key.Host, Source: "docker", Key: h.Name + "-" + name + "-1"}}
	}
	one, two := host("web1"), host("web2")
	return []ops.Resource{one, two, below(one, ops.KindContainer, "nginx"), below(two, ops.KindContainer, "nginx"), below(two, ops.KindContainer, "redis"),
		below(one, ops.KindFilesystem, "/srv")}
}

// Every alias that means one resource finds it; one that means several, or
// none, is refused by name.
func TestNamesAreExactOrRefused(t *testing.T) {
	all := estateOfTwo()
	for _, ref := range []string{"res_web2_redis", "redis", "web2/redis", "web2-redis-1", "key_web2/web2-redis-1", "container:redis", " redis "} {
		s, err := resolveScope(all, ops.RunScope{Resources: []string{ref}})
		if err != nil || len(s.Resources) != 1 || s.Resources[0] != "res_web2_redis" {
			t.Errorf("%q: %+v, %v", ref, s, err)
		}
	}
	for ref, want := range map[string]string{"nginx": "res_web1_nginx", "redsi": "did you mean redis", "red": "there is no resource"} {
		_, err := resolveScope(all, ops.RunScope{Resources: []string{ref}})
		message, fields := ops.Shown(err)
		if ops.KindOf(err) != ops.Invalid || !strings.Contains(message, want) || fields["scope.resources"] == "" {
			t.Errorf("%q: %v %v", ref, err, fields)
		}
	}
}

func TestKindsAreCheckedAndBothMeanAnd(t *testing.T) {
	all := estateOfTwo()
	_, err := resolveScope(all, ops.RunScope{Kinds: []ops.Kind{"contaner"}})
	if message, fields := ops.Shown(err); !strings.Contains(message, "did you mean container") || fields["scope.kinds"] == "" {
		t.Error(err)
	}
	s, err := resolveScope(all, ops.RunScope{Resources: []string{"web1", "web1/nginx"}, Kinds: []ops.Kind{ops.KindContainer}})
	if in, _ := split(all, s); err != nil || len(in) != 1 || in[0].ID != "res_web1_nginx" {
		t.Error(in, err)
	}
	for _, nothing := range []ops.RunScope{{Kinds: []ops.Kind{ops.KindGPU}}, {Resources: []string{"web1"}, Kinds: []ops.Kind{ops.KindDisk}}} {
		if _, err := resolveScope(all, nothing); ops.KindOf(err) != ops.Invalid {
			t.Errorf("%+v matches nothing: %v", nothing, err)
		}
	}
	if _, err := resolveScope(nil, ops.RunScope{}); ops.KindOf(err) != ops.Invalid {
		t.Error("an empty estate", err)
	}
}

// Parents, hosts and children are evidence, never subjects.
func TestParentsAndChildrenAreAroundOnly(t *testing.T) {
	all := estateOfTwo()
	in, around := split(all, scopeOf("res_web1_nginx"))
	if len(in) != 1 || len(around) != 1 || around[0].ID != "res_web1" {
		t.Fatal(in, around)
	}
	in, around = split(all, scopeOf("res_web1"))
	if len(in) != 1 || len(around) != 2 {
		t.Fatal(in, around)
	}
}

// What is in maintenance or declared off is left out, with what is on it.
func TestMaintenanceIsLeftOutWithItsReason(t *testing.T) {
	all := estateOfTwo()
	all[4].Desired = ops.Attrs{"state": "stopped"} // redis
	until := t0.Add(time.Hour)
	active := []ops.Finding{{ResourceID: "res_web1", Severity: ops.Warning, State: ops.FindingOpen,
		Suppression: &ops.Suppression{Kind: ops.SuppressMaintenance, Until: until, Severity: ops.Critical}},
		{ResourceID: "res_web2_nginx", Severity: ops.Warning, State: ops.FindingOpen, Suppression: &ops.Suppression{Kind: ops.SuppressSnooze, Severity: ops.Critical}}}
	hosts := map[string]ops.Resource{"res_web1": all[0], "res_web2": all[1]}
	rest, out := leaveOut(t0, all, active, hosts)
	if len(rest) != 2 || len(out) != 4 || !strings.HasPrefix(out["res_web1"], "in maintenance until") ||
		!strings.Contains(out["res_web1_nginx"], "its host is in maintenance") || out["res_web2_redis"] != "declared stopped" {
		t.Fatal(rest, out)
	}
	if rest, _ = leaveOut(until, all, active, hosts); len(rest) != 5 {
		t.Fatal("maintenance does not end", rest)
	}
}
