package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sources is what decides how dist looks; stamp.ts has the same list.
var sources = []string{
	"src", "public", "index.html", "package.json", "package-lock.json",
	"vite.config.ts", "stamp.ts", "tsconfig.json", "svelte.config.js",
}

func TestBuiltPageIsFresh(t *testing.T) {
	var names []string
	for _, s := range sources {
		err := filepath.WalkDir(s, func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				names = append(names, filepath.ToSlash(name))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(names)
	whole := sha256.New()
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(whole, "%x  %s\n", sha256.Sum256(content), name)
	}
	stamped, err := fs.ReadFile(Files(), "source.sha256")
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(whole.Sum(nil)); got != strings.TrimSpace(string(stamped)) {
		t.Fatalf("web/dist was built from other sources; run: cd web && npm ci && npm run build\nsources %s\ndist    %s", got, stamped)
	}
}

// TestPageStaysSmall: what the first look waits for, what a page adds that
// comes when somebody goes there, and all of them together.
func TestPageStaysSmall(t *testing.T) {
	const first, one, all = 72 << 10, 32 << 10, 200 << 10
	_, index := fetch(t, "/", "/")
	var early, sum int64
	for _, name := range scripts(t) {
		info, err := fs.Stat(Files(), name+".gz")
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
		switch {
		case bytes.Contains(index, []byte(`"./`+name+`"`)):
			early += info.Size()
		case info.Size() > one:
			t.Errorf("%s is %d bytes compressed, over %d", name, info.Size(), one)
		}
	}
	if early == 0 || early > first {
		t.Errorf("the first look needs %d bytes of scripts compressed, over %d", early, first)
	}
	if sum > all {
		t.Errorf("the scripts are %d bytes compressed, over %d", sum, all)
	}
}

// fetch asks a real server and leaves the encoding to the test.
func fetch(t *testing.T, base, path string, header ...string) (*http.Response, []byte) {
	t.Helper()
	h, err := Handler(base)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	req, err := http.NewRequest(http.MethodGet, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

func scripts(t *testing.T) []string {
	t.Helper()
	names, err := fs.Glob(Files(), "assets/*.js")
	if err != nil || len(names) == 0 {
		t.Fatalf("no script in dist: %v", err)
	}
	return names
}

func TestScriptsAreServedAsTheBrowserLikesThem(t *testing.T) {
	for _, script := range scripts(t) {
		for _, c := range []struct{ accept, encoding string }{
			{"gzip, deflate, br, zstd", "br"}, {"gzip", "gzip"}, {"", ""}, {"br;q=0, gzip;q=0.5", "gzip"}, {"br;q=0.0", ""},
		} {
			resp, body := fetch(t, "/", "/"+script, "Accept-Encoding", c.accept)
			if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Encoding") != c.encoding || len(body) == 0 {
				t.Errorf("%s, Accept-Encoding %q: status %d, encoding %q, %d bytes", script, c.accept, resp.StatusCode, resp.Header.Get("Content-Encoding"), len(body))
			}
			if !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") || resp.Header.Get("Vary") != "Accept-Encoding" {
				t.Errorf("%s: cache headers: %v", script, resp.Header)
			}
			if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/javascript") {
				t.Errorf("%s: content type %q", script, resp.Header.Get("Content-Type"))
			}
		}
	}
}

// TestScriptsFindEachOther: below any base, what one script loads is there.
func TestScriptsFindEachOther(t *testing.T) {
	named := regexp.MustCompile("(?:from|import|import\\()[\"`']\\./([^\"`']+\\.js)")
	for _, script := range scripts(t) {
		text, err := fs.ReadFile(Files(), script)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllSubmatch(text, -1) {
			if resp, _ := fetch(t, "/ops/reeve", "/ops/reeve/assets/"+string(m[1])); resp.StatusCode != http.StatusOK {
				t.Errorf("%s loads %s: status %d", script, m[1], resp.StatusCode)
			}
		}
	}
}

func TestEntityTagsAreStrongAndDifferByEncoding(t *testing.T) {
	name := "/" + scripts(t)[0]
	br, _ := fetch(t, "/", name, "Accept-Encoding", "br")
	gz, _ := fetch(t, "/", name, "Accept-Encoding", "gzip")
	tag := br.Header.Get("Etag")
	if !strings.HasPrefix(tag, `"`) || tag == gz.Header.Get("Etag") {
		t.Fatalf("tags %q and %q", tag, gz.Header.Get("Etag"))
	}
	again, body := fetch(t, "/", name, "Accept-Encoding", "br", "If-None-Match", tag)
	if again.StatusCode != http.StatusNotModified || len(body) != 0 {
		t.Fatalf("status %d with %d bytes for a known tag", again.StatusCode, len(body))
	}
}

func TestEveryPlaceIsTheIndex(t *testing.T) {
	for _, path := range []string{"/", "/index.html", "/incidents", "/incidents/inc_1", "/signin?token=x", "/resources/res_1", "/checks/web.example"} {
		resp, body := fetch(t, "/", path)
		if resp.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(`<div id="app">`)) {
			t.Errorf("%s: status %d", path, resp.StatusCode)
		}
		if resp.Header.Get("Cache-Control") != "no-cache" || resp.Header.Get("Content-Security-Policy") != Policy {
			t.Errorf("%s: headers %v", path, resp.Header)
		}
	}
}

func TestMissingFilesAndDirectoriesAreNotFound(t *testing.T) {
	for _, path := range []string{"/assets/", "/assets/index-old.js", "/favicon.ico", "/source.sha256", "/index.html.gz", "/api/v1/status", "/assets/../embed.go"} {
		if resp, _ := fetch(t, "/", path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, resp.StatusCode)
		}
	}
}

func TestBaseIsWrittenIntoTheIndex(t *testing.T) {
	resp, body := fetch(t, "/ops/reeve", "/ops/reeve/hosts", "Accept-Encoding", "gzip")
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || !bytes.Contains(plain, []byte(`<base href="/ops/reeve/" />`)) {
		t.Fatalf("status %d: %s", resp.StatusCode, plain)
	}
	if resp, _ := fetch(t, "/ops/reeve", "/ops/reeve"); resp.Header.Get("Location") != "/ops/reeve/" {
		t.Errorf("the base without its slash: %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	if resp, _ := fetch(t, "/ops/reeve", "/hosts"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("outside the base: status %d", resp.StatusCode)
	}
}

func TestIndexNeedsNothingInlineOrFromElsewhere(t *testing.T) {
	_, body := fetch(t, "/", "/")
	for _, bad := range []string{`<style`, `style="`, `onload=`, `http://`, `https://`} {
		if bytes.Contains(body, []byte(bad)) {
			t.Errorf("index.html holds %q", bad)
		}
	}
	for _, s := range regexp.MustCompile(`<script[^>]*>`).FindAll(body, -1) {
		if !bytes.Contains(s, []byte("src=")) {
			t.Errorf("inline script %s", s)
		}
	}
}

func TestOnlyReadsAreAnswered(t *testing.T) {
	h, err := Handler("/")
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/", nil))
	if rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") == "" {
		t.Fatalf("POST: status %d", rec.Code)
	}
}
