package notify_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"reeve/internal/channels"
	"reeve/internal/loop"
	"reeve/internal/notify"
	"reeve/internal/ops"
	"reeve/internal/store"
	"reeve/test/receiver"
	"reeve/test/storetest"
)

// memory is a channel that keeps what it is sent, inside a bubble of false
// time, where no network reaches.
type memory struct {
	mu   sync.Mutex
	got  []ops.Message
	at   []time.Time
	fail func(n int) error
}

func (m *memory) Send(_ context.Context, x ops.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.got, m.at = append(m.got, x), append(m.at, time.Now())
	if m.fail != nil {
		return m.fail(len(m.got))
	}
	return nil
}

func (m *memory) events() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []string
	for _, x := range m.got {
		all = append(all, string(x.Event))
	}
	return strings.Join(all, " ")
}

// estate is a store with what watch would write.
type estate struct {
	t  *testing.T
	st *store.Store
	n  int
}

func (e *estate) tx(f func(tx *store.Tx) error) {
	e.t.Helper()
	if err := e.st.Tx(e.t.Context(), time.Now(), f); err != nil {
		e.t.Fatal(err)
	}
}

var watch = store.Why{Actor: "watch"}

// breaks opens a finding and an incident of its own; it answers the incident's
// ID.
func (e *estate) breaks(severity ops.Severity) string {
	e.n++
	now := time.Now().UTC().Truncate(time.Millisecond)
	r := ops.Resource{ID: fmt.Sprintf("res_%d", e.n), Kind: ops.KindFilesystem, Name: fmt.Sprintf("/data%d", e.n), HostID: "res_host", HostName: "web1",
		Key: ops.ResourceKey{Host: "h", Source: "linux", Key: fmt.Sprintf("fs:%d", e.n)}, Presence: ops.Present, FirstSeen: now, ObservedAt: now}
	f := ops.Finding{ID: ops.NewID(ops.FindingID), ResourceID: r.ID, Condition: "fs_full", State: ops.FindingOpen, Severity: severity, Peak: severity,
		Origin: "rule", Summary: r.Name + " is 96 % full", FirstSeen: now, LastSeen: now, OpenedAt: now, Count: 1, Episode: 1}
	i := ops.Incident{ID: ops.NewID(ops.IncidentID), Title: "File system " + r.Name + " of web1 is almost full", State: ops.IncidentOpen,
		Severity: severity, Peak: severity, RootID: f.ID, OpenedAt: now}
	e.tx(func(tx *store.Tx) error {
		if err := tx.SaveResource(e.t.Context(), r, ""); err != nil {
			return err
		}
		if err := tx.OpenFinding(e.t.Context(), f, watch); err != nil {
			return err
		}
		if err := tx.OpenIncident(e.t.Context(), i, watch); err != nil {
			return err
		}
		return tx.Join(e.t.Context(), i.ID, ops.IncidentMember{FindingID: f.ID, Reason: "first", JoinedAt: now})
	})
	return i.ID
}

func (e *estate) finding(incident string) ops.Finding {
	e.t.Helper()
	all, _, err := e.st.Findings(e.t.Context(), store.FindingFilter{Incident: incident})
	if err != nil || len(all) != 1 {
		e.t.Fatalf("%d findings: %v", len(all), err)
	}
	return all[0]
}

func (e *estate) move(incident string, on ops.FindingEvent, then ops.IncidentEvent, change func(*ops.Finding)) {
	e.t.Helper()
	f := e.finding(incident)
	i, err := e.st.Incident(e.t.Context(), incident)
	if err != nil {
		e.t.Fatal(err)
	}
	e.tx(func(tx *store.Tx) error {
		next, err := tx.MoveFinding(e.t.Context(), f, on, watch, change)
		if err != nil {
			return err
		}
		_, err = tx.MoveIncident(e.t.Context(), i, then, watch, func(i *ops.Incident) {
			if next.Active() {
				i.Severity = next.Severity
			}
			i.MitigatedAt = tx.Now()
		})
		return err
	})
}

func (e *estate) recovers(incident string) {
	e.t.Helper()
	e.move(incident, ops.FindingRecover, ops.IncidentMitigate, func(f *ops.Finding) { f.ResolvedAt = time.Now() })
}

