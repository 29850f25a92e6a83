package command

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
)

// Try runs a program that is not on the list, for at most a time. It has one
// use: before the next version of the agent takes the place of the running
// one, and after its signature was verified, it must show that it runs. A
// program that others than root and this process's user could have changed is
// refused.
func Try(ctx context.Context, path string, within time.Duration, args ...string) (collect.Output, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return collect.Output{}, fmt.Errorf("try %s: %w", path, err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !filepath.IsAbs(path) || !info.Mode().IsRegular() || info.Mode().Perm()&0o022 != 0 || !ok || owner.Uid != 0 && int(owner.Uid) != os.Geteuid() {
		return collect.Output{}, ops.Errorf(ops.Forbidden, "%s is not run: others may write it", path)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("it ran for more than %v", within))
	defer cancel()
	return run(ctx, path, args)
}
