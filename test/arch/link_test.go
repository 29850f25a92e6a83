package arch

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// maxProgramBytes is the budget of the stripped program.
const maxProgramBytes = 60 << 20

// TestNothingCallsMethodsByName links the program and refuses code that calls
// methods by a name that the linker cannot know: one such call keeps every
// exported method of the program, some 40 MB.
func TestNothingCallsMethodsByName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reeve")
	cmd := exec.Command("go", "build", "-ldflags=-s -w -dumpdep", "-o", path, module+"/cmd/reeve")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false -tags=grpcnotrace")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out[:min(len(out), 4000)])
	}
	for line := range strings.SplitSeq(string(out), "\n") {
		from, _, _ := strings.Cut(line, " -> ")
		if strings.Contains(from, "<ReflectMethod>") && !strings.HasPrefix(from, "reflect.") {
			t.Errorf("calls methods by name: %s", from)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > maxProgramBytes {
		t.Errorf("the program has %d MB; its budget is %d", info.Size()>>20, maxProgramBytes>>20)
	}
}
