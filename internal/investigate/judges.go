package investigate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"reeve/internal/brief"
	"reeve/internal/ops"
)

// A judge turns what a look showed into signs. There is a small, closed set
// of them: what is not said here, no runbook says.
type judge struct {
	takes []string // which fields of a Read it needs, beside Of
	tells string   // the field that may be withheld from models of which it tells, "" for none
	judge func(*Scene, Read) []Sign
}

// judges by the word that runbooks use.
var judges = map[string]judge{
	"level":     {[]string{"metric"}, "", judgeLevel},
	"rose":      {[]string{"metric"}, "", judgeRose},
	"top":       {[]string{"metric"}, "", judgeTop},
	"changed":   {nil, "attributes", judgeChanged},
	"above":     {nil, "", judgeAbove},
	"together":  {nil, "", judgeTogether},
	"recurring": {nil, "notes", judgeRecurring},
	"elsewhere": {nil, "", judgeElsewhere},
	"state":     {[]string{"name"}, "attributes", judgeState},
	"event":     {[]string{"event"}, "logs", judgeEvent},
	"log":       {nil, "logs", judgeLog},
}

// judgeChanged names what changed shortly before it began. A change of the
// resource itself, or of what it belongs to, is a likely cause.
func judgeChanged(s *Scene, r Read) []Sign {
	var all []Sign
	wanted := map[string]bool{}
	for _, t := range s.targets(r.Of) {
		wanted[t.ID] = true
	}
	for _, t := range slices.Backward(s.Changes) {
		res, ok := s.Near[t.ObjectID]
		before := s.Began.Sub(t.At)
		if !ok || !wanted[t.ObjectID] || before < 0 || before > changesBefore || len(all) >= 6 {
			continue
		}
		what := changeText(t, res)
		first := t.Verb == "appear" && (!brief.Deployed(res.Kind) || t.At.Before(s.Host.FirstSeen.Add(brief.FirstLook)))
		if what == "" || first {
			continue
		}
		sign := Sign{Text: s.before(t.At) + ", " + what}
		confidence := medium
		// That it is new itself says when, not why.
		if res.ID != s.Resource.ID && res.ID != s.Parent.ID || t.Verb == "appear" {
			confidence = low
		}
		all = append(all, sign.because(confidence, res.ID, "A change shortly before: "+what,
			ops.Claim{Kind: "time", ResourceID: res.ID, Name: "changed", At: t.At}))
	}
	if len(all) == 0 {
		return signf("nothing that Reeve sees of %s changed within %s before it began", where(s, r.Of), span(changesBefore))
	}
	return all
}

func changeText(t ops.Transition, r ops.Resource) string {
	switch t.Verb {
	case "change":
		var parts []string
		for _, what := range slices.Sorted(maps.Keys(t.Facts)) {
			if !ops.Volatile(what) && !consequence[what] && len(parts) < 4 {
				parts = append(parts, fmt.Sprintf("%s of %s changed (%s)", what, name(r), t.Facts[what]))
			}
		}
		return strings.Join(parts, ", ")
	case "appear":
		return name(r) + " appeared"
	case "vanish", "remove":
		return name(r) + " was not there any more"
	case "replace":
		return name(r) + " was replaced"
	}
	return ""
}

// consequence names attributes that a fault changes itself: their change is
// the problem, not its cause.
var consequence = map[string]bool{"state": true, "status": true, "health": true, "exit_code": true, "oom_killed": true, "error": true, "up": true,
	"since": true, "active_state": true, "sub_state": true, "result": true, "restarts": true, "started_at": true, "finished_at": true,
	"running": true, "failures": true, "presence": true, "read_only": true, "carrier": true, "operstate": true, "stopped_by_user": true,
	"disks_failed": true, "disks_active": true, "level": true, "last_beat": true, "errors": true, "scan": true}

