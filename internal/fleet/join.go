package fleet

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"time"

	"reeve/internal/link"
	"reeve/internal/linkpb"
	"reeve/internal/ops"
	"reeve/internal/pki"
	"reeve/internal/redact"
	"reeve/internal/store"
)

// actor is who the transitions of passes are from.
const actor = "fleet"

// InvitationLife is how long a one-time token counts.
const InvitationLife = time.Hour

// tokenPrefix begins every token, so that a person or a scanner knows one.
const tokenPrefix = "rvj_"

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// An Invite is what a person says of a host that shall join. What is 0 stays as
// it is with one that joins again, what is ops.Unset becomes the default.
type Invite struct {
	Name      string
	Heartbeat time.Duration // default ops.HeartbeatEvery
	Grace     time.Duration // default ops.SilenceGrace, or six heartbeats
	BytesPerS int64         // default no cap
}

// Add makes a one-time token for a host, also for one that is known and
// shall join again.
func (f *Fleet) Add(ctx context.Context, in Invite, why store.Why) (token string, made ops.Invitation, err error) {
	if !validName.MatchString(in.Name) {
		return "", made, ops.Errorf(ops.Invalid, "the name of a host has letters, digits and . _ -, at most 63, and begins with a letter or digit")
	}
	if in.Heartbeat > 0 && (in.Heartbeat < 5*time.Second || in.Heartbeat > time.Hour) {
		return "", made, ops.Errorf(ops.Invalid, "heartbeats come every 5 s to 1 h")
	}
	if in.Grace > 0 && in.Grace < 2*max(in.Heartbeat, ops.HeartbeatEvery) {
		return "", made, ops.Errorf(ops.Invalid, "the grace is at least two heartbeats")
	}
	if in.BytesPerS > 0 && in.BytesPerS < link.LeastBytesPerS {
		return "", made, ops.Errorf(ops.Invalid, "the cap of what an agent sends is at least %d bytes a second: with less it cannot keep its connection", link.LeastBytesPerS)
	}
	if err := f.roots.check(); err != nil {
		return "", made, err
	}
	now, err := f.now(ctx)
	if err != nil {
		return "", made, err
	}
	token = tokenPrefix + randomText()
	made = ops.Invitation{ID: ops.NewID(ops.InviteID), Name: in.Name, CreatedAt: now, CreatedBy: why.Actor, ExpiresAt: now.Add(InvitationLife),
		HeartbeatMS: in.Heartbeat.Milliseconds(), GraceMS: in.Grace.Milliseconds(), BytesPerS: in.BytesPerS}
	err = f.store.Tx(ctx, now, func(tx *store.Tx) error {
		known, err := tx.FindHost(ctx, in.Name)
		switch {
		case err == nil && known.Name != in.Name, ops.KindOf(err) == ops.NotFound:
		case err != nil:
			return err
		case known.Local:
			return ops.Errorf(ops.Conflict, "%s is the machine of a server; its agent is inside the server", in.Name)
		default:
			made.HostID = known.ID
			if paced(&known, made); known.Grace() < 2*known.Beat() {
				return ops.Errorf(ops.Invalid, "%s has a heartbeat every %s and a grace of %s: the grace is at least two heartbeats, so give both", known.Name, known.Beat(), known.Grace())
			}
		}
		return tx.AddInvitation(ctx, made, hashToken(token), why)
	})
	return token, made, err
}