func newNotify(t *testing.T, st *store.Store, rules map[string]any, named map[string]notify.Channel) *notify.Notify {
	t.Helper()
	var all []notify.Configured
	for name, c := range named {
		all = append(all, notify.Configured{Name: name, Type: "memory", Channel: c})
	}
	p, err := notify.NewPolicy(rules, notify.Names(all))
	if err != nil {
		t.Fatal(err)
	}
	return notify.New(slog.New(slog.DiscardHandler), st, notify.Options{Channels: all, Policy: p, PublicURL: "https://reeve.example"})
}

// turn does one pass of everything.
func turn(t *testing.T, n *notify.Notify) {
	t.Helper()
	if err := n.Route(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := n.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// turns does passes for a while of false time.
func turns(t *testing.T, n *notify.Notify, span, step time.Duration) {
	t.Helper()
	for end := time.Now().Add(span); time.Now().Before(end); {
		time.Sleep(step)
		turn(t, n)
	}
}

// inBubble runs f in false time on a real SQLite file.
func inBubble(t *testing.T, f func(t *testing.T, e *estate)) {
	synctest.Test(t, func(t *testing.T) { f(t, &estate{t: t, st: storetest.SQLite(t)}) })
}

func states(t *testing.T, st *store.Store) map[ops.DeliveryState]int {
	t.Helper()
	all, _, err := st.Deliveries(t.Context(), store.DeliveryFilter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[ops.DeliveryState]int{}
	for _, d := range all {
		counts[d.State]++
	}
	return counts
}

func TestOneMessageWhenItOpensAndOneWhenItEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, e *estate) {
		m := &memory{}
		n := newNotify(t, e.st, nil, map[string]notify.Channel{"a": m})
		id := e.breaks(ops.Critical)
		turns(t, n, 10*time.Second, 2*time.Second)
		if m.events() != "opened" {
			t.Fatalf("told %q", m.events())
		}
		if x := m.got[0]; x.IncidentID != id || x.Severity != ops.Critical || !strings.Contains(x.Text, "96 % full") || x.URL != "https://reeve.example/incidents/"+id {
			t.Errorf("message %+v", x)
		}
		e.recovers(id)
		// Another process takes over: what was told is known from the store.
		n = newNotify(t, e.st, nil, map[string]notify.Channel{"a": m})
		turns(t, n, 10*time.Second, 2*time.Second)
		if m.events() != "opened resolved" {
			t.Errorf("told %q", m.events())
		}
	})
}

func TestRoutesReachOnlyTheirChannels(t *testing.T) {
	inBubble(t, func(t *testing.T, e *estate) {
		pager, mail := &memory{}, &memory{}
		n := newNotify(t, e.st, map[string]any{"routes": []any{
			map[string]any{"severities": "critical", "channels": "pager,mail"}, map[string]any{"channels": "mail"},
		}}, map[string]notify.Channel{"pager": pager, "mail": mail})
		id := e.breaks(ops.Warning)
		turn(t, n)
		if pager.events() != "" || mail.events() != "opened" {
			t.Fatalf("pager %q, mail %q", pager.events(), mail.events())
		}
		e.move(id, ops.FindingRise, ops.IncidentRise, func(f *ops.Finding) { f.Severity = ops.Critical })
		turn(t, n)
		e.recovers(id)
		turn(t, n)
		if pager.events() != "opened resolved" || mail.events() != "opened rose resolved" {
			t.Errorf("pager %q, mail %q", pager.events(), mail.events())
		}
	})
}

func TestReminderUntilSomeoneAcknowledges(t *testing.T) {
	inBubble(t, func(t *testing.T, e *estate) {
		m := &memory{}
		n := newNotify(t, e.st, nil, map[string]notify.Channel{"a": m})
		id := e.breaks(ops.Critical)
		e.breaks(ops.Warning)
		turns(t, n, 9*time.Hour, time.Minute)
		if m.events() != "opened opened reminder reminder" {
			t.Fatalf("told %q", m.events())
		}
		e.move(id, ops.FindingAcknowledge, ops.IncidentAcknowledge, func(f *ops.Finding) { f.AckedBy = "ann" })
		turns(t, n, 9*time.Hour, time.Minute)
		if m.events() != "opened opened reminder reminder" {
			t.Errorf("told %q", m.events())
		}
	})
}

