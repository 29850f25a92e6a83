// Package arch keeps the architecture true: who may import whom, how large
// things may be, what may be called where, and that catalogue files stay
// islands. A rule worth saying twice is a test here.
package arch

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "reeve"

// layers, lowest first. A package imports only from lines above its own;
// packages on one line are strangers. A package that is not here fails: a new
// one is a decision.
var layers = []string{
	"catalog flow linkpb loop redact resident schema tokens",
	"ops",
	"authority collect correlate detect evidence gate glyph learn reach release tool verb workload",
	"brief", // tells in words what the other pure packages found
	"pki",
	"approver command config containers dial probe journal journald link llm secret sockdiag store tsdb",
	"turn",
	"act assist fleet gather ingest investigate knowledge notify patrol perform plan reconcile watch",
	"actions channels collectors connectors detectors drivers tools",
	"rest term",          // what routes are made of; a terminal
	"client show signin", // a server and its things, as people at a terminal mean and see them; who may ask
	"agent",              // joins the parts on a host
	"agentcli",
	"api cli mcp tui",
	"app",
}

var (
	catalogues = []string{"actions", "channels", "collectors", "connectors", "detectors", "drivers", "tools"}
	pure       = strings.Fields("catalog flow redact schema tokens ops reach authority brief collect correlate detect evidence gate glyph learn release tool verb workload")
	onHosts    = strings.Fields("agent agentcli collect collectors drivers gather journal journald link perform verb actions containers probe resident")
)

// A file is one parsed Go file of the repository.
type file struct {
	rel  string // from the root, with slashes
	pkg  string // below internal/, or the folder
	test bool
	src  []byte
	ast  *ast.File
	fset *token.FileSet
}

func (f file) imports() []string {
	var all []string
	for _, i := range f.ast.Imports {
		all = append(all, strings.Trim(i.Path.Value, `"`))
	}
	return all
}

// files reads every Go file below the root once, but for what protoc writes.
func files(t *testing.T) []file {
	t.Helper()
	root := filepath.Join("..", "..")
	fset := token.NewFileSet()
	var all []file
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "node_modules" || name == "third_party" || name == "testdata" || (strings.HasPrefix(name, ".") && len(name) > 2)) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, ".pb.go") || strings.HasSuffix(p, ".connect.go") {
			return nil
		}
		src, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		tree, err := parser.ParseFile(fset, p, src, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		rel = filepath.ToSlash(rel)
		pkg := strings.TrimPrefix(path.Dir(rel), "internal/")
		all = append(all, file{rel: rel, pkg: pkg, test: strings.HasSuffix(rel, "_test.go"), src: src, ast: tree, fset: fset})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func level(pkg string) (int, bool) {
	for i, line := range layers {
		if slices.Contains(strings.Fields(line), pkg) {
			return i, true
		}
	}
	return 0, false
}

func TestLayers(t *testing.T) {
	for _, f := range files(t) {
		if !strings.HasPrefix(f.rel, "internal/") {
			continue
		}
		from, ok := level(f.pkg)
		if !ok {
			t.Errorf("%s: package %s is on no line: add it to layers in this test", f.rel, f.pkg)
			continue
		}
		if f.test {
			continue
		}
		for _, imp := range f.imports() {
			to, ours := strings.CutPrefix(imp, module+"/internal/")
			if !ours || to == f.pkg {
				continue
			}
			if at, _ := level(to); at >= from {
				t.Errorf("%s: %s may not import %s: a package imports only from lines above its own", f.rel, f.pkg, to)
			}
		}
	}
}

// TestLayersAreDocumented wants every package in its order in the table of
// docs/ARCHITECTURE.md.
func TestLayersAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "## Layers")
	table, _, _ = strings.Cut(table, "A package imports only")
	for _, pkg := range strings.Fields(strings.Join(layers, " ")) {
		var found bool
		if _, table, found = strings.Cut(table, pkg); !found {
			t.Errorf("the layers in docs/ARCHITECTURE.md do not have %s, or not at its place", pkg)
		}
	}
}

