package tsdb

import (
	"context"
	"errors"
	"net/http"
	"sort"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"
)

func (s server) query(r *http.Request) (answer, error) {
	at, err := timeOf(r, "time", time.Now())
	if err != nil {
		return nil, err
	}
	return s.evaluate(r, Query{To: at})
}

func (s server) queryRange(r *http.Request) (answer, error) {
	from, err := timeOf(r, "start", time.Time{})
	if err != nil {
		return nil, err
	}
	to, err := timeOf(r, "end", time.Time{})
	if err != nil {
		return nil, err
	}
	if r.FormValue("start") == "" || r.FormValue("end") == "" {
		return nil, bad(`invalid parameter "start" or "end": both are needed`)
	}
	if to.Before(from) {
		return nil, bad(`invalid parameter "end": it lies before the start`)
	}
	step, err := durationOf(r, "step", 0)
	if err != nil {
		return nil, err
	}
	if step < time.Millisecond {
		return nil, bad(`invalid parameter "step": it must be at least a millisecond`)
	}
	if to.Sub(from)/step > maxPoints {
		return nil, bad("a series may have at most 11,000 points; use a longer step")
	}
	return s.evaluate(r, Query{From: from, To: to, Step: step})
}

func (s server) evaluate(r *http.Request, q Query) (answer, error) {
	q.Expr = r.FormValue("query")
	timeout, err := durationOf(r, "timeout", queryTimeout)
	if err != nil {
		return nil, err
	}
	delta, err := durationOf(r, "lookback_delta", 0)
	if err != nil {
		return nil, err
	}
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	if timeout <= 0 || delta < 0 {
		return nil, bad("durations must not be negative")
	}
	return func(w http.ResponseWriter) {
		ctx, cancel := context.WithTimeout(r.Context(), min(timeout, queryTimeout))
		defer cancel()
		wrote := false
		err := s.e.run(ctx, q, promql.NewPrometheusQueryOpts(false, delta), func(result *promql.Result) error {
			wrote = true
			return writeResult(w, q.Expr, result, limit)
		})
		if err != nil && !wrote {
			fail(w, err)
		}
	}, nil
}

// writeResult writes what a query answered. An error means that the client is
// gone.
func writeResult(w http.ResponseWriter, expr string, result *promql.Result, limit int) error {
	value, cut := limited(result.Value, limit)
	notes := result.Warnings
	if cut {
		notes.Add(errors.New("results truncated due to limit"))
	}
	w.Header().Set("Content-Type", "application/json")
	b := newJSON(w)
	b.text(`{"status":"success","data":{"resultType":`).quote(string(value.Type())).text(`,"result":`)
	b.value(value)
	b.text(`}`)
	b.notes(notes, expr)
	b.text(`}`)
	return b.flush()
}

// limited leaves only the first series of a result.
func limited(v parser.Value, limit int) (parser.Value, bool) {
	if limit <= 0 {
		return v, false
	}
	switch v := v.(type) {
	case promql.Vector:
		if len(v) > limit {
			return v[:limit], true
		}
	case promql.Matrix:
		if len(v) > limit {
			return v[:limit], true
		}
	}
	return v, false
}

// notes writes the warnings and infos of a result, if there are any.
func (b *jsonWriter) notes(notes annotations.Annotations, expr string) {
	warnings, infos := notes.AsStrings(expr, 10, 10)
	for _, list := range []struct {
		name  string
		texts []string
	}{{"warnings", warnings}, {"infos", infos}} {
		if len(list.texts) == 0 {
			continue
		}
		sort.Strings(list.texts)
		b.text(`,"`).text(list.name).text(`":[`)
		for i, text := range list.texts {
			b.comma(i).quote(text)
		}
		b.text(`]`)
	}
}
