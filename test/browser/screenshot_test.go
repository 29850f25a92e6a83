package browser

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"reeve/test/disks"
	"reeve/test/program"
	"reeve/test/receiver"
)

var screenshot = flag.String("screenshot", "", "run the program for some minutes, fill a file system, and write the picture of README here: go test ./test/browser -run Screenshot -screenshot ../../docs/screenshot.png")

// TestScreenshot takes the picture of README from a real run: nothing in it is
// made up. It takes minutes, for charts need a past, and so is made on demand.
func TestScreenshot(t *testing.T) {
	if *screenshot == "" {
		t.Skip("makes a picture, only when it is asked for one: -screenshot FILE")
	}
	const at = "/srv/photos"
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(at) })
	disks.MountAt(t, at, 512<<20)
	hook, err := receiver.NewHTTP()
	if err != nil {
		t.Fatal(err)
	}
	defer hook.Close()
	p := program.Start(t, fmt.Sprintf(`
detectors: {fs_full: {hold: 5s}}
collectors: {filesystem: {every: 2s}, cpu: {every: 2s}, memory: {every: 2s}, kernel_events: {enabled: false}}
channels: [{name: oncall, type: webhook, url: "%s", secret: s3cret}]
notify:
  routes: [{names: [%s], channels: [oncall]}, {channels: []}]
`, hook.URL, at))
	grow(t, at)
	f := p.Await(time.Minute, "active", "fs_full", at)
	b := signIn(t, p)
	b.visit(p.URL + "/incidents/" + f.IncidentID)
	b.until("the chart is drawn", drawn)
	b.says("main", "delivered")
	take(t, b, *screenshot)
}

// grow fills a file system bit by bit, as photos come in.
func grow(t *testing.T, at string) {
	t.Helper()
	const steps, over = 60, 130 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), 2*over)
	defer cancel()
	tick := time.NewTicker(over / steps)
	defer tick.Stop()
	for i := range steps {
		part := make([]byte, 455<<20/steps)
		if err := os.WriteFile(filepath.Join(at, fmt.Sprintf("part-%d", i)), part, 0o600); err != nil {
			t.Fatal(err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
	}
}

func take(t *testing.T, b *tab, path string) {
	t.Helper()
	b.until("the fonts and the notices have settled", `document.fonts.status === 'loaded' && !document.querySelector('.notices .one')`)
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, picture, 0o644); err != nil {
		t.Fatal(err)
	}
}
