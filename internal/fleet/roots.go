package fleet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"reeve/internal/ops"
	"reeve/internal/pki"
	"reeve/internal/secret"
	"reeve/internal/store"
)

// rootsName is the sealed setting that holds the authorities.
const rootsName = "fleet.authority"

// A kept is the stored form: PEM of certificate and key of each.
type kept struct {
	Active string `json:"active"`
	// Next is trusted already and signs from its turn on; Before signed until
	// then and is trusted until its last certificate has ended.
	Next        string    `json:"next,omitempty"`
	Before      string    `json:"before,omitempty"`
	BeforeUntil time.Time `json:"before_until,omitzero"`
}

// roots are the authorities of the agents: the one that signs, and those that
// count beside it while one follows another.
type roots struct {
	mu      sync.Mutex
	text    string // as sealed in the database
	kept    kept
	active  *pki.Root
	trust   []*x509.Certificate
	serves  *tls.Certificate
	servant *pki.Root // whose certificate is served
	broken  error     // why there is none: what is stored cannot be opened
}

// usable answers why no agent can be let in, nil when they can. The caller
// holds the lock.
func (r *roots) usable() error {
	if r.active == nil {
		return r.broken
	}
	return nil
}

// check is usable for those who do not hold the lock.
func (r *roots) check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.usable()
}

// reset makes a new authority in the place of one that cannot be opened.
// Every agent must join again.
func (r *roots) reset(ctx context.Context, f *Fleet, why store.Why) error {
	root, err := pki.NewRoot(time.Now())
	if err != nil {
		return err
	}
	text, err := root.Text()
	if err != nil {
		return err
	}
	sealed, _, err := f.store.Setting(ctx, rootsSetting)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.text = sealed
	r.mu.Unlock()
	if err := r.save(ctx, f, kept{Active: text}, why); err != nil {
		return err
	}
	return r.read(ctx, f)
}

// open reads the authorities, or makes the first.
func (r *roots) open(ctx context.Context, f *Fleet, now time.Time) error {
	if err := r.read(ctx, f); err != nil || r.active != nil {
		return err
	}
	root, err := pki.NewRoot(now)
	if err != nil {
		return err
	}
	text, err := root.Text()
	if err != nil {
		return err
	}
	if err := r.save(ctx, f, kept{Active: text}, store.Why{Actor: actor, Reason: "the first start with agents"}); err != nil && ops.KindOf(err) != ops.Conflict {
		return err
	}
	return r.read(ctx, f) // also what another server made meanwhile
}

