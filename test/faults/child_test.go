package faults

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// childJob names what a copy of this test program does instead of testing:
// the real load of the live machine.
const childJob = "FAULTS_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childJob) {
	case "":
		os.Exit(m.Run())
	case "burn":
		burn()
	case "hold":
		hold()
	case "orphan":
		orphan()
	}
}

// work starts a copy of this program on a job and answers how to end it: the
// end of its input tells it to, so that it ends with the test in any case.
func work(t testing.TB, job, amount string) (end func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childJob+"="+job, "FAULTS_AMOUNT="+amount)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	end = func() {
		if !ended {
			ended = true
			in.Close()
			cmd.Wait()
		}
	}
	t.Cleanup(end)
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		t.Fatalf("the child that is to %s does not start: %v", job, err)
	}
	return end
}

func amount() int64 {
	n, err := strconv.ParseInt(os.Getenv("FAULTS_AMOUNT"), 10, 64)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return n
}

// begin tells the parent that the load is there and waits for its end.
func begin() {
	os.Stdout.Write([]byte{1})
	io.Copy(io.Discard, os.Stdin)
}

// burn uses every processor.
func burn() {
	for range runtime.NumCPU() {
		go func() {
			for x := uint64(1); ; x = x*2862933555777941757 + 3037000493 {
				if x == 0 {
					return
				}
			}
		}()
	}
	begin()
}

// hold takes memory and touches each page of it.
func hold() {
	taken := make([]byte, amount())
	for i := 0; i < len(taken); i += os.Getpagesize() {
		taken[i] = 1
	}
	begin()
	runtime.KeepAlive(taken)
}

// orphan starts processes that end at once, and waits for them only at the
// end.
func orphan() {
	var all []*exec.Cmd
	for range amount() {
		cmd := exec.Command("/bin/true")
		if err := cmd.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		all = append(all, cmd)
	}
	time.Sleep(100 * time.Millisecond)
	begin()
	for _, cmd := range all {
		cmd.Wait()
	}
}
