package rest_test

import (
	"testing"
	"time"

	"reeve/internal/rest"
)

func TestLimiterIsBoundedAndFillsAgain(t *testing.T) {
	l := rest.NewLimiter(2, time.Second)
	now := time.Unix(1_700_000_000, 0)
	for i := range 3 {
		if err := l.Take("a", now); (err != nil) != (i == 2) {
			t.Errorf("attempt %d: %v", i, err)
		}
	}
	if err := l.Take("a", now.Add(time.Second)); err != nil {
		t.Errorf("after a second: %v", err)
	}
	for i := range 30_000 {
		_ = l.Take("key"+time.Duration(i).String(), now)
	}
	if l.Keys() > 10_000 {
		t.Errorf("%d keys are remembered", l.Keys())
	}
}
