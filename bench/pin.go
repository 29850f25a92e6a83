package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// The cores of a measure in which the server and those who load it must not
// take time from each other. On a machine with one core they share it.
const (
	serversCore = "0"
	loadersCore = "1"
)

// apart answers a command on the server's core.
func apart(ctx context.Context, program string, args ...string) *exec.Cmd {
	if runtime.NumCPU() < 2 {
		return exec.CommandContext(ctx, program, args...)
	}
	return exec.CommandContext(ctx, "taskset", append([]string{"-c", serversCore, program}, args...)...)
}

// stepAside puts this process on the loaders' core until back is called.
func stepAside() (back func(), err error) {
	if runtime.NumCPU() < 2 {
		return func() {}, nil
	}
	text, err := exec.Command("taskset", "-cp", fmt.Sprint(os.Getpid())).Output()
	if err != nil {
		return nil, fmt.Errorf("which cores are ours: %w", err)
	}
	_, cores, _ := strings.Cut(strings.TrimSpace(string(text)), ": ")
	if err := pin(loadersCore); err != nil {
		return nil, err
	}
	return func() { pin(cores) }, nil
}

// pin puts every thread of this process on cores.
func pin(cores string) error {
	out, err := exec.Command("taskset", "-a", "-cp", cores, fmt.Sprint(os.Getpid())).CombinedOutput()
	if err != nil {
		return fmt.Errorf("keep to the core %s: %w: %.200s", cores, err, out)
	}
	return nil
}
