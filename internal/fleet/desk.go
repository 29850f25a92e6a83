package fleet

import (
	"context"
	"errors"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
)

// change applies a person's word to a host, by its ID, name or resource.
func (f *Fleet) change(ctx context.Context, what string, how func(context.Context, *store.Tx, ops.Host) (ops.Host, error)) (ops.Host, error) {
	now, err := f.now(ctx)
	if err != nil {
		return ops.Host{}, err
	}
	var h ops.Host
	err = f.store.Tx(ctx, now, func(tx *store.Tx) error {
		found, err := tx.FindHost(ctx, what)
		if err != nil {
			return err
		}
		h, err = how(ctx, tx, found)
		return err
	})
	if err == nil {
		f.Moved()
	}
	return h, err
}

// Revoke ends the trust in a host's certificate; its connection ends at once.
func (f *Fleet) Revoke(ctx context.Context, what string, why store.Why) (ops.Host, error) {
	h, err := f.change(ctx, what, func(ctx context.Context, tx *store.Tx, h ops.Host) (ops.Host, error) {
		if h.Local {
			return h, ops.Errorf(ops.Conflict, "the agent of %s is inside the server and has no certificate", h.Name)
		}
		why.Reason = because("its certificate was revoked", why.Reason)
		return tx.MoveHost(ctx, h, ops.HostRevoke, why, func(x *ops.Host) { x.KeyID = "" })
	})
	if err == nil {
		f.drop(h.ID)
	}
	return h, err
}

// Remove makes a host a tombstone, with all that is on it.
func (f *Fleet) Remove(ctx context.Context, what string, why store.Why) (ops.Host, error) {
	h, err := f.change(ctx, what, func(ctx context.Context, tx *store.Tx, h ops.Host) (ops.Host, error) {
		f.mu.Lock()
		here := f.local[h.ID]
		f.mu.Unlock()
		if here {
			return h, ops.Errorf(ops.Conflict, "%s is the machine of this server; start it with --no-agent to stop watching it", h.Name)
		}
		why.Reason = because("it was removed", why.Reason)
		if err := errors.Join(tx.RemoveResourcesOf(ctx, h.ID, "", why), tx.DeleteWorkloadsOf(ctx, h.ID, why)); err != nil {
			return h, err
		}
		return tx.MoveHost(ctx, h, ops.HostRemove, why, func(x *ops.Host) { x.KeyID = "" })
	})
	if err == nil {
		f.drop(h.ID)
	}
	return h, err
}

// Maintain keeps people from being told of a host and what is on it until a
// time.
func (f *Fleet) Maintain(ctx context.Context, what string, until time.Time, why store.Why) (ops.Host, error) {
	return f.change(ctx, what, func(ctx context.Context, tx *store.Tx, h ops.Host) (ops.Host, error) {
		if !until.After(tx.Now()) {
			return h, ops.Errorf(ops.Invalid, "a maintenance ends in the future")
		}
		why.Reason = because("maintenance until "+until.UTC().Format(time.RFC3339), why.Reason)
		return tx.MoveHost(ctx, h, ops.HostMaintain, why, func(x *ops.Host) { x.MaintenanceUntil = until.UTC() })
	})
}

// EndMaintenance ends a maintenance before its time.
func (f *Fleet) EndMaintenance(ctx context.Context, what string, why store.Why) (ops.Host, error) {
	return f.change(ctx, what, func(ctx context.Context, tx *store.Tx, h ops.Host) (ops.Host, error) {
		why.Reason = because("the maintenance was ended", why.Reason)
		return tx.MoveHost(ctx, h, ops.HostEnd, why, func(x *ops.Host) { x.MaintenanceUntil = time.Time{} })
	})
}

// Release says of a held host that it is unreachable indeed.
func (f *Fleet) Release(ctx context.Context, what string, why store.Why) (ops.Host, error) {
	return f.change(ctx, what, func(ctx context.Context, tx *store.Tx, h ops.Host) (ops.Host, error) {
		if h.State != ops.HostHeld {
			return h, ops.Errorf(ops.Conflict, "the host %s is %s: only one that is held can be released", h.Name, h.State)
		}
		why.Reason = because("a person says that it is down", why.Reason)
		return tx.MoveHost(ctx, h, ops.HostSilence, why, nil)
	})
}

// AcceptMachine says that the machine that comes next with a host's key is
// the host: it was replaced.
func (f *Fleet) AcceptMachine(ctx context.Context, what string, why store.Why) (ops.Host, error) {
	h, err := f.change(ctx, what, func(ctx context.Context, tx *store.Tx, h ops.Host) (ops.Host, error) {
		why.Reason = because("the next machine with its key is accepted", why.Reason)
		return tx.NoteHost(ctx, h, "accept_machine", why, func(x *ops.Host) {
			x.ConflictAt, x.Conflict, x.Machine, x.Boots, x.BootID = time.Time{}, "", nil, nil, ""
		})
	})
	if err == nil {
		f.drop(h.ID)
	}
	return h, err
}

// Withdraw ends an invitation that nobody used.
func (f *Fleet) Withdraw(ctx context.Context, id string, why store.Why) error {
	now, err := f.now(ctx)
	if err != nil {
		return err
	}
	return f.store.Tx(ctx, now, func(tx *store.Tx) error { return tx.DeleteInvitation(ctx, id, why) })
}

func because(what, reason string) string {
	if reason == "" {
		return what
	}
	return what + ": " + reason
}
