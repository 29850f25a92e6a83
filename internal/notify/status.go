package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"reeve/internal/ops"
	"reeve/internal/store"
)

const (
	testedSetting = "notify.tested"
	// failingTries is how many attempts one message needs until its channel
	// counts as failing.
	failingTries = 3
	// statusWindow is how far back dead and delivered messages are counted.
	statusWindow = 24 * time.Hour
)

// A ChannelStatus says how a channel is.
type ChannelStatus struct {
	Name          string    `json:"name"`
	Type          string    `json:"type"`
	State         string    `json:"state" enum:"ok,failing" doc:"failing after three failed attempts of one message, or when the last one was given up."`
	Queued        int64     `json:"queued" doc:"Waiting, held ones included."`
	Dead          int64     `json:"dead" doc:"Given up within a day."`
	Delivered     int64     `json:"delivered" doc:"Taken within a day."`
	LastDelivered time.Time `json:"last_delivered_at,omitzero"`
	Failures      int64     `json:"failures" doc:"Most failed attempts of a message that waits."`
	Err           string    `json:"error,omitempty"`
}

// Statuses answers how every configured channel is. It reads the outbox, so
// it is right after a restart too.
func (n *Notify) Statuses(ctx context.Context) ([]ChannelStatus, error) {
	counts, err := n.store.CountOutbox(ctx, time.Now().Add(-statusWindow))
	if err != nil {
		return nil, err
	}
	text, _, err := n.store.Setting(ctx, testedSetting)
	if err != nil {
		return nil, err
	}
	tested := readTested(text)
	all := make([]ChannelStatus, 0, len(n.channels))
	for _, c := range n.channels {
		s := ChannelStatus{Name: c.Name, Type: c.Type, State: "ok"}
		lastDead := s.count(counts)
		good := max(s.LastDelivered.UnixMilli(), tested[c.Name])
		switch {
		case c.Err != nil:
			s.Err, _ = ops.Shown(c.Err)
			s.State = "failing"
		case s.Failures >= failingTries, s.Dead > 0 && lastDead.UnixMilli() > good:
			s.State = "failing"
			if s.Err, err = n.lastError(ctx, c.Name); err != nil {
				return nil, err
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// count adds up the outbox of the channel and answers when a message
// was given up last.
func (s *ChannelStatus) count(counts []store.OutboxCount) (lastDead time.Time) {
	for _, c := range counts {
		if c.Channel != s.Name {
			continue
		}
		switch c.State {
		case ops.DeliveryQueued, ops.DeliverySending:
			s.Queued += c.Count
			s.Failures = max(s.Failures, c.Tries)
		case ops.DeliveryDead:
			s.Dead, lastDead = c.Count, c.Next
		case ops.DeliveryDelivered:
			s.Delivered, s.LastDelivered = c.Count, c.LastOK
		}
	}
	return lastDead
}

// lastError answers what the channel said last.
func (n *Notify) lastError(ctx context.Context, channel string) (string, error) {
	recent, _, err := n.store.Deliveries(ctx, store.DeliveryFilter{
		Channel: channel, States: []string{string(ops.DeliveryQueued), string(ops.DeliveryDead)}, Limit: 100,
	})
	if err != nil {
		return "", err
	}
	for _, d := range recent {
		if d.Err != "" {
			return d.Err, nil
		}
	}
	return "", nil
}

// Sightings answers the channels as component resources of a host, for the
// report in which Reeve describes itself: that is how a failing
// channel becomes a finding.
func (n *Notify) Sightings(ctx context.Context, host ops.HostIdentity) ([]ops.Sighting, error) {
	statuses, err := n.Statuses(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]ops.Sighting, 0, len(statuses))
	for _, s := range statuses {
		all = append(all, ops.Sighting{
			Key:  ops.ResourceKey{Host: host.Key, Source: "reeve", Key: "channel:" + s.Name},
			Kind: ops.KindComponent, Name: "channel " + s.Name, Parent: host.HostResource(),
			Observed: ops.Attrs{
				"state": s.State, "error": s.Err, "type": s.Type,
				"failures": strconv.FormatInt(s.Failures+s.Dead, 10),
			},
		})
	}
	return all, nil
}

// An Explanation says why one channel is or is not told of an incident.
type Explanation struct {
	Channel    string         `json:"channel"`
	Event      string         `json:"event,omitempty" doc:"What it is to be told now; empty for nothing."`
	Reason     string         `json:"reason"`
	Deliveries []ops.Delivery `json:"deliveries" doc:"What it was told, or will be, oldest first."`
}

// Explain answers for every channel why it is or is not told of an incident
// now, and what became of what it was told.
func (n *Notify) Explain(ctx context.Context, incidentID string) ([]Explanation, error) {
	c, err := readCase(ctx, n.store, incidentID)
	if err != nil {
		return nil, err
	}
	var all []Explanation
	for _, v := range n.policy.Tell(time.Now(), c) {
		x := Explanation{Channel: v.Channel, Event: string(v.Event), Reason: string(v.Reason), Deliveries: []ops.Delivery{}}
		for _, d := range c.Past {
			if d.Channel == v.Channel {
				x.Deliveries = append(x.Deliveries, d)
			}
		}
		all = append(all, x)
	}
	return all, nil
}

// Channels answers the configured channels.
func (n *Notify) Channels() []Configured { return slices.Clone(n.channels) }

func readTested(text string) map[string]int64 {
	tested := map[string]int64{}
	if text != "" && json.Unmarshal([]byte(text), &tested) != nil {
		return map[string]int64{}
	}
	return tested
}

// saveTested remembers that a channel took a test message.
func saveTested(ctx context.Context, tx *store.Tx, name string, at time.Time) error {
	text, version, err := tx.Setting(ctx, testedSetting)
	if err != nil {
		return err
	}
	tested := readTested(text)
	tested[name] = at.UnixMilli()
	next, err := json.Marshal(tested)
	if err != nil {
		return fmt.Errorf("write the times of tests: %w", err)
	}
	return tx.SetSetting(ctx, testedSetting, string(next), version)
}