// read follows what is stored.
func (r *roots) read(ctx context.Context, f *Fleet) error {
	sealed, _, err := f.store.Setting(ctx, rootsSetting)
	if err != nil {
		return fmt.Errorf("read the authority of the agents: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if sealed == "" || sealed == r.text {
		return nil
	}
	opened, err := f.Open(rootsName, sealed)
	if err != nil {
		return ops.Because(ops.KindOf(err), err, "the authority of the agents cannot be opened: a server that shares a database needs the file %s of the data folder of the server that was there first, "+
			"and one whose database was moved that of the machine it comes from", secret.IdentityFile)
	}
	var k kept
	if err := json.Unmarshal([]byte(opened), &k); err != nil {
		return ops.Because(ops.Invalid, err, "the authority of the agents is damaged in the database; restore a backup")
	}
	if err := r.take(k); err != nil {
		return err
	}
	r.text = sealed
	return nil
}

func (r *roots) take(k kept) error {
	active, err := pki.ParseRoot(k.Active)
	if err != nil {
		return err
	}
	trust := []*x509.Certificate{active.Cert}
	servant := active
	for _, text := range []string{k.Next, k.Before} {
		if text == "" {
			continue
		}
		other, err := pki.ParseRoot(text)
		if err != nil {
			return err
		}
		trust = append(trust, other.Cert)
		if text == k.Before {
			// Agents that were away know only this one; it counts to its end.
			servant = other
		}
	}
	r.kept, r.active, r.trust, r.serves, r.servant = k, active, trust, nil, servant
	return nil
}

// rootsSetting is where the sealed authorities stand among the settings.
const rootsSetting = "sealed/" + rootsName

func (r *roots) save(ctx context.Context, f *Fleet, k kept, why store.Why) error {
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	sealed, err := f.Seal(rootsName, string(text))
	if err != nil {
		return err
	}
	return f.store.Tx(ctx, time.Now(), func(tx *store.Tx) error {
		before, version, err := tx.Setting(ctx, rootsSetting)
		if err != nil {
			return err
		}
		r.mu.Lock()
		seen := r.text
		r.mu.Unlock()
		if before != seen {
			return ops.Errorf(ops.Conflict, "the authority of the agents was changed meanwhile; try again")
		}
		tx.Record(ops.Transition{Actor: why.Actor, OnBehalf: why.OnBehalf, Verb: "rotate", Object: "authority", ObjectID: rootsName, Reason: why.Reason})
		return tx.SetSetting(ctx, rootsSetting, sealed, version)
	})
}

// serving answers the certificate for agents and the authorities of theirs.
func (r *roots) serving(now time.Time) (*tls.Certificate, *x509.CertPool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.usable(); err != nil {
		return nil, nil, err
	}
	if r.serves == nil || r.serves.Leaf.NotAfter.Sub(now) < pki.ServerLife/3 || now.Before(r.serves.Leaf.NotBefore) {
		cert, err := r.servant.IssueServer(now)
		if err != nil {
			return nil, nil, err
		}
		r.serves = cert
	}
	return r.serves, pki.Pool(r.trust), nil
}

func (r *roots) fingerprint() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.usable() != nil {
		return ""
	}
	return r.servant.Fingerprint()
}

// trusted answers the authorities that agents shall trust.
func (r *roots) trusted() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all [][]byte
	for _, c := range r.trust {
		all = append(all, c.Raw)
	}
	return all
}

func (r *roots) sign(request []byte, host string, life time.Duration, now time.Time) (*x509.Certificate, error) {
	r.mu.Lock()
	active, err := r.active, r.usable()
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return active.SignHost(request, host, life, now)
}

// An Authority is the state of the authorities, for people.
type Authority struct {
	Fingerprint string    `json:"fingerprint" doc:"What agents pin when they join."`
	Until       time.Time `json:"until"`
	Next        string    `json:"next_fingerprint,omitempty" doc:"The one that follows; agents learn to trust it."`
	Before      string    `json:"before_fingerprint,omitempty" doc:"The one before, trusted until its last certificates end."`
	BeforeUntil time.Time `json:"before_until,omitzero"`
	Waiting     []string  `json:"waiting" doc:"Hosts that do not trust the next one yet."`
	Problem     string    `json:"problem,omitempty" doc:"Why no agent can be let in."`
}

// Authority answers the state of the authorities.
func (f *Fleet) Authority(ctx context.Context) (Authority, error) {
	hosts, err := f.store.Hosts(ctx, false)
	if err != nil {
		return Authority{}, err
	}
	f.roots.mu.Lock()
	defer f.roots.mu.Unlock()
	if err := f.roots.usable(); err != nil {
		message, _ := ops.Shown(err)
		return Authority{Waiting: []string{}, Problem: message}, nil
	}
	k := f.roots.kept
	a := Authority{Fingerprint: f.roots.active.Fingerprint(), Until: f.roots.active.Cert.NotAfter, BeforeUntil: k.BeforeUntil, Waiting: []string{}}
	if k.Before != "" {
		before, err := pki.ParseRoot(k.Before)
		if err != nil {
			return a, err
		}
		a.Before = before.Fingerprint()
	}
	if k.Next == "" {
		return a, nil
	}
	next, err := pki.ParseRoot(k.Next)
	if err != nil {
		return a, err
	}
	a.Next = next.Fingerprint()
	for _, h := range hosts {
		if !h.Local && h.State != ops.HostPending && !slices.Contains(h.Trust, a.Next) {
			a.Waiting = append(a.Waiting, h.Name)
		}
	}
	return a, nil
}

