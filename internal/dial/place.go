// Package dial finds a server and speaks to it: where it is, how to be let in,
// what its errors mean for the person who asked.
package dial

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
)

// ClientFile is written by the server for whoever may read its data folder.
const ClientFile = "client.json"

const (
	defaultURL  = "http://127.0.0.1:7433"
	localCA     = "tls/ca.crt"
	maxFileSize = 1 << 16
)

// A Place is where a server is and how to be let in.
type Place struct {
	URL, Token, Hint string
	Authority        string // file of the authority that signed its certificate, "" for the system's
}

// Join fills what was not named with what the data folder says. Its token is
// only for its own server.
func Join(named, local Place, data string) Place {
	at := named
	at.URL = cmp.Or(at.URL, local.URL, defaultURL)
	at.Hint = "check the token given with --token or REEVE_TOKEN"
	if at.Token == "" {
		at.Hint = "name a token with --token or REEVE_TOKEN, or name the server's data folder with --data"
		if local.Token != "" && sameServer(at.URL, local.URL) {
			at.Token, at.Hint = local.Token, "the token in "+filepath.Join(data, ClientFile)+" belongs to another server; name the right data folder with --data"
		}
	}
	if ca := filepath.Join(data, localCA); at.Authority == "" && data != "" && isFile(ca) {
		at.Authority = ca
	}
	return at
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

// ReadClient reads what the server of a data folder says of itself.
func ReadClient(path string) (Place, error) {
	info, err := os.Stat(path)
	if err != nil && errors.Is(err, fs.ErrNotExist) {
		return Place{}, err
	}
	var text []byte
	if err == nil && info.Size() <= maxFileSize {
		text, err = os.ReadFile(path)
	}
	if errors.Is(err, fs.ErrPermission) {
		return Place{}, errors.New("the server of this machine belongs to somebody else: " + path + " cannot be read; use sudo, or give --url and --token")
	}
	var c struct{ URL, Token string }
	if err != nil || json.Unmarshal(text, &c) != nil || c.URL == "" {
		return Place{}, errors.New(path + " cannot be understood; a start of `reeve up` writes it again")
	}
	return Place{URL: c.URL, Token: c.Token}, nil
}
