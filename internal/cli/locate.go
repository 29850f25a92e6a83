package cli

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"reeve/internal/config"
	"reeve/internal/dial"
)

const systemData = "/var/lib/reeve"

// locate finds the server: what was named with flags or the environment, else
// the one of this machine, whose data folder says where it is.
func (s *session) locate() (dial.Place, error) {
	named := dial.Place{URL: first(s.url, s.env("REEVE_URL")), Token: first(s.token, s.env("REEVE_TOKEN")), Authority: s.authority}
	if named.URL != "" && named.Token != "" {
		named.Hint = "check the token given with --token or REEVE_TOKEN"
		return named, nil
	}
	local, data, err := s.local()
	if err != nil && named.URL == "" && named.Token == "" {
		return dial.Place{}, err
	}
	return dial.Join(named, local, data), nil
}

func first(texts ...string) string {
	i := slices.IndexFunc(texts, func(t string) bool { return t != "" })
	if i < 0 {
		return ""
	}
	return texts[i]
}

// local reads the client file of the server of this machine; a zero Place when
// there is none.
func (s *session) local() (dial.Place, string, error) {
	c, err := s.settings()
	if err != nil {
		return dial.Place{}, "", err
	}
	folders := []string{c.Data}
	if s.data == "" && s.env("REEVE_DATA") == "" && c.Data != systemData {
		folders = append(folders, systemData)
	}
	var failed error
	for _, folder := range folders {
		at, err := dial.ReadClient(filepath.Join(folder, dial.ClientFile))
		if err == nil {
			return at, folder, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			failed = err
		}
	}
	return dial.Place{}, c.Data, failed
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
