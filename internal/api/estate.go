package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/store"
)

// The ages of the picture. After estateAge, or at once when there is a newer
// transition, the versions of all resources are compared, which is cheap; the
// whole is read again when one moved, or after touchAge because when a
// resource was last seen moves without its version.
const (
	estateAge = time.Second
	touchAge  = 5 * time.Second
)

// An estate keeps the picture of all resources that status, hosts and the
// whole list are drawn from, so that many who look cost as much as one.
type estate struct {
	deps Deps

	mu      sync.Mutex
	now     *picture
	checked time.Time // when it was last compared with the store
	head    int64     // the last transition then
}

// A picture is the estate at one time. It is never changed.
type picture struct {
	at        time.Time
	resources []ops.Resource // by name
	byID      map[string]*ops.Resource
	// encoded answers the whole list as it is sent, encoded at its first use.
	encoded func() (rest.Raw, error)
}

func newEstate(deps Deps) *estate { return &estate{deps: deps} }

// look answers a picture that is fresh. Those who ask while it is drawn wait
// for it.
func (e *estate) look(ctx context.Context) (*picture, error) {
	head, _, err := e.deps.Store.Head(ctx)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	fresh, err := e.fresh(ctx, head)
	if err != nil || fresh {
		return e.now, err
	}
	now := time.Now()
	p := &picture{at: now}
	filter := store.ResourceFilter{All: true, Presence: []string{string(ops.Present), string(ops.Absent)}}
	if p.resources, _, err = e.deps.Store.Resources(ctx, filter); err != nil {
		return nil, err
	}
	p.byID = make(map[string]*ops.Resource, len(p.resources))
	for i := range p.resources {
		p.byID[p.resources[i].ID] = &p.resources[i]
	}
	p.encoded = sync.OnceValues(p.encode)
	e.now, e.checked, e.head = p, now, head
	return p, nil
}

// fresh reports whether the picture that is there still holds.
func (e *estate) fresh(ctx context.Context, head int64) (bool, error) {
	now := time.Now()
	switch {
	case e.now == nil || now.Sub(e.now.at) >= touchAge:
		return false, nil
	case e.head >= head && now.Sub(e.checked) < estateAge:
		return true, nil
	}
	same, n := true, 0
	err := e.deps.Store.EachVersion(ctx, func(id string, version int64, _ time.Time) {
		r := e.now.byID[id]
		same, n = same && r != nil && r.Version == version, n+1
	})
	if err != nil || !same || n != len(e.now.resources) {
		return false, err
	}
	heard, err := e.deps.Store.HostsHeard(ctx)
	if err != nil {
		return false, err
	}
	for id, h := range heard {
		if r := e.now.byID[id]; r != nil && r.Reachable != string(h.State) {
			return false, nil
		}
	}
	e.checked, e.head = now, max(e.head, head)
	return true, nil
}

// encode writes the whole list.
func (p *picture) encode() (rest.Raw, error) {
	var b bytes.Buffer
	b.Grow(len(p.resources) * 800)
	b.WriteString(`{"items":[`)
	for i := range p.resources {
		if i > 0 {
			b.WriteByte(',')
		}
		text, err := json.Marshal(&p.resources[i])
		if err != nil {
			return rest.Raw{}, fmt.Errorf("encode resource %s: %w", p.resources[i].ID, err)
		}
		b.Write(text)
	}
	b.WriteString(`]}`)
	sum := fnv.New128a()
	sum.Write(b.Bytes())
	return rest.Raw{Body: b.Bytes(), ETag: fmt.Sprintf(`"%x"`, sum.Sum(nil))}, nil
}

// A HostRow is one host at a glance.
type HostRow struct {
	ID         string    `json:"id" doc:"The host's key, as its agent made it."`
	Name       string    `json:"name"`
	ResourceID string    `json:"resource_id"`
	ObservedAt time.Time `json:"observed_at,omitzero"`
	Reachable  string    `json:"reachability"`
	CPU        *float64  `json:"cpu_busy_ratio,omitempty"`
	Memory     *float64  `json:"memory_used_ratio,omitempty"`
	Worst      *float64  `json:"fs_worst_used_ratio,omitempty" doc:"Of its fullest file system."`
	Findings   int       `json:"findings" doc:"Active ones of the host and all on it."`
	// Fleet is what is known of its agent; nil for one that is only invited.
	Fleet      *ops.Host       `json:"fleet,omitempty" doc:"Its agent, its state and the three clocks behind it."`
	Invitation *ops.Invitation `json:"invitation,omitempty" doc:"Of a host that is invited and has not joined."`
}