// Rotate begins to replace the authority: agents learn to trust the next one
// as they speak with the server. With finish the next one signs from now on.
// Hosts that do not trust it yet lose their way back, and so do those with a
// certificate of the one before the present one, so that without force they
// hold it up.
func (f *Fleet) Rotate(ctx context.Context, finish, force bool, why store.Why) (Authority, error) {
	readErr := f.roots.read(ctx, f)
	if broken := f.roots.check(); broken != nil && !force {
		return Authority{}, ops.Because(ops.Conflict, broken, "the authority cannot be opened: put the file back that opens it, or make another with `reeve ca rotate --force` and let every host join again")
	} else if broken != nil {
		if err := f.roots.reset(ctx, f, why); err != nil {
			return Authority{}, err
		}
		return f.Authority(ctx)
	}
	if readErr != nil {
		return Authority{}, readErr
	}
	a, err := f.Authority(ctx)
	if err != nil {
		return a, err
	}
	f.roots.mu.Lock()
	k := f.roots.kept
	f.roots.mu.Unlock()
	now := time.Now()
	before, until, err := f.certified(ctx, now, k.BeforeUntil)
	if err != nil {
		return a, err
	}
	switch {
	case !finish && k.Next != "":
		return a, ops.Errorf(ops.Conflict, "a rotation is under way already; finish it with `reeve ca rotate --finish`")
	case finish && k.Next == "":
		return a, ops.Errorf(ops.Conflict, "no rotation is under way; begin one with `reeve ca rotate`")
	case before > 0 && !force:
		return a, ops.Errorf(ops.Conflict, "%d hosts may still hold certificates of the authority before, which count until %s: wait until they have renewed them, or use --force and let them join again",
			before, k.BeforeUntil.Format(time.RFC3339))
	case finish && len(a.Waiting) > 0 && !force:
		return a, ops.Errorf(ops.Conflict, "%d hosts do not trust the next authority yet, among them %s: wait until they have connected, or use --force and let them join again", len(a.Waiting), a.Waiting[0])
	case finish:
		k = kept{Active: k.Next, Before: k.Active, BeforeUntil: until}
	default:
		next, err := pki.NewRoot(now)
		if err != nil {
			return a, err
		}
		if k.Next, err = next.Text(); err != nil {
			return a, err
		}
	}
	if err := f.roots.save(ctx, f, k, why); err != nil {
		return a, err
	}
	if err := f.roots.read(ctx, f); err != nil {
		return a, err
	}
	return f.Authority(ctx)
}

// rootsFollow is how long another server may go on signing with the authority
// before: it reads every minute which one does.
const rootsFollow = 2 * time.Minute

// certified answers how many hosts have a certificate that ends by a time, and
// until when one counts that is signed before a rotation now: what other
// servers sign meanwhile, and what was signed when certificates lasted longer.
func (f *Fleet) certified(ctx context.Context, now, by time.Time) (hosts int, until time.Time, err error) {
	all, err := f.store.Hosts(ctx, false)
	if err != nil {
		return 0, until, err
	}
	until = now.Add(f.CertLife + rootsFollow).UTC()
	for _, h := range all {
		if h.KeyID == "" || !h.CertUntil.After(now) {
			continue
		}
		if !h.CertUntil.After(by) {
			hosts++
		}
		if h.CertUntil.After(until) {
			until = h.CertUntil
		}
	}
	return hosts, until, nil
}

// rootsPass follows what other servers did, and forgets the authority before
// when its last certificates have ended.
func (f *Fleet) rootsPass(ctx context.Context) error {
	if err := f.roots.read(ctx, f); err != nil {
		return err
	}
	f.roots.mu.Lock()
	k := f.roots.kept
	f.roots.mu.Unlock()
	if k.Before == "" || time.Now().Before(k.BeforeUntil) {
		return nil
	}
	k.Before, k.BeforeUntil = "", time.Time{}
	err := f.roots.save(ctx, f, k, store.Why{Actor: actor, Reason: "the last certificates of the authority before have ended"})
	if err == nil || ops.KindOf(err) == ops.Conflict {
		err = f.roots.read(ctx, f)
	}
	return err
}
