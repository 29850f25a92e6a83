package fleet

import (
	"testing"
	"time"
)

// TestAHeartbeatKeepsItsTime: measured again it may seem older, and then the
// end of its connection would not be written.
func TestAHeartbeatKeepsItsTime(t *testing.T) {
	beat := time.Now()
	f := &Fleet{Options: Options{Server: "srv_1"}, heard: map[string]heard{"host_1": {beat: beat, connected: true}}, written: map[string]wrote{}}
	first, moved := f.clocks(beat, beat)
	f.written["host_1"] = wrote{moved["host_1"], first[0].Heartbeat}
	if again, _ := f.clocks(beat, beat); len(again) > 0 {
		t.Errorf("nothing is new, and %+v is written", again)
	}
	f.heard["host_1"] = heard{beat: beat}
	last, _ := f.clocks(beat.Add(5*time.Second), beat.Add(5*time.Second+20*time.Millisecond)) // the process was held up between the two
	if len(last) != 1 || last[0].Heartbeat.Before(first[0].Heartbeat) || last[0].Server != "" {
		t.Errorf("%+v after %+v", last, first)
	}
}
