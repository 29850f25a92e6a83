package patrol

import (
	"strings"
	"testing"

	"reeve/internal/llm"
	"reeve/internal/ops"
	"reeve/test/storetest"
)

// comforts say in several languages that all is well.
var comforts = []string{
	"Everything is resolved.", "All is well.", "Alles ist gelöst.", "Es gibt keine Probleme mehr.", "Alles in Ordnung, keine weiteren Fehler.", "Tout est résolu.",
	"Il n'y a plus aucun problème.", "Todo está resuelto.", "No hay ningún problema.", "Tutto è risolto, nessun problema.", "Está tudo resolvido.",
	"Alles is opgelost.", "Er zijn geen problemen.", "Wszystko jest w porządku.", "Všechno je v pořádku.", "Allt är löst.", "Her şey yolunda.",
	"Все проблемы решены.", "一切都解决了。", "すべて解決しました。", "모든 문제가 해결되었습니다.", "كل شيء على ما يرام.", "Όλα είναι εντάξει.",
}

// While detectors see problems no run ends with the words of a model that
// there are none, in whatever language.
func TestComfortInAnyLanguageIsStruck(t *testing.T) {
	for _, words := range comforts {
		st := storetest.SQLite(t)
		p := newPatrol(t, st, withModel(script([]llm.Part{say(words)})))
		troubled(t, st)
		r := patrolled(t, p)
		if strings.Contains(r.Summary, "The model adds") {
			t.Errorf("%q is told: %s", words, r.Summary)
		}
		if r.Health != ops.RunCritical || len(r.Detail.Rejected) == 0 {
			t.Errorf("%q: %s, %+v", words, r.Health, r.Detail.Rejected)
		}
	}
}

func TestPlainEnglishIsHeard(t *testing.T) {
	for _, s := range []string{
		"The shop ends because its configuration is missing.", "The host is busy; nothing else stands out.", "Both problems have the same cause: the volume filled.",
		"Look at the log of the container first.", "The rise began after the image changed.", "It fills since the new image was started.",
	} {
		if !english(s) {
			t.Errorf("%q is taken for another language", s)
		}
	}
}
