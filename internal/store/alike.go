package store

import "reeve/internal/ops"

// alike keeps one of what many rows of an answer say: hosts of one estate are
// alike, and who keeps all their resources would keep most of it a thousand
// times. Nobody writes to the maps of a row that was read. The zero alike is
// ready.
type alike struct {
	texts map[string]string
	maps  map[string]map[string]string // by their JSON
}

func (a *alike) text(s *string) {
	if was, ok := a.texts[*s]; ok {
		*s = was
		return
	}
	if a.texts == nil {
		a.texts = map[string]string{}
	}
	a.texts[*s] = *s
}

// object reads a JSON object of texts.
func (a *alike) object(text string) (map[string]string, error) {
	if m, ok := a.maps[text]; ok {
		return m, nil
	}
	var m map[string]string
	if err := fromJSON(text, &m); err != nil {
		return nil, err
	}
	if a.maps == nil {
		a.maps = map[string]map[string]string{}
	}
	a.maps[text] = m
	return m, nil
}

// share lets a resource share its texts with the rows before it.
func (a *alike) share(r *ops.Resource) {
	for _, s := range []*string{(*string)(&r.Kind), &r.HostID, &r.HostName, &r.ParentID, &r.Key.Host, &r.Key.Source, (*string)(&r.Presence), &r.Name, &r.Key.Key} {
		a.text(s)
	}
}
