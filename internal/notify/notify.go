// Package notify tells people about incidents. It reads what happened to
// incidents after its durable cursor, decides by policy who is told what and
// when, writes deliveries into the outbox in the transaction that advances
// the cursor, and sends what is in the outbox until it is taken or a day has
// passed.
//
// What is decided is pure: Policy.Tell says what a channel is to be told of
// an incident, Policy.Decide and Policy.Plan say what of the outbox goes out
// now, Composer writes the texts. Every attempt is counted in the stored
// Budget before it is made; that no more than the ceilings goes out in an
// hour follows from that alone, whatever happens to incidents.
//
// What a channel is is said here; what channels there are is said in the
// catalogue of channels.
package notify

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"sync"
	"time"

	"reeve/internal/loop"
	"reeve/internal/ops"
	"reeve/internal/store"
)

const (
	routeEvery    = 5 * time.Second
	deliverEvery  = 2 * time.Second
	sendTimeout   = 90 * time.Second
	deliverBudget = 10 * time.Minute // of one pass: several slow sends
	actor         = "notify"
)

// A Configured channel has a name and a type, and is open or says why not.
type Configured struct {
	Name    string
	Type    string
	Channel Channel
	Err     error // why it cannot be used; everything sent to it fails so
}

var channelName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$`)

// OpenChannels makes the channels of the configuration: each entry has name,
// type and the settings of the type. The error is about names and types; what
// is wrong with the settings of one channel is kept with it, so that a typing
// mistake there does not silence the others.
func OpenChannels(env Env, types func(name string) (Definition, bool), raw []map[string]any) ([]Configured, error) {
	var all []Configured
	for i, entry := range raw {
		name, _ := entry["name"].(string)
		kind, _ := entry["type"].(string)
		if !channelName.MatchString(name) {
			return nil, ops.Errorf(ops.Invalid, "channel %d: the name is letters, digits, dot, dash and underscore", i+1)
		}
		if slices.ContainsFunc(all, func(c Configured) bool { return c.Name == name }) {
			return nil, ops.Errorf(ops.Invalid, "two channels have the name %s", name)
		}
		def, ok := types(kind)
		if !ok {
			return nil, ops.Errorf(ops.Invalid, "channel %s: there is no type %q; reeve channel-types lists them", name, kind)
		}
		settings := map[string]any{}
		for k, v := range entry {
			if k != "name" && k != "type" {
				settings[k] = v
			}
		}
		c := Configured{Name: name, Type: kind}
		c.Channel, c.Err = def.Open(env, settings)
		all = append(all, c)
	}
	return all, nil
}

// Names answers the names of channels.
func Names(channels []Configured) []string {
	names := make([]string, len(channels))
	for i, c := range channels {
		names[i] = c.Name
	}
	return names
}

// Options are what New needs besides the store.
type Options struct {
	Channels  []Configured
	Policy    Policy
	PublicURL string
	// Advice answers what is known about a condition.
	Advice func(condition string) Advice
}

// A Notify routes and delivers.
type Notify struct {
	log      *slog.Logger
	store    *store.Store
	channels []Configured
	policy   Policy
	composer Composer
	route    *loop.Loop
	senders  map[string]*sender

	mu        sync.Mutex // one routing pass at a time
	lastSweep time.Time

	countMu sync.Mutex // the budget is one row
}

// New makes a Notify.
func New(log *slog.Logger, st *store.Store, o Options) *Notify {
	n := &Notify{
		log: log, store: st, channels: o.Channels, policy: o.Policy, senders: map[string]*sender{},
		composer: Composer{PublicURL: o.PublicURL, Zone: o.Policy.zone, Advice: o.Advice},
	}
	n.route = &loop.Loop{Name: "notify", Doc: "Decides which channels are told of incidents and fills the outbox.", Every: routeEvery, Pass: n.Route}
	for _, c := range o.Channels {
		s := &sender{notify: n, channel: c}
		s.loop = &loop.Loop{
			Name: "deliver_" + c.Name, Doc: "Sends what waits for the channel " + c.Name + ".",
			Every: deliverEvery, Timeout: deliverBudget, Pass: s.pass,
		}
		n.senders[c.Name] = s
	}
	return n
}

// Loops answers the loops to run: one that routes, to be woken when incidents
// change, and one for each channel, so that a receiver that hangs holds up
// nobody else.
func (n *Notify) Loops() []*loop.Loop {
	all := []*loop.Loop{n.route}
	for _, c := range n.channels {
		all = append(all, n.senders[c.Name].loop)
	}
	return all
}

// Wake asks for a routing pass soon.
func (n *Notify) Wake() { n.route.Wake() }

// Deliver does one sending pass of every channel, one after the other.
func (n *Notify) Deliver(ctx context.Context) error {
	for _, c := range n.channels {
		if err := n.senders[c.Name].pass(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Test sends a test message to a channel, past the outbox but within the
// ceilings, and answers what the channel says.
func (n *Notify) Test(ctx context.Context, name string) error {
	s, ok := n.senders[name]
	if !ok {
		return ops.Errorf(ops.NotFound, "there is no channel %s", name)
	}
	if err := n.countTest(ctx, name); err != nil {
		return err
	}
	now := time.Now().UTC()
	err := s.hand(ctx, ops.Message{
		ID: ops.NewID(ops.DeliveryID), Event: ops.MessageTest, Severity: ops.Warning, At: now, URL: n.composer.PublicURL,
		Title: "Test message from Reeve",
		Text:  fmt.Sprintf("Channel %s works. Sent at %s.", name, n.composer.clock(now)),
	})
	outcome := "ok"
	if err != nil {
		outcome = "failed"
	}
	ctx = context.WithoutCancel(ctx)
	writeErr := n.counted(ctx, func(tx *store.Tx) error {
		tx.Record(ops.Transition{Actor: actor, Verb: "test", Object: "channel", ObjectID: name, To: outcome})
		switch {
		case err == nil:
			return saveTested(ctx, tx, name, now)
		case AsFailure(err).Nobody:
			return refund(ctx, tx, ops.Delivery{Channel: name, Message: ops.Message{Event: ops.MessageTest}}, now)
		}
		return nil
	})
	if err != nil {
		return ops.Because(ops.Unavailable, err, "channel %s: %s", name, AsFailure(err).Message)
	}
	return writeErr
}

// countTest counts a test message before it is sent, like every attempt, and
// refuses one that does not fit under the ceilings. What is kept for critical
// messages is kept from tests too.
func (n *Notify) countTest(ctx context.Context, channel string) error {
	return n.counted(ctx, func(tx *store.Tx) error {
		text, version, err := tx.Setting(ctx, budgetSetting)
		if err != nil {
			return err
		}
		budget, err := ReadBudget(text)
		if err != nil {
			return err
		}
		load := budget.Load(tx.Now(), channel)
		switch {
		case load.Channel >= n.policy.share(n.policy.perChannel, ops.Warning):
			return ops.Errorf(ops.TooMany, "channel %s: no test now: %s", channel, ChannelCeiling)
		case load.Total >= n.policy.share(n.policy.total, ops.Warning):
			return ops.Errorf(ops.TooMany, "channel %s: no test now: %s", channel, TotalCeiling)
		}
		budget.Count(tx.Now(), channel, ops.MessageTest)
		return tx.SetSetting(ctx, budgetSetting, budget.String(tx.Now()), version)
	})
}