func TestFailedDeliveryIsTriedForADayThenDead(t *testing.T) {
	inBubble(t, func(t *testing.T, e *estate) {
		m := &memory{fail: func(int) error { return notify.Unreached(nil, "nobody is there") }}
		n := newNotify(t, e.st, nil, map[string]notify.Channel{"a": m})
		id := e.breaks(ops.Warning)
		turns(t, n, 2*time.Hour, 5*time.Second)
		for i := 1; i < len(m.at); i++ {
			if wait := m.at[i].Sub(m.at[i-1]); wait < 10*time.Second || wait > 67*time.Minute || m.got[i].ID != m.got[0].ID {
				t.Errorf("attempt %d after %v as %s", i, wait, m.got[i].ID)
			}
		}
		s := status(t, n)
		if s.State != "failing" || s.Err != "nobody is there" || s.Queued != 1 || s.Failures < 3 {
			t.Errorf("status %+v", s)
		}
		e.recovers(id)
		turns(t, n, 25*time.Hour, time.Minute)
		if c := states(t, e.st); c[ops.DeliveryDead] != 1 || c[ops.DeliveryDropped] != 1 || c[ops.DeliveryQueued] != 0 {
			t.Errorf("states %v", c)
		}
		if tries := len(m.got); tries < 20 || tries > 45 {
			t.Errorf("%d attempts in a day", tries)
		}
		if s := status(t, n); s.State != "failing" || s.Dead != 1 {
			t.Errorf("status %+v", s)
		}
		m.fail = nil
		if err := n.Test(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if s := status(t, n); s.State != "ok" {
			t.Errorf("after a good test: %+v", s)
		}
	})
}

func status(t *testing.T, n *notify.Notify) notify.ChannelStatus {
	t.Helper()
	all, err := n.Statuses(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("%v: %v", all, err)
	}
	return all[0]
}

func TestRefusedMessageIsDeadAtOnceAndShownAsAComponent(t *testing.T) {
	inBubble(t, func(t *testing.T, e *estate) {
		m := &memory{fail: func(int) error { return notify.Refused(nil, "wrong password") }}
		n := newNotify(t, e.st, nil, map[string]notify.Channel{"a": m})
		e.breaks(ops.Warning)
		turns(t, n, 3*time.Hour, 30*time.Second)
		if c := states(t, e.st); c[ops.DeliveryDead] != 1 || len(m.got) != 1 {
			t.Errorf("states %v, %d attempts", c, len(m.got))
		}
		seen, err := n.Sightings(t.Context(), ops.HostIdentity{Key: "h", Name: "web1"})
		if err != nil || len(seen) != 1 || seen[0].Key.Key != "channel:a" || seen[0].Observed["state"] != "failing" || seen[0].Observed["error"] != "wrong password" {
			t.Errorf("%+v: %v", seen, err)
		}
		m.fail = nil
		turns(t, n, 2*time.Hour, 30*time.Second)
		if m.events() != "opened opened" {
			t.Errorf("it is told once the channel works: %q", m.events())
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	inBubble(t, func(t *testing.T, e *estate) {
		m := &memory{fail: func(n int) error {
			if n == 1 {
				return &notify.Failure{Message: "slow down", RetryAfter: 30 * time.Minute, Nobody: true}
			}
			return nil
		}}
		n := newNotify(t, e.st, nil, map[string]notify.Channel{"a": m})
		e.breaks(ops.Warning)
		turns(t, n, time.Hour, time.Second)
		if len(m.at) != 2 || m.at[1].Sub(m.at[0]) < 30*time.Minute {
			t.Errorf("attempts at %v", m.at)
		}
	})
}

func TestAttemptsInDoubtCountAndOthersDoNot(t *testing.T) {
	for _, nobody := range []bool{true, false} {
		inBubble(t, func(t *testing.T, e *estate) {
			m := &memory{fail: func(n int) error {
				if n <= 4 {
					return &notify.Failure{Message: "no", Nobody: nobody}
				}
				return nil
			}}
			n := newNotify(t, e.st, map[string]any{"channel_max_per_hour": 3}, map[string]notify.Channel{"a": m})
			e.breaks(ops.Critical)
			turns(t, n, 30*time.Minute, 10*time.Second)
			// Four failures: where each may have reached someone, three
			// are all that an hour allows, and then a digest.
			want := "opened opened opened opened opened"
			if !nobody {
				want = "opened opened opened digest digest"
			}
			if m.events() != want {
				t.Errorf("nobody %v: told %q", nobody, m.events())
			}
		})
	}
}

func TestManyThatAreHeldHideNoCriticalOne(t *testing.T) {
	inBubble(t, func(t *testing.T, e *estate) {
		m := &memory{}
		begin := time.Now().UTC()
		n := newNotify(t, e.st, map[string]any{"time_zone": "UTC", "quiet_hours": []any{map[string]any{
			"from": begin.Add(-time.Hour).Format("15:04"), "to": begin.Add(3 * time.Hour).Format("15:04"),
		}}}, map[string]notify.Channel{"a": m})
		e.tx(func(tx *store.Tx) error {
			for i := range 1500 {
				d := ops.Delivery{ID: fmt.Sprintf("dlv_%d", i), Channel: "a", DedupeKey: fmt.Sprint(i), CreatedAt: tx.Now(), NextAt: tx.Now().Add(3 * time.Hour),
					IncidentID: fmt.Sprintf("inc_%d", i), Message: ops.Message{Event: ops.MessageOpened, Severity: ops.Warning, Title: "x"}}
				if _, err := tx.Enqueue(t.Context(), d, watch); err != nil {
					return err
				}
			}
			return nil
		})
		turns(t, n, 10*time.Second, 5*time.Second)
		e.breaks(ops.Critical)
		turns(t, n, 10*time.Second, 5*time.Second)
		if m.events() != "opened" || m.got[0].Severity != ops.Critical {
			t.Errorf("told %q", m.events())
		}
		turns(t, n, 4*time.Hour, time.Minute)
		if c := states(t, e.st); c[ops.DeliveryQueued] != 0 || m.events() != "opened digest digest reminder" {
			t.Errorf("told %q, states %v", m.events(), c)
		}
	})
}

func TestFloodBecomesADigest(t *testing.T) {
	inBubble(t, func(t *testing.T, e *estate) {
		m := &memory{}
		n := newNotify(t, e.st, map[string]any{"channel_max_per_hour": 12}, map[string]notify.Channel{"a": m})
		for range 150 {
			e.breaks(ops.Warning)
		}
		turns(t, n, 30*time.Minute, 10*time.Second)
		if got := m.events(); got != strings.Repeat("opened ", 10)+"digest" {
			t.Fatalf("told %q", got)
		}
		if !strings.Contains(m.got[10].Title, "140 messages about 140 incidents") {
			t.Errorf("digest %q", m.got[10].Title)
		}
		if c := states(t, e.st); c[ops.DeliveryQueued] != 0 || c[ops.DeliveryDropped] != 140 {
			t.Errorf("states %v", c)
		}
	})
}

func TestQuietHoursEndInOneDigest(t *testing.T) {
	inBubble(t, func(t *testing.T, e *estate) {
		m := &memory{}
		begin := time.Now().UTC()
		n := newNotify(t, e.st, map[string]any{"time_zone": "UTC", "quiet_hours": []any{map[string]any{
			"from": begin.Add(-time.Hour).Format("15:04"), "to": begin.Add(3 * time.Hour).Format("15:04"),
		}}}, map[string]notify.Channel{"a": m})
		over := e.breaks(ops.Warning)
		e.breaks(ops.Warning)
		turn(t, n)
		if m.events() != "" {
			t.Fatalf("told %q in quiet hours", m.events())
		}
		e.breaks(ops.Critical)
		turn(t, n)
		if m.events() != "opened" || m.got[0].Severity != ops.Critical {
			t.Fatalf("told %q", m.events())
		}
		e.recovers(over)
		turns(t, n, 170*time.Minute, time.Minute)
		if m.events() != "opened" {
			t.Fatalf("told %q in quiet hours", m.events())
		}
		turns(t, n, 30*time.Minute, time.Minute)
		if m.events() != "opened digest" || !strings.Contains(m.got[1].Text, "Resolved: ") {
			t.Errorf("told %q\n%s", m.events(), m.got[len(m.got)-1].Text)
		}
	})
}

func TestSuppressedIsNotToldUntilItEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, e *estate) {
		m := &memory{}
		n := newNotify(t, e.st, nil, map[string]notify.Channel{"a": m})
		id := e.breaks(ops.Warning)
		note := func(verb string, s *ops.Suppression) {
			f := e.finding(id)
			e.tx(func(tx *store.Tx) error {
				_, err := tx.NoteFinding(t.Context(), f, verb, watch, func(f *ops.Finding) { f.Suppression = s })
				return err
			})
		}
		note("suppress", &ops.Suppression{Kind: ops.SuppressSnooze, Severity: ops.Warning})
		turns(t, n, time.Hour, time.Minute)
		if m.events() != "" {
			t.Fatalf("told %q", m.events())
		}
		why, err := n.Explain(t.Context(), id)
		if err != nil || len(why) != 1 || why[0].Reason != string(notify.NotSuppressed) {
			t.Errorf("%+v: %v", why, err)
		}
		note("unsuppress", nil)
		turn(t, n)
		if m.events() != "opened" {
			t.Errorf("told %q", m.events())
		}
	})
}

func TestFlappingIsOneNotice(t *testing.T) {
	inBubble(t, func(t *testing.T, e *estate) {
		m := &memory{}
		n := newNotify(t, e.st, nil, map[string]notify.Channel{"a": m})
		id := e.breaks(ops.Warning)
		for range 8 {
			turns(t, n, 2*time.Minute, 10*time.Second)
			e.recovers(id)
			turns(t, n, 2*time.Minute, 10*time.Second)
			e.move(id, ops.FindingRegress, ops.IncidentReopen, func(f *ops.Finding) {
				f.Episode++
				f.OpenedAt, f.Flapping = time.Now(), f.Episode > ops.FlapEpisodes
			})
		}
		if want := "opened resolved opened resolved opened resolved flapping"; m.events() != want {
			t.Errorf("told %q, want %q", m.events(), want)
		}
	})
}

func TestDeliveryLeftInSendingIsSentAgainUnderItsID(t *testing.T) {
	inBubble(t, func(t *testing.T, e *estate) {
		m := &memory{}
		e.breaks(ops.Warning)
		n := newNotify(t, e.st, nil, map[string]notify.Channel{"a": m})
		if err := n.Route(t.Context()); err != nil {
			t.Fatal(err)
		}
		waiting, err := e.st.Outbox(t.Context(), "a", ops.DeliveryQueued, time.Now(), 10)
		if err != nil || len(waiting) != 1 {
			t.Fatalf("%v: %v", waiting, err)
		}
		e.tx(func(tx *store.Tx) error {
			_, err := tx.MoveDelivery(t.Context(), waiting[0], ops.DeliverySend, watch, func(d *ops.Delivery) { d.Attempts++ })
			return err
		})
		turn(t, newNotify(t, e.st, nil, map[string]notify.Channel{"a": m}))
		if len(m.got) != 1 || m.got[0].ID != waiting[0].ID {
			t.Errorf("got %+v", m.got)
		}
	})
}

func TestOutboxOfARemovedChannelIsDropped(t *testing.T) {
	inBubble(t, func(t *testing.T, e *estate) {
		e.breaks(ops.Warning)
		m := &memory{fail: func(int) error { return notify.Unreached(nil, "no") }}
		turn(t, newNotify(t, e.st, nil, map[string]notify.Channel{"old": m}))
		turn(t, newNotify(t, e.st, nil, nil))
		if c := states(t, e.st); c[ops.DeliveryDropped] != 1 || c[ops.DeliveryQueued] != 0 {
			t.Errorf("states %v", c)
		}
	})
}

func TestRealChannelsOnBothDatabases(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		h, err := receiver.NewHTTP()
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		s, err := receiver.NewSMTP(receiver.SMTPOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		host, port, _ := strings.Cut(s.Addr, ":")
		all, err := notify.OpenChannels(notify.NewEnv(slog.New(slog.DiscardHandler), notify.NothingSealed, ""), channels.Get, []map[string]any{
			{"name": "hook", "type": "webhook", "url": h.URL},
			{"name": "mail", "type": "email", "host": host, "port": port, "tls": "none", "from": "reeve@example.org", "to": "ann@example.org"},
			{"name": "broken", "type": "ntfy"},
		})
		if err != nil || all[2].Err == nil {
			t.Fatalf("%+v: %v", all, err)
		}
		p, err := notify.NewPolicy(nil, notify.Names(all))
		if err != nil {
			t.Fatal(err)
		}
		n := notify.New(slog.New(slog.DiscardHandler), st, notify.Options{Channels: all, Policy: p})
		e := &estate{t: t, st: st}
		id := e.breaks(ops.Critical)
		turn(t, n)
		e.recovers(id)
		turn(t, n)
		got, mails := h.Requests(), s.Mails()
		if len(got) != 2 || got[0].JSON()["event"] != "opened" || got[1].JSON()["event"] != "resolved" {
			t.Errorf("webhook got %+v", got)
		}
		if len(mails) != 2 || !strings.Contains(string(mails[0].Data), "[CRITICAL]") || !strings.Contains(string(mails[1].Data), "Resolved:") {
			t.Errorf("mail got %+v", mails)
		}
		for _, name := range []string{"hook", "mail"} {
			if err := n.Test(t.Context(), name); err != nil {
				t.Error(err)
			}
		}
		if err := n.Test(t.Context(), "broken"); ops.KindOf(err) != ops.Unavailable {
			t.Errorf("broken: %v", err)
		}
		if err := n.Test(t.Context(), "nobody"); ops.KindOf(err) != ops.NotFound {
			t.Errorf("nobody: %v", err)
		}
		if _, broken, err := st.VerifyAudit(t.Context(), func(int64, int64) {}); err != nil || broken != nil {
			t.Errorf("audit %+v: %v", broken, err)
		}
	})
}

