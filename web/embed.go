// Package web holds the page as it was built, and serves it: compressed as
// the browser likes it, with strong entity tags, cached for ever where the
// name holds a hash, and with index.html for every place inside the page.
// Building the page needs Node; building and testing this package does not.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed all:dist
var built embed.FS

// Policy is the content policy the page is built for: nothing inline, nothing
// from elsewhere.
const Policy = "default-src 'self'; base-uri 'self'; connect-src 'self'; form-action 'self'; " +
	"frame-ancestors 'none'; img-src 'self' data:; object-src 'none'"

const (
	index    = "index.html"
	baseMark = `<base href="/" />`
)

// Files answers the built page.
func Files() fs.FS {
	sub, err := fs.Sub(built, "dist")
	if err != nil {
		panic(err) // the directory is embedded: only a broken build gets here
	}
	return sub
}

// A form is one stored encoding of a file.
type form struct {
	encoding string // "" for the file as it is
	tag      string
	open     func() (io.ReadSeekCloser, error)
}

// An asset is a file of the page with its encodings, the best first.
type asset struct {
	mime  string
	cache string
	forms []form
}

type handler struct {
	base   string
	assets map[string]asset
}

// Handler serves the page below base, "/" or "/some/path/": requests keep
// their whole path.
func Handler(base string) (http.Handler, error) {
	base = "/" + strings.Trim(base, "/") + "/"
	if base == "//" {
		base = "/"
	}
	h := &handler{base: base, assets: map[string]asset{}}
	files := Files()
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || hidden(name) {
			return err
		}
		return h.take(files, name)
	})
	if err != nil {
		return nil, fmt.Errorf("read the built page: %w", err)
	}
	if err := h.placeIndex(files); err != nil {
		return nil, fmt.Errorf("read the built page: %w", err)
	}
	return h, nil
}

// hidden reports whether a built file is not served under its own name.
func hidden(name string) bool {
	ext := path.Ext(name)
	return ext == ".br" || ext == ".gz" || ext == ".sha256" || name == index
}

func (h *handler) take(files fs.FS, name string) error {
	a := asset{mime: mime.TypeByExtension(path.Ext(name)), cache: "no-cache"}
	if strings.HasPrefix(name, "assets/") {
		a.cache = "public, max-age=31536000, immutable"
	}
	for _, f := range []struct{ encoding, suffix string }{{"br", ".br"}, {"gzip", ".gz"}, {"", ""}} {
		stored := name + f.suffix
		if _, err := fs.Stat(files, stored); err != nil {
			continue
		}
		tag, err := tagOf(files, stored)
		if err != nil {
			return err
		}
		open := func() (io.ReadSeekCloser, error) { return openStored(files, stored) }
		a.forms = append(a.forms, form{encoding: f.encoding, tag: tag, open: open})
	}
	h.assets[name] = a
	return nil
}

// placeIndex writes the base into index.html, which every other address in
// the page is relative to.
func (h *handler) placeIndex(files fs.FS) error {
	plain, err := fs.ReadFile(files, index)
	if err != nil {
		return err
	}
	if !bytes.Contains(plain, []byte(baseMark)) {
		return fmt.Errorf("%s has no %s", index, baseMark)
	}
	plain = bytes.Replace(plain, []byte(baseMark), []byte(`<base href="`+html.EscapeString(h.base)+`" />`), 1)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write(plain) // a buffer takes every write
	w.Close()
	a := asset{mime: "text/html; charset=utf-8", cache: "no-cache"}
	for _, f := range []struct {
		encoding string
		content  []byte
	}{{"gzip", packed.Bytes()}, {"", plain}} {
		sum := sha256.Sum256(f.content)
		a.forms = append(a.forms, form{encoding: f.encoding, tag: quote(sum[:]), open: func() (io.ReadSeekCloser, error) {
			return inMemory{bytes.NewReader(f.content)}, nil
		}})
	}
	h.assets[index] = a
	return nil
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the page is only read", http.StatusMethodNotAllowed)
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, h.base)
	if !ok {
		if r.URL.Path+"/" == h.base {
			http.Redirect(w, r, h.base, http.StatusPermanentRedirect)
			return
		}
		http.NotFound(w, r)
		return
	}
	a, ok := h.assets[name]
	if !ok {
		if !isPlace(name) {
			http.NotFound(w, r)
			return
		}
		name, a = index, h.assets[index]
	}
	h.send(w, r, name, a)
}

// isPlace reports whether a path that is no file can be a place inside the
// page, as opposed to a file that is not there.
func isPlace(name string) bool {
	if strings.HasPrefix(name, "assets/") || strings.HasPrefix(name, "api/") {
		return false
	}
	switch path.Ext(name) {
	case ".js", ".css", ".map", ".svg", ".png", ".ico", ".txt", ".xml", ".json", ".woff2", ".br", ".gz", ".sha256", ".php":
		return false
	}
	return true
}

func (h *handler) send(w http.ResponseWriter, r *http.Request, name string, a asset) {
	f := choose(a.forms, r.Header.Get("Accept-Encoding"))
	content, err := f.open()
	if err != nil {
		http.Error(w, "the page cannot be read", http.StatusInternalServerError)
		return
	}
	defer content.Close()
	head := w.Header()
	head.Set("Content-Type", a.mime)
	head.Set("Cache-Control", a.cache)
	head.Set("Etag", f.tag)
	head.Set("Vary", "Accept-Encoding")
	head.Set("X-Content-Type-Options", "nosniff")
	if name == index {
		head.Set("Content-Security-Policy", Policy)
		head.Set("Referrer-Policy", "same-origin")
	}
	if f.encoding != "" {
		head.Set("Content-Encoding", f.encoding)
	}
	http.ServeContent(w, r, name, time.Time{}, content)
}

// choose picks the first stored form that the browser accepts; every asset
// has a plain one at the end.
func choose(forms []form, accept string) form {
	for _, f := range forms {
		if f.encoding == "" || accepts(accept, f.encoding) {
			return f
		}
	}
	return forms[len(forms)-1]
}

// accepts reports whether an Accept-Encoding header names an encoding without
// refusing it.
func accepts(header, encoding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), encoding) {
			continue
		}
		q := strings.ReplaceAll(strings.ToLower(params), " ", "")
		return !strings.HasPrefix(q, "q=0") || strings.Trim(q[3:], ".0") != ""
	}
	return false
}

func tagOf(files fs.FS, name string) (string, error) {
	f, err := files.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return quote(sum.Sum(nil)), nil
}

func quote(sum []byte) string { return `"` + hex.EncodeToString(sum[:12]) + `"` }

// openStored opens an embedded file, which is read where it lies in the
// binary.
func openStored(files fs.FS, name string) (io.ReadSeekCloser, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	s, ok := f.(io.ReadSeekCloser)
	if !ok {
		return nil, fmt.Errorf("%s cannot be sought in", name)
	}
	return s, nil
}

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }
