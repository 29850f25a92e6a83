package tsdb

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"time"

	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/storage"

	"reeve/internal/ops"
)

// The limits of one series from outside.
const (
	maxLabels     = 128
	maxLabelBytes = 16 << 10
)

// writer takes remote writes in. What a sample brings is kept as it is. What
// can never be kept is left out and told; the rest of the request is kept.
type writer struct {
	e  *embedded
	db *DB
}

// Store reads one request, decompressed already.
func (w writer) Store(r *http.Request, kind remoteapi.WriteMessageType) (*remoteapi.WriteResponse, error) {
	answer := remoteapi.NewWriteResponse()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		answer.SetStatusCode(http.StatusBadRequest)
		return answer, fmt.Errorf("read the request: %w", err)
	}
	var fill func(*intake)
	if kind == remoteapi.WriteV1MessageType {
		fill, err = readV1(body)
	} else {
		fill, err = readV2(body)
	}
	if err != nil {
		answer.SetStatusCode(http.StatusBadRequest)
		return answer, fmt.Errorf("decode the request: %w", err)
	}
	in := intake{e: w.e, oldest: math.MaxInt64, meta: &w.db.meta, latest: time.Now().Add(w.db.opts.ahead).UnixMilli(), builder: labels.NewScratchBuilder(16)}
	err = w.e.write(r.Context(), func(app storage.Appender) (int64, error) {
		in.app = app
		fill(&in)
		return in.oldest, in.broken
	})
	if err != nil {
		w.db.dropped.Add(int64(in.kept + in.keptHistograms))
		answer.SetStatusCode(http.StatusServiceUnavailable)
		answer.SetExtraHeader("Retry-After", "30")
		text, _ := ops.Shown(err)
		return answer, ops.Errorf(ops.Unavailable, "%s", text)
	}
	w.db.appended.Add(int64(in.kept + in.keptHistograms))
	w.db.rejected.Add(int64(in.refused))
	answer.Add(remoteapi.WriteResponseStats{Samples: in.kept, Histograms: in.keptHistograms})
	if in.refused > 0 {
		answer.SetStatusCode(http.StatusBadRequest)
		return answer, fmt.Errorf("%d samples refused, the rest kept; the first: %w", in.refused, in.why)
	}
	answer.SetStatusCode(http.StatusNoContent)
	return answer, nil
}

// intake appends the samples of one request.
type intake struct {
	e       *embedded
	app     storage.Appender
	meta    *metadata
	latest  int64
	oldest  int64 // of the samples that are kept
	builder labels.ScratchBuilder

	kept, keptHistograms int
	refused              int
	why                  error // of the first refusal
	broken               error // the database's own
}

func (in *intake) refuse(n int, why error) {
	if in.refused == 0 {
		in.why = why
	}
	in.refused += n
}

// welcome says whether a series may be kept; n is how many samples it brings.
func (in *intake) welcome(ls labels.Labels, n int) bool {
	switch duplicate, twice := ls.HasDuplicateLabelNames(); {
	case !ls.Has(labels.MetricName):
		in.refuse(n, fmt.Errorf("a series has no name: %.200s", ls.String()))
	case twice:
		in.refuse(n, fmt.Errorf("label %.100q is there twice", duplicate))
	case !ls.IsValid(model.UTF8Validation):
		in.refuse(n, fmt.Errorf("the labels of a series are invalid: %.200s", ls.String()))
	case tooLarge(ls):
		in.refuse(n, fmt.Errorf("a series has more than %d labels or %d bytes of them", maxLabels, maxLabelBytes))
	default:
		return true
	}
	return false
}

func tooLarge(ls labels.Labels) bool {
	n, size := 0, 0
	ls.Range(func(l labels.Label) {
		n++
		size += len(l.Name) + len(l.Value)
	})
	return n > maxLabels || size > maxLabelBytes
}

// sample appends one sample and answers the reference for the next.
func (in *intake) sample(ref storage.SeriesRef, ls labels.Labels, at int64, v float64) storage.SeriesRef {
	if in.broken != nil {
		return ref
	}
	if at > in.latest {
		in.refuse(1, fmt.Errorf("a sample of %.200s lies in the future", ls.String()))
		return ref
	}
	next, err := in.e.appendOne(in.app, sample{ref, ls, at, v})
	switch {
	case unwelcome(err):
		in.refuse(1, fmt.Errorf("a sample of %.200s: %w", ls.String(), err))
		return ref
	case err != nil:
		in.broken = err
	default:
		in.kept++
		in.oldest = min(in.oldest, at)
	}
	return next
}

// protoHistogram is a native histogram of either protocol version.
type protoHistogram interface {
	IsFloatHistogram() bool
	ToIntHistogram() *histogram.Histogram
	ToFloatHistogram() *histogram.FloatHistogram
}

func (in *intake) histogram(ls labels.Labels, at int64, h protoHistogram) {
	if in.broken != nil {
		return
	}
	var whole *histogram.Histogram
	var float *histogram.FloatHistogram
	var err error
	if h.IsFloatHistogram() {
		float = h.ToFloatHistogram()
		err = float.Validate()
	} else {
		whole = h.ToIntHistogram()
		err = whole.Validate()
	}
	if err != nil || at > in.latest {
		in.refuse(1, fmt.Errorf("a histogram of %.200s is invalid or lies in the future: %w", ls.String(), err))
		return
	}
	if err = in.e.mayBegin(in.app, ls); err == nil {
		_, err = in.app.AppendHistogram(0, ls, at, whole, float)
	}
	switch {
	case unwelcome(err):
		in.refuse(1, fmt.Errorf("a histogram of %.200s: %w", ls.String(), err))
	case err != nil:
		in.broken = err
	default:
		in.keptHistograms++
	}
}

func readV1(body []byte) (func(*intake), error) {
	var request prompb.WriteRequest
	if err := request.Unmarshal(body); err != nil {
		return nil, err
	}
	return func(in *intake) {
		for i := range request.Timeseries {
			series := &request.Timeseries[i]
			ls := series.ToLabels(&in.builder, nil)
			if !in.welcome(ls, len(series.Samples)+len(series.Histograms)) {
				continue
			}
			var ref storage.SeriesRef
			for _, s := range series.Samples {
				ref = in.sample(ref, ls, s.Timestamp, s.Value)
			}
			for _, h := range series.Histograms {
				in.histogram(ls, h.Timestamp, h)
			}
		}
		for _, m := range request.Metadata {
			in.meta.note(m.MetricFamilyName, described{Type: typeName(int32(m.Type)), Help: m.Help, Unit: m.Unit})
		}
	}, nil
}

func readV2(body []byte) (func(*intake), error) {
	var request writev2.Request
	if err := request.Unmarshal(body); err != nil {
		return nil, err
	}
	return func(in *intake) {
		for i := range request.Timeseries {
			series := &request.Timeseries[i]
			n := len(series.Samples) + len(series.Histograms)
			ls, err := series.ToLabels(&in.builder, request.Symbols)
			if err != nil {
				in.refuse(n, err)
				continue
			}
			if !in.welcome(ls, n) {
				continue
			}
			var ref storage.SeriesRef
			for _, s := range series.Samples {
				ref = in.sample(ref, ls, s.Timestamp, s.Value)
			}
			for _, h := range series.Histograms {
				in.histogram(ls, h.Timestamp, h)
			}
			if m, err := series.ToMetadata(request.Symbols); err == nil && m.Type != model.MetricTypeUnknown {
				in.meta.note(ls.Get(labels.MetricName), described{Type: string(m.Type), Help: m.Help, Unit: m.Unit})
			}
		}
	}, nil
}
