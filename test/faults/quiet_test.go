package faults

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"reeve/internal/ops"
	"reeve/test/program"
	"reeve/test/receiver"
)

// told by severity: file systems that are filled below and above 95 %.
const warned, alarmed = 0.90, 0.97

// onDisks answers the quick configuration that tells a receiver of some file
// systems and of nothing else.
func onDisks(hook *receiver.HTTP, notify map[string]any, disks ...string) setup {
	s := live(nil)
	s["channels"] = []map[string]any{{"name": "hook", "type": "webhook", "url": hook.URL, "secret": "s"}}
	notify["routes"] = []map[string]any{{"names": disks, "channels": []string{"hook"}}, {"channels": []string{}}}
	s["notify"] = notify
	return s
}

// about answers the messages of an event that speak of a file system.
func about(hook *receiver.HTTP, disk string, event ops.MessageEvent) (n int) {
	for _, m := range messages(hook) {
		if m.Event == event && strings.Contains(m.Title+m.Text, disk) {
			n++
		}
	}
	return n
}

// TestQuietHours: in quiet hours, told in the zone of the people, a critical
// message passes; two warnings wait and come as one digest when they end.
func TestQuietHours(t *testing.T) {
	t.Parallel()
	hook := newHook(t)
	first, second, worst := mount(t, 64<<20), mount(t, 64<<20), mount(t, 64<<20)
	zone, err := time.LoadLocation("Asia/Kathmandu") // 5:45 off: neither the machine's hour nor its minute
	if err != nil {
		t.Fatal(err)
	}
	// They end at a full minute, far enough away for all that comes before.
	program.Path(t)
	end := time.Now().In(zone).Add(130 * time.Second).Truncate(time.Minute)
	p := program.Start(t, onDisks(hook, map[string]any{"quiet_hours": []map[string]any{{
		"from": end.Add(-2 * time.Hour).Format("15:04"), "to": end.Format("15:04"), "time_zone": zone.String(),
	}}}, first, second, worst).text(t))
	for _, disk := range []string{first, second, worst} {
		p.Until(30*time.Second, disk+" is judged to be well", func() bool { return judgedWell(p, disk, "fs_full") })
	}
	fill(t, first, warned)
	fill(t, second, warned)
	await(p, 20*time.Second, "active", "fs_full", first)
	await(p, 20*time.Second, "active", "fs_full", second)
	fill(t, worst, alarmed)
	p.Until(20*time.Second, "the critical message passes", func() bool { return about(hook, worst, ops.MessageOpened) == 1 })
	p.Until(20*time.Second, "the warnings are held until the end", func() bool { return heldUntil(t, p, end) == 2 })
	if time.Now().Before(end) && len(messages(hook)) != 1 {
		t.Errorf("%d messages came in quiet hours", len(messages(hook)))
	}
	p.Until(time.Until(end)+30*time.Second, "what was held comes", func() bool { return len(messages(hook)) > 1 })
	for _, r := range hook.Requests()[1:] {
		if r.At.Before(end) {
			t.Errorf("a message came %v before quiet hours ended", end.Sub(r.At))
		}
	}
	if about(hook, first, ops.MessageDigest) != 1 || about(hook, second, ops.MessageDigest) != 1 || len(messages(hook)) != 2 {
		for _, m := range messages(hook) {
			t.Errorf("message %s: %s\n%s", m.Event, m.Title, m.Text)
		}
	}
}

// heldUntil counts the messages that wait for a time.
func heldUntil(t testing.TB, p *program.Program, at time.Time) (n int) {
	t.Helper()
	var list struct{ Items []ops.Delivery }
	if err := p.Get("/api/v1/deliveries", &list); err != nil {
		t.Fatal(err)
	}
	for _, d := range list.Items {
		if d.State == ops.DeliveryQueued && d.NextAt.Equal(at) {
			n++
		}
	}
	return n
}

// TestReminder: a critical incident that nobody acknowledges is told again
// and again; after `reeve ack` it is not, while another still is.
func TestReminder(t *testing.T) {
	t.Parallel()
	hook := newHook(t)
	mine, yours, lesser := mount(t, 64<<20), mount(t, 64<<20), mount(t, 64<<20)
	p := program.Start(t, onDisks(hook, map[string]any{"reminder_every": "5s"}, mine, yours, lesser).text(t))
	for _, disk := range []string{mine, yours, lesser} {
		p.Until(30*time.Second, disk+" is judged to be well", func() bool { return judgedWell(p, disk, "fs_full") })
	}
	fill(t, mine, alarmed)
	fill(t, yours, alarmed)
	fill(t, lesser, warned)
	for _, disk := range []string{mine, yours, lesser} {
		p.Until(30*time.Second, disk+" is told of", func() bool { return about(hook, disk, ops.MessageOpened) == 1 })
	}
	// Reminders are looked for once a minute.
	for _, disk := range []string{mine, yours} {
		p.Until(90*time.Second, disk+" is reminded of", func() bool { return about(hook, disk, ops.MessageReminder) == 1 })
	}
	f, ok := find(p, "active", "fs_full", mine)
	if !ok {
		t.Fatal("the finding is gone")
	}
	cmd := exec.Command(program.Path(t), "ack", f.ID, "--data", p.Dir, "--reason", "I look after it")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("reeve ack: %v\n%s", err, said)
	}
	before := about(hook, yours, ops.MessageReminder)
	p.Until(90*time.Second, "the other is reminded of again", func() bool { return about(hook, yours, ops.MessageReminder) > before })
	if n := about(hook, mine, ops.MessageReminder); n != 1 {
		t.Errorf("%d reminders of an incident that is acknowledged", n)
	}
	if n := about(hook, lesser, ops.MessageReminder); n != 0 {
		t.Errorf("%d reminders of a warning", n)
	}
	i := slices.IndexFunc(messages(hook), func(m ops.Message) bool { return m.Event == ops.MessageReminder })
	if m := messages(hook)[i]; m.Severity != ops.Critical || len(m.Findings) != 1 {
		t.Errorf("the reminder is %s with %d findings: %s", m.Severity, len(m.Findings), m.Title)
	}
}
