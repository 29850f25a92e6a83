package tsdb

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// maxListed bounds lists of series, labels and values whose request has no
// limit.
const maxListed = 100_000

var errTruncated = errors.New("results truncated due to limit")

// listing is a request for series, label names or label values.
type listing struct {
	sets     [][]*labels.Matcher
	from, to time.Time
	limit    int
}

func listingOf(r *http.Request) (l listing, err error) {
	if l.sets, err = matchersOf(r); err != nil {
		return l, err
	}
	if l.from, err = timeOf(r, "start", time.UnixMilli(minTime)); err != nil {
		return l, err
	}
	if l.to, err = timeOf(r, "end", time.UnixMilli(maxTime)); err != nil {
		return l, err
	}
	if l.to.Before(l.from) {
		return l, bad(`invalid parameter "end": it lies before the start`)
	}
	if l.limit, err = limitOf(r); err != nil {
		return l, err
	}
	if l.limit == 0 || l.limit > maxListed {
		l.limit = maxListed
	}
	return l, nil
}

// with hands a querier of a listing's time to use.
func (s server) with(r *http.Request, l listing, use func(context.Context, storage.Querier) error) error {
	ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
	defer cancel()
	select {
	case s.e.queries <- struct{}{}:
		defer func() { <-s.e.queries }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s.e.gate.RLock()
	defer s.e.gate.RUnlock()
	if err := s.e.usable(); err != nil {
		return err
	}
	q, err := both{s.e}.Querier(l.from.UnixMilli(), l.to.UnixMilli())
	if err != nil {
		return err
	}
	defer q.Close()
	return use(ctx, q)
}

func (s server) series(r *http.Request) (answer, error) {
	l, err := listingOf(r)
	if err != nil {
		return nil, err
	}
	if len(l.sets) == 0 {
		return nil, bad(`invalid parameter "match[]": at least one is needed`)
	}
	all := []map[string]string{}
	var notes annotations.Annotations
	err = s.with(r, l, func(ctx context.Context, q storage.Querier) error {
		hints := &storage.SelectHints{Start: l.from.UnixMilli(), End: l.to.UnixMilli(), Func: "series", Limit: l.limit + 1}
		sets := make([]storage.SeriesSet, len(l.sets))
		for i, ms := range l.sets {
			sets[i] = q.Select(ctx, true, hints, ms...)
		}
		set := storage.NewMergeSeriesSet(sets, 0, storage.ChainedSeriesMerge)
		for set.Next() {
			if len(all) == l.limit {
				notes.Add(errTruncated)
				return nil
			}
			all = append(all, set.At().Labels().Map())
		}
		notes.Merge(set.Warnings())
		return set.Err()
	})
	return plain(all, notes), err
}

func (s server) labelNames(r *http.Request) (answer, error) {
	return s.list(r, func(ctx context.Context, q storage.Querier, hints *storage.LabelHints, ms []*labels.Matcher) ([]string, annotations.Annotations, error) {
		return q.LabelNames(ctx, hints, ms...)
	})
}

func (s server) labelValues(r *http.Request) (answer, error) {
	name := r.PathValue("name")
	if plainName, ok := unescape(name); ok {
		name = plainName
	}
	if !model.UTF8Validation.IsValidLabelName(name) {
		return nil, bad("invalid label name: " + strconv.Quote(name))
	}
	return s.list(r, func(ctx context.Context, q storage.Querier, hints *storage.LabelHints, ms []*labels.Matcher) ([]string, annotations.Annotations, error) {
		return q.LabelValues(ctx, name, hints, ms...)
	})
}

// unescape reads the form in which clients put label names that are not plain
// into a path.
func unescape(name string) (string, bool) {
	const mark = "U__"
	if len(name) <= len(mark) || name[:len(mark)] != mark {
		return name, false
	}
	return model.UnescapeName(name, model.ValueEncodingEscaping), true
}

type lister func(context.Context, storage.Querier, *storage.LabelHints, []*labels.Matcher) ([]string, annotations.Annotations, error)

// list answers the union of what a lister answers for every selector.
func (s server) list(r *http.Request, read lister) (answer, error) {
	l, err := listingOf(r)
	if err != nil {
		return nil, err
	}
	if len(l.sets) == 0 {
		l.sets = [][]*labels.Matcher{nil}
	}
	all := []string{}
	var notes annotations.Annotations
	err = s.with(r, l, func(ctx context.Context, q storage.Querier) error {
		hints := &storage.LabelHints{Limit: l.limit + 1}
		seen := map[string]struct{}{}
		for _, ms := range l.sets {
			texts, warnings, err := read(ctx, q, hints, ms)
			if err != nil {
				return err
			}
			notes.Merge(warnings)
			for _, text := range texts {
				seen[string([]byte(text))] = struct{}{} // The text lives no longer than the querier.
			}
		}
		all = slices.AppendSeq(all, maps.Keys(seen))
		slices.Sort(all)
		if len(all) > l.limit {
			all = all[:l.limit]
			notes.Add(errTruncated)
		}
		return nil
	})
	return plain(all, notes), err
}
