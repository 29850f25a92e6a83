package arch

import (
	"bytes"
	"go/ast"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	minCorpus       = 3
	maxCorpus       = 40
	maxCorpusBytes  = 16 << 10
	corpusFirstLine = "go test fuzz v1\n"
)

var top = filepath.Join("..", "..")

// TestFuzzersHaveACorpus: what a fuzzer found once, every run of the tests
// tries again, so each keeps a few small inputs beside it. Crashers are kept
// there too.
func TestFuzzersHaveACorpus(t *testing.T) {
	corpora := map[string]bool{}
	for _, f := range files(t) {
		if !f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Fuzz") {
				continue
			}
			dir := filepath.Join(filepath.Dir(f.rel), "testdata", "fuzz", fn.Name.Name)
			corpora[dir] = true
			checkCorpus(t, dir)
		}
	}
	kept, err := filepath.Glob(filepath.Join(top, "*", "*", "testdata", "fuzz", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range kept {
		if rel, err := filepath.Rel(top, path); err != nil || !corpora[rel] {
			t.Errorf("%s is of a fuzzer that is gone", rel)
		}
	}
}

func checkCorpus(t *testing.T, dir string) {
	t.Helper()
	inputs, err := os.ReadDir(filepath.Join(top, dir))
	if len(inputs) < minCorpus || len(inputs) > maxCorpus {
		t.Errorf("%s holds %d inputs (%v); run the fuzzer for some seconds and keep %d to %d small ones", dir, len(inputs), err, minCorpus, maxCorpus)
	}
	for _, input := range inputs {
		text, err := os.ReadFile(filepath.Join(top, dir, input.Name()))
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.HasPrefix(text, []byte(corpusFirstLine)) || len(text) > maxCorpusBytes {
			t.Errorf("%s/%s is no input of a fuzzer, or has more than %d bytes", dir, input.Name(), maxCorpusBytes)
		}
	}
}