func where(s *Scene, of string) string {
	switch of {
	case "", "resource":
		return known(s.Resource, "it")
	case "host":
		return known(s.Host, "its host")
	case "parent":
		return known(s.Parent, "what it belongs to")
	}
	return "the " + of
}

// notCauses are conditions that come with the days or tell of the future:
// nothing else fails from them.
var notCauses = []string{"reboot_required", "updates_security_pending", "clock_unsynchronised", "hardware_error", "disk_wear", "fs_full_soon", "certificate_expiring"}

// judgeAbove looks for trouble of what it runs on or lies on. One of the host
// itself, or of its parent, that began shortly before is a likely cause; one of
// some part of the host may be.
func judgeAbove(s *Scene, _ Read) []Sign {
	var all []Sign
	for _, f := range s.Around {
		r, ok := s.Near[f.ResourceID]
		if !ok || s.Roles[f.Condition] <= s.Roles[s.Root.Condition] || slices.Contains(notCauses, f.Condition) || r.Kind == ops.KindComponent {
			continue
		}
		if !f.Active() && f.ResolvedAt.Before(s.Began) {
			continue
		}
		confidence := medium
		if r.ID == s.Host.ID || r.ID == s.Parent.ID {
			confidence = high
		}
		if f.FirstSeen.After(s.Began.Add(time.Minute)) || f.FirstSeen.Before(s.Began.Add(-findingsBefore)) {
			confidence = low // it came after it, or was there for long without it
		}
		sign := Sign{Text: fmt.Sprintf("%s: %s, since %s", name(r), f.Summary, s.before(f.FirstSeen))}
		all = append(all, sign.because(confidence, r.ID, fmt.Sprintf("Trouble of what it depends on: %s", f.Summary),
			ops.Claim{Kind: "time", ResourceID: r.ID, Name: "opened", At: f.FirstSeen}))
	}
	if len(all) == 0 {
		return signf("no trouble of %s that could cause it", where(s, "host"))
	}
	return all[:min(len(all), 5)]
}

// judgeTogether names what else began at about the same time on the host.
func judgeTogether(s *Scene, _ Read) []Sign {
	var names []string
	for _, f := range s.Around {
		if d := f.FirstSeen.Sub(s.Began).Abs(); d <= 5*time.Minute && f.ResourceID != s.Resource.ID {
			names = append(names, fmt.Sprintf("%s: %s", known(s.Near[f.ResourceID], f.ResourceID), f.Summary))
		}
	}
	if len(names) == 0 {
		return signf("nothing else on %s began within 5 min of it", where(s, "host"))
	}
	return signf("%d more began within 5 min of it: %s", len(names), strings.Join(names[:min(len(names), 4)], "; "))
}

// judgeRecurring tells of earlier times. That it comes again is a cause only
// where it is known what ended it.
func judgeRecurring(s *Scene, _ Read) []Sign {
	if s.Past.Count == 0 {
		return signf("it is the first time on %s", known(s.Resource, "this resource"))
	}
	sign := Sign{Text: s.Past.Text}
	if len(s.Past.Cures) > 0 {
		return []Sign{sign.because(medium, s.Resource.ID, "The same as before, which was solved by: "+s.Past.Cures[0], openedBefore(s)...)}
	}
	if s.Past.Count >= 2 {
		return []Sign{sign.because(low, s.Resource.ID, fmt.Sprintf("It recurs: %d times before, so its cause was never removed", s.Past.Count), openedBefore(s)...)}
	}
	return []Sign{sign}
}

func openedBefore(s *Scene) []ops.Claim {
	return []ops.Claim{{Kind: "time", ResourceID: s.Resource.ID, Name: "opened", At: s.Past.Last}}
}

