package patrol

import (
	"time"

	"reeve/internal/brief"
	"reeve/internal/ops"
)

// A look is one run while it goes on: what it was asked, what it reads, what
// it has found so far. The stages fill it in; nothing of it is shared.
type look struct {
	run    ops.Run
	estate brief.Estate
	items  []ops.RunItem
	// withModel says that a model is asked: the budget stage decided it.
	withModel bool
	// remark is what stands of the model's last words.
	remark string
	// record is what the model was given and answered, packed, for a replay;
	// it is stored with the outcome. Empty without a model.
	record []byte
	// see hands an event to those who follow the run. It never waits.
	see func(kind string, data any)
}

// stage does one stage: its beginning is an event, its end a row of the
// record with the note that f answers.
func (l *look) stage(name string, f func() (note string, err error)) error {
	began := time.Now()
	l.see(EventPhase, Phase{Name: name})
	note, err := f()
	took := time.Since(began)
	l.run.Detail.Stages = append(l.run.Detail.Stages, ops.RunStage{Name: name, At: began.UTC(), TookUS: took.Microseconds(), Note: note})
	l.see(EventPhase, Phase{Name: name, Done: true, Note: note, TookUS: took.Microseconds()})
	return err
}

// The types of events of a run.
const (
	EventPhase     = "phase"
	EventText      = "text"       // what the model says, as it comes
	EventThinking  = "thinking"   // that it thinks; without the thoughts
	EventToolStart = "tool_start" // ToolEvent
	EventToolEnd   = "tool_end"   // ToolEvent
	EventFinding   = "finding"    // an ops.RunItem
	EventRejection = "rejection"  // an ops.RunRejection
	EventNote      = "note"       // Phase with a note: something a follower should know
	EventDone      = "done"       // Done: the last one
)

// A Phase is the event of a stage that begins or ends.
type Phase struct {
	Name   string `json:"name"`
	Done   bool   `json:"done"`
	Note   string `json:"note,omitempty"`
	TookUS int64  `json:"took_us,omitempty"`
}

// A Text is a part of what the model says.
type Text struct {
	Text string `json:"text"`
}

// A ToolEvent is the event of a call of a tool that begins or ends.
type ToolEvent struct {
	Tool   string `json:"tool"`
	Input  string `json:"input,omitempty"`
	Bytes  int64  `json:"output_bytes,omitempty"`
	TookUS int64  `json:"took_us,omitempty"`
	Err    string `json:"error,omitempty"`
}

// A Done is the last event of a run.
type Done struct {
	State   ops.RunState  `json:"state"`
	Health  ops.RunHealth `json:"health,omitempty"`
	Summary string        `json:"summary,omitempty"`
	Err     string        `json:"error,omitempty"`
	Into    string        `json:"merged_into,omitempty"`
}