// Five channels work at once, and one that hangs holds up nobody.
func TestLoopsDeliverSideBySide(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *store.Store) {
		e := &estate{t: t, st: st}
		named, stuck := map[string]notify.Channel{}, &hanging{}
		for i := range 5 {
			named[fmt.Sprint("c", i)] = &memory{}
		}
		named["stuck"] = stuck
		n := newNotify(t, st, nil, named)
		g := loop.NewGroup(slog.New(slog.DiscardHandler))
		for _, l := range n.Loops() {
			g.Add(l)
		}
		g.Start(t.Context())
		const incidents = 12
		for range incidents {
			e.breaks(ops.Critical)
			n.Wake()
		}
		deadline := time.NewTimer(20 * time.Second)
		defer deadline.Stop()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for done := false; !done; {
			select {
			case <-tick.C:
				done = states(t, st)[ops.DeliveryDelivered] == 5*incidents
			case <-deadline.C:
				t.Fatalf("states %v, loops %+v", states(t, st), g.Statuses())
			}
		}
		for _, s := range g.Statuses() {
			if s.Failures > 0 {
				t.Errorf("loop %+v", s)
			}
		}
		if err := g.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		for name, c := range named {
			if m, ok := c.(*memory); ok && len(m.got) != incidents {
				t.Errorf("%s got %d", name, len(m.got))
			}
		}
	})
}

