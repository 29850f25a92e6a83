package fleet

import (
	"context"
	"maps"
	"slices"
	"time"

	"reeve/internal/loop"
	"reeve/internal/ops"
	"reeve/internal/store"
)

const (
	pingEvery   = 3 * time.Second
	pingTimeout = 10 * time.Second
	// pingers is how many agents are asked at a time.
	pingers = 64
)

// Local says that the agent of a host is inside this server: it beats as long
// as the server does. The host is made when it is new.
func (f *Fleet) Local(ctx context.Context, id ops.HostIdentity) error {
	now, err := f.now(ctx)
	if err != nil {
		return err
	}
	err = f.store.Tx(ctx, now, func(tx *store.Tx) error {
		h, err := tx.Host(ctx, id.Key)
		why := store.Why{Actor: actor, Reason: "its agent is inside the server"}
		switch {
		case ops.KindOf(err) == ops.NotFound:
			name, err := freeName(ctx, tx, id.Name)
			if err != nil {
				return err
			}
			return tx.AddHost(ctx, ops.Host{ID: id.Key, Name: name, State: ops.HostOnline, Local: true, BootID: id.BootID, Version: f.Version}, why)
		case err != nil || h.BootID == id.BootID && h.Version == f.Version:
			return err
		}
		_, err = tx.NoteHost(ctx, h, "boot", why, func(x *ops.Host) { x.BootID, x.Version = id.BootID, f.Version })
		return err
	})
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.local[id.Key] = true
	return nil
}

// freeName answers the name, or one beside it when another host has it.
func freeName(ctx context.Context, tx *store.Tx, name string) (string, error) {
	for try := name; ; try += "-server" {
		h, err := tx.FindHost(ctx, try)
		if ops.KindOf(err) == ops.NotFound || err == nil && h.Name != try {
			return try, nil
		}
		if err != nil {
			return "", err
		}
	}
}

// flush writes the clocks of the hosts of this server that went on.
func (f *Fleet) flush(ctx context.Context) error {
	now, err := f.now(ctx)
	if err != nil {
		return err
	}
	here := time.Now()
	clocks, moved := f.clocks(now, here)
	if len(clocks) == 0 {
		return nil
	}
	for part := range slices.Chunk(clocks, batch) {
		if err := f.write(ctx, now, part, moved); err != nil {
			return err
		}
	}
	if err := f.expel(ctx); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, h := range f.heard {
		if here.Sub(h.beat) > time.Minute { // it is written, and another server may have the host
			delete(f.heard, id)
			delete(f.written, id)
		}
	}
	return nil
}

// write writes some of the clocks that moved; reports wait for a transaction.
func (f *Fleet) write(ctx context.Context, now time.Time, clocks []store.Clock, moved map[string]heard) (err error) {
	var placed []string
	err = f.store.Tx(ctx, now, func(tx *store.Tx) error {
		if err := tx.SaveClocks(ctx, clocks); err != nil {
			return err
		}
		placed, err = f.noteResources(ctx, tx, clocks)
		return err
	})
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range placed {
		f.placed[id] = true
	}
	for _, c := range clocks {
		f.written[c.HostID] = wrote{moved[c.HostID], c.Heartbeat}
	}
	return nil
}

// wrote is what was written of a host, with the time that its heartbeat got:
// it keeps that, because one that seems older by a millisecond when it is
// measured again counts for nothing, and with it the end of the connection.
type wrote struct {
	heard
	at time.Time
}

// clocks answers the clocks that differ from what was written last, as times
// of the database, and as they are: the ages are those of this process's
// monotonic clock.
func (f *Fleet) clocks(now, here time.Time) (all []store.Clock, moved map[string]heard) {
	at := func(t time.Time) time.Time {
		if t.IsZero() {
			return t
		}
		return now.Add(-here.Sub(t))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	moved = map[string]heard{}
	add := func(id string, h heard) {
		last := f.written[id]
		if last.heard == h {
			return
		}
		moved[id] = h
		c := store.Clock{HostID: id, Heartbeat: at(h.beat), Proof: at(h.proof), Report: at(h.report), Sequence: h.sequence,
			SkewMS: h.skew.Milliseconds(), Spooled: h.spooled, Address: h.address}
		if last.beat.Equal(h.beat) {
			c.Heartbeat = last.at
		}
		if h.connected {
			c.Server = f.Server
		}
		all = append(all, c)
	}
	for id := range f.local {
		add(id, heard{beat: here, report: here, connected: true})
	}
	for id, s := range f.sessions {
		s.mu.Lock()
		add(id, s.heard)
		s.mu.Unlock()
	}
	for id, h := range f.heard {
		add(id, h)
	}
	return all, moved
}

// noteResources writes, once, which resource a host is, and answers of which
// hosts that is known.
func (f *Fleet) noteResources(ctx context.Context, tx *store.Tx, clocks []store.Clock) (placed []string, err error) {
	for _, c := range clocks {
		f.mu.Lock()
		done := f.placed[c.HostID]
		f.mu.Unlock()
		if done || c.Report.IsZero() {
			continue
		}
		r, _, ok, err := tx.ResourceByKey(ctx, ops.HostKey(c.HostID))
		if err != nil {
			return nil, err
		}
		if !ok {
			continue // its first report is not in yet
		}
		h, err := tx.Host(ctx, c.HostID)
		if err != nil {
			return nil, err
		}
		if h.ResourceID != r.ID {
			if _, err := tx.NoteHost(ctx, h, "", store.Why{}, func(x *ops.Host) { x.ResourceID = r.ID }); err != nil {
				return nil, err
			}
		}
		placed = append(placed, c.HostID)
	}
	return placed, nil
}

// expel ends the connections of hosts that may no longer speak: a person may
// have said so at another server.
func (f *Fleet) expel(ctx context.Context) error {
	f.mu.Lock()
	here := make(map[string]*session, len(f.sessions))
	maps.Copy(here, f.sessions)
	f.mu.Unlock()
	if len(here) == 0 {
		return nil
	}
	keys, err := f.store.HostKeys(ctx)
	if err != nil {
		return err
	}
	for id, s := range here {
		if keys[id] != s.keyID {
			s.peer.Close()
		}
	}
	return nil
}

// ping asks the agents whose turn it is to answer on the command direction.
func (f *Fleet) ping(ctx context.Context) error {
	now := time.Now()
	var due []*session
	f.mu.Lock()
	for _, s := range f.sessions {
		s.mu.Lock()
		if now.Sub(s.asked) >= s.host.Beat()-pingEvery/2 {
			s.asked = now
			due = append(due, s)
		}
		s.mu.Unlock()
	}
	f.mu.Unlock()
	loop.Spread(ctx, due, pingEvery/2, pingers, func(s *session) { s.prove(ctx) })
	return nil
}
