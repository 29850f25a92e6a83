package detectors

import (
	"time"

	"reeve/internal/detect"
	"reeve/internal/ops"
)

var _ = all.Add(detect.Definition{
	Name:  "hung_task",
	Title: "A process hangs in the kernel",
	Doc: "The kernel reported a task that did not move for two minutes or more. It opens at once and clears when there was no such " +
		"report for ten minutes.",
	Kinds:  []ops.Kind{ops.KindHost},
	Role:   detect.Storage,
	Events: []ops.EventType{ops.EventHungTask},
	Window: 10 * time.Minute,
	Eval:   hungTask,
	Causes: []string{
		"A network file system (NFS, CIFS) whose server does not answer.",
		"A disk or controller that does not answer, or is overloaded by far.",
		"A fault in a driver or in the kernel.",
	},
	Checks: []string{
		"Read the report and its stack: `journalctl -k -g 'blocked for more than' -A 30` or `dmesg -T | grep -A30 'blocked for more'`.",
		"See who hangs: `ps -eo state,pid,etime,wchan:30,cmd | grep '^D'`.",
		"Try each mount: `timeout 5 stat /MOUNT` for those in `grep -E 'nfs|cifs' /proc/mounts`.",
		"See the disks: `iostat -x 1 3`, `dmesg -T | grep -iE 'i/o error|timeout|reset'`.",
	},
})

func hungTask(s detect.Subject) detect.Verdict {
	events, times := happened(s, ops.EventHungTask, 10*time.Minute)
	if times == 0 {
		return fine("The kernel reported no hanging task in the last 10 min")
	}
	process := events[len(events)-1].Facts["process"]
	if process == "" {
		process = "A process"
	}
	v := detect.Badf(ops.Warning, "%s hangs in the kernel (%s within 10 min)", process, count(times, "report", "reports")).AtOnce().
		Fact("process", "%s", process).Fact("reports", "%d", times)
	v.Quotes = lines(events)
	return v
}
