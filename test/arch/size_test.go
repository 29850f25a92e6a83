package arch

import (
	"bytes"
	"go/ast"
	"slices"
	"strings"
	"testing"
)

const (
	maxFileLines    = 500
	maxTestLines    = 800
	maxFuncLines    = 70
	maxPackageFiles = 25
	maxPackageLines = 6000
	maxParameters   = 6
	maxMethods      = 5
	maxNesting      = 4
)

// longFuncs may be longer: one straight list each.
var longFuncs = []string{"app.New"}

func TestSizes(t *testing.T) {
	packageFiles, packageLines := map[string]int{}, map[string]int{}
	for _, f := range files(t) {
		lines := bytes.Count(f.src, []byte("\n"))
		limit := maxFileLines
		if f.test {
			limit = maxTestLines
		}
		if lines > limit {
			t.Errorf("%s has %d lines; split it by noun or step at %d", f.rel, lines, limit)
		}
		if !f.test && !slices.Contains(catalogues, f.pkg) {
			packageFiles[f.pkg]++
			packageLines[f.pkg] += lines
		}
		if !f.test {
			checkShapes(t, f)
		}
	}
	for pkg, n := range packageFiles {
		if n > maxPackageFiles && packageLines[pkg] > maxPackageLines || n > 2*maxPackageFiles {
			t.Errorf("package %s has %d files and %d lines; limits are %d and %d", pkg, n, packageLines[pkg], maxPackageFiles, maxPackageLines)
		}
	}
}

func checkShapes(t *testing.T, f file) {
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			name := f.pkg + "." + n.Name.Name
			if n.Body == nil {
				return true
			}
			length := f.fset.Position(n.End()).Line - f.fset.Position(n.Pos()).Line + 1
			if length > maxFuncLines && !slices.Contains(longFuncs, name) {
				t.Errorf("%s: %s has %d lines; the limit is %d", f.rel, n.Name.Name, length, maxFuncLines)
			}
			if p := n.Type.Params.NumFields(); p > maxParameters {
				t.Errorf("%s: %s takes %d parameters; over %d make a struct", f.rel, n.Name.Name, p, maxParameters)
			}
			if d := depth(n.Body, 0); d > maxNesting {
				t.Errorf("%s: %s nests %d deep; the limit is %d", f.rel, n.Name.Name, d, maxNesting)
			}
		case *ast.InterfaceType:
			if n.Methods.NumFields() > maxMethods {
				t.Errorf("%s: an interface has %d methods; the limit is %d", f.rel, n.Methods.NumFields(), maxMethods)
			}
		}
		return true
	})
}

// depth answers how deep statements nest: if, for, switch and select count, a
// case and an else-if do not count again, and a function literal starts anew.
func depth(n ast.Node, at int) int {
	deepest := at
	visit := func(child ast.Node, level int) {
		if child != nil {
			deepest = max(deepest, depth(child, level))
		}
	}
	switch n := n.(type) {
	case *ast.BlockStmt:
		if n == nil {
			return at
		}
		for _, s := range n.List {
			visit(s, at)
		}
	case *ast.IfStmt:
		visit(n.Body, at+1)
		if elseIf, ok := n.Else.(*ast.IfStmt); ok {
			visit(elseIf, at)
		} else if n.Else != nil {
			visit(n.Else, at+1)
		}
	case *ast.ForStmt:
		visit(n.Body, at+1)
	case *ast.RangeStmt:
		visit(n.Body, at+1)
	case *ast.SwitchStmt:
		visit(n.Body, at+1)
	case *ast.TypeSwitchStmt:
		visit(n.Body, at+1)
	case *ast.SelectStmt:
		visit(n.Body, at+1)
	case *ast.CaseClause:
		for _, s := range n.Body {
			visit(s, at)
		}
	case *ast.CommClause:
		for _, s := range n.Body {
			visit(s, at)
		}
	case *ast.LabeledStmt:
		visit(n.Stmt, at)
	}
	return deepest
}

// TestIslands refuses that one catalogue file uses a name of another, except
// of the file named after the package.
func TestIslands(t *testing.T) {
	for _, pkg := range catalogues {
		home, uses := map[string]string{}, map[string][]string{}
		for _, f := range files(t) {
			if f.pkg != pkg || f.test {
				continue
			}
			for _, name := range declared(f.ast) {
				home[name] = f.rel
			}
			for _, id := range f.ast.Unresolved {
				uses[f.rel] = append(uses[f.rel], id.Name)
			}
		}
		shared := "internal/" + pkg + "/" + pkg + ".go"
		for rel, names := range uses {
			for _, n := range slices.Compact(slices.Sorted(slices.Values(names))) {
				if h := home[n]; h != "" && h != rel && h != shared {
					t.Errorf("%s uses %s of %s: a catalogue file is an island", rel, n, h)
				}
			}
		}
	}
}

func declared(f *ast.File) []string {
	var names []string
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				names = append(names, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					names = append(names, s.Name.Name)
				case *ast.ValueSpec:
					for _, n := range s.Names {
						names = append(names, n.Name)
					}
				}
			}
		}
	}
	return slices.DeleteFunc(names, func(n string) bool { return n == "_" || strings.HasPrefix(n, "Test") })
}
