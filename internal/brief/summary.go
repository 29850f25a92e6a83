package brief

import (
	"fmt"
	"strings"

	"reeve/internal/ops"
)

// Summary tells in a few sentences what a run found, without a model, and how
// healthy what it looked at is. Healthy is said only when everything was
// collected, something was looked at, and nothing is open.
func Summary(items []ops.RunItem, counts map[ops.Kind]int64, complete bool) (text string, health ops.RunHealth) {
	tally := map[string]int64{}
	var critical, warning, looked int64
	for _, i := range items {
		tally[i.News]++
		switch {
		case i.News == Cleared || i.FindingID == "":
		case i.Severity == ops.Critical:
			critical++
		default:
			warning++
		}
	}
	for _, n := range counts {
		looked += n
	}
	health = healthOf(critical, warning, complete && looked > 0)
	said := []string{opening(critical, warning, looked)}
	if news := newsText(tally); news != "" {
		said = append(said, news)
	}
	if len(items) > 0 && critical+warning > 0 {
		said = append(said, fmt.Sprintf("Most important: %s (%s).", items[0].What, items[0].Place))
	}
	switch {
	case looked == 0:
		said = append(said, "So nothing can be said of how things are.")
	case !complete:
		said = append(said, "Not everything was collected: what was not seen may be worse than this.")
	}
	return strings.Join(said, " "), health
}

func healthOf(critical, warning int64, sure bool) ops.RunHealth {
	switch {
	case critical > 0:
		return ops.RunCritical
	case warning > 0:
		return ops.RunIssues
	case !sure:
		return ops.RunInconclusive
	}
	return ops.RunHealthy
}

func opening(critical, warning, looked int64) string {
	where := plural(looked, "resource") + " looked at"
	switch n := critical + warning; {
	case looked == 0 && n == 0:
		return "There was nothing to look at."
	case n == 0:
		return "No problem was found: " + where + "."
	case critical == 0:
		return fmt.Sprintf("%s, none critical; %s.", plural(n, "problem"), where)
	case warning == 0:
		return fmt.Sprintf("%s, critical; %s.", plural(n, "problem"), where)
	default:
		return fmt.Sprintf("%s, %d critical; %s.", plural(n, "problem"), critical, where)
	}
}

func newsText(tally map[string]int64) string {
	var parts []string
	for _, x := range []struct{ news, text string }{
		{New, "%d new"}, {Worse, "%d worse than before"}, {Known, "%d known"}, {Forecast, "%d to come"}, {Cleared, "%d over since"},
	} {
		if n := tally[x.news]; n > 0 {
			parts = append(parts, fmt.Sprintf(x.text, n))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "Of these " + strings.Join(parts, ", ") + "."
}
