package tsdb

import (
	"bufio"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strconv"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"
)

// jsonWriter writes answers as Prometheus forms them: numbers as texts,
// because JSON has no infinities, times as seconds. It writes as it goes, so
// that a large result is not held twice. The first error is kept for flush.
type jsonWriter struct {
	w       *bufio.Writer
	scratch []byte
}

func newJSON(w io.Writer) *jsonWriter {
	return &jsonWriter{w: bufio.NewWriterSize(w, 16<<10)}
}

func (b *jsonWriter) flush() error { return b.w.Flush() }

// text writes JSON as it is.
func (b *jsonWriter) text(s string) *jsonWriter {
	b.w.WriteString(s)
	return b
}

func (b *jsonWriter) comma(i int) *jsonWriter {
	if i > 0 {
		b.w.WriteByte(',')
	}
	return b
}

func (b *jsonWriter) quote(s string) *jsonWriter {
	quoted, err := json.Marshal(s)
	if err != nil {
		quoted = []byte(`""`) // A string can always be encoded.
	}
	b.w.Write(quoted)
	return b
}

// time writes milliseconds as seconds.
func (b *jsonWriter) time(ms int64) *jsonWriter {
	if ms < 0 {
		b.w.WriteByte('-')
		ms = -ms
	}
	b.scratch = strconv.AppendInt(b.scratch[:0], ms/1000, 10)
	if rest := ms % 1000; rest != 0 {
		b.scratch = append(b.scratch, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
	}
	b.w.Write(b.scratch)
	return b
}

// float writes a number as a text; very large and very small ones with an
// exponent, as Prometheus does.
func (b *jsonWriter) float(v float64) *jsonWriter {
	form := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		form = 'e'
	}
	b.scratch = append(b.scratch[:0], '"')
	b.scratch = strconv.AppendFloat(b.scratch, v, form, -1, 64)
	b.scratch = append(b.scratch, '"')
	b.w.Write(b.scratch)
	return b
}

func (b *jsonWriter) point(at int64, v float64) *jsonWriter {
	return b.text("[").time(at).text(",").float(v).text("]")
}

func (b *jsonWriter) labels(ls labels.Labels) *jsonWriter {
	b.text("{")
	i := 0
	ls.Range(func(l labels.Label) {
		b.comma(i).quote(l.Name).text(":").quote(l.Value)
		i++
	})
	return b.text("}")
}

// value writes the result of a query.
func (b *jsonWriter) value(v parser.Value) {
	switch v := v.(type) {
	case promql.Scalar:
		b.point(v.T, v.V)
	case promql.String:
		b.text("[").time(v.T).text(",").quote(v.V).text("]")
	case promql.Vector:
		b.text("[")
		for i := range v {
			b.comma(i)
			b.sample(&v[i])
		}
		b.text("]")
	case promql.Matrix:
		b.text("[")
		for i := range v {
			b.comma(i)
			b.series(&v[i])
		}
		b.text("]")
	}
}

func (b *jsonWriter) sample(s *promql.Sample) {
	b.text(`{"metric":`).labels(s.Metric)
	if s.H != nil {
		b.text(`,"histogram":[`).time(s.T).text(",").histogram(s.H).text("]}")
		return
	}
	b.text(`,"value":`).point(s.T, s.F).text("}")
}

func (b *jsonWriter) series(s *promql.Series) {
	b.text(`{"metric":`).labels(s.Metric)
	if len(s.Floats) > 0 {
		b.text(`,"values":[`)
		for i, p := range s.Floats {
			b.comma(i).point(p.T, p.F)
		}
		b.text("]")
	}
	if len(s.Histograms) > 0 {
		b.text(`,"histograms":[`)
		for i, p := range s.Histograms {
			b.comma(i).text("[").time(p.T).text(",").histogram(p.H).text("]")
		}
		b.text("]")
	}
	b.text("}")
}

// histogram writes a native histogram with its buckets that are not empty;
// the first number of a bucket says which of its ends belong to it.
func (b *jsonWriter) histogram(h *histogram.FloatHistogram) *jsonWriter {
	b.text(`{"count":`).float(h.Count).text(`,"sum":`).float(h.Sum)
	n := 0
	for it := h.AllBucketIterator(); it.Next(); {
		bucket := it.At()
		if bucket.Count == 0 {
			continue
		}
		if n == 0 {
			b.text(`,"buckets":[`)
		}
		b.comma(n).text("[").text(endsOf(bucket)).text(",")
		b.float(bucket.Lower).text(",").float(bucket.Upper).text(",").float(bucket.Count).text("]")
		n++
	}
	if n > 0 {
		b.text("]")
	}
	return b.text("}")
}

func endsOf(b histogram.Bucket[float64]) string {
	switch {
	case b.LowerInclusive && b.UpperInclusive:
		return "3"
	case b.LowerInclusive:
		return "1"
	case b.UpperInclusive:
		return "0"
	}
	return "2"
}

// plain answers data that encoding/json can write.
func plain(data any, notes annotations.Annotations) answer {
	return func(w http.ResponseWriter) {
		text, err := json.Marshal(data)
		if err != nil {
			fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		b := newJSON(w)
		b.text(`{"status":"success","data":`)
		b.w.Write(text)
		b.notes(notes, "")
		b.text(`}`)
		b.flush()
	}
}
