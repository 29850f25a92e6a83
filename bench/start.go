package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// watching is how this host is watched while idle: everything that can run
// every ten seconds does.
const watching = "log_level: warn\n"

// measureStart times exec to ready, on a new folder and on one that is used.
func measureStart(ctx context.Context, b *bench) error {
	const rounds = 7
	var fresh, again []time.Duration
	for range rounds {
		dir, remove, err := folder()
		if err != nil {
			return err
		}
		defer remove()
		for _, times := range []*[]time.Duration{&fresh, &again} {
			p, err := b.start(ctx, dir, watching)
			if err != nil {
				return err
			}
			*times = append(*times, p.readyIn)
			if err := p.stop(); err != nil {
				return err
			}
		}
	}
	for _, x := range []struct {
		what  string
		times []time.Duration
	}{{"Start to ready, new folder, slowest", fresh}, {"Start to ready, used folder, slowest", again}} {
		slices.Sort(x.times)
		b.add(Line{What: x.what, Value: x.times[len(x.times)-1].Seconds(), Unit: "s", Bar: 1,
			Note: fmt.Sprintf("median %d ms of %d", x.times[len(x.times)/2].Milliseconds(), len(x.times))})
	}
	return nil
}

// measureIdle watches the program watch this host.
func measureIdle(ctx context.Context, b *bench) error {
	dir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()
	p, err := b.start(ctx, dir, watching)
	if err != nil {
		return err
	}
	if err := pause(ctx, 25*time.Second); err != nil {
		return err
	}
	s, err := p.watch(ctx, time.Duration(b.seconds)*time.Second)
	if err != nil {
		return err
	}
	b.add(Line{What: "Idle, this host every 10 s: processor", Value: s.core, Unit: "% of a core", Bar: 1, Note: fmt.Sprintf("over %d s", b.seconds)})
	b.add(Line{What: "Idle, this host every 10 s: memory (RSS)", Value: s.peak, Unit: "MB", Bar: 60,
		Note: fmt.Sprintf("highest; %.0f MB its own, %.0f MB pages of the binary and files", s.memory["Pss_Anon"], s.memory["Pss_File"])})
	return p.stop()
}
