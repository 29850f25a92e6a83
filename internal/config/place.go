package config

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"reeve/internal/ops"
)

// places knows where in a configuration file the keys stand.
type places struct {
	file string // "" for none
	root ast.Node
	// elsewhere are keys that the environment or the flags set.
	elsewhere map[string]bool
}

// placesOf reads where the keys of a valid text stand.
func placesOf(file string, text []byte) places {
	p := places{file: file, elsewhere: map[string]bool{}}
	// The text was read by another parser already: what this one does not
	// understand has no lines, and errors name the file alone.
	if tree, err := parser.ParseBytes(text, 0); err == nil && len(tree.Docs) > 0 {
		p.root = tree.Docs[0].Body
	}
	return p
}

// Because makes an error about a setting, such as detectors.fs_full.hold or
// channels[1].url, that names the file and the line where it stands: the line
// of what should hold it when it stands nowhere. Whatever err says is for
// people.
func (c Config) Because(key string, err error) error {
	if err == nil {
		return nil
	}
	message, fields := ops.Shown(err)
	if message == "" {
		message = err.Error()
	}
	kind := ops.KindOf(err)
	if kind == ops.Internal {
		kind = ops.Invalid
	}
	e := ops.Errorf(kind, "%s%s", c.places.prefix(key), message)
	e.Fields = fields
	return e
}

// prefix answers "reeve.yaml:12: " for a key, "" for one that the file does
// not have a part in.
func (p places) prefix(key string) string {
	if p.file == "" || p.elsewhere[key] {
		return ""
	}
	if line := lineOf(p.root, key); line > 0 {
		return fmt.Sprintf("%s:%d: ", p.file, line)
	}
	return p.file + ": "
}

// lineOf answers the line on which a key stands, or of the deepest part of it
// that is there; 0 for none.
func lineOf(node ast.Node, key string) int {
	line := 0
	for key != "" {
		next, rest, at := below(node, key)
		if next == nil {
			break
		}
		node, key, line = next, rest, at
	}
	return line
}

// below answers what a node has under the beginning of a key, the rest of the
// key, and the line.
func below(node ast.Node, key string) (next ast.Node, rest string, line int) {
	switch n := node.(type) {
	case *ast.AnchorNode:
		return below(n.Value, key)
	case *ast.TagNode:
		return below(n.Value, key)
	case *ast.MappingValueNode:
		if rest, ok := cutKey(key, n.Key.GetToken().Value); ok {
			return n.Value, rest, n.Key.GetToken().Position.Line
		}
	case *ast.MappingNode:
		for _, pair := range n.Values {
			if next, rest, line := below(pair, key); next != nil {
				return next, rest, line
			}
		}
	case *ast.SequenceNode:
		number, rest, ok := strings.Cut(strings.TrimPrefix(key, "["), "]")
		if i, err := strconv.Atoi(number); ok && err == nil && i >= 0 && i < len(n.Values) {
			return n.Values[i], strings.TrimPrefix(rest, "."), firstLine(n.Values[i])
		}
	}
	return nil, "", 0
}

// firstLine answers the line on which a value begins.
func firstLine(n ast.Node) int {
	switch n := n.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 && !n.IsFlowStyle {
			return firstLine(n.Values[0])
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken().Position.Line
	}
	return n.GetToken().Position.Line
}

// cutKey takes one name from the front of a key: "a" of "a.b", of "a[0]", and
// of "[a].b", which is how a decoder writes what a map holds.
func cutKey(key, name string) (rest string, ok bool) {
	if rest, ok := strings.CutPrefix(key, "["+name+"]"); ok {
		return strings.TrimPrefix(rest, "."), true
	}
	rest, ok = strings.CutPrefix(key, name)
	switch {
	case !ok || name == "":
		return "", false
	case rest == "" || rest[0] == '[':
		return rest, true
	}
	return strings.CutPrefix(rest, ".")
}

var lineInText = regexp.MustCompile(`^(?:yaml: )?(?:unmarshal errors: )?(?:line (\d+): )?`)

// syntaxError says what is no YAML in a text, and on which line.
func syntaxError(file string, text []byte, err error) error {
	message := oneLine(err)
	found := lineInText.FindStringSubmatch(message)
	message = message[len(found[0]):]
	line := found[1]
	if _, other := parser.ParseBytes(text, 0); other != nil {
		if e, ok := errors.AsType[yaml.Error](other); ok && e.GetToken() != nil {
			line = strconv.Itoa(e.GetToken().Position.Line)
		}
	}
	if line == "" {
		return ops.Errorf(ops.Invalid, "%s is not valid YAML: %s", file, message)
	}
	return ops.Errorf(ops.Invalid, "%s:%s: not valid YAML: %s", file, line, message)
}

// named is what the decoder's errors about one setting have.
type named interface {
	error
	Name() string
	Unwrap() error
}

// decodeErrors lists what the decoder found wrong, each with its place.
func (p places) decodeErrors(err error) []string {
	if e, ok := err.(named); ok {
		if deeper := p.decodeErrors(e.Unwrap()); len(deeper) > 0 {
			return deeper
		}
		return []string{fmt.Sprintf("%s%s: %s", p.prefix(e.Name()), e.Name(), oneLine(e.Unwrap()))}
	}
	var all []string
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			all = append(all, p.decodeErrors(one)...)
		}
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return p.decodeErrors(inner)
		}
	}
	return all
}
