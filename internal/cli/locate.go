package cli

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"reeve/internal/config"
)

const (
	defaultURL  = "http://127.0.0.1:7433"
	systemData  = "/var/lib/reeve"
	clientFile  = "client.json" // written by the server for whoever may read its data
	localCA     = "tls/ca.crt"
	maxFileSize = 1 << 16
)

// A place is where a server is and how to be let in.
type place struct {
	url, token, hint, authority string
}

// locate finds the server: what was named with flags or the environment, else
// the one of this machine, whose data folder says where it is.
func (s *session) locate() (place, error) {
	named := place{url: first(s.url, s.env("REEVE_URL")), token: first(s.token, s.env("REEVE_TOKEN")), authority: s.authority}
	if named.url != "" && named.token != "" {
		named.hint = "check the token given with --token or REEVE_TOKEN"
		return named, nil
	}
	local, data, err := s.local()
	if err != nil && named.url == "" && named.token == "" {
		return place{}, err
	}
	return join(named, local, data), nil
}

// join fills what was not named with what the data folder says. Its token is
// only for its own server.
func join(named, local place, data string) place {
	at := named
	at.url = first(at.url, local.url, defaultURL)
	at.hint = "check the token given with --token or REEVE_TOKEN"
	if at.token == "" {
		at.hint = "name a token with --token or REEVE_TOKEN, or name the server's data folder with --data"
		if local.token != "" && sameServer(at.url, local.url) {
			at.token, at.hint = local.token, "the token in "+filepath.Join(data, clientFile)+" belongs to another server; name the right data folder with --data"
		}
	}
	if ca := filepath.Join(data, localCA); at.authority == "" && data != "" && isFile(ca) {
		at.authority = ca
	}
	return at
}

func first(texts ...string) string {
	i := slices.IndexFunc(texts, func(t string) bool { return t != "" })
	if i < 0 {
		return ""
	}
	return texts[i]
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func sameServer(a, b string) bool {
	ua, errA := url.Parse(a)
	ub, errB := url.Parse(b)
	return errA == nil && errB == nil && ua.Scheme == ub.Scheme && ua.Host == ub.Host
}

// local reads the client file of the server of this machine; a zero place when
// there is none.
func (s *session) local() (place, string, error) {
	c, err := s.settings()
	if err != nil {
		return place{}, "", err
	}
	folders := []string{c.Data}
	if s.data == "" && s.env("REEVE_DATA") == "" && c.Data != systemData {
		folders = append(folders, systemData)
	}
	var failed error
	for _, folder := range folders {
		at, err := readClient(filepath.Join(folder, clientFile))
		if err == nil {
			return at, folder, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			failed = err
		}
	}
	return place{}, c.Data, failed
}

func readClient(path string) (place, error) {
	info, err := os.Stat(path)
	if err != nil && errors.Is(err, fs.ErrNotExist) {
		return place{}, err
	}
	var text []byte
	if err == nil && info.Size() <= maxFileSize {
		text, err = os.ReadFile(path)
	}
	if errors.Is(err, fs.ErrPermission) {
		return place{}, errors.New("the server of this machine belongs to somebody else: " + path + " cannot be read; use sudo, or give --url and --token")
	}
	var c struct{ URL, Token string }
	if err != nil || json.Unmarshal(text, &c) != nil || c.URL == "" {
		return place{}, errors.New(path + " cannot be understood; a start of `reeve up` writes it again")
	}
	return place{url: c.URL, token: c.Token}, nil
}

// settings reads the configuration as a server started here would.
func (s *session) settings() (config.Config, error) {
	c, _, err := config.Load(s.sources())
	return c, err
}

func (s *session) sources() config.Sources {
	flags := map[string]string{}
	if s.data != "" {
		flags["data"] = s.data
	}
	return config.Sources{File: s.configFile, Env: s.program.Env, Flags: flags}
}

// serverName answers where the answers come from, for headings.
func (c *client) serverName() string {
	return strings.TrimPrefix(strings.TrimPrefix(c.base, "http://"), "https://")
}
