package api

import (
	"errors"
	"strconv"
	"strings"

	"reeve/internal/rest"
	"reeve/internal/watch"
)

// seenIn answers the versions that an If-Match header names, none when it asks
// for none. What is no version names one that nothing has.
func seenIn(header string) []int64 {
	if header == "" || header == "*" {
		return nil
	}
	var seen []int64
	for tag := range strings.SplitSeq(header, ",") {
		text, quoted := strings.CutPrefix(strings.TrimSpace(tag), `"`)
		version, err := strconv.ParseInt(strings.TrimSuffix(text, `"`), 10, 64)
		if !quoted || err != nil {
			version = 0
		}
		seen = append(seen, version)
	}
	return seen
}

// stale gives a decision about another version its answer.
func stale(what string, err error) error {
	if e, ok := errors.AsType[watch.StaleError](err); ok {
		return rest.Stale(what, e.Version)
	}
	return err
}
