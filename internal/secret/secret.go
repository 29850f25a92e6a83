// Package secret seals settings that must not be read in the database or in
// its backups: keys of models, tokens of channels. A sealed text is opened
// only with the identity file of the data folder, which no backup holds, and
// only under the name that it was sealed for. It also hashes passwords, which
// nobody needs to open.
package secret

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"reeve/internal/ops"
)

const (
	// IdentityFile is the name of the identity file in the data folder.
	IdentityFile = "secret.key"
	// MaxBytes is the most that a value may have.
	MaxBytes = 16 << 10

	maxIdentityBytes = 64 << 10
	// identityNote begins an identity file that is made here.
	identityNote = "# Opens the sealed settings of this Reeve. No backup holds it: keep a copy in a safe place.\n"
)

var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// CheckName refuses what cannot be the name of a sealed setting.
func CheckName(name string) error {
	if !validName.MatchString(name) {
		return ops.Errorf(ops.Invalid, "the name of a sealed setting has small letters, digits and . _ -, at most 64, and begins with a letter or digit")
	}
	return nil
}

// A Keeper seals and opens with the identity file of one data folder. The file
// is read at each use, so that one that is put back counts at once.
type Keeper struct {
	path   string
	making sync.Mutex
}

// New makes a Keeper for a data folder; it touches nothing yet.
func New(dir string) *Keeper { return &Keeper{path: filepath.Join(dir, IdentityFile)} }

// Seal encrypts a value together with the name that it is for. It makes the
// identity file when there is none. Errors: Invalid for the name or the value,
// Unavailable for the file.
func (k *Keeper) Seal(name, value string) (string, error) {
	switch err := CheckName(name); {
	case err != nil:
		return "", err
	case value == "" || len(value) > MaxBytes || !utf8.ValidString(value):
		return "", ops.Errorf(ops.Invalid, "the value of a sealed setting is a text of 1 to %d bytes", MaxBytes)
	}
	identities, err := k.identities(true)
	if err != nil {
		return "", err
	}
	var sealed strings.Builder
	encoder := base64.NewEncoder(base64.StdEncoding, &sealed)
	w, err := age.Encrypt(encoder, identities[0].Recipient())
	if err != nil {
		return "", err
	}
	_, err = io.WriteString(w, name+"\x00"+value)
	err = errors.Join(err, w.Close(), encoder.Close()) // Only then all of it is there.
	return sealed.String(), err
}

// Open answers the value that was sealed under a name. Every error says what
// to do and is Unavailable; none tells the value.
func (k *Keeper) Open(name, sealed string) (string, error) {
	identities, err := k.identities(false)
	if errors.Is(err, fs.ErrNotExist) {
		return "", ops.Because(ops.Unavailable, err, "the sealed setting %s cannot be opened: %s is missing; put back the one of the machine that the database comes from, or %s", name, k.path, anew(name))
	}
	if err != nil {
		return "", err
	}
	all := make([]age.Identity, len(identities))
	for i, x := range identities {
		all[i] = x
	}
	r, err := age.Decrypt(base64.NewDecoder(base64.StdEncoding, strings.NewReader(sealed)), all...)
	if _, other := errors.AsType[*age.NoIdentityMatchError](err); other {
		return "", ops.Because(ops.Unavailable, err, "the sealed setting %s was sealed with another key than %s; put back the one of the machine that the database comes from, or %s", name, k.path, anew(name))
	}
	var text []byte
	if err == nil {
		text, err = io.ReadAll(io.LimitReader(r, MaxBytes+100))
	}
	sealedFor, value, found := strings.Cut(string(text), "\x00")
	switch {
	case err != nil || !found:
		return "", ops.Because(ops.Unavailable, err, "the sealed setting %s is damaged in the database; %s", name, anew(name))
	case sealedFor != name:
		return "", ops.Errorf(ops.Unavailable, "the sealed setting %s holds what was sealed for another name: somebody changed the database; %s", name, anew(name))
	}
	return value, nil
}

// anew says how a value is sealed anew.
func anew(name string) string { return "seal the value anew: `reeve secret set " + name + "`" }

// identities reads the identity file: the first seals, all open, so that a
// person can put a new key before an old one.
func (k *Keeper) identities(orMake bool) ([]*age.X25519Identity, error) {
	text, err := k.read()
	if errors.Is(err, fs.ErrNotExist) && orMake {
		text, err = k.make()
	}
	if err != nil {
		return nil, err
	}
	var all []*age.X25519Identity
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		// The cause would quote the line, which is a secret.
		identity, err := age.ParseX25519Identity(line)
		if err != nil {
			return nil, k.unusable("a line of it is no key; put back a copy of it, or move it away and seal the settings anew")
		}
		all = append(all, identity)
	}
	if len(all) == 0 {
		return nil, k.unusable("it holds no key; put back a copy of it, or move it away and seal the settings anew")
	}
	return all, nil
}

func (k *Keeper) unusable(why string) error {
	return ops.Errorf(ops.Unavailable, "%s cannot be used: %s", k.path, why)
}

// read answers the text of the identity file; fs.ErrNotExist without one. A
// file that others can read is refused: what it opens may be known.
func (k *Keeper) read() (string, error) {
	f, err := os.OpenFile(k.path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err != nil {
		return "", ops.Because(ops.Unavailable, err, "%s cannot be read; it must belong to whoever runs Reeve", k.path)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", k.unusable("it is no file")
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return "", ops.Errorf(ops.Unavailable, "%s is refused: its mode %04o lets others than its owner at it; run chmod 600 on it and, if somebody may have read it, change the values that it seals", k.path, mode)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxIdentityBytes))
	return string(text), err
}

// make writes a new identity file, whole or not at all and never over one.
func (k *Keeper) make() (string, error) {
	k.making.Lock()
	defer k.making.Unlock()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return "", err
	}
	mark := make([]byte, 8)
	rand.Read(mark) // It never fails.
	part := k.path + ".part-" + hex.EncodeToString(mark)
	err = writeDurable(part, identityNote+"# public key: "+identity.Recipient().String()+"\n"+identity.String()+"\n")
	if err == nil {
		err = os.Link(part, k.path)
	}
	if gone := os.Remove(part); err == nil {
		err = gone
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return "", ops.Because(ops.Unavailable, err, "%s cannot be made", k.path)
	}
	if err := syncFolder(filepath.Dir(k.path)); err != nil {
		return "", err
	}
	return k.read()
}

func writeDurable(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncFolder makes the names in a folder outlive a power cut.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