// readingAge is how old a reading may be and still be shown as current.
const readingAge = 5 * time.Minute

// hosts answers every host with its newest readings.
func (e *estate) hosts(ctx context.Context) ([]HostRow, error) {
	p, err := e.look(ctx)
	if err != nil {
		return nil, err
	}
	latest, err := e.deps.Metrics.Latest(ctx, []string{"cpu_busy_ratio", "memory_used_ratio", "fs_used_ratio"}, readingAge)
	if err != nil {
		return nil, err
	}
	active, _, err := e.deps.Store.Findings(ctx, store.FindingFilter{Active: true, All: true})
	if err != nil {
		return nil, err
	}
	rows, index, err := e.hostRows(ctx, p)
	if err != nil {
		return nil, err
	}
	for _, f := range active {
		if r := p.byID[f.ResourceID]; r != nil {
			if i, ok := index[r.HostID]; ok {
				rows[i].Findings++
			}
		}
	}
	for id, list := range latest {
		r := p.byID[id]
		if r == nil {
			continue
		}
		if i, ok := index[r.HostID]; ok {
			rows[i].take(list)
		}
	}
	return rows, nil
}

// hostRows answers a row for each host that is known or invited, by name, and
// where the rows of resources are.
func (e *estate) hostRows(ctx context.Context, p *picture) (rows []HostRow, index map[string]int, err error) {
	hosts, err := e.deps.Store.Hosts(ctx, false)
	if err != nil {
		return nil, nil, err
	}
	invited, err := e.deps.Store.Invitations(ctx, time.Now().UnixMilli())
	if err != nil {
		return nil, nil, err
	}
	rows, index = []HostRow{}, map[string]int{}
	agents := map[string]*ops.Host{}
	for i, h := range hosts {
		agents[h.ID] = &hosts[i]
	}
	for _, r := range p.resources {
		agent := agents[r.Key.Host]
		if r.Kind != ops.KindHost || agent == nil {
			continue // the parts of a server without an agent are on no host of the fleet
		}
		delete(agents, r.Key.Host)
		index[r.ID] = len(rows)
		rows = append(rows, HostRow{ID: r.Key.Host, Name: r.Name, ResourceID: r.ID, ObservedAt: r.ObservedAt, Reachable: string(agent.State), Fleet: agent})
	}
	for i, h := range hosts {
		if agents[h.ID] != nil { // it has not reported yet
			rows = append(rows, HostRow{ID: h.ID, Name: h.Name, Reachable: string(h.State), ObservedAt: h.ReportAt, Fleet: &hosts[i]})
		}
	}
	for _, i := range invited {
		rows = append(rows, HostRow{ID: i.ID, Name: i.Name, Reachable: string(ops.HostPending), Invitation: &i})
	}
	return rows, index, nil
}

func (h *HostRow) take(list []ops.Series) {
	for _, s := range list {
		last, ok := s.Last()
		if !ok || !finite(last.Value) {
			continue
		}
		if last.At.After(h.ObservedAt) { // the row's own time is written every half minute
			h.ObservedAt = last.At
		}
		v := last.Value
		switch {
		case s.Metric == "cpu_busy_ratio":
			h.CPU = &v
		case s.Metric == "memory_used_ratio":
			h.Memory = &v
		case h.Worst == nil || *h.Worst < v:
			h.Worst = &v
		}
	}
}

func (p *picture) countsByKind() map[string]int64 {
	counts := map[string]int64{}
	for _, r := range p.resources {
		counts[string(r.Kind)]++
	}
	return counts
}

// below answers the resources that have a parent, by kind and name.
func (p *picture) below(parent string) []ops.Resource {
	children := []ops.Resource{}
	for _, r := range p.resources {
		if r.ParentID == parent && r.ID != parent {
			children = append(children, r)
		}
	}
	slices.SortStableFunc(children, func(a, b ops.Resource) int {
		switch {
		case a.Kind < b.Kind:
			return -1
		case a.Kind > b.Kind:
			return 1
		}
		return 0
	})
	return children
}
