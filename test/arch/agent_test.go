package arch

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxAgentBytes is the budget of the stripped agent.
const maxAgentBytes = 15 << 20

// ofTheServer must not be in the agent, which runs on every host.
var ofTheServer = []string{
	"reeve/internal/store", "reeve/internal/tsdb", "reeve/internal/llm", "reeve/internal/api", "reeve/internal/app", "reeve/internal/fleet",
	"reeve/internal/ingest", "reeve/internal/watch", "reeve/internal/cli", "reeve/internal/detectors", "reeve/internal/act", "reeve/web",
	"github.com/prometheus/prometheus", "github.com/prometheus/client_golang", "modernc.org", "github.com/jackc", "database/sql", "github.com/danielgtaylor", "debug/buildinfo",
}

func gotool(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out[:min(len(out), 4000)])
	}
	return string(out)
}

func TestNothingOfTheServerIsInTheAgent(t *testing.T) {
	for _, tags := range []string{"grpcnotrace", "grpcnotrace,readonly"} {
		for dep := range strings.FieldsSeq(gotool(t, "list", "-deps", "-tags="+tags, module+"/cmd/reeve-agent")) {
			for _, no := range ofTheServer {
				if dep == no || strings.HasPrefix(dep, no+"/") {
					t.Errorf("the agent (%s) contains %s", tags, dep)
				}
			}
		}
	}
}

func TestAgentIsSmall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reeve-agent")
	gotool(t, "build", "-tags=grpcnotrace", "-ldflags=-s -w", "-o", path, module+"/cmd/reeve-agent")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > maxAgentBytes {
		t.Errorf("the agent has %.1f MB; its budget is %d", float64(info.Size())/(1<<20), maxAgentBytes>>20)
	}
}

// changing are functions that change something on a host, or take the order
// to: calls of an engine that are no reads, and the part that performs.
var changing = regexp.MustCompile(`moby/moby/client\.\(\*Client\)\.(Container(Start|Stop|Restart|Kill|Pause|Unpause|Commit|Create|Remove|Rename|Update|Exec|Attach|Prune|Resize)|` +
	`(Image|Volume|Network|Plugin|Secret|Config|Service|Swarm|Node|Build)[A-Za-z]*(Create|Remove|Prune|Update|Pull|Push|Load|Import|Build|Connect|Disconnect|Init|Join|Leave|Install|Enable|Disable))` +
	`|internal/perform\.\(\*Performer\)\.(Perform|begin|run)$|internal/agent\.(newPerformer|here\.Perform|\(\*Hands\)\.Command(Here|Behind))|internal/agent\.behind\.Perform|systemd.*unitVerb`)

// TestReadOnlyAgentHoldsNothingThatChanges reads the symbols of both builds.
// What the linker left out cannot be reached by anybody; that the usual build
// has it proves that the test would see it.
func TestReadOnlyAgentHoldsNothingThatChanges(t *testing.T) {
	symbols := func(tags string) (found []string) {
		path := filepath.Join(t.TempDir(), "reeve-agent")
		// Without inlining, or a small function could hide in another.
		gotool(t, "build", "-tags="+tags, "-gcflags=reeve/internal/...=-l", "-o", path, module+"/cmd/reeve-agent")
		for line := range strings.SplitSeq(gotool(t, "tool", "nm", path), "\n") {
			if f := strings.Fields(line); len(f) > 2 && changing.MatchString(f[len(f)-1]) {
				found = append(found, f[len(f)-1])
			}
		}
		return found
	}
	if found := symbols("grpcnotrace,readonly"); len(found) > 0 {
		t.Errorf("the read-only agent contains %v", found)
	}
	usual := symbols("grpcnotrace")
	for _, want := range []string{"ContainerStop", "ContainerCommit", "(*Performer).Perform", "(*Performer).run"} {
		if !slices.ContainsFunc(usual, func(s string) bool { return strings.HasSuffix(s, want) }) {
			t.Errorf("the usual agent does not contain %s: this test looks for the wrong names", want)
		}
	}
}
