package client

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"reeve/internal/config"
	"reeve/internal/dial"
)

const systemData = "/var/lib/reeve"

// Options name a server: by its address, or by what a server of this machine
// was started with. All of them may be left out.
type Options struct {
	URL, Token, Authority string
	Data, ConfigFile      string
	Env                   []string // the environment, which may name them too
}

// Variable answers a variable of the environment, "" for one that is not set.
func (o *Options) Variable(name string) string {
	value := ""
	for _, e := range o.Env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}

// named answers what names the server by its address.
func (o *Options) named() dial.Place {
	return dial.Place{URL: cmp.Or(o.URL, o.Variable("REEVE_URL")), Token: cmp.Or(o.Token, o.Variable("REEVE_TOKEN")), Authority: o.Authority}
}

// HasAddress reports whether the server is named by its address, so that it
// need not be one of this machine.
func (o *Options) HasAddress() bool { return o.named().URL != "" }

// Settings reads the configuration as a server started here would.
func (o *Options) Settings() (config.Config, error) {
	flags := map[string]string{}
	if o.Data != "" {
		flags["data"] = o.Data
	}
	c, _, err := config.Load(config.Sources{File: o.ConfigFile, Env: o.Env, Flags: flags})
	return c, err
}

// Holder connects to the server that uses a data folder, and to no other.
func (o *Options) Holder(data string) (*dial.Client, error) {
	local, err := dial.ReadClient(filepath.Join(data, dial.ClientFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("a Reeve uses the data folder %s and has not said yet where it answers; try again when it is ready", data)
	}
	if err != nil {
		return nil, err
	}
	named := o.named()
	named.URL = ""
	return dial.New(dial.Join(named, local, data))
}

// locate finds the server: what was named with flags or the environment, else
// the one of this machine, whose data folder says where it is.
func (c *Client) locate() (dial.Place, error) {
	named := c.at.named()
	if named.URL != "" && named.Token != "" {
		named.Hint = "check the token given with --token or REEVE_TOKEN"
		return named, nil
	}
	local, data, err := c.at.local()
	if err != nil && named.URL == "" && named.Token == "" {
		return dial.Place{}, err
	}
	return dial.Join(named, local, data), nil
}

// local reads the client file of the server of this machine; a zero Place when
// there is none.
func (o *Options) local() (dial.Place, string, error) {
	c, err := o.Settings()
	if err != nil {
		return dial.Place{}, "", err
	}
	folders := []string{c.Data}
	if o.Data == "" && o.Variable("REEVE_DATA") == "" && c.Data != systemData {
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

// Folder answers the data folder of the server of this machine, "" when none
// is found.
func (o *Options) Folder() string {
	at, folder, err := o.local()
	if err != nil || at == (dial.Place{}) {
		return ""
	}
	return folder
}
