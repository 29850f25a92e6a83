package patrol

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"reeve/internal/ops"
	"reeve/internal/redact"
	"reeve/internal/store"
)

const (
	// batchFor is how long events wait for company before they are rows.
	batchFor = 200 * time.Millisecond
	// maxEvents is how many events of a run are kept; the last says that more
	// were not.
	maxEvents = 2000
	// maxText is how much text of a model waits to be one event.
	maxText = 16 << 10
	// maxData is the largest event.
	maxData = 32 << 10
	// pollEvery is how often events of a run of another server are looked for.
	pollEvery = time.Second
)

// A broadcast is the events of the run that goes on. The run appends and
// never waits; a pass makes rows of what was appended, and only rows are
// shown, so that whoever resumes after a crash misses nothing. Readers hold a
// place in the list and no queue, so that a slow one costs nothing.
type broadcast struct {
	runID string
	wake  func()

	mu      sync.Mutex
	seq     int64 // of the last event
	text    strings.Builder
	fresh   []store.RunEvent // no rows yet
	shown   []store.RunEvent // rows
	full    bool
	ended   bool
	asked   bool          // a pass was asked for
	changed chan struct{} // closed when there is more to read
	writing sync.Mutex    // one writer of rows at a time
}

// open begins the broadcast of a run, after the events that it may have had
// before it was started again.
func (p *Patrol) open(ctx context.Context, runID string) (*broadcast, error) {
	last, err := p.store.LastRunEvent(ctx, runID)
	if err != nil {
		return nil, err
	}
	b := &broadcast{runID: runID, seq: last, full: last >= maxEvents, wake: p.events.Wake, changed: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live = b
	return b, nil
}

func (p *Patrol) closeBroadcast(b *broadcast) {
	p.mu.Lock()
	if p.live == b {
		p.live = nil
	}
	p.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended { // It was not stored: readers go on with the rows.
		b.ended = true
		close(b.changed)
	}
}

// see takes in an event. It never waits for anyone.
func (b *broadcast) see(kind string, data any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t, ok := data.(Text); ok && kind == EventText {
		if b.text.Len() < maxText {
			b.text.WriteString(t.Text)
		}
	} else {
		b.endText()
		b.add(kind, data)
	}
	if !b.asked {
		b.asked = true
		time.AfterFunc(batchFor, b.wake)
	}
}

// endText makes one event of the text that came in pieces.
func (b *broadcast) endText() {
	if b.text.Len() == 0 {
		return
	}
	text := b.text.String()
	b.text.Reset()
	b.add(EventText, Text{redact.Text(strings.ToValidUTF8(text, "\uFFFD"))})
}

func (b *broadcast) add(kind string, data any) {
	if b.full {
		return
	}
	if b.seq >= maxEvents-1 {
		b.full = true
		kind, data = EventNote, Phase{Name: "events", Note: fmt.Sprintf("more than %d events; the rest is in the record of the run", maxEvents)}
	}
	b.append(kind, data)
}

func (b *broadcast) append(kind string, data any) {
	text, err := json.Marshal(data)
	if err != nil || len(text) > maxData {
		text, _ = json.Marshal(Phase{Name: kind, Note: "too large to be shown here; the record of the run has it"})
	}
	b.seq++
	b.fresh = append(b.fresh, store.RunEvent{Seq: b.seq, At: time.Now().UTC().Truncate(time.Millisecond), Type: kind, Data: text})
}

// flush is the pass that makes rows of what was appended.
func (p *Patrol) flush(ctx context.Context) error {
	p.mu.Lock()
	b := p.live
	p.mu.Unlock()
	if b == nil {
		return nil
	}
	b.writing.Lock()
	defer b.writing.Unlock()
	batch := b.pending(nil)
	if len(batch) == 0 {
		return nil
	}
	err := p.store.Tx(ctx, time.Now(), func(tx *store.Tx) error { return tx.AddRunEvents(ctx, b.runID, batch) })
	if err == nil {
		b.publish(batch, false)
	}
	return err
}

// pending answers what is no row yet, with the end after it when there is one.
// The caller holds writing until it published what it stored.
func (b *broadcast) pending(done *Done) []store.RunEvent {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = false
	b.endText()
	batch := slices.Clone(b.fresh)
	if done != nil {
		text, _ := json.Marshal(*done) // Texts always marshal.
		batch = append(batch, store.RunEvent{Seq: b.seq + 1, At: time.Now().UTC().Truncate(time.Millisecond), Type: EventDone, Data: text})
	}
	return batch
}

// publish shows readers what is rows now.
func (b *broadcast) publish(batch []store.RunEvent, ended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(batch); n > 0 {
		last := batch[n-1].Seq
		b.shown, b.seq = append(b.shown, batch...), max(b.seq, last)
		b.fresh = slices.DeleteFunc(b.fresh, func(e store.RunEvent) bool { return e.Seq <= last })
	}
	close(b.changed)
	b.changed = make(chan struct{})
	if ended {
		b.ended = true
		close(b.changed)
	}
}

// after answers what a reader has not seen yet; changed is closed when there
// may be more.
func (b *broadcast) after(seq int64) (events []store.RunEvent, ended bool, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.shown); n > 0 && seq < b.shown[n-1].Seq {
		from := int(max(0, seq-b.shown[0].Seq+1))
		events = b.shown[from:n:n]
	}
	return events, b.ended, b.changed
}

