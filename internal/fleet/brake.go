package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"reeve/internal/store"
)

// brakeSetting is where the server that judges writes the state of the mass
// brake for the others, and for the one that follows it.
const brakeSetting = "fleet_brake"

// tell notes the state of the mass brake that this server found, and writes
// it where the others read it. While the brake is off only that is of interest.
func (f *Fleet) tell(ctx context.Context, now time.Time, b Blindness, fence int64) error {
	before := f.Blind()
	if b.Tripped {
		if b.Since = before.Since; !before.Tripped {
			b.Since = now.UTC()
		}
	}
	if f.toldUnder == fence && (before == b || !before.Tripped && !b.Tripped) {
		f.note(b)
		return nil
	}
	told := Blindness{} // without whether it judges: each server says that of itself
	if b.Tripped {
		told = b
		told.Judging = false
	}
	text, err := json.Marshal(told)
	if err != nil {
		return err
	}
	held := false
	err = f.store.Tx(ctx, now, func(tx *store.Tx) (err error) {
		if held, err = tx.CheckLease(ctx, monitorLease, f.Server, fence); err != nil || !held {
			return err
		}
		old, version, err := tx.Setting(ctx, brakeSetting)
		if err != nil || old == string(text) {
			return err
		}
		return tx.SetSetting(ctx, brakeSetting, string(text), version)
	})
	switch {
	case err != nil:
		return err
	case !held:
		return f.follow(ctx)
	}
	f.toldUnder = fence
	f.note(b)
	return nil
}

// follow notes the state of the mass brake that the server which judges wrote.
func (f *Fleet) follow(ctx context.Context) error {
	var b Blindness
	text, _, err := f.store.Setting(ctx, brakeSetting)
	if err == nil && text != "" {
		if err = json.Unmarshal([]byte(text), &b); err != nil {
			err = fmt.Errorf("the setting %s cannot be read: %w", brakeSetting, err)
		}
	}
	if err != nil { // what was known still holds, but for who judges
		b = f.Blind()
		b.Judging = false
	}
	f.note(b)
	return err
}

func (f *Fleet) note(b Blindness) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blind = b
}