func randomText() string {
	b := make([]byte, 24)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// enrol answers an agent with a token: its certificate.
func (f *Fleet) enrol(ctx context.Context, from string, r *linkpb.EnrolRequest) (*linkpb.EnrolResponse, error) {
	host := r.GetHost()
	if ops.IDKind(host.GetKey()) != ops.HostID || !strings.HasPrefix(r.GetToken(), tokenPrefix) {
		return nil, ops.Errorf(ops.Invalid, "the request to join lacks the token or the host's key")
	}
	now, err := f.now(ctx)
	if err != nil {
		return nil, err
	}
	cert, err := f.roots.sign(r.GetRequest(), host.GetKey(), f.CertLife, now)
	if err != nil {
		return nil, err
	}
	h := ops.Host{ID: host.GetKey(), State: ops.HostOnline, KeyID: pki.Fingerprint(cert), CertUntil: cert.NotAfter, BootID: clean(host.GetBootId()),
		Machine: machineOf(host), Version: clean(r.GetVersion())}
	if h.BootID != "" {
		h.Boots = []string{h.BootID}
	}
	err = f.store.Tx(ctx, now, func(tx *store.Tx) error { return f.admit(ctx, tx, r.GetToken(), &h) })
	if err != nil {
		f.log.Warn("a host was not let in", "from", from, "host", h.ID, "err", err)
		return nil, err
	}
	f.log.Info("a host joined", "host", h.Name, "from", from)
	f.drop(h.ID) // a connection with the certificate before counts no longer
	return &linkpb.EnrolResponse{Certificate: cert.Raw, Trust: f.roots.trusted(), Name: h.Name}, nil
}

// admit uses the token and writes the host, in one transaction.
func (f *Fleet) admit(ctx context.Context, tx *store.Tx, token string, h *ops.Host) error {
	invitation, err := tx.UseInvitation(ctx, hashToken(token), h.ID)
	if err != nil {
		return err
	}
	h.Name = invitation.Name
	paced(h, invitation)
	why := store.Why{Actor: invitation.CreatedBy, Reason: "it joined with the invitation " + invitation.ID}
	meant, err := tx.Host(ctx, invitation.HostID)
	if err == nil && meant.State == ops.HostRemoved {
		return ops.Errorf(ops.Conflict, "%s was removed after this line was made: ask for a new one, `reeve host add %s`", h.Name, h.Name)
	}
	old, err := tx.Host(ctx, h.ID)
	switch {
	case ops.KindOf(err) == ops.NotFound && invitation.HostID != "":
		return ops.Errorf(ops.Conflict, "%s is known as another machine: take its invitation on that machine, or remove it first with `reeve host remove %s`", h.Name, h.Name)
	case ops.KindOf(err) == ops.NotFound:
		return tx.AddHost(ctx, *h, why)
	case err != nil:
		return err
	case old.State == ops.HostRemoved:
		return ops.Errorf(ops.NotFound, "this host was removed; it can join as a new one")
	case old.ID != invitation.HostID:
		return ops.Errorf(ops.Conflict, "this machine is known as %s: ask for a line with that name, `reeve host add %s`; a copy of its disk must drop its identity first: `reeve-agent forget`", old.Name, old.Name)
	}
	_, err = tx.MoveHost(ctx, old, ops.HostEnrol, why, func(x *ops.Host) {
		x.KeyID, x.CertUntil, x.BootID, x.Machine, x.Version = h.KeyID, h.CertUntil, h.BootID, h.Machine, h.Version
		paced(x, invitation)
		x.Boots = append(slices.DeleteFunc(x.Boots, func(b string) bool { return b == h.BootID }), h.Boots...)
		x.ConflictAt, x.Conflict = time.Time{}, ""
	})
	if err != nil {
		return err
	}

	return tx.BeginAgain(ctx, h.ID)
}

// paced gives a host the pace of an invitation; what it does not say stays.
func paced(h *ops.Host, in ops.Invitation) {
	h.HeartbeatMS, h.GraceMS, h.BytesPerS = said(in.HeartbeatMS, h.HeartbeatMS), said(in.GraceMS, h.GraceMS), said(in.BytesPerS, h.BytesPerS)
}

// said answers what holds after an invitation, 0 for the default.
func said(now, before int64) int64 {
	if now == ops.Unset {
		return 0
	}
	return cmp.Or(now, before)
}

// machineOf bounds what a host says marks its machine.
func machineOf(h *linkpb.Host) []string {
	var all []string
	for _, m := range h.GetMachine() {
		if m = clean(m); m != "" && len(all) < 16 {
			all = append(all, m)
		}
	}
	return all
}

func clean(s string) string { return redact.Line(s, 100) }