// judgeElsewhere tells whether others have the same problem now: then the
// cause is likely one that they share.
func judgeElsewhere(s *Scene, _ Read) []Sign {
	var near, far []string
	var claims []ops.Claim
	for _, f := range s.Elsewhere {
		r, ok := s.Near[f.ResourceID]
		switch {
		case ok && f.FirstSeen.Sub(s.Began).Abs() <= time.Hour:
			near = append(near, r.Name)
			if len(claims) < 3 {
				claims = append(claims, ops.Claim{Kind: "time", ResourceID: r.ID, Name: "opened", At: f.OpenedAt})
			}
		case f.FirstSeen.Sub(s.Began).Abs() <= time.Hour:
			far = append(far, f.ResourceID)
		}
	}
	switch {
	case len(near) == 0 && len(far) == 0:
		return signf("no other %s has the same problem", s.Resource.Kind)
	case len(far) == 0:
		sign := Sign{Text: fmt.Sprintf("the same problem on this host too: %s", strings.Join(near[:min(len(near), 5)], ", "))}
		return []Sign{sign.because(low, s.Host.ID, "A cause that several on this host share", claims...)}
	}
	return signf("%d more have the same problem within the hour, %d of them on other hosts: look for what they share (a release, a network, a server that all use)",
		len(near)+len(far), len(far))
}

// judgeState reads an attribute; a runbook may say what its values mean.
func judgeState(s *Scene, r Read) []Sign {
	var all []Sign
	for _, res := range s.targets(r.Of) {
		v, ok := res.Observed.Text(r.Name)
		if !ok || v == "" {
			if len(s.targets(r.Of)) == 1 {
				all = append(all, signf("%s of %s is not known", r.Name, name(res))...)
			}
			continue
		}
		sign := Sign{Text: fmt.Sprintf("%s of %s is %s", r.Name, name(res), v)}
		if cause := strings.ReplaceAll(cmp.Or(r.Means[v], r.Means["*"]), "{value}", v); cause != "" {
			sign.Text += ": " + cause
			sign = sign.because(cmp.Or(r.Confidence, medium), res.ID, cause, ops.Claim{Kind: "state", ResourceID: res.ID, Name: r.Name, Text: v})
		}
		if all = append(all, sign); len(all) >= 8 {
			break
		}
	}
	if len(all) == 0 {
		return signf("%s of %s is not known", r.Name, where(s, r.Of))
	}
	return all
}

// judgeEvent looks for events of a type since an hour before it began. What
// one means is said for all, or by the value of one of its facts.
func judgeEvent(s *Scene, r Read) []Sign {
	wanted := map[string]ops.Resource{}
	for _, t := range s.targets(r.Of) {
		wanted[t.ID] = t
	}
	var found []string
	var cause *Sign
	n := int64(0)
	for _, e := range s.Events {
		res, ok := wanted[e.ResourceID]
		if !ok || string(e.Type) != r.Event {
			continue
		}
		n += max(1, e.Count)
		found = append(found, fmt.Sprintf("%s %s: %s", clock(e.At), name(res), e.Text))
		if means := r.meaning(e.Event); means != "" && cause == nil && !e.At.After(s.Began.Add(time.Minute)) {
			sign := Sign{}.because(cmp.Or(r.Confidence, medium), res.ID, means,
				ops.Claim{Kind: "time", ResourceID: res.ID, Name: r.Event, At: e.At}, ops.Claim{Kind: "quote", ResourceID: res.ID, Text: e.Text})
			cause = &sign
		}
	}
	words := strings.ReplaceAll(r.Event, "_", " ")
	if n == 0 {
		return signf("no %s of %s since %s", words, where(s, r.Of), clock(s.Began.Add(-eventsBefore)))
	}
	text := fmt.Sprintf("%d × %s, the last: %s", n, words, strings.Join(found[max(0, len(found)-3):], "; "))
	if cause == nil {
		return signf("%s", text)
	}
	cause.Text = text
	return []Sign{*cause}
}

func (r Read) meaning(e ops.Event) string {
	means := r.Cause
	if r.Name != "" {
		means = cmp.Or(r.Means[e.Facts[r.Name]], r.Means["*"], means)
	}
	return strings.NewReplacer("{text}", e.Text, "{value}", e.Facts[r.Name]).Replace(means)
}
