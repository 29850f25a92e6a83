package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

const maxRecord = 16 << 20

// Recorded answers for the programs of a recorded tree: what they printed is
// in .reeve/tools/NAME.json below its root, by their arguments.
type Recorded struct{ dir string }

// An answer is what a program printed.
type answer struct {
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
	Exit   int    `json:"exit"`
}

// NewRecorded answers for the tree below root.
func NewRecorded(root string) *Recorded {
	return &Recorded{dir: filepath.Join(root, ".reeve", "tools")}
}

// Path reports whether there is a record of a program.
func (r *Recorded) Path(tool string) (string, bool) {
	if !Known(tool) {
		return "", false
	}
	path := filepath.Join(r.dir, tool+".json")
	_, err := os.Stat(path)
	return path, err == nil
}

// Run answers what the program printed when it was recorded.
func (r *Recorded) Run(ctx context.Context, tool string, args ...string) (collect.Output, error) {
	path, ok := r.Path(tool)
	if !ok {
		return collect.Output{}, ops.Errorf(ops.NotFound, "%s is not installed", tool)
	}
	if err := ctx.Err(); err != nil {
		return collect.Output{}, fmt.Errorf("run %s: %w", tool, err)
	}
	file, err := os.Open(path)
	if err != nil {
		return collect.Output{}, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxRecord+1))
	if err != nil {
		return collect.Output{}, err
	}
	if len(b) > maxRecord {
		return collect.Output{}, fmt.Errorf("read %s: larger than %d bytes", path, maxRecord)
	}
	return parseRecord(b, path, strings.Join(args, " "))
}

func parseRecord(b []byte, path, args string) (collect.Output, error) {
	var answers map[string]answer
	if err := json.Unmarshal(b, &answers); err != nil {
		return collect.Output{}, fmt.Errorf("parse %s: %w", path, err)
	}
	a, ok := answers[args]
	if !ok {
		return collect.Output{}, ops.Errorf(ops.NotFound, "%s has no record of %q", path, args)
	}
	if len(a.Stdout) > maxOutput {
		return collect.Output{}, fmt.Errorf("parse %s: it printed more than %d bytes", path, maxOutput)
	}
	return collect.Output{Stdout: []byte(a.Stdout), Stderr: []byte(a.Stderr), Exit: a.Exit}, nil
}
