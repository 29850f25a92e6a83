package agent

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"reeve/internal/ops"
)

const (
	alarmLook    = 15 * time.Second
	alarmTimeout = 20 * time.Second
	// AlarmAfter is how long the server may be gone before a person is told.
	AlarmAfter = 10 * time.Minute
)

// CheckAlarm refuses an address and a span with which nobody would ever be
// told, or at once.
func CheckAlarm(address string, after time.Duration) error {
	if after <= 0 {
		return ops.Errorf(ops.Invalid, "--alarm-after %s is no time that the server may be gone; write one such as 10m", after)
	}
	u, err := url.Parse(address)
	if address != "" && (err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https") {
		return ops.Errorf(ops.Invalid, "--alarm %q is no address to post to; write one such as https://ntfy.sh/my-topic", address)
	}
	return nil
}

// heard notes that the server answered.
func (a *Agent) heard() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heardAt = time.Now()
}

// note keeps the last reason for not being connected.
func (a *Agent) note(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reason = text
}

// watchServer tells a person when the server is gone for long, and when it is
// back: the watcher's watcher. It uses nothing of the server.
func (a *Agent) watchServer(ctx context.Context) {
	after := a.o.AlarmAfter
	if after == 0 {
		after = AlarmAfter
	}
	if a.o.Alarm == "" {
		return
	}
	for told := false; sleep(ctx, min(alarmLook, after/2)); {
		a.mu.Lock()
		gone, reason := time.Since(a.heardAt), a.reason
		a.mu.Unlock()
		title, message := "Reeve server is gone", ""
		switch {
		case !told && gone > after:
			message = fmt.Sprintf("%s has not reached its Reeve server (%s) for %s: nobody is told of what goes wrong. Last: %s",
				a.id.Name, a.joined.server.Address, gone.Round(time.Second), reason)
		case told && gone < after:
			title = "Reeve server is back"
			message = fmt.Sprintf("%s reaches its Reeve server (%s) again.", a.id.Name, a.joined.server.Address)
		default:
			continue
		}
		if err := tell(ctx, a.o.Alarm, title, message); err != nil {
			a.log.Error("nobody could be told about the server", "err", err)
			continue
		}
		told = !told
	}
}

// tell posts a message as plain text, which ntfy and most webhooks take.
func tell(ctx context.Context, url, title, message string) error {
	ctx, cancel := context.WithTimeout(ctx, alarmTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(message))
	if err != nil {
		return err
	}
	r.Close = true // the next one is for when all is well again
	r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	r.Header.Set("Title", title)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 300 {
		return fmt.Errorf("%s answers %s", r.URL.Host, answer.Status)
	}
	return nil
}