// hanging is a channel whose receiver never answers.
type hanging struct{}

func (*hanging) Send(ctx context.Context, _ ops.Message) error {
	<-ctx.Done()
	return ctx.Err()
}

// From the incident to the first attempt is a matter of moments: nobody waits
// for a period to end.
func TestFirstAttemptComesAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, e *estate) {
		m := &memory{}
		n := newNotify(t, e.st, nil, map[string]notify.Channel{"a": m})
		g := loop.NewGroup(slog.New(slog.DiscardHandler))
		for _, l := range n.Loops() {
			g.Add(l)
		}
		g.Start(t.Context())
		time.Sleep(time.Second)
		e.breaks(ops.Critical)
		began := time.Now()
		n.Wake()
		time.Sleep(time.Minute)
		if err := g.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(m.at) != 1 || m.at[0].Sub(began) > 100*time.Millisecond {
			t.Errorf("attempts %v after %v", m.at, began)
		}
	})
}

func TestChannelsAreChecked(t *testing.T) {
	for _, raw := range [][]map[string]any{
		{{"type": "webhook"}}, {{"name": "a b", "type": "webhook"}}, {{"name": "a", "type": "pigeon"}},
		{{"name": "a", "type": "ntfy", "topic": "x"}, {"name": "a", "type": "ntfy", "topic": "y"}},
	} {
		if _, err := notify.OpenChannels(notify.NewEnv(slog.New(slog.DiscardHandler), notify.NothingSealed, ""), channels.Get, raw); ops.KindOf(err) != ops.Invalid {
			t.Errorf("%v: %v", raw, err)
		}
	}
}