// A Listener reads the events of one run in order, from a place on.
type Listener struct {
	p     *Patrol
	runID string
	seq   int64
	over  bool
}

// Listen answers a reader of a run's events after a sequence. A run that does
// not exist is an error.
func (p *Patrol) Listen(ctx context.Context, runID string, after int64) (*Listener, error) {
	r, err := p.store.Run(ctx, runID)
	if err != nil {
		return nil, err
	}
	return &Listener{p: p, runID: r.ID, seq: after}, nil
}

// RunID answers whose events they are.
func (l *Listener) RunID() string { return l.runID }

// Next answers the next events, waiting for them for at most wait: none when
// there are none in that time. The last of a run that is over is of type done.
// After that it answers over.
func (l *Listener) Next(ctx context.Context, wait time.Duration) (events []store.RunEvent, over bool, err error) {
	if l.over {
		return nil, true, nil
	}
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		events, changed, err := l.read(ctx)
		if err != nil || len(events) > 0 || l.over {
			return events, l.over && len(events) == 0, err
		}
		poll := time.NewTimer(pollEvery)
		select {
		case <-ctx.Done():
			poll.Stop()
			return nil, false, ctx.Err()
		case <-deadline.C:
			poll.Stop()
			return nil, false, nil
		case <-changed:
		case <-poll.C:
		}
		poll.Stop()
	}
}

// read answers what there is now: of the run that goes on here from memory,
// of any other from the table.
func (l *Listener) read(ctx context.Context) (events []store.RunEvent, changed <-chan struct{}, err error) {
	l.p.mu.Lock()
	b := l.p.live
	l.p.mu.Unlock()
	if b != nil && b.runID == l.runID && l.seq >= b.begin() {
		events, _, changed = b.after(l.seq)
		l.take(events)
		return events, changed, nil
	}
	r, err := l.p.store.Run(ctx, l.runID)
	if err != nil {
		return nil, nil, err
	}
	if events, err = l.p.store.RunEvents(ctx, l.runID, l.seq, 500); err != nil {
		return nil, nil, err
	}
	l.take(events)
	if len(events) == 0 && ops.RunFlow.Final(r.State) && !l.over {
		done, err := json.Marshal(Done{State: r.State, Health: r.Health, Summary: r.Summary, Err: r.Err, Into: r.MergedInto})
		if err != nil {
			return nil, nil, err
		}
		events = []store.RunEvent{{Seq: l.seq + 1, At: r.EndedAt, Type: EventDone, Data: done}}
		l.take(events)
	}
	return events, nil, nil
}

func (l *Listener) take(events []store.RunEvent) {
	if len(events) > 0 {
		last := events[len(events)-1]
		l.seq, l.over = last.Seq, last.Type == EventDone
	}
}

// begin answers the sequence after which the broadcast has every event: what
// was before is in the table only.
func (b *broadcast) begin() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case len(b.shown) > 0:
		return b.shown[0].Seq - 1
	case len(b.fresh) > 0:
		return b.fresh[0].Seq - 1
	}
	return b.seq
}