// banned imports, each with who may and why nobody else.
var banned = []struct {
	path   string // an import path, or a prefix that ends in /
	except []string
	why    string
}{
	{"database/sql", []string{"store"}, "SQL lives in package store"},
	{"os/exec", []string{"command"}, "programs are started by package command, from a closed list, without a shell"},
	{"text/template", nil, "executing a template makes the linker keep every exported method: 41 MB"},
	{"html/template", nil, "executing a template makes the linker keep every exported method: 41 MB"},
	{"github.com/prometheus/prometheus/", []string{"tsdb"}, "the metrics engine is behind package tsdb"},
	{"github.com/jackc/pgx/", []string{"store"}, "the databases are behind package store"},
	{"modernc.org/sqlite", []string{"store"}, "the databases are behind package store"},
	{"github.com/pressly/goose/", []string{"store"}, "the databases are behind package store"},
	{"github.com/moby/moby/", []string{"containers", "collectors"}, "container engines are behind their collectors"},
	{"github.com/anthropics/anthropic-sdk-go/", []string{"llm"}, "language models are behind package llm"},
	{"github.com/sashabaranov/go-openai", []string{"llm"}, "language models are behind package llm"},
	{"google.golang.org/genai", []string{"llm"}, "language models are behind package llm"},
	{"github.com/spf13/cobra", []string{"cli", "agentcli"}, "the command lines are packages cli and agentcli"},
	{"github.com/knadh/koanf/", []string{"config"}, "configuration is package config"},
	{"github.com/danielgtaylor/huma/", nil, "routes are made with package rest"},
	{"github.com/nicholas-fedor/shoutrrr", []string{"channels"}, "channels send"},
	{"connectrpc.com/", []string{"link"}, "the protocol of agents is behind package link"},
	{"github.com/hashicorp/yamux", []string{"link"}, "the protocol of agents is behind package link"},
	{"github.com/coder/websocket", []string{"link"}, "the protocol of agents is behind package link"},
	{"filippo.io/age", []string{"secret"}, "sealing is package secret"},
	{"log", nil, "log with the injected slog.Logger"},
	{"math/rand", nil, "use math/rand/v2, or crypto/rand for what must not be guessed"},
	{"reflect", []string{"schema", "config", "notify", "rest", "api"}, "reflection is for reading struct tags"},
}

func TestBannedImports(t *testing.T) {
	for _, f := range files(t) {
		if f.test || !strings.HasPrefix(f.rel, "internal/") {
			continue
		}
		for _, imp := range f.imports() {
			for _, b := range banned {
				hit := imp == b.path || strings.HasSuffix(b.path, "/") && strings.HasPrefix(imp+"/", b.path)
				if hit && !slices.Contains(b.except, f.pkg) {
					t.Errorf("%s: may not import %s: %s", f.rel, imp, b.why)
				}
			}
		}
	}
}

func TestPureAndHostPackagesStayAway(t *testing.T) {
	for _, f := range files(t) {
		if f.test || !strings.HasPrefix(f.rel, "internal/") {
			continue
		}
		for _, imp := range f.imports() {
			if slices.Contains(pure, f.pkg) && f.rel != "internal/collect/env.go" && slices.Contains([]string{"net", "net/http", "os", "database/sql"}, imp) {
				t.Errorf("%s: pure code may not import %s", f.rel, imp)
			}
			if slices.Contains(onHosts, f.pkg) && slices.Contains([]string{"reeve/internal/store", "reeve/internal/tsdb", "reeve/internal/llm"}, imp) {
				t.Errorf("%s: runs on hosts and may not import %s", f.rel, imp)
			}
		}
	}
}

// bannedCalls are calls of a package's function, with where they may stand.
var bannedCalls = []struct {
	pkg, name string
	in        func(file) bool
	why       string
}{
	{"time", "Now", func(f file) bool { return slices.Contains(pure, f.pkg) && f.rel != "internal/ops/id.go" }, "pure code takes now"},
	{"time", "Sleep", func(f file) bool { return true }, "wait for what you wait for; poll with a timer or a channel"},
	{"os", "Exit", func(f file) bool { return strings.HasPrefix(f.rel, "internal/") }, "answer an error; only main exits"},
	{"fmt", "Println", func(f file) bool { return strings.HasPrefix(f.rel, "internal/") }, "write to the writer that was handed in"},
	{"fmt", "Printf", func(f file) bool { return strings.HasPrefix(f.rel, "internal/") }, "write to the writer that was handed in"},
}

func TestBannedCalls(t *testing.T) {
	for _, f := range files(t) {
		if f.test || strings.HasPrefix(f.rel, "test/") || strings.HasPrefix(f.rel, "bench/") {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if fn, ok := n.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: init functions hide order; use a package variable", f.rel)
			}
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			if !ok || x.Obj != nil {
				return true
			}
			for _, b := range bannedCalls {
				if x.Name == b.pkg && sel.Sel.Name == b.name && b.in(f) {
					t.Errorf("%s: may not call %s.%s: %s", f.fset.Position(call.Pos()), b.pkg, b.name, b.why)
				}
			}
			return true
		})
	}
}

func TestPackageComments(t *testing.T) {
	has := map[string]bool{}
	for _, f := range files(t) {
		if f.test {
			continue
		}
		has[f.pkg] = has[f.pkg] || f.ast.Doc != nil
	}
	for pkg, ok := range has {
		if !ok {
			t.Errorf("package %s has no package comment", pkg)
		}
	}
}

// TestSQLIsPortable refuses the forms that only one database
// knows.
func TestSQLIsPortable(t *testing.T) {
	for _, f := range files(t) {
		if f.pkg != "store" || f.test || f.rel == "internal/store/open.go" || f.rel == "internal/store/maintain.go" {
			continue
		}
		for _, word := range []string{"now()", "SKIP LOCKED", "= ANY(", "greatest(", "->>", "json_extract", "datetime("} {
			if bytes.Contains(f.src, []byte(word)) {
				t.Errorf("%s: %q is not in both databases' SQL", f.rel, word)
			}
		}
	}
}
