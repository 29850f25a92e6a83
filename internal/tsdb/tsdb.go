// Package tsdb keeps the readings of the estate. Embedded, it is two
// Prometheus databases in one directory: raw samples as they came, and
// five-minute roll-ups (average, minimum, maximum, count) that long ranges are
// read from. External, it is a Prometheus-compatible store of the user's that
// is written by remote write and read through its HTTP API. Both answer the
// same methods, and the embedded one serves the Prometheus HTTP API itself.
//
// A full disk never stops the product: appends stop before the disk is full,
// a ballast file is given back to the databases beside it, and Stats says so.
package tsdb

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"reeve/internal/ops"
)

// The sizes and times that hold where Options say nothing.
const (
	DefaultRetention       = 30 * 24 * time.Hour
	DefaultRollupRetention = 2 * 365 * 24 * time.Hour
	DefaultMaxSize         = 8 << 30
	DefaultBallastSize     = 64 << 20
	DefaultMaxSeries       = 1_000_000
)

// The labels that every series of the product carries beside its own.
const (
	HostLabel     = "host"
	ResourceLabel = "resource"
)

// maxAhead is how far in the future a sample may lie. A clock that runs ahead
// would otherwise make the samples of all other hosts too old.
const maxAhead = 10 * time.Minute

// Options say where and how much to keep.
type Options struct {
	// Dir holds the embedded databases and the ballast; unused with a URL.
	Dir string
	// URL is the base of a Prometheus-compatible store; "" is embedded.
	URL string
	// WriteURL is where samples are sent to; "" is URL + "/api/v1/write".
	WriteURL string
	// Headers go with every request to an external store, as a token that it
	// wants or the tenant that it knows us by.
	Headers map[string]string
	// Retention is how long raw samples are kept, RollupRetention how long
	// roll-ups are.
	Retention       time.Duration
	RollupRetention time.Duration
	// MaxSize is how many bytes both databases may take together.
	MaxSize int64
	// BallastSize is the size of the file that is deleted when the disk runs
	// full. Floor is how much must stay free on the disk for others: below it
	// no sample is kept. Zero means BallastSize.
	BallastSize int64
	Floor       int64
	// MaxSeries bounds the series that have samples at one time; new ones
	// beyond it are refused. Zero means DefaultMaxSeries.
	MaxSeries int
	// QueueSamples bounds what waits for an external store that does not
	// answer; what comes beyond it pushes the oldest out, counted as dropped.
	QueueSamples int

	blockReload time.Duration // tests only: how soon retention acts
	rollPartly  bool          // tests only: roll-ups that do not fill a block are made as well
	ahead       time.Duration // tests only: replaces maxAhead
}

// A DB keeps samples. Its passes Check, Rollup and Ship are to be called in
// loops; all methods may be called at once.
type DB struct {
	log   *slog.Logger
	opts  Options
	cache seriesCache
	back  backend
	meta  metadata

	rejected atomic.Int64
	dropped  atomic.Int64
	appended atomic.Int64
	late     lateness

	mu       sync.Mutex
	problems map[string]string // what is wrong, by the part that found it
}

// A backend is where the samples are: in the embedded databases or in a store
// elsewhere.
type backend interface {
	append(ctx context.Context, batch []Sample) (rejected int, err error)
	scan(ctx context.Context, sel selection, yield func(found) error) error
	eval(ctx context.Context, q Query) ([]ops.Series, error)
	bands(ctx context.Context, q BandQuery) ([]Band, error)
	close() error
}

// Stats are what a person asks first about the store.
type Stats struct {
	External  bool      `json:"external"`
	Series    int64     `json:"series" doc:"Series that had a sample in the last hours."`
	Appended  int64     `json:"appended" doc:"Samples kept since the start."`
	Rejected  int64     `json:"rejected" doc:"Samples refused since the start: too old, out of order, from the future."`
	Dropped   int64     `json:"dropped" doc:"Samples lost since the start because they could not be written."`
	Queued    int       `json:"queued" doc:"Samples that wait for an external store."`
	Bytes     int64     `json:"bytes" doc:"On the disk, roll-ups and write-ahead logs included."`
	WALBytes  int64     `json:"wal_bytes"`
	FreeBytes int64     `json:"free_bytes" doc:"Free on the disk of the store."`
	Oldest    time.Time `json:"oldest,omitzero" doc:"The oldest raw sample."`
	RolledUp  time.Time `json:"rolled_up,omitzero" doc:"Roll-ups are complete up to here."`
	Degraded  bool      `json:"degraded"`
	Reason    string    `json:"reason,omitempty"`
}

// Open opens or makes the store. A disk that is too full to open the embedded
// databases is not an error: the store answers that it is degraded and Check
// opens it when there is room.
func Open(ctx context.Context, log *slog.Logger, opts Options) (*DB, error) {
	opts = opts.filled()
	db := &DB{log: log, opts: opts, problems: map[string]string{}}
	db.cache.init()
	if opts.URL != "" {
		ext, err := openExternal(db)
		if err != nil {
			return nil, err
		}
		db.back = ext
		return db, nil
	}
	e, err := openEmbedded(ctx, db)
	if err != nil {
		return nil, err
	}
	db.back = e
	return db, nil
}

func (o Options) filled() Options {
	if o.Retention <= 0 {
		o.Retention = DefaultRetention
	}
	if o.RollupRetention <= 0 {
		o.RollupRetention = DefaultRollupRetention
	}
	if o.MaxSize <= 0 {
		o.MaxSize = DefaultMaxSize
	}
	if o.BallastSize <= 0 {
		o.BallastSize = DefaultBallastSize
	}
	if o.Floor <= 0 {
		o.Floor = o.BallastSize
	}
	if o.MaxSeries <= 0 {
		o.MaxSeries = DefaultMaxSeries
	}
	if o.QueueSamples <= 0 {
		o.QueueSamples = 500_000
	}
	if o.ahead <= 0 {
		o.ahead = maxAhead
	}
	return o
}

// Close writes out what is in memory and closes the store.
func (db *DB) Close() error { return db.back.close() }

// Stats answers the state of the store.
func (db *DB) Stats() Stats {
	s := Stats{
		Series:   int64(db.cache.size()),
		Appended: db.appended.Load(),
		Rejected: db.rejected.Load(),
		Dropped:  db.dropped.Load(),
	}
	switch back := db.back.(type) {
	case *embedded:
		back.describe(&s)
	case *external:
		s.External, s.Queued = true, back.queue.size()
	}
	s.Reason = db.reason()
	s.Degraded = s.Reason != ""
	return s
}
