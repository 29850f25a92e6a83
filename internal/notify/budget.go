package notify

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"reeve/internal/ops"
)

// A Budget counts the attempts of the last hour by channel and minute. It is
// stored in the transaction that claims what is to be sent, before anything
// is sent: an attempt that is not counted is not made, also after a crash.
type Budget struct {
	Channels map[string]*Spent `json:"channels"`
}

// Spent is what one channel used.
type Spent struct {
	Minutes  map[int64]int `json:"minutes"` // minute since 1970 to attempts
	DigestMS int64         `json:"digest_ms,omitempty"`
}

// budgetMinutes covers an hour whatever part of the first minute counts.
const budgetMinutes = 61

// ReadBudget reads what String wrote; an empty text is an empty budget.
func ReadBudget(text string) (*Budget, error) {
	b := &Budget{Channels: map[string]*Spent{}}
	if text == "" {
		return b, nil
	}
	if err := json.Unmarshal([]byte(text), b); err != nil {
		return nil, fmt.Errorf("read the count of messages: %w", err)
	}
	if b.Channels == nil {
		b.Channels = map[string]*Spent{}
	}
	maps.DeleteFunc(b.Channels, func(_ string, s *Spent) bool { return s == nil })
	return b, nil
}

// String writes the budget for the store, without what is older than an hour.
func (b *Budget) String(now time.Time) string {
	for name, s := range b.Channels {
		for m := range s.Minutes {
			if !recent(m, now) {
				delete(s.Minutes, m)
			}
		}
		if len(s.Minutes) == 0 && now.UnixMilli()-s.DigestMS > (24*time.Hour).Milliseconds() {
			delete(b.Channels, name)
		}
	}
	text, _ := json.Marshal(b) // maps of numbers always marshal
	return string(text)
}

// recent reports whether a minute counts. Minutes that have not come yet do,
// because a clock that is set back must not open the ceiling, but not those
// of a clock that was wrong by more than an hour.
func recent(m int64, now time.Time) bool {
	return m > minute(now)-budgetMinutes && m < minute(now)+budgetMinutes
}

func minute(t time.Time) int64 { return t.Unix() / 60 }

func (b *Budget) of(channel string) *Spent {
	s := b.Channels[channel]
	if s == nil {
		s = &Spent{}
		b.Channels[channel] = s
	}
	if s.Minutes == nil {
		s.Minutes = map[int64]int{}
	}
	return s
}

// Load answers what counts for a channel now.
func (b *Budget) Load(now time.Time, channel string) Load {
	var l Load
	for name, s := range b.Channels {
		n := 0
		for m, count := range s.Minutes {
			if recent(m, now) {
				n += count
			}
		}
		l.Total += n
		if name == channel {
			l.Channel = n
			if recent(s.DigestMS/60_000, now) {
				l.LastDigest = time.UnixMilli(s.DigestMS)
			}
		}
	}
	return l
}

// Count counts an attempt that is about to be made.
func (b *Budget) Count(now time.Time, channel string, event ops.MessageEvent) {
	if event == ops.MessageDigest {
		b.of(channel).DigestMS = now.UnixMilli()
		return
	}
	b.Take(now, channel)
}

// Take counts an attempt of a message that is no digest.
func (b *Budget) Take(now time.Time, channel string) { b.of(channel).Minutes[minute(now)]++ }

// Refund takes an attempt back that is known to have reached nobody.
func (b *Budget) Refund(made time.Time, channel string, event ops.MessageEvent) {
	s := b.of(channel)
	if event == ops.MessageDigest {
		s.DigestMS = 0
		return
	}
	if m := minute(made); s.Minutes[m] > 0 {
		s.Minutes[m]--
	}
}
