// Command bench measures what README promises, on the real program wherever
// that is possible, and writes the results as files: one table for people and
// one record of the run for later comparison.
//
// Every measure stands in a file of its own and answers lines of the table.
// Two of them look from inside: a simulated estate enters through the door of
// agents' reports, which no link leads to from outside, and a pass of the
// detectors is timed by itself. For those the command starts itself again, so
// that memory and processor time are of a process that holds nothing else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A measure is one part of the bench.
type measure struct {
	name string
	run  func(ctx context.Context, b *bench) error
}

var measures = []measure{
	{"start", measureStart},
	{"idle", measureIdle},
	{"estate", measureEstate},
	{"ingest", measureIngest},
	{"query", measureQuery},
	{"findings", measureFindings},
	{"stream", measureStream},
	{"pass", measurePass},
	{"delivery", measureDelivery},
	{"patrol", measurePatrol},
	{"brief", measureBrief},
	{"samples", measureSamples},
	{"fleet", measureFleet},
	{"stampede", measureStampede},
	{"agent", measureAgent},
	{"reach", measureReach},
	{"reconcile", measureReconcile},
	{"spool", measureSpool},
	{"fleet10k", measureFleet10k},
	{"fleethours", measureFleetHours},
	{"containers", measureContainers},
}

// onRequest are measures that take long: they run when they are named.
var onRequest = []string{"fleet10k", "containers", "reconcile", "samples", "fleethours"}

// children are what the command does when it starts itself.
var children = map[string]func(ctx context.Context, dir string) error{
	"estate":    simulate,
	"pass":      judgeEstate,
	"patrol":    patrolEstate,
	"reach":     judgeHosts,
	"reconcile": reconcileRows,
	"past":      makePast,
}

// A bench is one run.
type bench struct {
	program string // the binary that is measured
	agent   string // that of the agent
	seconds int    // of every measure that takes its time
	rows    int    // findings in the large list
	now     []Line
	current string
	load    string
}

var quiet = slog.New(slog.DiscardHandler)

func main() {
	var o options
	flag.StringVar(&o.program, "program", "bin/reeve", "the binary to measure")
	flag.StringVar(&o.agent, "agent", "bin/reeve-agent", "the agent to measure")
	flag.StringVar(&o.out, "out", "bench/results", "folder of the results; empty prints only")
	flag.StringVar(&o.only, "only", "", "names of measures, with commas; empty for all")
	flag.IntVar(&o.seconds, "seconds", 60, "length of the measures of idle and steady load")
	flag.IntVar(&o.rows, "findings", 1_000_000, "findings in the large list")
	flag.StringVar(&o.child, "child", "", "what the command starts itself for")
	flag.StringVar(&o.dir, "dir", "", "data folder of a child")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	program, agent, out, only, child, dir string
	seconds, rows                         int
}

func run(ctx context.Context, o options) error {
	if o.child != "" {
		return children[o.child](ctx, o.dir)
	}
	if _, err := os.Stat(o.program); err != nil {
		return fmt.Errorf("there is no program to measure; run make bench, or go build -o %s ./cmd/reeve: %w", o.program, err)
	}
	b := &bench{program: o.program, agent: o.agent, seconds: o.seconds, rows: o.rows}
	began := time.Now()
	var failed []error
	for _, m := range measures {
		named := slices.Contains(strings.Split(o.only, ","), m.name)
		if !named && (o.only != "" || slices.Contains(onRequest, m.name)) {
			continue
		}
		b.current, b.load = m.name, loadAverage()
		fmt.Printf("%s (load %s)\n", m.name, b.load)
		measuring, end := context.WithCancel(ctx)
		if err := m.run(measuring, b); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", m.name, err))
		}
		end() // A server that a failed measure left ends here.
	}
	if o.out != "" && len(b.now) > 0 {
		failed = append(failed, b.write(o.out, began))
	}
	return errors.Join(failed...)
}
