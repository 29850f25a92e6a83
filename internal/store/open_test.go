package store_test

import (
	"log/slog"
	"strings"
	"testing"

	"reeve/internal/ops"
	"reeve/internal/store"
)

func TestErrorsDoNotTellThePasswordOfTheDatabase(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://ann@127.0.0.1:1/reeve?password=tiger&sslmode=disable": "127.0.0.1:1/reeve",
		"postgres://ann:tiger@127.0.0.1:1/reeve?sslmode=disable":          "127.0.0.1:1/reeve",
		"mysql://ann@db/reeve?password=tiger":                             "mysql://redacted@db/reeve?password=redacted",
		"host=db user=ann password=tiger":                                 "neither sqlite:PATH nor",
		"ann:tiger@db/reeve":                                              "neither sqlite:PATH nor",
		"/var/lib/reeve.db":                                               "/var/lib/reeve.db",
	} {
		_, err := store.Open(t.Context(), slog.New(slog.DiscardHandler), store.Options{URL: url})
		if err == nil || strings.Contains(err.Error(), "tiger") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestADatabaseThatIsNotThereIsToldOnce(t *testing.T) {
	_, err := store.Open(t.Context(), slog.New(slog.DiscardHandler), store.Options{URL: "postgres://reeve:hidden@127.0.0.1:1/reeve"})
	if ops.KindOf(err) != ops.Unavailable || strings.Count(err.Error(), "connection refused") != 1 || strings.Contains(err.Error(), "hidden") {
		t.Fatal(err)
	}
}
