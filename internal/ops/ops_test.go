package ops_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"reeve/internal/ops"
)

func TestIDsSortByTimeAndName(t *testing.T) {
	var ids []string
	for range 5 {
		ids = append(ids, ops.NewID(ops.FindingID))
		<-time.After(2 * time.Millisecond)
	}
	if !slices.IsSorted(ids) {
		t.Error(ids)
	}
	for id, kind := range map[string]string{ids[0]: "fnd", "fnd_x": "", "": "", "fnd_" + ids[0]: ""} {
		if got := ops.IDKind(id); got != kind {
			t.Errorf("%q is of kind %q", id, got)
		}
	}
}

func TestErrorsShowTheirMessageAndHideTheirCause(t *testing.T) {
	cause := errors.New("secret path")
	err := fmt.Errorf("open: %w", ops.Because(ops.NotFound, cause, "there is no host %s", "web1"))
	if ops.KindOf(err) != ops.NotFound || !errors.Is(err, cause) {
		t.Error(err)
	}
	if message, _ := ops.Shown(err); message != "there is no host web1" {
		t.Error(message)
	}
	if message, _ := ops.Shown(cause); message != "" || ops.KindOf(cause) != ops.Internal {
		t.Error(message)
	}
}

func TestTerminalStatesStayTerminal(t *testing.T) {
	if !ops.FindingFlow.Final(ops.FindingClosed) || !ops.IncidentFlow.Final(ops.IncidentClosed) {
		t.Error("closed is not the end")
	}
	for _, s := range []ops.DeliveryState{ops.DeliveryDelivered, ops.DeliveryDead, ops.DeliveryDropped} {
		if !ops.DeliveryFlow.Final(s) {
			t.Errorf("%s is not the end", s)
		}
	}
}

func TestSuppressionEndsByTimeAndBySeverity(t *testing.T) {
	now := time.Now()
	s := &ops.Suppression{Until: now.Add(time.Hour), Severity: ops.Warning}
	for _, c := range []struct {
		at     time.Time
		sev    ops.Severity
		active bool
	}{{now, ops.Warning, true}, {now, ops.Critical, false}, {now.Add(2 * time.Hour), ops.Warning, false}} {
		if s.Active(c.at, c.sev) != c.active {
			t.Errorf("%+v", c)
		}
	}
	var none *ops.Suppression
	if none.Active(now, ops.Warning) {
		t.Error("no suppression suppresses")
	}
}

func TestUnknownAttributesAreNotZero(t *testing.T) {
	a := ops.Attrs{"up": "false", "count": "0", "odd": "x"}
	if _, ok := a.Bool("missing"); ok {
		t.Error("a missing truth value is known")
	}
	if _, ok := a.Number("odd"); ok {
		t.Error("a text is a number")
	}
	if v, ok := a.Number("count"); v != 0 || !ok {
		t.Error("0 is unknown")
	}
	if !a.Is("up", "false") || a.Is("missing", "") {
		t.Error("Is")
	}
}

func TestEveryKindHasParentsOfTheList(t *testing.T) {
	for _, k := range ops.Kinds {
		for _, p := range k.Parents {
			if !ops.ValidKind(p) {
				t.Errorf("%s has the unknown parent %s", k.Kind, p)
			}
		}
	}
}
