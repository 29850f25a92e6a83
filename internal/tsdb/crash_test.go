package tsdb

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// appendUntilKilled is the child of TestWhatWasAppendedSurvivesAKill: it says
// which batch the store has taken, as soon as it has.
func appendUntilKilled(dir string) {
	ctx := context.Background()
	db, err := Open(ctx, slog.New(slog.DiscardHandler), Options{Dir: dir, BallastSize: 1 << 20})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	start := time.Now().Add(-time.Minute)
	for i := 0; ; i++ {
		var batch []Sample
		for s := range 50 {
			ref := db.Ref("h1", "res_"+strconv.Itoa(s), "load1", nil)
			batch = append(batch, Sample{Ref: ref, At: start.Add(time.Duration(i) * time.Millisecond), Value: float64(i)})
		}
		if err := db.Append(ctx, batch); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println(i)
	}
}

func TestWhatWasAppendedSurvivesAKill(t *testing.T) {
	dir := t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), "REEVE_TEST_APPEND_DIR="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	last := -1
	for lines.Scan() {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatal(lines.Text())
		}
		last = n
		if last == 400 {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the child ended by itself: %v", err)
	}

	db := open(t, dir)
	got, err := recent(t.Context(), db, []string{"load1"}, now().Add(-time.Hour), now(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 50 {
		t.Fatalf("%d series of 50 are left", len(got))
	}
	for resource, list := range got {
		points := list[0].Points
		if len(points) <= last {
			t.Errorf("%s has %d readings; %d were taken", resource, len(points), last+1)
		}
		for i, p := range points {
			if p.Value != float64(i) {
				t.Fatalf("%s: reading %d is %v", resource, i, p.Value)
			}
		}
	}
	put(t, db, db.Ref("h1", "res_0", "load1", nil), now(), 1)
}
